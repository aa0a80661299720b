"""`windlass demo`: a sample shop moved between two servers of its own, to watch and to look at.

folder/
  windlass-demo   says that the folder is ours to clean up, and what is in the source
  pgpass          passwords of both servers, for psql and windlass
  source/         PostgreSQL 16
  target/         PostgreSQL 18
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import cast

import click
import psycopg
from psycopg import conninfo, sql
from pydantic import SecretStr

from windlass.cli import show
from windlass.cli.endings import EXIT_OF, Exit
from windlass.cli.moves import migrate
from windlass.cli.voice import Voice
from windlass.cli.watch import watching
from windlass.demo import shop
from windlass.engines.postgres.embedded import (
    EmbeddedServer,
    Version,
    bin_directory,
    home,
    make_folder,
)
from windlass.errors import Refused, WindlassError
from windlass.model.outcome import Outcome
from windlass.model.report import Problem
from windlass.model.units import seconds_text
from windlass.spec.spec import Spec

DATABASE = "shop"
MARK = "windlass-demo"
SIDES: dict[str, Version] = {"source": 16, "target": 18}
_SETTINGS = {"shared_buffers": "128MB", "max_wal_size": "2GB"}


def default_folder() -> Path:
    return home() / "demo"


def start(voice: Voice, folder: Path, scale: float) -> int:
    """Start or find both servers, fill the source if it is not, move, and tell."""
    _check_wheel()
    _claim(folder)
    servers = {side: _server(voice, folder, side) for side in SIDES}
    urls = {"source": _filled(voice, folder, servers["source"], scale)}
    urls["target"] = _emptied(servers["target"])
    _write_passwords(folder, servers)
    for url in urls.values():
        voice.hide_passwords_of(url)
    spec = Spec(source=SecretStr(urls["source"]), target=SecretStr(urls["target"]))
    with watching(voice, "Reading both databases") as emit:
        outcome = migrate(spec, emit, restart=False)
    _tell(voice, outcome, folder, servers)
    return EXIT_OF[outcome.state]


def stop(voice: Voice, folder: Path) -> int:
    """Stop both servers and remove what they left. Nothing else in the folder is touched."""
    if not (folder / MARK).exists():
        voice.result(f"No demo in {folder}.")
        return Exit.DONE
    for side in SIDES:
        _remove(folder / side)
    for name in ("pgpass", MARK):
        (folder / name).unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()
    voice.result(f"Both servers are stopped, and {folder} is cleaned up.")
    return Exit.DONE


def _check_wheel() -> None:
    try:
        for version in SIDES.values():
            bin_directory(version)
    except WindlassError as error:
        raise Refused([Problem("demo", str(error), error.hint)]) from None


def _claim(folder: Path) -> None:
    """Make the folder ours, so that `stop` may clean it up."""
    if (folder / MARK).exists():
        return
    if folder.exists() and any(folder.iterdir()):
        hint = "give an empty or a new one with --folder"
        raise Refused([Problem(str(folder), "is in use by something else", hint)])
    make_folder(folder)
    _write_mark(folder, None)


def _server(voice: Voice, folder: Path, side: str) -> EmbeddedServer:
    """Running. Made anew where an earlier demo was stopped while it made it."""
    version = SIDES[side]
    with _doing(voice, f"starting PostgreSQL {version}") as done:
        try:
            server = EmbeddedServer.open(folder / side)
        except WindlassError:
            shutil.rmtree(folder / side, ignore_errors=True)
            server = EmbeddedServer.create(version, folder / side, _SETTINGS)
        server.start()
        done.append(f"PostgreSQL {version}, the {side}, runs on 127.0.0.1:{server.port}")
    return server


def _filled(voice: Voice, folder: Path, server: EmbeddedServer, scale: float) -> str:
    """URL of the source with the shop in it."""
    if _filled_scale(folder) == scale:
        return server.url(DATABASE)
    rows = f"about {round(shop.ROWS * scale):,} rows"
    with _doing(voice, f"filling the source with a sample shop, {rows}") as done:
        _write_mark(folder, None)
        url = _emptied(server)
        shop.fill(url, scale)
        _write_mark(folder, scale)
        done.append(f"The source holds a sample shop, {rows}")
    return url


def _emptied(server: EmbeddedServer) -> str:
    """URL of a database of its own that is empty; what was there before goes."""
    statement = sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(DATABASE))
    with closing(psycopg.connect(server.url(), autocommit=True)) as connection:
        connection.execute(statement)
    return server.create_database(DATABASE)


def _write_mark(folder: Path, scale: float | None) -> None:
    (folder / MARK).write_text(json.dumps({"scale": scale}) + "\n")


def _filled_scale(folder: Path) -> float | None:
    try:
        return cast("float | None", json.loads((folder / MARK).read_text())["scale"])
    except (OSError, ValueError, KeyError):
        return None


def _write_passwords(folder: Path, servers: dict[str, EmbeddedServer]) -> None:
    """As a libpq password file, so that no command has to hold one."""
    lines = []
    for server in servers.values():
        words = conninfo.conninfo_to_dict(server.url())
        lines.append(f"{words['host']}:{words['port']}:*:{words['user']}:{words['password']}\n")
    path = folder / "pgpass"
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.writelines(lines)


def _remove(folder: Path) -> None:
    try:
        EmbeddedServer.open(folder).remove()
    except WindlassError:  # a server that was never finished
        shutil.rmtree(folder, ignore_errors=True)


# ------------------------------------------------------------------------------------ what is said


def _tell(voice: Voice, outcome: Outcome, folder: Path, servers: dict[str, EmbeddedServer]) -> None:
    places = {side: _url(server) for side, server in servers.items()}
    if voice.json:
        demo: dict[str, object] = {"folder": str(folder), "password_file": str(folder / "pgpass")}
        voice.result_json({**show.outcome_json(outcome), "demo": {**demo, **places}})
        return
    if not show.is_result(outcome):
        text = show.outcome_text(outcome, verb="migrate", width=voice.width, again="windlass demo")
        voice.aside(text)
        return
    if voice.quiet:
        voice.result(show.outcome_line(outcome, verb="migrate"))
        return
    text = show.outcome_text(outcome, verb="migrate", width=voice.width)
    voice.result("\n\n".join((text, "\n".join(_what_now(voice, folder, servers)))))


def _what_now(voice: Voice, folder: Path, servers: dict[str, EmbeddedServer]) -> Iterator[str]:
    source, target = _url(servers["source"]), _url(servers["target"])
    yield click.style("Look at both", bold=True)
    yield f"    export PGPASSFILE={shlex.quote(str(folder / 'pgpass'))}"
    for side, url in (("source", source), ("target", target)):
        yield f"    {_psql(SIDES[side])} {url}{' ' * 3}# {side}, PostgreSQL {SIDES[side]}"
    yield click.style("Try", bold=True)
    yield f"    export WINDLASS_SOURCE={source}"
    yield f"    export WINDLASS_TARGET={target}"
    windlass = _program()
    yield f"    {windlass} verify"
    yield f"    {windlass} plan --existing replace"
    yield f"    {windlass} status"
    yield click.style("Stop both servers and clean up", bold=True)
    where = "" if folder == default_folder() else f" --folder {shlex.quote(str(folder))}"
    yield f"    {windlass} demo --stop{where}"


def _url(server: EmbeddedServer) -> str:
    """Without the password, which is in the password file."""
    words = conninfo.conninfo_to_dict(server.url(DATABASE))
    return f"postgresql://{words['user']}@{words['host']}:{words['port']}/{DATABASE}"


def _psql(version: Version) -> str:
    return "psql" if shutil.which("psql") else shlex.quote(str(bin_directory(version) / "psql"))


def _program() -> str:
    """As it can be called from here: a virtual environment need not be active."""
    if shutil.which("windlass"):
        return "windlass"
    program = Path(sys.argv[0])
    if program.is_absolute() and program.is_relative_to(Path.cwd()):
        program = program.relative_to(Path.cwd())
    return shlex.quote(str(program))


@contextmanager
def _doing(voice: Voice, words: str) -> Iterator[list[str]]:
    """Say what takes a while, and that it is done. The list takes the words for its end."""
    done: list[str] = []
    started = time.monotonic()
    if voice.quiet:
        yield done
        return
    if sys.stderr.isatty():
        from rich.console import Console

        with Console(stderr=True).status(words):
            yield done
    else:
        yield done
    seconds = seconds_text(time.monotonic() - started)
    voice.aside(click.style("✓ ", fg="green") + f"{done[0]}  " + click.style(seconds, dim=True))
