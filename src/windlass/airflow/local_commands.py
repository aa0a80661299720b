"""`make airflow`: a local Airflow with a sample shop in one server and an empty one beside it.

Decides what is said and what the first-time user finds; starting and ending is left to
`windlass.airflow.local`. Beside what that has in its folder, there are::

    folder/
      source/   PostgreSQL 16 with the shop
      target/   PostgreSQL 18
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import click
import psycopg
from psycopg import sql

from windlass.airflow.local import (
    LOOPBACK,
    LocalAirflow,
    airflow_version,
    check_installed,
    claim,
    embedded_server,
    is_running,
    stop,
)
from windlass.airflow.local_settings import USER
from windlass.demo import shop
from windlass.engines.postgres.embedded import EmbeddedServer, Version, home
from windlass.errors import WindlassError
from windlass.model.units import seconds_text

_SIDES: dict[str, Version] = {"source": 16, "target": 18}
_SETTINGS = {"shared_buffers": "128MB", "max_wal_size": "2GB"}
_DATABASE = "shop"
_DAG = "postgres_to_postgres_migration"
_POOLS = {"windlass": 8}

_folder_option = click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where all of it lives.  [default: .airflow]",
)


@click.group()
def commands() -> None:
    """A local Airflow, with a sample shop to move."""


@commands.command("start")
@_folder_option
@click.option("--host", default=LOOPBACK, show_default=True, help="The address to listen on.")
@click.option("--port", default=0, help="The page's port.  [default: as before, else a free one]")
@click.option(
    "--dags",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("dags"),
    show_default=True,
    help="The folder with the DAGs.",
)
@click.option("--scale", default=1.0, show_default=True, help="Of the sample shop, when made.")
def start_command(folder: Path | None, host: str, port: int, dags: Path, scale: float) -> None:
    """Start it and leave it running."""
    folder = (folder or _default_folder()).absolute()
    if not is_running(folder):
        check_installed()
        try:
            _start(folder, host, port, dags, scale)
        except BaseException:
            _stop(folder)
            raise
    click.echo(_what_now(LocalAirflow(folder, dags)))


@commands.command("stop")
@_folder_option
def stop_command(folder: Path | None) -> None:
    """End all of it. What is in the folder stays, for the next start."""
    folder = (folder or _default_folder()).absolute()
    ran = is_running(folder)
    _stop(folder)
    click.echo(f"All has ended; {folder} stays." if ran else f"No Airflow runs in {folder}.")


@commands.command("status")
@_folder_option
def status_command(folder: Path | None) -> None:
    """Say what runs, and end with 1 if nothing does."""
    folder = (folder or _default_folder()).absolute()
    if not is_running(folder):
        click.echo(f"No Airflow runs in {folder}.")
        sys.exit(1)
    airflow = LocalAirflow(folder, folder)
    click.echo(airflow.url)
    for name, part in airflow.api("GET", "/monitor/health").items():
        click.echo(f"  {name.replace('_', '-'):16} {(part or {}).get('status')}")


def main() -> None:
    try:
        commands(prog_name="python -m windlass.airflow.local")
    except WindlassError as error:
        hint = f"\n  {error.hint}" if error.hint else ""
        click.echo(f"{click.style('✗', fg='red')} {error}{hint}", err=True)
        sys.exit(1)


def _start(folder: Path, host: str, port: int, dags: Path, scale: float) -> None:
    claim(folder)
    servers = {}
    for side, version in _SIDES.items():
        with _doing(f"PostgreSQL {version}, the {side}, runs"):
            servers[side] = embedded_server(version, folder / side, _SETTINGS)
            servers[side].start()
            servers[side].create_database(_DATABASE)
    if not (folder / "source" / "filled").exists():
        with _doing(f"The source holds a sample shop, about {round(shop.ROWS * scale):,} rows"):
            _empty(servers["source"])
            shop.fill(servers["source"].url(_DATABASE), scale)
            (folder / "source" / "filled").touch()
    connections = {f"postgres_{side}": server.url(_DATABASE) for side, server in servers.items()}
    with _doing(f"Airflow {airflow_version()} runs"):
        LocalAirflow(
            folder, dags, host=host, port=port, connections=connections, pools=_POOLS
        ).start(detached=True)


def _stop(folder: Path) -> None:
    stop(folder)
    for side in _SIDES:
        with suppress(WindlassError):  # it was never made
            EmbeddedServer.open(folder / side).stop()


def _empty(server: EmbeddedServer) -> None:
    """For what a fill has left that was stopped."""
    statement = sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(_DATABASE))
    with closing(psycopg.connect(server.url(), autocommit=True)) as connection:
        connection.execute(statement)
    server.create_database(_DATABASE)


def _default_folder() -> Path:
    """Here, unless root's servers could not get here, as their account is another one."""
    here = Path.cwd()
    closed = any(not place.stat().st_mode & 0o001 for place in (here, *here.parents))
    return home() / "airflow" if os.geteuid() == 0 and closed else here / ".airflow"


def _what_now(airflow: LocalAirflow) -> str:
    def bold(text: str) -> str:
        return click.style(text, bold=True)

    return "\n".join(
        (
            "",
            f"  {bold(airflow.url)}",
            f"  user {bold(USER)}, password {bold(airflow.password)}",
            "",
            f"Log in and trigger {bold(_DAG)}: it moves the shop from the connection",
            "postgres_source, PostgreSQL 16, to postgres_target, PostgreSQL 18.",
            f"{bold('make airflow-stop')} ends all of it; a later start goes on from there.",
        )
    )


@contextmanager
def _doing(done: str) -> Iterator[None]:
    """Say that it is done and how long it took; on a terminal, that it takes a while."""
    from rich.console import Console

    started = time.monotonic()
    with Console(stderr=True).status(f"{done} in a moment"):
        yield
    took = click.style(seconds_text(time.monotonic() - started), dim=True)
    click.echo(f"{click.style('✓', fg='green')} {done}  {took}", err=True)
