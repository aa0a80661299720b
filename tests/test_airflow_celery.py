"""One migration over several machines: Celery workers, each in a network of its own if it can be.

Both take part, one dies in the middle, and the target is equal in the end.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from airflow_runs import (
    Ended,
    connect,
    copying,
    expect_equal,
    expect_no_secret,
    fill,
    journal_text,
    until,
    wait,
)
from airflow_server import copy_dags, make_room, needs_airflow
from servers import FAST, Pair, Server
from windlass.airflow import celery_workers
from windlass.airflow.local import LocalAirflow

DAG = "postgres_to_postgres_migration"
# a worker that dies is noticed by its heartbeats, which stop
SETTINGS = {
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "10",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
}


@pytest.fixture(scope="module")
def workers() -> Iterator[LocalAirflow]:
    needs_airflow()
    if shutil.which("redis-server") is None:
        reason = "redis-server is not installed"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    room = make_room()
    airflow = LocalAirflow(
        room / "airflow",
        copy_dags(room / "dags"),
        executor="CeleryExecutor",
        workers=2,
        pools={"windlass": 8},
        settings=SETTINGS,
    )
    try:
        with airflow:
            yield airflow
    finally:
        shutil.rmtree(room, ignore_errors=True)


@pytest.fixture
def reachable(workers: LocalAirflow) -> Iterator[Pair]:
    """A pair on servers that the workers reach at their network's address."""
    where = {**FAST, "listen_addresses": ",".join({"127.0.0.1", workers.address})}
    with ExitStack() as stack:

        def made(version: int) -> Server:
            server = Server(version, where)
            stack.callback(server.remove)
            celery_workers.admit(server.data)
            return server.start()

        yield Pair(made(16).create_database(), made(18).create_database())


def test_a_worker_that_dies_in_the_middle_costs_nothing_but_time(
    workers: LocalAirflow, reachable: Pair
) -> None:
    fill(reachable.source, items=600_000)
    conf = connect(workers, reachable, workers.address)
    cut = {"partition_threshold": 100_000, "chunk_size": 10_000}
    run_id = workers.trigger(DAG, {**conf, **cut})
    until(lambda: copying(reachable.target), "rows are on their way")
    workers.kill_worker(holderless(workers, run_id))
    ended = wait(workers, DAG, run_id).expect("success")
    expect_equal(reachable)
    assert reachable.target.value("select count(*) from windlass.snapshot") == 1
    expect_no_secret(ended.said())
    expect_no_secret(journal_text(reachable.target))
    if workers.network:
        assert hosts(ended) == {"worker-1", "worker-2"}


def holderless(workers: LocalAirflow, run_id: str) -> int:
    """The worker that does not hold the snapshot; 2 where they cannot be told apart."""
    tasks = workers.task_instances(DAG, run_id)
    holder = next(task["hostname"] for task in tasks if task["task_id"] == "hold_snapshot")
    return 1 if holder == "worker-2" else 2


def hosts(ended: Ended) -> set[str]:
    return {task["hostname"] for task in ended.tasks if task["hostname"]}
