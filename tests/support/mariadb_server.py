"""A real MariaDB in a temporary folder, for tests to fill, kill and start again."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from needs import needs
from rooms import make_room
from servers import QUOTED_PASSWORD, START_SECONDS, _die_with_parent, free_port
from windlass.engines.mysql.address import read_address
from windlass.engines.mysql.session import Row, Session
from windlass.errors import WindlassError

SETTINGS = [
    "--bind-address=127.0.0.1",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-buffer-pool-size=32M",
    "--innodb-log-file-size=16M",
    "--innodb-doublewrite=0",
    "--key-buffer-size=1M",
    "--aria-pagecache-buffer-size=1M",
    "--performance-schema=0",
    "--skip-log-bin",
    "--character-set-server=utf8mb4",
    "--max-connections=60",
    "--max-allowed-packet=4M",
    "--event-scheduler=0",
]
RIGHTS = ["select", "lock tables", "show view", "trigger", "execute"]


@cache
def programs() -> tuple[str, str] | None:
    """The server, and what makes its folder of data."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin"
    server, install = (shutil.which(name, path=path) for name in ("mariadbd", "mariadb-install-db"))
    return (server, install) if server and install else None


def _account() -> dict[str, Any]:
    """Popen arguments that drop root, which the server refuses to run as."""
    if os.getuid() != 0:
        return {}
    user = pwd.getpwnam("mysql")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


class MariaServer:
    """Root has no password over its socket; `app` has one over TCP."""

    def __init__(self) -> None:
        needs(programs(), "mariadb-server is not installed")
        found = programs()
        assert found is not None
        self.folder = make_room()
        self._server, self._install = found
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None
        self._number = 0
        self._words: tuple[str, ...] = ()
        if owner := _account():
            os.chown(self.folder, owner["user"], owner["group"])
        self._finish("--auth-root-authentication-method=normal", "--skip-test-db")

    def _finish(self, *words: str) -> None:
        subprocess.run(
            [self._install, "--no-defaults", f"--datadir={self.folder / 'data'}", *words],
            check=True,
            capture_output=True,
            **_account(),
        )

    @property
    def socket(self) -> str:
        return str(self.folder / "s")

    def give(self, path: Path) -> Path:
        """A copy of a file that the server may read."""
        copied = Path(shutil.copy(path, self.folder))
        if owner := _account():
            os.chown(copied, owner["user"], owner["group"])
        return copied

    def start(self, *words: str) -> MariaServer:
        """On a free port, which stays the server's over later starts, as other options do. Returns
        once ready."""
        self._words = words or self._words
        for _ in range(5):
            self.port = self.port or free_port()
            if self._try_start():
                return self
            self.port = 0
        raise AssertionError(f"MariaDB does not start: {self.log()[-3000:]}")

    def _try_start(self) -> bool:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    self._server,
                    "--no-defaults",
                    f"--datadir={self.folder / 'data'}",
                    f"--socket={self.socket}",
                    f"--port={self.port}",
                    f"--tmpdir={self.folder}",
                    *SETTINGS,
                    *self._words,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_parent,
                **_account(),
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                return False
            with suppress(WindlassError):
                self.run("mysql", "select 1")
                return True
            time.sleep(0.05)
        return False

    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self.process is not None and self.process.poll() is None:
            os.kill(self.process.pid, how)
            self.process.wait(60)
        self.process = None

    def remove(self) -> None:
        self.stop(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str, user: str = "app", **options: str) -> str:
        words = "".join(f"{'&' if at else '?'}{k}={v}" for at, (k, v) in enumerate(options.items()))
        return f"mysql://{user}:{QUOTED_PASSWORD}@127.0.0.1:{self.port}/{quote(database)}{words}"

    def admin(self, database: str) -> Session:
        """A session of root's, which may write."""
        session = Session(
            read_address(f"mysql://root@localhost/{quote(database)}?socket={self.socket}")
        )
        session.run("set session sql_mode = 'ALLOW_INVALID_DATES'")
        return session

    def run(self, database: str, *statements: str) -> list[Row]:
        """The rows of the last one."""
        session = self.admin(database)
        try:
            rows: list[Row] = []
            for statement in statements:
                rows = session.run(statement)
            return rows
        finally:
            session.close()

    def create_database(self, *statements: str) -> str:
        """An empty one with what these make; `app` may see all of it, and lock it."""
        self._number += 1
        name = f"shop_{self._number}"
        self.run("mysql", f"create database {name}", *_users(name, RIGHTS))
        self.run(name, *statements)
        return name

    def grant(self, user: str, database: str, rights: Sequence[str]) -> None:
        self.run("mysql", *_users(database, rights, user))

    def drop_database(self, name: str) -> None:
        self.run("mysql", f"drop database if exists {name}")


def _users(database: str, rights: Sequence[str], user: str = "app") -> list[str]:
    from servers import PASSWORD

    secret = PASSWORD.replace("'", "''")
    return [
        f"create user if not exists {user}@'127.0.0.1' identified by '{secret}'",
        f"grant {', '.join(rights)} on {database}.* to {user}@'127.0.0.1'",
    ]
