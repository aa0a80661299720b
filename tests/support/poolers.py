"""PgBouncer in front of a database, with a console that the tests may use."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg

from needs import needs_program
from servers import Database, _unprivileged, free_port

POOL = "shop"
SECONDS = 30.0


@dataclass
class Pooler:
    """A pool of this name, whose server can be changed."""

    port: int
    _config: Path

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{POOL}"

    def lead_to(self, database: Database) -> None:
        """From the next RELOAD on."""
        server = database.server
        place = f"host={server.folder} port={server.port} user=postgres dbname={database.name}"
        text = self._config.read_text().splitlines()
        text = [f"{POOL} = {place}" if one.startswith(f"{POOL} =") else one for one in text]
        self._config.write_text("\n".join(text) + "\n")


@contextmanager
def pooler_of(database: Database, mode: str = "transaction") -> Iterator[Pooler]:
    needs_program("pgbouncer")
    port = free_port()
    folder = database.server.folder / f"pooler-{port}"
    folder.mkdir()
    config = folder / "pgbouncer.ini"
    words = {"listen_addr": "127.0.0.1", "listen_port": port, "unix_socket_dir": ""}
    words |= {"auth_type": "any", "pool_mode": mode, "admin_users": "postgres"}
    lines = ["[databases]", f"{POOL} =", "[pgbouncer]"]
    config.write_text("\n".join([*lines, *(f"{key} = {one}" for key, one in words.items())]) + "\n")
    found = Pooler(port, config)
    found.lead_to(database)
    process = subprocess.Popen(
        ["pgbouncer", "-q", config],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        **_unprivileged(),
    )
    try:
        _wait(found)
        yield found
    finally:
        process.terminate()
        process.wait()


def _wait(found: Pooler) -> None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        with suppress(psycopg.OperationalError), psycopg.connect(found.url):
            return
        time.sleep(0.02)
    raise AssertionError("PgBouncer does not start")
