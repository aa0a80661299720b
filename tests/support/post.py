"""A mail server and a chat's webhook on this machine, for what an Airflow sends."""

from __future__ import annotations

import email
import email.policy
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from airflow_runs import until
from demo.airflow.local import LocalAirflow
from servers import free_port


class Post:
    """What was sent."""

    def __init__(self) -> None:
        self.mails: list[str] = []
        self.messages: list[str] = []

    def about(self, run_id: str) -> tuple[str, str]:
        """The mail and the message about one run, as soon as both are here."""

        def both() -> list[tuple[str, str]]:
            mails = [text for text in self.mails if run_id in text]
            return list(zip(mails, [t for t in self.messages if run_id in t], strict=False))

        found: list[tuple[str, str]] = until(both, "a mail and a message have come")
        return found[0]

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        body = mail.get_body(("html", "plain"))
        self.mails.append(f"{mail['subject']}\n{body.get_content() if body else ''}")
        return "250 OK"


@contextmanager
def webhook(post: Post) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["content-length"])).decode()
            post.messages.append(json.loads(text)["text"])
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, format: str, *args: object) -> None:
            """Not to the screen."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def receiving(airflow: LocalAirflow) -> Iterator[Post]:
    """Airflow's connections `post` and `chat` lead to it."""
    from aiosmtpd.controller import Controller

    found = Post()
    controller = Controller(found, hostname="127.0.0.1", port=free_port())
    controller.start()
    extra = {"from_email": "windlass@example.com", "disable_ssl": True, "disable_tls": True}
    smtp = {"conn_type": "smtp", "host": "127.0.0.1", "port": controller.port,
            "extra": json.dumps(extra)}  # fmt: skip
    airflow.client.set_connection("post", json.dumps(smtp))
    try:
        with webhook(found) as port:
            chat = {"conn_type": "slackwebhook", "schema": "http", "host": f"127.0.0.1:{port}",
                    "password": "/hook"}  # fmt: skip
            airflow.client.set_connection("chat", json.dumps(chat))
            yield found
    finally:
        controller.stop()
