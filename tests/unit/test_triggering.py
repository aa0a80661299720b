"""A project that starts its DAG through Airflow's REST interface."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from servers import free_port
from windlass.django.triggering import trigger_update
from windlass.errors import BadSpec, ConnectionLost, WindlassError

TOKEN = "hush"


class Handler(BaseHTTPRequestHandler):
    """Takes one token for one DAG, as Airflow does."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        code, answer = 200, {"dag_run_id": f"manual {body['conf']}"}
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            code, answer = 401, {"detail": "Invalid JWT token"}
        elif self.path != "/api/v2/dags/quarterly_data_update/dagRuns":
            code, answer = 404, {"detail": "not found"}
        text = json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("AIRFLOW_API_URL", url)
    monkeypatch.setenv("AIRFLOW_API_TOKEN", TOKEN)
    yield url
    server.shutdown()
    server.server_close()


def test_it_returns_the_id_of_the_run(airflow: str) -> None:
    assert trigger_update(conf={"a": 1}) == "manual {'a': 1}"


def test_what_airflow_refuses_is_said_without_the_token(
    airflow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(WindlassError, match="404") as caught:
        trigger_update("another")
    assert caught.value.hint == "there is no such DAG there"
    monkeypatch.setenv("AIRFLOW_API_TOKEN", "secret")
    with pytest.raises(WindlassError, match="401") as refused:
        trigger_update()
    assert "secret" not in str(refused.value)


def test_an_airflow_that_is_not_named_or_not_there(
    airflow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_API_URL", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(ConnectionLost, match="cannot be reached"):
        trigger_update()
    monkeypatch.delenv("AIRFLOW_API_URL")
    monkeypatch.delenv("AIRFLOW_API_TOKEN")
    with pytest.raises(BadSpec) as caught:
        trigger_update()
    assert len(caught.value.faults) == 2
