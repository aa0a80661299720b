"""`windlass status`: the list of runs, one run in detail, and watching."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

import click
import psycopg
import pytest

from command import DONE, REFUSED, migrate, windlass
from servers import Database, Pair
from windlass.cli.runs import detail_text
from windlass.engines.postgres.lock import control_name, try_lock
from windlass.flows.status import read_detail, read_statuses
from windlass.model.outcome import Outcome, Progress, Reason, RunDetail, RunStatus, State
from windlass.run.runs_text import statuses_text


@pytest.fixture
def moved(pair: Pair) -> Pair:
    pair.source.run(
        "create table t (id int primary key)", "insert into t select generate_series(1, 10)"
    )
    migrate(pair).expect(DONE)
    return pair


def test_the_list_says_what_was_verified(moved: Pair) -> None:
    (run,) = windlass("status", "--json", pair=moved).expect(DONE).result["runs"]
    assert run["verified"] == "full"
    said = windlass("status", pair=moved).expect(DONE).stdout
    assert "verified" in said
    assert "full" in said


def test_a_run_that_verified_nothing_does_not_look_proven(pair: Pair) -> None:
    pair.source.run("create table t (id int primary key)")
    migrate(pair, "--verify", "none").expect(DONE)
    (run,) = windlass("status", "--json", pair=pair).expect(DONE).result["runs"]
    assert run["verified"] == ""


def test_one_run_is_shown_in_detail(moved: Pair) -> None:
    (run,) = windlass("status", "--json", pair=moved).expect(DONE).result["runs"]
    detail = windlass("status", run["run"], "--json", pair=moved).expect(DONE).result
    steps = {step["name"]: step for step in detail["steps"]}
    assert steps["copy_tables"]["done"] == steps["copy_tables"]["items"] == 1
    assert detail["outcome"]["state"] == "done"
    said = windlass("status", run["run"], pair=moved).expect(DONE).stdout
    assert f"Run {run['run']}: done" in said
    assert "1 of 1 copied" in said
    assert f"started    {detail['started_at'][:19]} UTC" in said


class Counting(psycopg.Cursor[Any]):
    """Counts statements and the rows that they return."""

    statements: list[str]
    fetched = 0

    def execute(self, query: Any, *arguments: Any, **more: Any) -> Any:
        Counting.statements.append(str(query))
        return super().execute(query, *arguments, **more)

    def fetchall(self) -> Any:
        found = super().fetchall()
        Counting.fetched += len(found)
        return found


def counted(pair: Pair, read: Callable[[Any], Any]) -> tuple[list[str], int]:
    Counting.statements, Counting.fetched = [], 0
    with pair.target.connect() as connection:
        connection.cursor_factory = Counting
        read(connection)
    return Counting.statements, Counting.fetched


def test_the_list_reads_no_more_of_a_run_with_many_tables(pair: Pair) -> None:
    """The page reads it every second, and the run: neither a line for each table, nor its plan
    again."""
    counts = []
    for tables in (1, 40):
        pair.source.run(
            "drop schema if exists s cascade", "create schema s",
            *(f"create table s.t{i} as select 1 as a" for i in range(tables)),
        )  # fmt: skip
        pair.target.run("drop schema if exists s, windlass cascade")
        run = migrate(pair, "--schema", "s").expect(DONE).result["run"]
        first, _ = counted(pair, read_statuses)
        assert sum("select plan" in one for one in first) == 1
        statements, rows = counted(pair, read_statuses)
        assert not any("select plan" in one for one in statements)
        read = partial(read_detail, name=run)
        counted(pair, read)
        details, _ = counted(pair, read)
        assert not any("select plan" in one or "select item" in one for one in details)
        counts.append((statements, rows, details))
    assert counts[0] == counts[1]
    with pair.target.connect() as connection:
        (status,) = read_statuses(connection)
        detail = read_detail(connection, run)
    assert (status.progress.relations_done, status.progress.rows) == (40, 40)
    assert [one.rows for one in detail.relations] == [1] * 40
    assert detail.outcome
    assert len(detail.outcome.relations) == 40


def test_a_run_of_a_scheduler_is_named_as_one(moved: Pair) -> None:
    started = "airflow move_the_shop manual__2026-01-01T00:00:00+00:00"
    url = "https://airflow.example.com/dags/move_the_shop/runs/manual__2026-01-01T00:00:00+00:00"
    moved.target.run(
        f"update windlass.run set caller = '{started}', caller_url = '{url}', state = 'stopped'"
    )
    (run,) = windlass("status", "--json", pair=moved).expect(DONE).result["runs"]
    assert (run["external_run"], run["external_url"]) == (started, url)
    said = windlass("status", pair=moved).expect(DONE).stdout
    assert f"{run['run']}  {started}" in said
    assert f"{' ' * len(run['run'])}  {url}\n" in said
    assert "Clear the failed tasks of its DAG run to resume" in said
    assert "Run the same command again" not in said
    detail = windlass("status", run["run"], pair=moved).expect(DONE).stdout
    assert f"started by {started}" in detail
    assert f"see        {url}\n" in detail


def test_what_one_journal_says_is_never_shown_of_another(moved: Pair) -> None:
    """Two targets with a run of the same name and times, in one process that shows both."""
    server, theirs = moved.target.server, f"{moved.target.name}_theirs"
    run = moved.target.value("select run from windlass.run")
    server.admin.run(f'create database {theirs} template "{moved.target.name}"')
    forged = Database(server, theirs)
    try:
        forged.run(
            "update windlass.run set outcome = replace(outcome::text, 'full', 'none')::jsonb",
            "update windlass.line set rows = 7 where rows > 0",
        )
        with forged.connect() as connection:
            told = read_detail(connection, run)
        with moved.target.connect() as connection:
            shown = read_detail(connection, run)
        assert told.outcome is not None and shown.outcome is not None
        assert (told.outcome.proof.verified, shown.outcome.proof.verified) == ("none", "full")
        assert sum(one.rows for one in told.relations) == 7
        assert sum(one.rows for one in shown.relations) == 10
    finally:
        server.drop_database(forged)


def test_a_table_is_being_copied_before_its_first_chunk_is_done(moved: Pair) -> None:
    """Small tables have only one: the sessions of the run show at what they are."""
    run = moved.target.value("select run from windlass.run")
    moved.target.run(
        "update windlass.run set state = 'running', outcome = null, finished_at = null",
        "delete from windlass.line where step = 'copy_tables'",
    )
    with (
        moved.target.connect(application_name=control_name(run)) as control,
        moved.target.connect(application_name=f"windlass {run}") as writing,
        moved.target.connect() as reading,
    ):
        assert try_lock(control)
        assert [one.copying for one in read_detail(reading, run).relations] == [False]
        with writing.transaction(force_rollback=True):
            writing.execute("insert into t values (11)")
            (found,) = read_detail(reading, run).relations
    assert (found.copying, found.chunks_done, found.chunks) == (True, 0, 1)


def test_an_unknown_run_is_refused(moved: Pair) -> None:
    ran = windlass("status", "nonsense", pair=moved).expect(REFUSED)
    assert "run nonsense" in ran.said


@pytest.mark.parametrize("words", [("status",), ("migrate", "--restart"), ("plan",)])
def test_a_run_of_a_version_whose_plans_are_unknown_is_named(
    moved: Pair, words: tuple[str, ...]
) -> None:
    plan = zlib.compress(b"{}").hex()
    moved.target.run(
        f"update windlass.run set version = '0.0.7', plan = decode('{plan}', 'hex'),"
        " state = 'running'"
    )
    said = windlass(*words, pair=moved).expect(REFUSED).said
    assert "begun by windlass 0.0.7" in said
    assert "finish it or undo it with windlass 0.0.7" in " ".join(said.split())


def test_watching_a_run_ends_with_the_run(moved: Pair) -> None:
    (run,) = windlass("status", "--json", pair=moved).expect(DONE).result["runs"]
    said = windlass("status", run["run"], "--watch", pair=moved).expect(DONE).stdout
    assert said.count(f"Run {run['run']}") == 1


def status_of(state: State) -> RunStatus:
    return RunStatus(
        run="20261128_1451_66a3",
        state=state,
        source="a_database_with_a_long_name on db.internal.example.com:5432 (PostgreSQL 16.14)",
        started_at="2026-11-28 14:51:00+00",
        finished_at="",
        verified="counts",
        progress=Progress(
            relations_done=1_234,
            relations=5_678,
            rows=5_912_345_678,
            bytes=987 << 30,
            bytes_planned=1_100 << 30,
            step="copy_tables",
        ),
    )


@pytest.mark.parametrize("state", list(State))
def test_no_line_is_wider_than_eighty_columns(state: State) -> None:
    status = status_of(state)
    said = click.unstyle(statuses_text([status], rollback=str, width=80))
    assert max(len(line) for line in said.splitlines()) <= 80


@pytest.mark.parametrize("state", list(State))
def test_nor_is_one_of_a_run_in_detail(state: State) -> None:
    long = "a view of the target that refers to it cannot be made again, as it uses a column of it"
    outcome = Outcome("r", state, notices=(long,), reason=Reason(long))
    options = {"include": ["shop.orders", "shop.order_lines"], "existing": "replace", "jobs": 12}
    detail = RunDetail(status_of(state), outcome, "shop on h", "0.1.0", options)
    said = click.unstyle(detail_text(detail, rollback=str, width=80))
    assert max(len(line) for line in said.splitlines()) <= 80
    assert " ".join(said.split()).count(long) == 2
