"""`make airflow`: a local Airflow with a sample shop in one server and an empty one beside it.

Decides what a first-time user sees; `demo.airflow.local` starts and ends Airflow. Its folder also
has::

    folder/
      source/   PostgreSQL 16 with the shop
      target/   PostgreSQL 18
      reports/  of every finished run
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from demo.airflow.client import USER, Client
from demo.airflow.local import (
    LOOPBACK,
    LocalAirflow,
    Setup,
    airflow_version,
    celery_names,
    check_installed,
    claim,
    client_of,
    dead_components,
    is_running,
    revive,
    stop,
)
from windlass.demo import servers
from windlass.engines.postgres.embedded import home
from windlass.errors import WindlassError

_DAG = "postgres_to_postgres_migration"
_POOL, _SLOTS = "windlass", 8
_THRESHOLD = 100_000  # the shop's largest tables have more rows: a first run shows mapped tasks

_folder_option = click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder for all of its files.  [default: .airflow]",
)


@click.group()
def commands() -> None:
    """A local Airflow, with a sample shop to migrate."""


@commands.command("start")
@_folder_option
@click.option("--host", default=LOOPBACK, show_default=True, help="The address to listen on.")
@click.option("--port", default=0, help="The web UI's port.  [default: as before, else a free one]")
@click.option(
    "--dags",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("dags"),
    show_default=True,
    help="The folder with the DAGs.",
)
@click.option("--scale", default=1.0, show_default=True, help="Of the sample shop, when made.")
@click.option(
    "--workers",
    default=0,
    help="Celery workers to run tasks in, with a Redis that speaks TLS.  [default: none, the"
    " scheduler's own processes run them]",
)
def start_command(
    folder: Path | None, host: str, port: int, dags: Path, scale: float, workers: int
) -> None:
    """Start it and leave it running."""
    folder = (folder or _default_folder()).absolute()
    if not is_running(folder):
        check_installed()
        try:
            _start(folder, dags, scale, host=host, port=port, workers=workers)
        except BaseException:
            _stop(folder)
            raise
    elif dead := dead_components(folder):
        _revive(folder, dead)
    click.echo(_what_now(client_of(folder)))


@commands.command("stop")
@_folder_option
def stop_command(folder: Path | None) -> None:
    """End all of it. The folder stays, for the next start."""
    folder = (folder or _default_folder()).absolute()
    ran = is_running(folder)
    _stop(folder)
    click.echo(f"Stopped; {folder} stays." if ran else f"No Airflow runs in {folder}.")


@commands.command("status")
@_folder_option
def status_command(folder: Path | None) -> None:
    """Show what is running; exit code 1 if something is not."""
    folder = (folder or _default_folder()).absolute()
    if not is_running(folder):
        click.echo(f"No Airflow runs in {folder}.")
        sys.exit(1)
    client = client_of(folder)
    click.echo(client.url)
    dead = dead_components(folder)
    for key, part in client.api("GET", "/monitor/health").items():
        name, state = key.replace("_", "-"), (part or {}).get("status")
        click.echo(f"  {name:16} {'has ended' if name in dead else state}")
    for name in celery_names(folder):
        click.echo(f"  {name:16} {'has ended' if name in dead else 'running'}")
    if dead:
        click.echo(f"{', '.join(dead)}: make airflow starts what has ended, and runs continue.")
        sys.exit(1)


def main() -> None:
    try:
        commands(prog_name="python -m demo.airflow")
    except WindlassError as error:
        hint = f"\n  {error.hint}" if error.hint else ""
        click.echo(f"{click.style('✗', fg='red')} {error}{hint}", err=True)
        sys.exit(1)


def _start(folder: Path, dags: Path, scale: float, **where: Any) -> None:
    claim(folder)
    report = partial(click.echo, err=True)
    both = servers.start_both(folder, report)
    if servers.filled_scale(both["source"]) is None:
        servers.fill(both["source"], scale, report)
    connections = {
        f"postgres_{side}": server.create_database(servers.DATABASE)
        for side, server in both.items()
    }
    setup = Setup(
        connections=connections,
        pools={_POOL: _SLOTS},
        settings={"windlass": settings(folder)},
        **where,
    )
    title = f"Airflow {airflow_version()}"
    with servers.doing(report, f"starting {title}") as done:
        LocalAirflow(folder, dags, setup).start(detached=True)
        done.append(f"{title} runs")


def settings(folder: Path) -> dict[str, Any]:
    """Our section of Airflow's settings."""
    return {
        "pool": _POOL,
        "report_folder": folder / "reports",
        "partition_threshold": _THRESHOLD,
        "page_connections": "postgres_target",
    }


def _revive(folder: Path, dead: Sequence[str]) -> None:
    names = ", ".join(dead)
    report = partial(click.echo, err=True)
    with servers.doing(report, f"starting again what has ended: {names}") as done:
        revive(folder, dead)
        done.append(f"Started again, as it had ended: {names}")


def _stop(folder: Path) -> None:
    stop(folder)
    for side in servers.SIDES:
        servers.stop(folder / side)


def _default_folder() -> Path:
    """The working directory; in our home instead if we are root and the servers' account cannot
    enter it."""
    here = Path.cwd()
    closed = any(not path.stat().st_mode & 0o001 for path in (here, *here.parents))
    return home() / "airflow" if os.geteuid() == 0 and closed else here / ".airflow"


def _what_now(client: Client) -> str:
    def bold(text: str) -> str:
        return click.style(text, bold=True)

    return "\n".join(
        (
            "",
            f"  {bold(client.url)}",
            f"  user {bold(USER)}, password {bold(client.password)}",
            "",
            f"Log in and trigger {bold(_DAG)}: it migrates the shop from the",
            "connection postgres_source, PostgreSQL 16, to postgres_target, PostgreSQL 18.",
            "The page of its runs is under Browse, Windlass.",
            f"{bold('make airflow-stop')} ends all of it; a later start keeps all data.",
        )
    )


if __name__ == "__main__":
    main()
