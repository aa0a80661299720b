"""`make airflow`: a local Airflow with a sample shop in one server and an empty one beside it.

Decides what is said and what the first-time user finds; starting and ending is left to
`windlass.airflow.local`. Beside what that has in its folder, there are::

    folder/
      source/   PostgreSQL 16 with the shop
      target/   PostgreSQL 18
      reports/  of every run that has ended
"""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

import click

from windlass.airflow.local import (
    LOOPBACK,
    LocalAirflow,
    airflow_version,
    check_installed,
    claim,
    is_running,
    stop,
)
from windlass.airflow.local_settings import USER
from windlass.demo import servers
from windlass.engines.postgres.embedded import home
from windlass.errors import WindlassError

_DAG = "postgres_to_postgres_migration"
_POOL, _SLOTS = "windlass", 8

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
    tell = partial(click.echo, err=True)
    both = servers.start_both(folder, tell)
    if servers.filled_scale(both["source"]) is None:
        servers.fill(both["source"], scale, tell)
    connections = {
        f"postgres_{side}": server.create_database(servers.DATABASE)
        for side, server in both.items()
    }
    runs = f"Airflow {airflow_version()} runs"
    with servers.doing(tell, f"{runs} in a moment") as done:
        LocalAirflow(
            folder,
            dags,
            host=host,
            port=port,
            connections=connections,
            pools={_POOL: _SLOTS},
            settings={
                "AIRFLOW__WINDLASS__POOL": _POOL,
                "AIRFLOW__WINDLASS__REPORT_FOLDER": str(folder / "reports"),
            },
        ).start(detached=True)
        done.append(runs)


def _stop(folder: Path) -> None:
    stop(folder)
    for side in servers.SIDES:
        servers.stop(folder / side)


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
            f"{bold('make airflow-stop')} ends all of it; a later start continues from there.",
        )
    )
