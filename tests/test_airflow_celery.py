"""One migration over several machines: Celery workers, each in its own network if it can be.

Both take part, one dies in the middle, and the target is equal in the end.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack

import psutil
import pytest

from airflow_runs import (
    Ended,
    client,
    connect,
    copying,
    expect_equal,
    expect_no_secret,
    fill,
    holding,
    journal_text,
    stopped_copies,
    until,
    wait,
)
from airflow_server import copy_dags
from needs import needs_airflow, needs_program
from rooms import make_room
from servers import FAST, Database, Pair, Server
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
    needs_program("redis-server")
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


def test_machines_that_die_in_the_middle_cost_nothing_but_time(
    workers: LocalAirflow, reachable: Pair
) -> None:
    """First one that copies, which comes back; then the one that holds the snapshot as well."""
    source, target = reachable.source, reachable.target
    fill(source)
    shelves = [f"shop.shelf_{n}" for n in range(4)]
    source.run(*(f"create table {one} as table shop.item" for one in shelves), "analyze")
    conf = connect(workers, reachable, workers.address)
    # 10 shares, more than a worker has slots: both have to take some
    cut = {"partition_threshold": 100_000, "chunk_size": 10_000, "jobs": 16}
    run_id = workers.trigger(DAG, {**conf, **cut})

    def both_copy() -> bool:
        return {worker_of(*one) for one in copying(target)} == {1, 2}

    with stopped_copies(target, "shop.item", *shelves):
        until(both_copy, "both workers are in the middle of chunks")
        holder = worker_of(*until(lambda: holding(source), "the snapshot is held"))
        assert holder is not None
        other = {1: 2, 2: 1}[holder]
        workers.kill_worker(other)
        workers.start_worker(other)
        until(lambda: has_noticed(workers, run_id), "Airflow misses the tasks that died", 0.5)
        assert snapshots(target) == 1
        workers.kill_worker(holder)
    ended = wait(workers, DAG, run_id).expect("success")
    expect_equal(reachable)
    assert tries(ended, "hold_snapshot") == 2
    assert tries(ended, "transfer_partition") > 1
    assert snapshots(target) == 2
    expect_no_secret(ended.said())
    expect_no_secret(journal_text(target))


def has_noticed(workers: LocalAirflow, run_id: str) -> bool:
    tasks = workers.task_instances(DAG, run_id)
    return any(one["state"] == "up_for_retry" or one["try_number"] > 1 for one in tasks)


def tries(ended: Ended, task_id: str) -> int:
    return max(int(one["try_number"]) for one in ended.tasks if one["task_id"] == task_id)


def snapshots(target: Database) -> object:
    return target.value("select count(*) from windlass.snapshot")


def worker_of(address: str, port: int) -> int | None:
    """Whose client it is; None if nobody's, or gone by now."""
    if not address.startswith("127."):
        return int(address.rpartition(".")[2]) - 10  # see windlass.airflow.celery_workers
    try:
        process = client(address, port)
        name = process.environ().get(MARK, "").partition(":")[2] if process else ""
    except psutil.Error:
        return None
    return int(name.removeprefix("worker-")) if name.startswith("worker-") else None
