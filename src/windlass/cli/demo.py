"""`windlass demo`: a sample shop migrated between two servers that it starts, to look at.

folder/
  windlass-demo   says that the folder is ours to clean up
  pgpass          passwords of both servers, for psql and windlass
  source/         PostgreSQL 16
  target/         PostgreSQL 18
"""

from __future__ import annotations

import os
import pwd
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from psycopg import conninfo
from pydantic import SecretStr

from windlass import api
from windlass.cli import show
from windlass.cli.endings import EXIT_OF
from windlass.cli.exits import Exit
from windlass.cli.voice import Voice
from windlass.cli.watch import watching
from windlass.demo import servers
from windlass.demo.servers import DATABASE, SIDES
from windlass.engines.postgres.embedded import EmbeddedServer, Version, bin_directory, home
from windlass.errors import Refused, WindlassError
from windlass.flows.registry import flow_named
from windlass.model.outcome import Outcome
from windlass.model.report import Problem
from windlass.run import summary
from windlass.spec.migrate import Spec

MARK = "windlass-demo"
_WORDS = flow_named("migrate").words


def default_folder() -> Path:
    """A folder for this user. Root's servers cannot run below HOME. With another HOME it is another
    demo."""
    if os.geteuid() != 0:
        return home() / "demo"
    mine = os.environ.get("HOME") or "/"
    others = "" if mine == pwd.getpwuid(0).pw_dir else re.sub(r"[^A-Za-z0-9.]+", "-", mine)
    return home() / f"demo{others.rstrip('-')}"


def start(voice: Voice, folder: Path, scale: float) -> int:
    """Start or find both servers, fill the source if it is empty, migrate, and report."""
    check_wheel()
    claim_for(folder, MARK)
    report = None if voice.quiet else voice.aside
    both = servers.start_both(folder, report)
    if servers.filled_scale(both["source"]) != scale:
        servers.fill(both["source"], scale, report)
    source, target = both["source"].url(DATABASE), servers.emptied(both["target"])
    write_passwords(folder / "pgpass", both)
    voice.hide_passwords_of(source, target)
    spec = Spec(source=SecretStr(source), target=SecretStr(target))
    with watching(voice, "Reading both databases") as emit:
        outcome = api.migrate(spec, emit)
    _report(voice, outcome, folder, both)
    return EXIT_OF[outcome.state]


def stop(voice: Voice, folder: Path) -> int:
    """Stop both servers and remove what they left. Nothing else in the folder is touched."""
    if not (folder / MARK).exists():
        voice.result(f"No demo in {folder}.")
        return Exit.DONE
    for side in SIDES:
        servers.remove(folder / side)
    for name in ("pgpass", MARK):
        (folder / name).unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()
    voice.result(f"Both servers are stopped, and {folder} is cleaned up.")
    return Exit.DONE


def check_wheel() -> None:
    try:
        for version in SIDES.values():
            bin_directory(version)
    except WindlassError as error:
        raise Refused([Problem("demo", str(error), error.hint)]) from None


def claim_for(folder: Path, mark: str) -> None:
    """Mark the folder as ours, so that `stop` may clean it up.

    Raises:
        Refused: something else is in it, or it cannot be written to.
    """
    hint = "give an empty or a new one with --folder"
    try:
        mine = servers.claim(folder, mark)
    except OSError as error:
        problem = f"cannot be written to: {error.strerror}"
        raise Refused([Problem(str(folder), problem, hint)]) from None
    if not mine:
        raise Refused([Problem(str(folder), "is in use by something else", hint)])


def write_passwords(path: Path, both: dict[str, EmbeddedServer]) -> None:
    """Write a libpq password file, so that no command has to contain a password."""
    lines = []
    for server in both.values():
        words = conninfo.conninfo_to_dict(server.url())
        lines.append(f"{words['host']}:{words['port']}:*:{words['user']}:{words['password']}\n")
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.writelines(lines)


# ---------------------------------------------------------------------------------- what it prints


def _report(voice: Voice, outcome: Outcome, folder: Path, both: dict[str, EmbeddedServer]) -> None:
    places = {side: shown_url(server) for side, server in both.items()}
    if voice.json:
        demo: dict[str, object] = {"folder": str(folder), "password_file": str(folder / "pgpass")}
        voice.result_json({**show.outcome_json(outcome), "demo": {**demo, **places}})
        return
    if not summary.is_result(outcome):
        text = show.outcome_text(outcome, _WORDS, width=voice.width, again="windlass demo")
        voice.aside(text)
        return
    if voice.quiet:
        voice.result(show.outcome_line(outcome, _WORDS))
        return
    text = show.outcome_text(outcome, _WORDS, width=voice.width)
    voice.result("\n\n".join((text, "\n".join(_what_now(voice, folder, both)))))


def _what_now(voice: Voice, folder: Path, both: dict[str, EmbeddedServer]) -> Iterator[str]:
    source, target = shown_url(both["source"]), shown_url(both["target"])
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


def shown_url(server: EmbeddedServer, database: str = DATABASE) -> str:
    """The URL without its password, which is in the password file."""
    words = conninfo.conninfo_to_dict(server.url(database))
    return f"postgresql://{words['user']}@{words['host']}:{words['port']}/{database}"


def _psql(version: Version) -> str:
    return "psql" if shutil.which("psql") else shlex.quote(str(bin_directory(version) / "psql"))


def _program() -> str:
    """How to run the program from here: a virtual environment need not be active."""
    if shutil.which("windlass"):
        return "windlass"
    program = Path(sys.argv[0])
    if program.is_absolute() and program.is_relative_to(Path.cwd()):
        program = program.relative_to(Path.cwd())
    return shlex.quote(str(program))
