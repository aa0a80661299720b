"""Pages of JSON APIs: every row of every page once, as it was sent; the token for one host only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from web_server import Answer, Asked, Script, Server, in_turn, serving
from windlass.engines import inputs
from windlass.engines.inputs import open_inputs
from windlass.engines.web import api as api_module
from windlass.engines.web.client import Patience
from windlass.errors import BadSpec, WindlassError
from windlass.model.inputs import ApiFrom

QUICK = Patience(attempts=3, first_seconds=0, most_seconds=0)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_module, "Patience", lambda: QUICK)


def rows(server: Server, folder: Path, path: str = "/orders", **given: Any) -> list[dict[str, Any]]:
    (one,) = open_inputs(ApiFrom(f"{server.url}{path}", **given), folder)
    return [row for batch in one.batches() for row in batch.to_pylist()]


def page(value: object, **headers: str) -> Answer:
    return Answer(json.dumps(value).encode(), 200, headers)


def asked_for(asked: Asked) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(asked.path).query).items()}


def test_pages_follow_their_links(tmp_path: Path) -> None:
    def script(asked: Asked) -> Answer:
        number = int(asked_for(asked).get("at", 0))
        following = f"/orders?at={number + 1}" if number < 2 else None
        return page({"data": {"items": [{"id": number}]}, "links": {"next": following}})

    with serving(script) as server:
        found = rows(server, tmp_path, records="data.items", next="links.next")
    assert [row["id"] for row in found] == ["0", "1", "2"]


def test_pages_follow_the_link_header(tmp_path: Path) -> None:
    def script(asked: Asked) -> Answer:
        number = int(asked_for(asked).get("at", 0))
        headers = {"Link": f'</orders?at={number + 1}>; rel="next"'} if number < 2 else {}
        return page([{"id": number}], **headers)

    with serving(script) as server:
        assert [row["id"] for row in rows(server, tmp_path, next="link")] == ["0", "1", "2"]


def test_pages_follow_their_cursors(tmp_path: Path) -> None:
    def script(asked: Asked) -> Answer:
        after = asked_for(asked).get("after", "")
        cursor = {"": "a b&c", "a b&c": 7, "7": None}[after]
        return page({"rows": [{"after": after}], "meta": {"cursor": cursor}})

    given = {"records": "rows", "cursor": "meta.cursor", "cursor_parameter": "after"}
    with serving(script) as server:
        found = rows(server, tmp_path, "/orders?limit=1", **given)
        assert [row["after"] for row in found] == ["", "a b&c", "7"]
        assert {asked_for(one)["limit"] for one in server.asked} == {"1"}


def test_pages_have_numbers_until_one_is_empty(tmp_path: Path) -> None:
    def script(asked: Asked) -> Answer:
        number = int(asked_for(asked)["p"])
        return page([{"id": number}] if number < 3 else [])

    with serving(script) as server:
        assert [row["id"] for row in rows(server, tmp_path, page="p", first_page=0)] == [
            "0",
            "1",
            "2",
        ]


def test_a_row_is_the_text_that_was_sent(tmp_path: Path) -> None:
    body = b'[\n {"n": 1.10, "big": 12345678901234567890.5,\r\n "in": {"x": [1.0]}}\n]'
    with serving(in_turn(Answer(body))) as server:
        (row,) = rows(server, tmp_path)
    assert row == {"n": "1.10", "big": "12345678901234567890.5", "in": '{"x": [1.0]}'}


def test_a_page_that_fails_is_asked_for_again(tmp_path: Path) -> None:
    def script(asked: Asked) -> Answer:
        if len(server.asked) % 2:
            return (
                Answer(b'[{"id": 1}', 200, cut=5) if len(server.asked) > 2 else Answer(status=500)
            )
        number = int(asked_for(asked)["p"])
        return page([{"id": number}] if number < 3 else [])

    with serving(script) as server:
        assert [row["id"] for row in rows(server, tmp_path, page="p")] == ["1", "2"]


def test_what_the_run_has_is_not_asked_for_again(tmp_path: Path) -> None:
    with serving(in_turn(page([{"id": 1}]))) as server:
        assert rows(server, tmp_path) == rows(server, tmp_path)
        assert len(server.asked) == 1


# the token


def test_the_token_is_sent_in_its_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "s3cret")
    given = {"token_env": "SHOP_TOKEN", "token_header": "X-Key", "token_prefix": "Key "}
    with serving(in_turn(page([]))) as server:
        rows(server, tmp_path, **given)
        assert server.asked[0].headers["x-key"] == "Key s3cret"


def test_a_token_that_is_not_there_is_asked_for(tmp_path: Path) -> None:
    with serving(in_turn(page([]))) as server:
        with pytest.raises(BadSpec, match="no variable NO_SUCH_TOKEN"):
            rows(server, tmp_path, token_env="NO_SUCH_TOKEN")
        assert server.asked == []


@pytest.mark.parametrize("way", ["link", "redirect"])
def test_the_token_never_reaches_another_host(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "s3cret")
    with serving(in_turn(page([]))) as other:
        if way == "link":
            script = in_turn(page({"rows": [], "next": f"{other.url}/more"}))
        else:
            script = in_turn(Answer(status=302, headers={"Location": f"{other.url}/more"}))
        with serving(script) as server:
            given = {"token_env": "SHOP_TOKEN", "next": "next", "records": "rows"}
            with pytest.raises(WindlassError) as caught:
                rows(server, tmp_path, **given)
        assert "s3cret" not in str(caught.value)
        assert not [one for one in other.asked if "authorization" in one.headers]


# pages that are not as they were described


@pytest.mark.parametrize(
    ("script", "given", "expected"),
    [
        (in_turn(Answer(b"<html>")), {}, "page 1 it is not a list"),
        (in_turn(Answer(b"<html>")), {"records": "rows"}, "page 1 is not JSON"),
        (in_turn(page({"rows": {}})), {"records": "rows"}, "page 1 rows is not a list"),
        (in_turn(page({"row": []})), {"records": "rows"}, "page 1 has no rows"),
        (in_turn(page([1])), {}, "page 1 has a row that is not an object"),
        (
            in_turn(page({"rows": [], "next": "/orders"})),
            {"records": "rows", "next": "next"},
            "page 2 is the same as an earlier one",
        ),
        (
            in_turn(page({"rows": [], "next": {"a": 1}})),
            {"records": "rows", "next": "next"},
            "page 1 next is neither text nor a number",
        ),
        (
            in_turn(page({"rows": [], "next": "file:///etc/passwd"})),
            {"records": "rows", "next": "next"},
            "page 1 names a next page that is no URL of the web",
        ),
    ],
)
def test_a_page_that_is_not_as_described_is_named(
    script: Script, given: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    with serving(script) as server, pytest.raises(WindlassError, match=expected):
        rows(server, tmp_path, **given)
    assert not list(tmp_path.glob("*.jsonl"))


def test_a_page_too_large_for_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_module, "MOST_PAGE_BYTES", 1 << 20)
    with (
        serving(in_turn(page([{"id": "x" * (1 << 20)}]))) as server,
        pytest.raises(WindlassError, match="larger than 1 MB"),
    ):
        rows(server, tmp_path)


def test_what_is_fetched_needs_a_folder() -> None:
    with pytest.raises(ValueError, match="folder"):
        inputs.open_inputs(ApiFrom("http://127.0.0.1/"))
