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
from airflow_server import SHIP, copy_dags
from celery_workers import Workers, admit, celery_airflow
from demo.airflow import processes
from demo.airflow.client import Client
from demo.airflow.local import LocalAirflow, Record, Setup, dead_components, revive
from needs import needs_airflow, needs_program
from rooms import make_room
from servers import FAST, Database, Pair, Server

DAG = "postgres_to_postgres_migration"
# a worker that dies is noticed by its heartbeats, which stop
SETTINGS = {
    "scheduler": {
        "task_instance_heartbeat_timeout": 10,
        "task_instance_heartbeat_timeout_detection_interval": 2,
        # and what it had taken from the broker without starting it is queued again
        "task_queued_timeout": 20,
        "task_queued_timeout_check_interval": 5,
        "num_stuck_in_queued_retries": 20,  # on a busy machine the one worker left has a long queue
    }
}
MARK = "WINDLASS_LOCAL_AIRFLOW"  # in the environment of each of its processes: `token:name`


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    needs_airflow()
    needs_program("redis-server")
    room = make_room()
    try:
        with celery_airflow(room, copy_dags(room / "dags"), 2, SETTINGS) as found:
            yield found
    finally:
        shutil.rmtree(room, ignore_errors=True)


@pytest.fixture
def reachable(workers: Workers) -> Iterator[Pair]:
    """A pair on servers that the workers reach at their network's address."""
    where = {**FAST, "listen_addresses": ",".join({"127.0.0.1", workers.address})}
    with ExitStack() as stack:

        def made(version: int) -> Server:
            server = Server(version, where)
            stack.callback(server.remove)
            admit(server.data)
            return server.start()

        yield Pair(made(16).create_database(), made(18).create_database())


def test_machines_that_die_in_the_middle_cost_nothing_but_time(
    workers: Workers, reachable: Pair
) -> None:
    """First one that copies, which comes back; then the one that holds the snapshot as well."""
    source, target, airflow = reachable.source, reachable.target, workers.airflow
    fill(source)
    shelves = [f"shop.shelf_{n}" for n in range(4)]
    source.run(*(f"create table {one} as table shop.item" for one in shelves), "analyze")
    conf = connect(airflow, reachable, workers.address)
    # 10 shares, more than a worker has slots: both have to take some
    cut = {"partition_threshold": 100_000, "chunk_size": 10_000, "jobs": 16}
    run_id = airflow.client.trigger(DAG, {**conf, **cut})

    def both_copy() -> bool:
        return {worker_of(*one) for one in copying(target)} == {1, 2}

    with stopped_copies(target, "shop.item", *shelves):
        until(both_copy, "both workers are in the middle of chunks")
        holder = worker_of(*until(lambda: holding(source), "the snapshot is held"))
        assert holder is not None
        other = {1: 2, 2: 1}[holder]
        workers.kill(other)
        workers.start([other])
        until(lambda: has_noticed(airflow.client, run_id), "Airflow misses the dead tasks", 0.5)
        assert snapshots(target) == 1
        workers.kill(holder)
    ended = wait(airflow, DAG, run_id).expect("success")
    expect_equal(reachable)
    assert tries(ended, "hold_snapshot") == 2
    assert tries(ended, "transfer_partition") > 1
    assert snapshots(target) == 2
    expect_no_secret(ended.said())
    expect_no_secret(journal_text(target))


def has_noticed(client: Client, run_id: str) -> bool:
    tasks = client.task_instances(DAG, run_id)
    return any(one["state"] == "up_for_retry" or one["try_number"] > 1 for one in tasks)


def tries(ended: Ended, task_id: str) -> int:
    return max(int(one["try_number"]) for one in ended.tasks if one["task_id"] == task_id)


def snapshots(target: Database) -> object:
    return target.value("select count(*) from windlass.snapshot")


def worker_of(address: str, port: int) -> int | None:
    """Whose client it is; None if nobody's, or if it is gone."""
    if not address.startswith("127."):
        return int(address.rpartition(".")[2]) - 10  # see celery_workers
    try:
        process = client(address, port)
        name = process.environ().get(MARK, "").partition(":")[2] if process else ""
    except psutil.Error:
        return None
    return int(name.removeprefix("worker-")) if name.startswith("worker-") else None


@pytest.mark.full
def test_one_folder_has_workers_too_and_a_dead_one_is_started_again() -> None:
    """As `make airflow-celery` makes it."""
    needs_airflow()
    needs_program("redis-server")
    room = make_room()
    try:
        setup = Setup(connections={"ship": f"postgresql://{SHIP}"}, workers=1)
        with LocalAirflow(room / "airflow", copy_dags(room / "dags"), setup) as airflow:
            record = Record.read(airflow.folder)
            assert record is not None
            processes.kill(record.token, "worker-1")
            assert dead_components(airflow.folder) == ["worker-1"]
            revive(airflow.folder, ["worker-1"])
            assert dead_components(airflow.folder) == []
            run = airflow.client.trigger("tell")
            assert airflow.client.wait_for("tell", run, 240) == "success"
        assert processes.alive(record.token) == []
    finally:
        shutil.rmtree(room, ignore_errors=True)
