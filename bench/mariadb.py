"""A throwaway MariaDB server; others decide what it holds."""

import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.servers import free_port
from windlass.engines.mysql.address import read_address
from windlass.engines.mysql.session import Row, Session
from windlass.errors import WindlassError

PASSWORD = "bench"
SETTINGS = {
    "bind-address": "127.0.0.1",
    "innodb-buffer-pool-size": "1G",
    "innodb-log-file-size": "256M",
    "innodb-flush-log-at-trx-commit": "2",
    "skip-log-bin": "",
    "character-set-server": "utf8mb4",
}
START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class MariaDB:
    """A running server; `bench` may read and lock everything, by TCP."""

    port: int
    socket: Path

    def url(self, database: str) -> str:
        return f"mysql://bench:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def run(self, database: str, script: str) -> list[Row]:
        """The rows of the last statement."""
        address = read_address(f"mysql://root@localhost/{database}?socket={self.socket}")
        session = Session(address)
        try:
            rows: list[Row] = []
            for statement in filter(None, map(str.strip, script.split(";\n"))):
                rows = session.run(statement)
            return rows
        finally:
            session.close()


@contextmanager
def running_mariadb(folder: Path) -> Iterator[MariaDB]:
    """Make a server in `folder`, and throw it away at the end."""
    folder.mkdir()
    account: dict[str, Any] = {}
    if os.getuid() == 0:  # the server refuses to run as root
        user = pwd.getpwnam("mysql")
        account = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        os.chown(folder, user.pw_uid, user.pw_gid)
    data, socket = folder / "data", folder / "s"
    words = ["--no-defaults", f"--datadir={data}"]
    install = [_program("mariadb-install-db"), *words, "--skip-test-db"]
    install.append("--auth-root-authentication-method=normal")
    subprocess.run(install, check=True, capture_output=True, **account)
    server = MariaDB(free_port(), socket)
    settings = [f"--{name}={value}" if value else f"--{name}" for name, value in SETTINGS.items()]
    places = [f"--socket={socket}", f"--port={server.port}", f"--tmpdir={folder}"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [_program("mariadbd"), *words, *settings, *places], stdout=log, stderr=log, **account
        )
    try:
        _wait_for(server, process)
        server.run("mysql", f"create user bench@'127.0.0.1' identified by '{PASSWORD}'")
        server.run("mysql", "grant select, lock tables, reload on *.* to bench@'127.0.0.1'")
        yield server
    finally:
        process.kill()
        process.wait()


def _program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    assert found, f"{name} is not installed"
    return found


def _wait_for(server: MariaDB, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(WindlassError):
            server.run("mysql", "select 1")
            return
        time.sleep(0.05)
    raise AssertionError("MariaDB does not start")
