"""DDL of others and a run that wait for each other: the run says so, and lets go."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from awaiting import until
from command import DIFFERENT, DONE, STOPPED, Ran, migrate, verify
from exporting import export
from servers import Database, Pair
from windlass.cli.main import run
from windlass.engines.postgres.snapshot import SnapshotHolder
from windlass.errors import WindlassError
from windlass.flows import demands
from windlass.model.flow import resolve

ALTER = "alter table t add column late int"
WAITS = "select from pg_stat_activity where query = %s and wait_event_type = 'Lock'"
OURS = "select from pg_stat_activity where application_name like 'windlass%%' and datname = %s"


@pytest.fixture
def rows(pair: Pair) -> Pair:
    pair.source.run("create table t (id int primary key, v text)", "insert into t values (1, 'x')")
    return pair


@contextmanager
def others(source: Database, statement: str) -> Iterator[Callable[[], None]]:
    """Somebody's statement: begins when that is called, and waits as long as it takes."""

    def work() -> None:
        with source.connect(application_name="deploy") as other:
            other.execute(statement.encode())

    thread = threading.Thread(target=work)

    def begin() -> None:
        if not thread.ident:
            thread.start()
            until(lambda: source.rows(WAITS, [statement]), "the statement waits")

    yield begin
    thread.join(30)
    assert thread.ident and not thread.is_alive(), "the statement still waits"


def during(pair: Pair, step: str, begin: Callable[[], None], *words: str) -> Ran:
    """A command in this process, in which something else begins before a step's first item."""
    work: Any = resolve(step)

    def late(*given: Any) -> Any:
        begin()
        return work(*given)

    stdout, stderr = StringIO(), StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(stdout), redirect_stderr(stderr):
        patch.setenv("WINDLASS_SOURCE", pair.source.url)
        patch.setenv("WINDLASS_TARGET", pair.target.url)
        patch.setattr(demands, "PATIENCE_SECONDS", 2.0)
        patch.setattr(step.replace(":", "."), late)
        code = run([*words, "--json"])
    return Ran(code, stdout.getvalue(), stderr.getvalue())


def explained(ran: Ran, statement: str) -> None:
    message = ran.result["message"]
    assert statement in message and "deploy" in message
    assert "waits for a lock on public.t that this run has" in message
    notice = "this run waits behind it, and releases its locks after 2 s"
    assert [one for one in ran.result["notices"] if notice in one]
    assert "Traceback" not in ran.said


COPY = "windlass.flows.migrate.rows:copy_tables"
COMPARE = "windlass.flows.validate.steps:validate_content"
DUMP = "windlass.flows.validate.definitions:validate_schema"


def test_a_migration_lets_go_of_what_others_wait_for_and_resumes(rows: Pair) -> None:
    with others(rows.source, "vacuum full t") as begin:
        explained(during(rows, COPY, begin, "migrate").expect(STOPPED), "vacuum full t")
    assert not rows.source.rows(OURS, [rows.source.name])
    assert migrate(rows).expect(DONE).result["resumed"]
    assert rows.target.rows("select * from t") == [(1, "x")]


def test_a_comparison_lets_go_and_a_changed_definition_is_found(rows: Pair) -> None:
    migrate(rows).expect(DONE)
    with others(rows.source, ALTER) as begin:
        explained(during(rows, COMPARE, begin, "verify").expect(STOPPED), ALTER)
    assert rows.source.rows("select late from t") == [(None,)]
    verify(rows).expect(DIFFERENT)


def test_so_does_a_run_whose_pg_dump_waits(rows: Pair) -> None:
    def stop() -> None:
        raise WindlassError("stopped for the test")

    during(rows, DUMP, stop, "migrate").expect(STOPPED)  # a run that resumes has no dump yet
    with others(rows.source, "vacuum full t") as begin:
        explained(during(rows, DUMP, begin, "migrate").expect(STOPPED), "vacuum full t")
    migrate(rows).expect(DONE)


EXTRACT = "windlass.flows.export.steps:extract"


def test_an_export_lets_go_and_resumes(rows: Pair, tmp_path: Path) -> None:
    work: Any = resolve(EXTRACT)
    words = {"relations": "public.t", "warehouse": None}
    with others(rows.source, "vacuum full t") as begin, pytest.MonkeyPatch.context() as patch:

        def late(*given: Any, **more: Any) -> Any:
            begin()
            return work(*given, **more)

        patch.setattr(demands, "PATIENCE_SECONDS", 2.0)
        patch.setattr(EXTRACT.replace(":", "."), late)
        explained(export(rows.source, tmp_path, **words).expect(STOPPED), "vacuum full t")
    assert not rows.source.rows(OURS, [rows.source.name])
    assert export(rows.source, tmp_path, **words).expect(DONE).result["rows"] == 1


# what others do between the snapshot and our locks

REPLACED = "begin; alter table t rename to old; create table t (id int, v text); commit"
UNDER = ["truncate t", "alter table t alter v type varchar(9)", REPLACED]


@contextmanager
def just_before_the_locks(source: Database, statement: str) -> Iterator[None]:
    lock: Any = SnapshotHolder.lock

    def late(self: Any, names: Any) -> None:
        patch.setattr(SnapshotHolder, "lock", lock)
        source.run(*statement.split("; "))
        lock(self, names)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SnapshotHolder, "lock", late)
        yield


def stopped_by_it(ran: Ran) -> None:
    reasons = [ran.result["message"], *(one["message"] for one in ran.result["problems"])]
    assert [one for one in reasons if "public.t: truncated, rewritten or replaced" in one]


@pytest.mark.parametrize("statement", UNDER)
def test_a_table_that_is_emptied_under_the_snapshot_is_not_migrated_as_an_empty_one(
    rows: Pair, statement: str
) -> None:
    with just_before_the_locks(rows.source, statement):
        stopped_by_it(during(rows, COPY, lambda: None, "migrate").expect(STOPPED))
    migrate(rows).expect(DONE)
    query = "select * from t"
    assert rows.target.rows(query) == rows.source.rows(query)


def test_nor_is_it_compared_as_an_empty_one(rows: Pair) -> None:
    rows.target.run("create table t (id int primary key, v text)")
    with just_before_the_locks(rows.source, "vacuum full t"):
        stopped_by_it(during(rows, COMPARE, lambda: None, "verify").expect(STOPPED))
    verify(rows).expect(DIFFERENT)


def test_nor_exported(rows: Pair, tmp_path: Path) -> None:
    words = {"relations": "public.t", "warehouse": None}
    take: Any = SnapshotHolder.__init__

    def early(self: Any, *given: Any) -> None:
        patch.setattr(SnapshotHolder, "__init__", take)
        take(self, *given)
        rows.source.run(UNDER[1])  # the plan of an export locks what it reads

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SnapshotHolder, "__init__", early)
        stopped_by_it(export(rows.source, tmp_path, **words).expect(STOPPED))
    assert export(rows.source, tmp_path, **words).expect(DONE).result["rows"] == 1
