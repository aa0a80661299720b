"""Throwaway PostgreSQL servers, all with the same settings; others decide what runs on them."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

POSTGRES_BIN = Path("/usr/lib/postgresql/15/bin")

SETTINGS = {
    "wal_level": "logical",
    "fsync": "on",
    "shared_buffers": "1GB",
    "max_wal_size": "8GB",
}


@dataclass(frozen=True, slots=True)
class Server:
    """A running server that trusts everybody on the loopback address."""

    port: int

    def url(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        return psycopg.connect(self.url(database), autocommit=True)

    def make_empty(self, database: str) -> None:
        """Replace `database` by an empty one, whoever is still connected to the old one."""
        self.drop(database)
        with self.connect() as connection:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(database)))

    def drop(self, database: str) -> None:
        drop = sql.SQL("drop database if exists {} with (force)")
        with self.connect() as connection:
            connection.execute(drop.format(sql.Identifier(database)))

    def checkpoint(self) -> None:
        with self.connect() as connection:
            connection.execute("checkpoint")


@contextmanager
def running(folder: Path, programs: Path = POSTGRES_BIN) -> Iterator[Server]:
    """Make a server in `folder` with the `programs` of a version, and throw it away at the end.

    The server is stopped without a last checkpoint: nobody will read its files again.
    """
    folder.mkdir()
    if owner := _owner():
        shutil.chown(folder, owner)
    data = folder / "data"
    options = ("-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8")
    _run(programs / "initdb", "-D", data, *options)
    server = Server(free_port())
    lines = {
        **SETTINGS,
        "port": str(server.port),
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
    }
    with (data / "postgresql.conf").open("a") as conf:
        conf.writelines(f"{name} = '{value}'\n" for name, value in lines.items())
    _run(programs / "pg_ctl", "start", "-w", "-D", data, "-l", folder / "log")
    try:
        yield server
    finally:
        _run(programs / "pg_ctl", "stop", "-m", "immediate", "-D", data)


def _owner() -> str | None:
    """PostgreSQL refuses to run as root; root lends it the account of Debian's package."""
    return "postgres" if os.geteuid() == 0 else None


def _run(program: Path, *arguments: str | Path) -> None:
    subprocess.run(
        [program, *arguments],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd="/",
        user=_owner(),
        group=_owner(),
        extra_groups=[] if _owner() else None,
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
