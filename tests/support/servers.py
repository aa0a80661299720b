"""Real PostgreSQL servers in temporary folders, for tests to start, stop, kill and fill.

Of windlass only the place of the embedded programs is used: what it makes of them has its own
tests, and these servers need what those must not offer (killing, a full disk, no fsync).
"""

from __future__ import annotations

import ctypes
import hashlib
import hmac
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast, get_args

import psycopg
from psycopg import sql

import npm_servers
from rooms import make_room
from windlass.engines.postgres import embedded

PASSWORD = "Sw0rdfish-ünseen/%41"  # one that needs URL quoting; must never be seen in any output
QUOTED_PASSWORD = "Sw0rdfish-%C3%BCnseen%2F%2541"

FAST = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
# a session that commits without waiting for the disk loses as much as it ever can
LAZY = {"wal_writer_delay": "10s", "wal_writer_flush_after": "1GB"}
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "wal_level": "logical",
    "max_connections": "60",
    "shared_buffers": "64MB",
    "max_wal_size": "1GB",
    "autovacuum": "off",
    "max_prepared_transactions": "5",
    "logging_collector": "off",
    "timezone": "UTC",
}
# Most of what a session costs here are pages that it touches for the first time: it keeps those
# that it has instead of giving them back to the kernel after each query.
MEMORY = {
    "MALLOC_TOP_PAD_": str(4 << 20),
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(64 << 20),
}
START_SECONDS = 60.0


@cache
def bin_folder(version: int) -> Path | None:
    """Where that major version's programs are on this machine; None if they are not here."""
    if version in get_args(embedded.Version):
        return embedded._programs(cast(embedded.Version, version), embedded._account())
    debian = Path(f"/usr/lib/postgresql/{version}/bin")
    return debian if (debian / "postgres").exists() else npm_servers.bin_folder(version)


def tool(name: str, version: int = 18) -> str:
    """The path of a client program; 18's by default, whatever the server.

    Of some versions only the server is here: then the next newer version's.
    """
    for newer in range(version, 19):
        folder = bin_folder(newer)
        if folder is not None and (folder / name).exists():
            return str(folder / name)
    raise AssertionError(f"no {name} is installed")


def verifier(password: str) -> str:
    """What a server keeps of a password, after one round of hashing where it makes 4,096.

    Every session that a test opens makes as many again, which is most of what opening one costs.
    """
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 1)
    client, server = (
        hmac.digest(salted, f"{end} Key".encode(), "sha256") for end in ("Client", "Server")
    )
    keys = [b64encode(one).decode() for one in (salt, hashlib.sha256(client).digest(), server)]
    return "SCRAM-SHA-256$1:{}${}:{}".format(*keys)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    assert isinstance(port, int)
    return port


def _unprivileged() -> dict[str, Any]:
    """Popen arguments that drop root, which PostgreSQL refuses to run as."""
    if os.getuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            user = pwd.getpwnam(name)
            return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    raise AssertionError("no account to run PostgreSQL as")


def _die_with_parent() -> None:
    """A killed test run leaves no server behind: the kernel sends the postmaster SIGQUIT."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGQUIT)


@dataclass(frozen=True, slots=True)
class Database:
    """One database of a server, and the few things tests do with it."""

    server: Server
    name: str

    @property
    def url(self) -> str:
        return self.url_for()

    def url_for(self, user: str = "postgres", port: int | None = None, **options: str) -> str:
        words = "".join(f"{'&' if at else '?'}{k}={v}" for at, (k, v) in enumerate(options.items()))
        where = f"127.0.0.1:{port or self.server.port}/{self.name}{words}"
        return f"postgresql://{user}:{QUOTED_PASSWORD}@{where}"

    @property
    def variables(self) -> dict[str, str]:
        """The environment in which PostgreSQL's own programs find this database."""
        return {
            **os.environ,
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.server.port),
            "PGUSER": "postgres",
            "PGPASSWORD": PASSWORD,
            "PGDATABASE": self.name,
            "PGOPTIONS": "-c client_min_messages=warning",
        }

    def connect(self, **options: Any) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(self.url, autocommit=True, **options)

    def run(self, *statements: str) -> None:
        with self.connect() as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def rows(self, query: str, parameters: Sequence[object] | None = None) -> list[tuple[Any, ...]]:
        with self.connect() as connection:
            return connection.execute(query.encode(), parameters).fetchall()

    def value(self, query: str, parameters: Sequence[object] | None = None) -> Any:
        return self.rows(query, parameters)[0][0]

    def load(self, *files: Path, **variables: object) -> None:
        """Run files of SQL with psql, which stops at the first error."""
        words = [tool("psql"), "-XqAt", "-v", "ON_ERROR_STOP=1"]
        words += [f"--variable={name}={value}" for name, value in variables.items()]
        for file in files:
            done = subprocess.run(
                [*words, "-f", str(file)], env=self.variables, capture_output=True, text=True
            )
            assert done.returncode == 0, f"{file.name} does not load: {done.stderr[-2000:]}"


class Server:
    """A cluster in its own folder. Scram passwords over TCP, trust over its socket."""

    def __init__(
        self, version: int, settings: Mapping[str, str] = FAST, data: Path | None = None
    ) -> None:
        folder = bin_folder(version)
        assert folder is not None
        self.version, self.bin = version, folder
        self.folder = make_room()
        self.data = data or self.folder / "data"
        self.settings = {**SETTINGS, **settings}
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None
        self._number = 0
        self._init()

    def _init(self) -> None:
        self.data.mkdir(exist_ok=True)
        self._hand_over(self.folder, self.data)
        words = ["-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync"]
        words += ["--auth-local=trust", "--auth-host=scram-sha-256"]
        self._finish("initdb", "-D", self.data, *words)
        said = f"alter role postgres password '{verifier(PASSWORD)}';\n"
        self._finish("postgres", "--single", "-F", "-D", self.data, "postgres", said=said)
        # initdb lets replication in as well; one database more than 'all' costs nothing
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.write("\nunix_socket_permissions = 0777\n")

    def _finish(self, program: str, *words: str | Path, said: str = "") -> None:
        """Run one of its programs to the end."""
        subprocess.run(
            [self.bin / program, *words],
            input=said.encode(),
            check=True,
            capture_output=True,
            cwd="/",
            env=npm_servers.environment(self.bin),
            **_unprivileged(),
        )

    def _hand_over(self, *paths: Path) -> None:
        owner = _unprivileged()
        for path in paths:
            if owner:
                os.chown(path, owner["user"], owner["group"])
        self.folder.chmod(0o755)

    def start(self) -> Server:
        """Start on a free port, which stays the server's over later starts. Returns once ready."""
        for _ in range(5):
            self.port = self.port or free_port()
            if self._try_start():
                return self
            self.port = 0
        raise AssertionError(f"PostgreSQL {self.version} does not start: {self.log()[-3000:]}")

    def _try_start(self) -> bool:
        own = {"port": str(self.port), "unix_socket_directories": str(self.folder)}
        words = [f"--{name}={value}" for name, value in {**self.settings, **own}.items()]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.bin / "postgres", "-D", self.data, *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env={**npm_servers.environment(self.bin), **MEMORY},
                start_new_session=True,
                preexec_fn=_die_with_parent,
                **_unprivileged(),
            )
        return self.wait_ready()

    def wait_ready(self) -> bool:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process is None or self.process.poll() is not None:
                return False
            with suppress(psycopg.OperationalError):
                self.admin.value("select 1")
                return True
            time.sleep(0.03)
        return False

    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT is a fast stop, SIGQUIT an immediate one, SIGKILL no stop but a death."""
        if self.process is not None and self.process.poll() is None:
            children = _children(self.process.pid) if how == signal.SIGKILL else []
            for pid in (self.process.pid, *children):
                with suppress(ProcessLookupError):
                    os.kill(pid, how)
            self.process.wait(60)
        self.process = None

    def restart(self, how: signal.Signals = signal.SIGINT) -> None:
        self.stop(how)
        deadline = time.monotonic() + START_SECONDS
        while not self._try_start():  # shared memory of a killed postmaster takes a moment to go
            assert time.monotonic() < deadline, self.log()[-3000:]
            time.sleep(0.1)

    def remove(self) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def admin(self) -> Database:
        return Database(self, "postgres")

    def create_database(
        self, name: str | None = None, template: Database | None = None
    ) -> Database:
        """An empty one, or a copy of one that nobody is connected to."""
        self._number += 1
        database = Database(self, name or f"db_{self._number}")
        how = " strategy file_copy" if self.version >= 15 else ""  # else each block is logged
        made, like = database.name, template.name if template else "template0"
        words = sql.SQL("create database {} template {}" + how)
        with self.admin.connect() as connection:
            connection.execute(words.format(sql.Identifier(made), sql.Identifier(like)))
        return database

    def drop_database(self, database: Database) -> None:
        with self.admin.connect() as connection:
            subscriptions = connection.execute(
                "select subname from pg_subscription join pg_database d on d.oid = subdbid"
                " where datname = %s",
                [database.name],
            ).fetchall()
            for (name,) in subscriptions:
                with database.connect() as inside:
                    inside.execute(sql.SQL("drop subscription {}").format(sql.Identifier(name)))
            connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s",
                [database.name],
            )
            force = " with (force)" if self.version >= 13 else ""
            words = sql.SQL("drop database if exists {}" + force)
            connection.execute(words.format(sql.Identifier(database.name)))


def _children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(word) for word in path.read_text().split()] if path.exists() else []


@dataclass(frozen=True, slots=True)
class Pair:
    """The source and the target of a migration."""

    source: Database
    target: Database
