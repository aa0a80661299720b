"""One migration over several machines: Celery workers, each in a network of its own if it can be.

Both take part, one dies in the middle, and the target is equal in the end.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack

import psutil
import pytest

from airflow_runs import (
    client,
    connect,
    copying,
    expect_equal,
    expect_no_secret,
    fill,
    holding,
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
    # and what it had taken from the broker without beginning it is given out again
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "20",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "5",
}
MARK = "WINDLASS_LOCAL_AIRFLOW"  # in the environment of each of its processes: `token:name`


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


@pytest.mark.parametrize("victim", ["a worker that copies", "the snapshot's holder"])
def test_a_machine_that_dies_in_the_middle_costs_nothing_but_time(
    workers: LocalAirflow, reachable: Pair, victim: str
) -> None:
    fill(reachable.source, items=600_000)
    conf = connect(workers, reachable, workers.address)
    cut = {"partition_threshold": 100_000, "chunk_size": 10_000}
    run_id = workers.trigger(DAG, {**conf, **cut})
    holder = worker_of(*until(lambda: holding(reachable.source), "the snapshot is held"))
    assert holder is not None

    def both_copy() -> bool:
        at_work = {worker for one in copying(reachable.target) if (worker := worker_of(*one))}
        return len(at_work) == workers.workers

    until(both_copy, "both workers are in the middle of a chunk")
    dead = holder if victim == "the snapshot's holder" else {1: 2, 2: 1}[holder]
    workers.kill_worker(dead)
    ended = wait(workers, DAG, run_id).expect("success")
    expect_equal(reachable)
    retried = {task["task_id"] for task in ended.tasks if task["try_number"] > 1}
    assert "transfer_partition" in retried
    assert ("hold_snapshot" in retried) == (dead == holder)
    snapshots = reachable.target.value("select count(*) from windlass.snapshot")
    assert snapshots == (2 if dead == holder else 1)
    expect_no_secret(ended.said())
    expect_no_secret(journal_text(reachable.target))
    workers.start_worker(dead)


def worker_of(address: str, port: int) -> int | None:
    """Whose process the client at that address is; None if it is none's, or gone by now."""
    process = client(address, port)
    if process is None:
        return None
    try:
        name = process.environ().get(MARK, "").partition(":")[2]
    except psutil.Error:
        return None
    return int(name.removeprefix("worker-")) if name.startswith("worker-") else None
