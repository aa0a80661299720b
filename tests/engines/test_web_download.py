"""Files over HTTP: whole and of one version, whatever the server does; and secrets stay secret."""

from __future__ import annotations

import base64
import gzip
import hashlib
import random
import threading
from pathlib import Path
from typing import Any

import pytest

from certificates import Authority
from web_server import Answer, Asked, Script, Server, in_turn, serving, with_ranges
from windlass.engines.inputs import are_unchanged, open_inputs
from windlass.engines.web.client import Patience
from windlass.engines.web.download import Fetched, download
from windlass.errors import BadSpec, ConnectionLost, Interrupted, Refused, WindlassError
from windlass.model.inputs import FilesFrom

BODY = random.Random(1).randbytes(5_000_000)
QUICK = Patience(attempts=3, first_seconds=0, most_seconds=0)


def fetch(server: Server, folder: Path, path: str = "/rows.csv", **given: Any) -> Fetched:
    return download(f"{server.url}{path}", folder, patience=QUICK, **given)


def content(found: Fetched) -> bytes:
    assert found.path is not None
    data = found.path.read_bytes()
    assert found.identity.sha256 == hashlib.sha256(data).hexdigest()
    assert found.identity.size_bytes == len(data)
    return data


def test_a_file_arrives_whole_with_what_identifies_it(tmp_path: Path) -> None:
    with serving(with_ranges(BODY)) as server:
        found = fetch(server, tmp_path)
    assert content(found) == BODY
    assert (found.identity.etag, found.name) == ('"1"', "rows.csv")
    assert found.identity.modified == "Mon, 01 Jan 2024 00:00:00 GMT"


def test_a_download_that_breaks_again_and_again_resumes_where_it_was(tmp_path: Path) -> None:
    with serving(with_ranges(BODY, cut=600_000)) as server:
        assert content(fetch(server, tmp_path)) == BODY
    starts = [one.headers.get("range", "bytes=0-") for one in server.asked]
    assert len(starts) == 9
    assert starts[1] == "bytes=600000-"
    assert all(one.headers["if-range"] == '"1"' for one in server.asked[1:])


def test_another_process_of_the_run_resumes_where_it_was(tmp_path: Path) -> None:
    with serving(with_ranges(BODY)) as server:
        server.script = in_turn(Answer(BODY, 200, {"ETag": '"1"'}, cut=600_000), Answer(status=500))
        with pytest.raises(ConnectionLost):
            fetch(server, tmp_path)
        server.asked.clear()
        server.script = with_ranges(BODY)
        assert content(fetch(server, tmp_path)) == BODY
        assert [one.headers["range"] for one in server.asked] == ["bytes=600000-"]
        assert content(fetch(server, tmp_path)) == BODY
        assert len(server.asked) == 1  # the run has it


def test_a_truncated_body_is_never_accepted(tmp_path: Path) -> None:
    for script in (
        in_turn(Answer(BODY, cut=4_999_999)),
        in_turn(Answer(BODY, cut=4_999_999, chunked=True)),
    ):
        with serving(script) as server, pytest.raises(WindlassError, match="cut the file off"):
            fetch(server, tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.name.endswith("rows.csv")]


def test_a_body_whose_length_nobody_knows_is_refused(tmp_path: Path) -> None:
    with (
        serving(in_turn(Answer(BODY, says_length=False))) as server,
        pytest.raises(WindlassError, match="does not say how long"),
    ):
        fetch(server, tmp_path)


def test_a_chunked_body_arrives(tmp_path: Path) -> None:
    with serving(in_turn(Answer(BODY, chunked=True))) as server:
        assert content(fetch(server, tmp_path)) == BODY


def test_what_the_server_compresses_is_refused_unless_the_file_is(tmp_path: Path) -> None:
    data = gzip.compress(b"a\n1\n")
    with serving(in_turn(Answer(data, 200, {"Content-Encoding": "gzip"}))) as server:
        assert content(fetch(server, tmp_path, "/rows.csv.gz")) == data
        with pytest.raises(WindlassError, match="compresses what it sends"):
            fetch(server, tmp_path, "/rows.csv")


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429, 408])
def test_failures_that_pass_are_waited_for(status: int, tmp_path: Path) -> None:
    script = in_turn(Answer(status=status), Answer(status=status), Answer(BODY))
    with serving(script) as server:
        assert content(fetch(server, tmp_path)) == BODY


def test_failures_that_do_not_pass_end_after_a_few_times(tmp_path: Path) -> None:
    with serving(in_turn(Answer(status=503))) as server:
        with pytest.raises(ConnectionLost, match="answers 503") as caught:
            fetch(server, tmp_path)
        assert caught.value.retryable
        assert len(server.asked) == 3


@pytest.mark.parametrize(("status", "asked"), [(401, 1), (403, 1), (404, 1), (410, 1)])
def test_a_refusal_is_not_asked_for_again(status: int, asked: int, tmp_path: Path) -> None:
    with serving(in_turn(Answer(status=status))) as server:
        with pytest.raises(WindlassError, match=f"answers {status}") as caught:
            fetch(server, tmp_path)
        assert not caught.value.retryable and caught.value.hint
        assert len(server.asked) == asked


def test_a_file_that_changes_in_the_middle_is_fetched_again(tmp_path: Path) -> None:
    old, new = with_ranges(BODY, '"old"', cut=600_000), with_ranges(BODY[::-1], '"new"')
    with serving(old) as server:

        def script(asked: Asked) -> Answer:
            return (old if len(server.asked) < 3 else new)(asked)

        server.script = script
        found = fetch(server, tmp_path)
    assert content(found) == BODY[::-1]
    assert found.identity.etag == '"new"'


def careless(headers: dict[str, str]) -> Script:
    """A server that gives the rest of another version."""

    def script(asked: Asked) -> Answer:
        if "range" not in asked.headers:
            return Answer(BODY, 200, {"ETag": '"1"'}, cut=600_000)
        return Answer(BODY[600_000:], 206, headers)

    return script


@pytest.mark.parametrize(
    "headers",
    [
        {"ETag": '"2"', "Content-Range": "bytes 600000-4999999/5000000"},
        {"ETag": '"1"', "Content-Range": "bytes 600001-4999999/5000000"},
        {"ETag": '"1"', "Content-Range": "bytes 600000-4999999/5000001"},
        {"ETag": '"1"'},
    ],
)
def test_the_rest_of_another_version_is_not_appended(
    headers: dict[str, str], tmp_path: Path
) -> None:
    with serving(careless(headers)) as server:
        with pytest.raises(ConnectionLost):
            fetch(server, tmp_path)
        server.script = with_ranges(BODY)
        assert content(fetch(server, tmp_path)) == BODY


@pytest.mark.parametrize("headers", [{}, {"ETag": 'W/"1"'}])
def test_without_a_strong_validator_a_file_is_fetched_from_the_beginning(
    headers: dict[str, str], tmp_path: Path
) -> None:
    script = in_turn(Answer(BODY, 200, headers, cut=600_000), Answer(BODY, 200, headers))
    with serving(script) as server:
        assert content(fetch(server, tmp_path)) == BODY
    assert ["range" in one.headers for one in server.asked] == [False, False]


def test_a_server_that_hangs_up_at_the_same_place_is_given_up(tmp_path: Path) -> None:
    with serving(in_turn(Answer(BODY, cut=600_000))) as server:
        with pytest.raises(WindlassError, match="after 600,000 bytes 3 times") as caught:
            download(f"{server.url}/rows.csv", tmp_path, patience=Patience(6, 0, 0))
        assert not caught.value.retryable, "the run would begin all of this again"
        assert len(server.asked) == 3


def test_a_resumed_file_is_given_up_with_the_number_of_its_bytes(tmp_path: Path) -> None:
    with serving(in_turn(Answer(BODY, 200, {"ETag": '"1"'}, cut=600_000), Answer(status=500))) as (
        server
    ):
        with pytest.raises(ConnectionLost):
            fetch(server, tmp_path)
        size = len(BODY)
        part = {"ETag": '"1"', "Content-Range": f"bytes 600000-{size - 1}/{size}"}
        server.script = in_turn(Answer(BODY[600_000:], 206, part, cut=0))
        with pytest.raises(WindlassError, match="after 600,000 bytes 3 times"):
            download(f"{server.url}/rows.csv", tmp_path, patience=Patience(6, 0, 0))


def test_cuts_at_different_places_are_not_the_servers_limit(tmp_path: Path) -> None:
    cuts = [Answer(BODY, cut=size) for size in (900_000, 600_000, 700_000, 500_000)]
    with serving(in_turn(*cuts, Answer(BODY))) as server:
        found = download(f"{server.url}/rows.csv", tmp_path, patience=Patience(6, 0, 0))
        assert content(found) == BODY


def test_a_server_that_goes_silent_is_asked_again(tmp_path: Path) -> None:
    never = threading.Event()
    impatient = Patience(3, 0, 0, 0.3)
    silent = Answer(BODY, 200, {"ETag": '"1"'}, cut=600_000, hold=never)
    good = with_ranges(BODY)
    with serving(good) as server:

        def script(asked: Asked) -> Answer:
            return silent if len(server.asked) == 1 else good(asked)

        server.script = script
        found = download(f"{server.url}/rows.csv", tmp_path, patience=impatient)
        assert content(found) == BODY
        assert server.asked[1].headers["range"] == "bytes=600000-"
        never.set()


def test_an_unchanged_file_is_not_fetched(tmp_path: Path) -> None:
    with serving(with_ranges(BODY)) as server:
        for name in ("1", "2"):
            (tmp_path / name).mkdir()
        known = fetch(server, tmp_path / "1").identity
        again = fetch(server, tmp_path / "2", known=known)
        assert again.path is None and again.identity == known
        source = FilesFrom((f"{server.url}/rows.csv",))
        assert are_unchanged([source], [known], tmp_path / "2")
        server.script = with_ranges(BODY + b"x", '"2"')
        assert content(fetch(server, tmp_path / "2", known=known)) == BODY + b"x"


def test_a_request_is_stopped_when_asked(tmp_path: Path) -> None:
    with serving(with_ranges(BODY)) as server, pytest.raises(Interrupted):
        fetch(server, tmp_path, is_stopped=lambda: True)


# redirects, and whom secrets are for


def to(url: str, status: int = 302) -> Script:
    return in_turn(Answer(status=status, headers={"Location": url}))


def with_login(server: Server, path: str = "/rows.csv") -> str:
    return f"{server.url.replace('//', '//app:s3cret@')}{path}"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed_without_the_password(status: int, tmp_path: Path) -> None:
    with serving(with_ranges(BODY)) as other, serving(to(f"{other.url}/x", status)) as server:
        found = download(with_login(server), tmp_path, patience=QUICK)
    assert content(found) == BODY
    expected = base64.b64encode(b"app:s3cret").decode()
    assert server.asked[0].headers["authorization"] == f"Basic {expected}"
    assert "authorization" not in other.asked[0].headers
    assert "s3cret" not in other.asked[0].path


def test_a_redirect_to_the_same_host_keeps_the_password(tmp_path: Path) -> None:
    with serving(to("/other.csv")) as server:
        first = server.script

        def script(asked: Asked) -> Answer:
            return Answer(BODY) if asked.path == "/other.csv" else first(asked)

        server.script = script
        download(with_login(server), tmp_path, patience=QUICK)
    assert ["authorization" in one.headers for one in server.asked] == [True, True]


@pytest.mark.parametrize("place", ["file:///etc/passwd", "ftp://127.0.0.1/x", "s3://bucket/x", ""])
def test_a_redirect_to_elsewhere_is_refused(place: str, tmp_path: Path) -> None:
    with serving(to(place)) as server, pytest.raises(WindlassError, match="redirect"):
        fetch(server, tmp_path)


def test_a_redirect_from_https_to_http_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path, "authority")
    certified = authority.certify("server", "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.root))
    files = (certified.certificate, certified.key)
    with serving(with_ranges(BODY)) as plain, serving(to(f"{plain.url}/x"), files) as server:
        with pytest.raises(WindlassError, match="from https to http"):
            fetch(server, tmp_path)
        assert plain.asked == []


def test_a_certificate_of_nobody_is_refused_at_once(tmp_path: Path) -> None:
    certified = Authority(tmp_path, "authority").certify("server", "127.0.0.1")
    files = (certified.certificate, certified.key)
    with (
        serving(with_ranges(BODY), files) as server,
        pytest.raises(WindlassError, match="certificate cannot be trusted"),
    ):
        fetch(server, tmp_path)


def test_redirects_that_never_end_are_refused(tmp_path: Path) -> None:
    with serving(to("/rows.csv")) as server, pytest.raises(WindlassError, match="too many"):
        fetch(server, tmp_path)


@pytest.mark.parametrize(
    "script",
    [in_turn(Answer(status=500)), in_turn(Answer(status=404)), to("file:///x"), to("/rows.csv")],
)
def test_no_message_shows_a_secret_of_the_url(script: Script, tmp_path: Path) -> None:
    with serving(script) as server:
        url = with_login(server, "/rows.csv?signature=hidden")
        with pytest.raises(WindlassError) as caught:
            download(url, tmp_path, patience=QUICK)
    error: BaseException | None = caught.value
    text = f"{caught.value} {caught.value.hint} {caught.value.where}"
    assert "s3cret" not in text and "hidden" not in text and error is not None
    assert f"127.0.0.1:{server.port}/rows.csv?…" in text


def test_a_server_that_is_not_there_can_be_tried_again(tmp_path: Path) -> None:
    with serving(with_ranges(BODY)) as server:
        url = with_login(server)
    with pytest.raises(ConnectionLost, match="cannot be reached") as caught:
        download(url, tmp_path, patience=QUICK)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("url", ["ftp://host/x", "https:///x", "http://[::1/x", "http://h:99999/x"])
def test_what_is_no_url_of_the_web_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(BadSpec):
        download(url, tmp_path)


# as inputs


def test_urls_are_inputs_in_their_order(tmp_path: Path) -> None:
    def script(asked: Asked) -> Answer:
        return Answer(b"a\n%s\n" % asked.path[1:2].encode())

    with serving(script) as server:
        urls = tuple(f"{server.url}/{name}.csv?x=1" for name in ("2", "1"))
        found = open_inputs(FilesFrom(urls), tmp_path)
        rows = [row["a"] for one in found for batch in one.batches() for row in batch.to_pylist()]
        assert rows == ["2", "1"]
        assert [one.place for one in found] == [f"{server.url}/{name}.csv?…" for name in "21"]
        with pytest.raises(Refused):
            open_inputs(FilesFrom((urls[0], urls[0])), tmp_path)
