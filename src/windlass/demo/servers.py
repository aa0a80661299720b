"""The demo's two servers: one with the sample shop, and one to migrate it to.

Decides how they are created, found again, filled and stopped, and reports slow steps. Callers
choose the folder and start the migrations::

    folder/
      source/   PostgreSQL 16
        filled  there when the shop is, as a whole; says at what scale
      target/   PostgreSQL 18
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import click
import psycopg
from psycopg import sql

from windlass.demo import shop
from windlass.engines.postgres.embedded import EmbeddedServer, Version, make_folder
from windlass.errors import WindlassError
from windlass.model.units import seconds_text

DATABASE = "shop"
SIDES: dict[str, Version] = {"source": 16, "target": 18}

Report = Callable[[str], None]

_SETTINGS = {"shared_buffers": "128MB", "max_wal_size": "2GB"}


def claim(folder: Path, mark: str) -> bool:
    """Claim the folder with a file named `mark`; refuse if something else is in it."""
    if folder.exists() and any(folder.iterdir()) and not (folder / mark).exists():
        return False
    make_folder(folder)
    (folder / mark).touch()
    return True


def start_both(
    folder: Path, report: Report | None, settings: Mapping[str, str] = _SETTINGS
) -> dict[str, EmbeddedServer]:
    """Start both; returns them by side. Their contents are not changed."""
    servers = {}
    for side, version in SIDES.items():
        with doing(report, f"starting PostgreSQL {version}") as done:
            servers[side] = server_in(folder / side, version, settings)
            servers[side].start()
            port = servers[side].port
            done.append(f"PostgreSQL {version}, the {side}, runs on 127.0.0.1:{port}")
    return servers


def server_in(
    folder: Path, version: Version, settings: Mapping[str, str] | None = None
) -> EmbeddedServer:
    """The server in a folder, not started. Recreated if an earlier process was stopped while
    creating it."""
    if (folder / "data" / "PG_VERSION").exists():
        return EmbeddedServer.open(folder)
    shutil.rmtree(folder, ignore_errors=True)
    return EmbeddedServer.create(version, folder, settings)


def stop(folder: Path) -> None:
    """End the server in that folder, if there is one."""
    with suppress(WindlassError):  # it was never created
        EmbeddedServer.open(folder).stop()


def remove(folder: Path) -> None:
    """End the server in that folder and delete it, finished or not."""
    try:
        EmbeddedServer.open(folder).remove()
    except WindlassError:  # it was never finished
        shutil.rmtree(folder, ignore_errors=True)


def filled_scale(source: EmbeddedServer) -> float | None:
    """The scale of the shop in the source; None if it is missing or incomplete."""
    try:
        return float(_filled_mark(source).read_text())
    except (OSError, ValueError):
        return None


def fill(source: EmbeddedServer, scale: float, report: Report | None) -> None:
    """Fill the source with the shop; drops its previous database."""
    rows = f"about {round(shop.ROWS * scale):,} rows"
    with doing(report, f"filling the source with a sample shop, {rows}") as done:
        _filled_mark(source).unlink(missing_ok=True)
        shop.fill(emptied(source), scale)
        _filled_mark(source).write_text(f"{scale}\n")
        done.append(f"The source holds a sample shop, {rows}")


def emptied(server: EmbeddedServer) -> str:
    """Empty the server's database; returns its URL."""
    statement = sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(DATABASE))
    with closing(psycopg.connect(server.url(), autocommit=True)) as connection:
        connection.execute(statement)
    return server.create_database(DATABASE)


@contextmanager
def doing(report: Report | None, words: str) -> Iterator[list[str]]:
    """Report a slow step and its end. The list gets the final text."""
    done: list[str] = []
    started = time.monotonic()
    if report is None:
        yield done
        return
    if sys.stderr.isatty():
        from rich.console import Console

        with Console(stderr=True).status(words):
            yield done
    else:
        yield done
    seconds = seconds_text(time.monotonic() - started)
    report(click.style("✓ ", fg="green") + f"{done[0]}  " + click.style(seconds, dim=True))


def _filled_mark(source: EmbeddedServer) -> Path:
    return source.folder / "filled"
