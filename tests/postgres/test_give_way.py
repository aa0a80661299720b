"""DDL of others and a run that wait for each other: the run says so, and lets go."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from psycopg.errors import LockNotAvailable

from awaiting import until
from command import DIFFERENT, DONE, STOPPED, Ran, migrate, verify
from exporting import export
from servers import Database, Pair
from windlass.cli.main import run
from windlass.engines.postgres.snapshot import SnapshotHolder
from windlass.engines.query_input import QueryInput
from windlass.errors import SnapshotLost, WindlassError
from windlass.flows import demands
from windlass.model.flow import resolve
from windlass.model.inputs import QueryFrom

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


@contextmanager
def just_after_the_snapshot(source: Database, statement: str) -> Iterator[None]:
    take: Any = SnapshotHolder.__init__

    def early(self: Any, *given: Any) -> None:
        patch.setattr(SnapshotHolder, "__init__", take)
        take(self, *given)
        source.run(*statement.split("; "))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SnapshotHolder, "__init__", early)
        yield


def stopped_by_it(ran: Ran, why: str = "public.t: truncated, rewritten or replaced") -> None:
    reasons = [ran.result["message"], *(one["message"] for one in ran.result["problems"])]
    assert [one for one in reasons if why in one]


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
    with just_after_the_snapshot(
        rows.source, UNDER[1]
    ):  # the plan of an export locks what it reads
        stopped_by_it(export(rows.source, tmp_path, **words).expect(STOPPED))
    assert export(rows.source, tmp_path, **words).expect(DONE).result["rows"] == 1


# what a query reads is not known by name: views, partitions, and what its functions read

READ = (
    "create view seen as select * from t",
    "create function called() returns setof t stable language plpgsql as"
    " 'begin return query select * from t; end'",
    "create table parts (id int, v text) partition by list (id)",
    "create table first partition of parts for values in (1)",
    "create table second partition of parts for values in (2)",
    "insert into parts values (1, 'x'), (2, 'y')",
)
FROM = {
    "a table": "select * from t",
    "a view": "select * from seen",
    "a function": "select * from called()",
    "partitions": "select * from parts where id > 0",
}
LATE = [
    ("a table", "truncate t", "public.t: truncated, rewritten or replaced"),
    ("a view", "vacuum full t", "public.t: truncated, rewritten or replaced"),
    ("partitions", "truncate first", "public.first: truncated, rewritten or replaced"),
    ("partitions", "drop table first", "public.first: dropped, or detached from its table"),
    ("partitions", "alter table parts detach partition first", "public.first: dropped, or"),
]


@pytest.fixture
def read(rows: Pair) -> Database:
    rows.source.run(*READ)
    return rows.source


@contextmanager
def before_extracting(work: Callable[[], None]) -> Iterator[None]:
    """What others do while the first export of a run waits until it is read."""
    extract: Any = resolve(EXTRACT)

    def late(*given: Any) -> Any:
        patch.setattr(EXTRACT.replace(":", "."), extract)
        work()
        return extract(*given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EXTRACT.replace(":", "."), late)
        yield


@pytest.mark.parametrize(("what", "statement", "message"), LATE)
def test_nor_is_what_a_query_reads(
    read: Database, tmp_path: Path, what: str, statement: str, message: str
) -> None:
    words = {"relations": [{"query": FROM[what], "name": "q"}], "warehouse": None}
    with just_after_the_snapshot(read, statement):
        stopped_by_it(export(read, tmp_path, **words).expect(STOPPED), message)
    counted = read.rows(f"select count(*) from ({FROM[what]}) q")
    assert counted == [(export(read, tmp_path, **words).expect(DONE).result["rows"],)]


def test_a_table_that_takes_its_place_is_read_in_another_snapshot(
    read: Database, tmp_path: Path
) -> None:
    words = {"relations": [{"query": FROM["a table"], "name": "q"}], "warehouse": None}
    with just_after_the_snapshot(read, f"{REPLACED}; insert into t values (2, 'y'), (3, 'z')"):
        ran = export(read, tmp_path, **words).expect(DONE)
    assert ran.result["rows"] == 2
    assert [one for one in ran.result["notices"] if "public.t: truncated" in one]


@pytest.mark.parametrize("verb", ["migrate", "verify"])
def test_a_table_that_is_dropped_then_is_not_there(rows: Pair, verb: str) -> None:
    rows.source.run(
        "create table gone (id serial primary key, of int default 7 references t, check (of > 0))"
    )
    with just_after_the_snapshot(rows.source, "drop table gone"):
        ran = during(rows, COPY, lambda: None, verb)
    assert "unexpected" not in ran.said


@pytest.mark.parametrize("what", ["a table", "a view", "partitions"])
def test_what_a_query_reads_is_kept_until_it_is_read(
    read: Database, tmp_path: Path, what: str
) -> None:
    table = "first" if what == "partitions" else "t"

    def truncate() -> None:
        with pytest.raises(LockNotAvailable):
            read.run("set lock_timeout = 200", f"truncate {table}")

    words = {"relations": [{"query": FROM[what], "name": "q"}], "warehouse": None}
    with before_extracting(truncate):
        ran = export(read, tmp_path, **words).expect(DONE)
    assert ran.result["rows"] == (2 if what == "partitions" else 1)


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_what_a_function_reads_is_read_again_in_another_snapshot(
    read: Database, tmp_path: Path, form: str
) -> None:
    """No plan shows it, so it is not kept."""
    again = "truncate t", "insert into t values (2, 'y'), (3, 'z')"
    words = {"relations": [{"query": FROM["a function"], "name": "q"}], "warehouse": None}
    with before_extracting(lambda: read.run(*again)):
        ran = export(read, tmp_path, format=form, **words).expect(DONE)
    assert ran.result["rows"] == 2
    assert [one for one in ran.result["notices"] if "public.t: truncated" in one]


def test_a_load_does_not_take_it_for_nothing(read: Database) -> None:
    described = QueryInput(QueryFrom(read.url, query=FROM["a function"]))
    read.run("truncate t", "insert into t values (2, 'y'), (3, 'z')")
    with pytest.raises(SnapshotLost, match=r"public\.t: truncated"):
        list(described.batches())
    assert sum(batch.num_rows for batch in described.batches()) == 2  # the step is tried again


def test_new_rows_and_new_partitions_stop_nothing(read: Database, tmp_path: Path) -> None:
    """As every day has: what is new is not of the snapshot, and nothing of it is lost."""
    work = (
        "create table third (like parts)",
        "alter table parts attach partition third for values in (3)",
        "insert into parts values (3, 'z')",
        "create index on second (v)",
        "reindex table t",
    )
    words = {"relations": [{"query": FROM["partitions"], "name": "q"}], "warehouse": None}
    with before_extracting(lambda: read.run(*work)):
        ran = export(read, tmp_path, **words).expect(DONE)
    assert ran.result["rows"] == 2
