"""A web server for tests whose answers are scripted, faults included."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class Asked:
    """A request, as it came."""

    path: str
    headers: Mapping[str, str]


@dataclass
class Answer:
    """What is answered. `cut` is after how many bytes of the body the connection is closed; `hold`
    is waited for there instead."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    hold: threading.Event | None = None
    says_length: bool = True
    chunked: bool = False


Script = Callable[[Asked], Answer]


class Server:
    """Serves a script; `asked` has every request."""

    def __init__(self, script: Script, certificate: tuple[Path, Path] | None = None) -> None:
        self.script = script
        self.asked: list[Asked] = []
        served = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                asked = Asked(self.path, {k.lower(): v for k, v in self.headers.items()})
                served.asked.append(asked)
                self.answer(served.script(asked))

            def answer(self, answer: Answer) -> None:
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                if answer.chunked:
                    self.send_header("Transfer-Encoding", "chunked")
                elif answer.says_length and "Content-Length" not in answer.headers:
                    self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                body = answer.body if answer.cut is None else answer.body[: answer.cut]
                if answer.chunked:
                    body = b"%x\r\n%s\r\n" % (len(body), body)
                    body += b"0\r\n\r\n" if answer.cut is None else b""
                self.wfile.write(body)
                self.wfile.flush()
                if answer.hold is not None:
                    answer.hold.wait(30)
                if answer.cut is not None or not answer.says_length:
                    self.close_connection = True

            def log_message(self, *said: object) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            def handle_error(self, *given: object) -> None:
                pass  # clients hang up

        self._http = Quiet(("127.0.0.1", 0), Handler)
        scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
            scheme = "https"
        self.url = f"{scheme}://127.0.0.1:{self._http.server_port}"
        self.port = self._http.server_port

    def __enter__(self) -> Server:
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *fault: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


def in_turn(*answers: Answer) -> Script:
    """Answers one after another; the last again and again."""
    left = list(answers)

    def script(asked: Asked) -> Answer:
        return left.pop(0) if len(left) > 1 else left[0]

    return script


def with_ranges(body: bytes, etag: str = '"1"', cut: int | None = None) -> Script:
    """As a good server: ranges of one version. Each answer is `cut` after so many bytes."""

    def script(asked: Asked) -> Answer:
        headers = {"ETag": etag, "Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"}
        wanted = asked.headers.get("range", "")
        if asked.headers.get("if-none-match") == etag:
            return Answer(status=304, headers=headers)
        if wanted and asked.headers.get("if-range", etag) == etag:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(body):
                return Answer(status=416, headers=headers)
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
            rest = body[start:]
            return Answer(rest, 206, headers, cut if cut and cut < len(rest) else None)
        return Answer(body, 200, headers, cut if cut and cut < len(body) else None)

    return script


@contextmanager
def serving(script: Script, certificate: tuple[Path, Path] | None = None) -> Iterator[Server]:
    with Server(script, certificate) as server:
        yield server
