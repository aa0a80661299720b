"""Airflow's REST interface, as tests, benchmarks and `make airflow` use it.

Decides how a run is triggered, awaited and inspected. Airflow's command line can do most of this
too, but each of its commands first loads Airflow, for seconds; here an answer takes milliseconds.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from windlass.errors import WindlassError

if TYPE_CHECKING:
    import httpx

USER = "admin"

_TIMEOUT_SECONDS = 30.0
_READY_SECONDS = 2.0
_PARSED_SECONDS = 120.0
_POLL_SECONDS = 0.2
_ENDED_POLL_SECONDS = 0.5  # polling takes API server time from the tasks
_PAGE_ROWS = 100
_NOT_FOUND = 404


class Client:
    """One Airflow, as its user `admin`. It logs in when it is first used; the token lasts a day."""

    def __init__(self, url: str, password: str) -> None:
        self.url, self.password = url, password

    def api(self, method: str, path: str, json: object = None) -> Any:
        """The answer of the REST interface; `path` is what follows ``/api/v2``.

        Raises:
            WindlassError: the answer is an error.
        """
        answer = self._http.request(method, f"/api/v2{path}", json=json)
        if answer.is_error:
            body = f"{answer.status_code} {answer.text[:2000]}"
            raise WindlassError(f"Airflow answers {method} {path} with {body}")
        return answer.json() if answer.content else None

    def page(self, path: str) -> tuple[int, str]:
        """Status and text of a page of a plugin; of a redirection, where it leads."""
        answer = self._http.get(path)
        return answer.status_code, answer.headers.get("location", "") or answer.text

    def health(self) -> dict[str, Any] | None:
        """The health of every component, or None while the API server does not answer yet."""
        import httpx

        try:
            # the first call builds the task interface, which takes seconds: no task should wait for
            # that
            self._http.get("/execution/health", timeout=_READY_SECONDS).raise_for_status()
            return dict(self.api("GET", "/monitor/health"))
        except (httpx.HTTPError, WindlassError):
            return None

    # ---------------------------------------------------------------------------- what DAGs need

    def set_connection(self, conn_id: str, value: str) -> None:
        """Make or replace a connection: a URI or JSON, as Airflow takes them from variables."""
        self._put("connections", {"connection_id": conn_id, **_connection_fields(value)})

    def set_variable(self, key: str, value: str) -> None:
        """Make or replace a Variable."""
        self._put("variables", {"key": key, "value": value})

    def set_pool(self, name: str, slots: int) -> None:
        """Make or replace a pool."""
        self._put("pools", {"name": name, "slots": slots})

    def _put(self, kind: str, entity: dict[str, object]) -> None:
        """Only Airflow's bulk interface can create or replace in one call."""
        action = {"action": "create", "action_on_existence": "overwrite", "entities": [entity]}
        done = self.api("PATCH", f"/{kind}", {"actions": [action]})["create"]
        if done["errors"]:
            raise WindlassError(f"Airflow refuses the {kind}: {done['errors'][0].get('error')}")

    # --------------------------------------------------------------------------------------- runs

    def trigger(self, dag_id: str, conf: Mapping[str, object] | None = None) -> str:
        """The id of a new run. Waits until the DAG's file is parsed, and unpauses the DAG."""
        self._wait_parsed(dag_id)
        self.api("PATCH", f"/dags/{dag_id}", {"is_paused": False})
        run = {"logical_date": None, "conf": dict(conf or {})}
        return str(self.api("POST", f"/dags/{dag_id}/dagRuns", run)["dag_run_id"])

    def wait_for(self, dag_id: str, run_id: str, timeout: float = 120.0) -> str:
        """``success`` or ``failed``.

        Raises:
            WindlassError: neither, after `timeout` seconds; with the state of every task.
        """
        deadline = time.monotonic() + timeout
        while (state := self._run_state(dag_id, run_id)) not in ("success", "failed"):
            if time.monotonic() > deadline:
                tasks = self.task_instances(dag_id, run_id)
                states = ", ".join(f"{task['task_id']} {task['state']}" for task in tasks)
                raise WindlassError(f"{dag_id} is {state} after {timeout} s: {states}", run=run_id)
            time.sleep(_ENDED_POLL_SECONDS)
        return state

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """All task instances of a run: `task_id`, `map_index`, `state`, `try_number`..."""
        return list(self._pages(f"{_run_path(dag_id, run_id)}/taskInstances", "task_instances"))

    def log(
        self, dag_id: str, run_id: str, task_id: str, try_number: int = 1, map_index: int = -1
    ) -> str:
        """One line per entry, as JSON, complete: what the web UI gets."""
        path = f"{_run_path(dag_id, run_id)}/taskInstances/{task_id}/logs/{try_number}"
        answer = self.api("GET", f"{path}?map_index={map_index}&full_content=true")
        return "\n".join(json.dumps(line, ensure_ascii=False) for line in answer["content"])

    def xcoms(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> dict[str, Any]:
        """A task's XComs, by key; its result is `return_value`."""
        path = f"{_run_path(dag_id, run_id)}/taskInstances/{task_id}/xcomEntries"
        entries = self._pages(f"{path}?map_index={map_index}", "xcom_entries")
        keys = [str(entry["key"]) for entry in entries]
        one = f"{path}/{{}}?map_index={map_index}"
        return {key: self.api("GET", one.format(quote(key)))["value"] for key in keys}

    def _wait_parsed(self, dag_id: str) -> None:
        deadline = time.monotonic() + _PARSED_SECONDS
        while self._http.get(f"/api/v2/dags/{dag_id}").status_code == _NOT_FOUND:
            if time.monotonic() > deadline:
                errors = self.api("GET", "/importErrors")["import_errors"]
                faults = "; ".join(f"{e['filename']}: {e['stack_trace']}" for e in errors)
                raise WindlassError(f"there is no DAG {dag_id}: {faults or 'no file defines it'}")
            time.sleep(_POLL_SECONDS)

    def _run_state(self, dag_id: str, run_id: str) -> str:
        return str(self.api("GET", _run_path(dag_id, run_id))["state"])

    def _pages(self, path: str, name: str) -> Iterator[dict[str, Any]]:
        mark, offset = "&" if "?" in path else "?", 0
        while True:
            page = self.api("GET", f"{path}{mark}limit={_PAGE_ROWS}&offset={offset}")
            yield from page[name]
            offset += _PAGE_ROWS
            if offset >= page["total_entries"]:
                return

    @cached_property
    def _http(self) -> httpx.Client:
        import httpx

        who = {"username": USER, "password": self.password}
        # trust_env: a proxy from our environment cannot reach our loopback
        options: dict[str, Any] = {"timeout": _TIMEOUT_SECONDS, "trust_env": False}
        login = httpx.post(f"{self.url}/auth/token", json=who, **options)
        bearer = {"Authorization": f"Bearer {login.raise_for_status().json()['access_token']}"}
        return httpx.Client(base_url=self.url, headers=bearer, **options)


def _run_path(dag_id: str, run_id: str) -> str:
    return f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}"


def _connection_fields(value: str) -> dict[str, object]:
    """As the REST interface takes a connection."""
    if value.lstrip().startswith("{"):
        given: dict[str, object] = json.loads(value)
        extra = given.get("extra")
        return {**given, "extra": json.dumps(extra) if isinstance(extra, dict) else extra}
    parts = urlsplit(value)
    kind = {"postgresql": "postgres"}.get(parts.scheme, parts.scheme.replace("-", "_"))
    return {
        "conn_type": kind,
        "host": parts.hostname,
        "port": parts.port,
        "login": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "schema": unquote(parts.path.removeprefix("/")),
        "extra": json.dumps(dict(parse_qsl(parts.query))),
    }
