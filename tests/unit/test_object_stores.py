"""A store's answers become errors that name the cause, whatever its paths are called."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from windlass.errors import ConnectionLost, WindlassError

pytest.importorskip("obstore")

from windlass.engines.objects import store as stores
from windlass.engines.objects.store import ObjectStore

# of the folder, of the bucket: words and numbers that are also those of faults
BUCKET, PATH = "credential-bucket", "container-401/part-00403"


class _Answering(BaseHTTPRequestHandler):
    """Answers everything in one way."""

    answer = (200, "")

    def _say(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        status, code = self.answer
        body = f"<Error><Code>{code}</Code></Error>".encode() if code else b""
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _say

    def log_message(self, *words: object) -> None:
        """Nothing."""


Opened = Callable[[str, int, str], ObjectStore]


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> Iterator[Opened]:
    """A store, s3 or az, whose server answers everything with a status and a code."""
    monkeypatch.setitem(stores._RETRIES, "max_retries", 0)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answering)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"

    def opened(scheme: str, status: int, code: str) -> ObjectStore:
        monkeypatch.setattr(_Answering, "answer", (status, code))
        options = {
            "s3": {"endpoint": endpoint, "access_key_id": "a", "secret_access_key": "b",
                   "region": "us-east-1"},
            "az": {"endpoint": f"{endpoint}/account", "account_name": "account",
                   "account_key": "YWJj"},
        }  # fmt: skip
        return ObjectStore(f"{scheme}://{BUCKET}/exports", options[scheme])

    yield opened
    server.shutdown()


@pytest.mark.parametrize("scheme", ["s3", "az"])
@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (403, "AccessDenied", "no permission"),
        (401, "", "no credentials"),
        (400, "ExpiredToken", "no credentials"),
        (404, "NoSuchBucket", "no such bucket"),
        (404, "ContainerNotFound", "no such bucket"),
        (400, "InvalidArgument", "InvalidArgument"),
    ],
)
def test_an_answer_says_what_is_wrong(
    scheme: str, status: int, code: str, said: str, answered: Opened
) -> None:
    store = answered(scheme, status, code)
    asked: list[Callable[[], object]] = [
        store.check,
        lambda: store.put(PATH, b""),
        lambda: store.part(PATH, 0, 1),
    ]
    for ask in asked:
        with pytest.raises(WindlassError) as error:
            ask()
        assert said in str(error.value) and not error.value.retryable, error.value


@pytest.mark.parametrize("scheme", ["s3", "az"])
@pytest.mark.parametrize(("status", "code"), [(503, "SlowDown"), (500, "")])
def test_a_fault_that_passes_is_tried_again_whatever_the_path_is_called(
    scheme: str, status: int, code: str, answered: Opened
) -> None:
    store = answered(scheme, status, code)
    asked: list[Callable[[], object]] = [
        store.check,
        lambda: store.put(PATH, b""),
        lambda: store.size(PATH),
    ]
    for ask in asked:
        with pytest.raises(ConnectionLost):
            ask()


@pytest.mark.parametrize("scheme", ["s3", "az"])
def test_an_object_that_is_not_there_is_none(scheme: str, answered: Opened) -> None:
    store = answered(scheme, 404, "NoSuchKey")
    assert store.get(PATH) is None and store.size(PATH) is None


@pytest.mark.parametrize(
    ("url", "options", "said"),
    [
        ("az://lake/x", {}, "Account must be specified"),
        ("az://lake/x", {"account_name": "a", "account_key": "no key!"}, "Invalid Access Key"),
        ("az://", {"account_name": "a"}, "az://"),
        ("az://lake/x", {"acount_name": "a"}, "'acount_name' is not valid"),
        ("s3://lake/x", {"nonsense": "1"}, "'nonsense' is not valid"),
        ("gs://lake/x", {"service_account_key": "{}"}, "missing field"),
    ],
)
def test_what_cannot_be_opened_is_reported_and_not_tried_again(
    url: str, options: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [one for one in os.environ if one.startswith(("AZURE", "AWS", "GOOGLE"))]:
        monkeypatch.delenv(name)
    with pytest.raises(WindlassError, match=said) as error:
        ObjectStore(url, options)
    assert not error.value.retryable and error.value.hint
    assert "no key!" not in str(error.value)


@pytest.mark.parametrize("name", ["my-bucket", "container", "a 403 credential"])
def test_a_folder_may_be_called_like_a_fault(name: str, tmp_path: Path) -> None:
    store = ObjectStore(f"file://{tmp_path}/{name}")
    assert store.get("run/manifest.json") is None and store.size("run/x") is None
    store.put("run/x", b"1")
    assert store.get("run/x") == b"1"


def test_a_folder_is_made_by_the_first_write(tmp_path: Path) -> None:
    store = ObjectStore(f"file://{tmp_path}/new/lake")
    store.check()
    assert store.list("") == [] and store.get("x") is None and store.clear("x") == 0
    assert list(tmp_path.iterdir()) == []
    store.put("x", b"1")
    assert store.list("") == ["x"]


@pytest.mark.parametrize("url", ["file://lake/x", "file:///lake#x", "file:///lake?x"])
def test_a_path_of_which_a_part_would_be_lost_is_refused(url: str) -> None:
    with pytest.raises(WindlassError, match="not the absolute path of a folder"):
        ObjectStore(url)


def test_what_a_killed_writer_has_begun_is_cleared(tmp_path: Path) -> None:
    store = ObjectStore(f"file://{tmp_path}/lake")
    store.put("run/part-1", b"1")
    store.put("other/part-1", b"1")
    for begun in ("run/part-2#1", "other/part-2#1"):
        (tmp_path / "lake" / begun).write_bytes(b"")
    assert store.clear("run") == 2
    left = [path for path in (tmp_path / "lake").rglob("*") if path.is_file()]
    assert sorted(path.relative_to(tmp_path / "lake").as_posix() for path in left) == [
        "other/part-1",
        "other/part-2#1",
    ]
