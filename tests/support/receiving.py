"""Receivers of what an Airflow sends: over HTTP, and over UDP."""

from __future__ import annotations

import json
import socket
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LOOPBACK = "127.0.0.1"


@dataclass
class Received:
    """What has come in so far, by its order."""

    port: int = 0
    bodies: list[bytes] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "\n".join(body.decode(errors="replace") for body in self.bodies)

    @property
    def events(self) -> list[dict[str, Any]]:
        """Bodies that are JSON."""
        return [json.loads(body) for body in self.bodies]

    def numbers(self, name: str) -> list[float]:
        """The values of a StatsD metric."""
        lines = [line.split("|") for line in self.text.splitlines()]
        found = [line[0].rpartition(":") for line in lines]
        return [float(value) for key, _, value in found if key == name]


@contextmanager
def http_receiver() -> Iterator[Received]:
    """Takes every POST."""
    received = Received()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            is_packed = self.headers.get("Content-Encoding") == "gzip"
            received.bodies.append(zlib.decompress(body, 31) if is_packed else body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer((LOOPBACK, 0), Handler) as server:
        received.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield received
        server.shutdown()
        thread.join()


@contextmanager
def udp_receiver() -> Iterator[Received]:
    """Takes every datagram."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as inbox:
        inbox.bind((LOOPBACK, 0))
        received = Received(inbox.getsockname()[1])

        def receive() -> None:
            while body := inbox.recv(65_535):
                received.bodies.append(body)

        thread = threading.Thread(target=receive, daemon=True)
        thread.start()
        yield received
        inbox.sendto(b"", (LOOPBACK, received.port))
        thread.join()
