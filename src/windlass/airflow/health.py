"""Whether an Airflow can run migrations: ``python -m windlass.airflow.health``.

Run it where Airflow's settings are, for example in a scheduler's container. It looks into Airflow's
database: are schedulers, triggerer and DAG processor alive, does the pool that the DAGs use exist,
and, with Celery, does a worker answer? The exit code is 1 if something is missing.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import click

from windlass.airflow.pools import DEFAULT_POOL

_PING_SECONDS = 5.0
_JOBS = {
    "scheduler": "SchedulerJob",
    "triggerer": "TriggererJob",
    "dag-processor": "DagProcessorJob",
}
_WHAT_FOR = {
    "scheduler": "no task is started",
    "triggerer": "approvals, waits for other DAGs, deadlines and runs that it holds do not proceed",
    "dag-processor": "changed DAG files are not read",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about one part of an Airflow."""

    part: str
    is_well: bool
    text: str

    def __str__(self) -> str:
        return f"{'ok' if self.is_well else 'BAD':4} {self.part:14} {self.text}"


def findings() -> Iterator[Finding]:
    """Findings for every part; only for the database if that cannot be reached."""
    try:
        yield from [Finding("database", True, "reachable"), *_jobs(), _pool()]
    except _database_errors() as error:
        text = f"cannot be used: {type(error).__name__}; see [database] sql_alchemy_conn"
        yield Finding("database", False, text)
        return
    if _uses_celery():
        yield _workers()


def _database_errors() -> type[Exception]:
    from sqlalchemy.exc import SQLAlchemyError

    return SQLAlchemyError


def _jobs() -> Iterator[Finding]:
    from airflow.jobs.job import Job
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        for part, kind in _JOBS.items():
            running = select(Job).where(Job.job_type == kind, Job.state == "running")
            alive = sum(job.is_alive() for job in session.scalars(running))
            yield Finding(part, alive > 0, f"{alive} alive" if alive else _WHAT_FOR[part])


def _pool() -> Finding:
    """The pool that the settings name."""
    from airflow.models.pool import Pool
    from airflow.sdk.configuration import conf

    name = conf.get("windlass", "pool", fallback=DEFAULT_POOL)
    found = Pool.get_pool(name)
    if found is None:
        text = f"{name} does not exist: airflow pools set {name} SLOTS 'Tasks of migrations'"
    elif not found.slots:
        text = f"{name} has no slots"
    else:
        text = f"{name} has {found.slots} slots"
    return Finding("pool", bool(found and found.slots), text)


def _uses_celery() -> bool:
    from airflow.sdk.configuration import conf

    return "Celery" in conf.get("core", "executor")


def _workers() -> Finding:
    """The workers, which are asked through the broker."""
    from airflow.providers.celery.executors.celery_executor import app
    from kombu.exceptions import OperationalError

    try:
        answers = app.control.ping(timeout=_PING_SECONDS)
    except (OperationalError, OSError):
        return Finding("workers", False, "the broker cannot be reached; see [celery] broker_url")
    count = len(answers or ())
    text = f"{count} answer" if count else f"none answers within {_PING_SECONDS:.0f} s"
    return Finding("workers", count > 0, text)


def main(find: Callable[[], Iterator[Finding]] = findings) -> int:
    """Print all findings; the exit code."""
    logging.disable(logging.CRITICAL)  # logs of Airflow's libraries while they load
    found = list(find())
    for one in found:
        click.echo(str(one))
    return 0 if all(one.is_well for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
