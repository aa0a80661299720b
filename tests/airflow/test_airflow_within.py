"""Windlass inside a DAG of others, run by a real Airflow: groups, operators, and a holder that is
in the triggerer."""

from __future__ import annotations

import os
import signal

from airflow_runs import (
    client,
    connect,
    copying,
    expect_no_secret,
    fill,
    holding,
    stopped_copies,
    until,
    wait,
)
from demo.airflow.local import LocalAirflow
from oracle import content_difference
from servers import Pair

OTHERS = (
    "create schema stock",
    "create table stock.part as select n as id from generate_series(1, 500) n",
    "create schema extra",
    "create table extra.note as select 1 as id",
)


def test_two_groups_and_operators_between_tasks_of_others_while_the_holder_is_killed(
    running: LocalAirflow, pair: Pair
) -> None:
    fill(pair.source)
    pair.source.run(*OTHERS)
    run_id = running.client.trigger("within", connect(running, pair))
    # a triggerer loads all of Airflow's API when the first of its triggers asks for something
    until(lambda: holding(pair.source), "the triggerer holds the snapshot", seconds=300)
    with stopped_copies(pair.target):
        until(lambda: copying(pair.target), "rows are on their way")
        states = {one["task_id"]: one["state"] for one in tasks(running, run_id)}
        assert states["outer.shop.hold_snapshot"] == "deferred"  # it takes no slot
        holder = until(lambda: client(*(holding(pair.source) or ("", 0))), "a process holds it")
        os.kill(holder.pid, signal.SIGKILL)
    ended = wait(running, "within", run_id, timeout=900).expect("success")
    assert {"before", "after", "extra", "undo"} <= ended.states().keys()
    runs = dict(pair.target.rows("select caller, state from windlass.run"))
    dag_run = f"airflow within {run_id}"
    assert runs == {
        f"{dag_run} outer.shop": "done",
        f"{dag_run} stock": "done",
        f"{dag_run} extra": "rolled back",
    }
    snapshots = "select count(*) from windlass.snapshot join windlass.run using (run)"
    assert pair.target.value(f"{snapshots} where caller like '%shop'") == 2
    assert content_difference(pair.source, pair.target, besides="extra") == []
    expect_no_secret(ended.said())


def tasks(airflow: LocalAirflow, run_id: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = airflow.client.task_instances("within", run_id)
    return found
