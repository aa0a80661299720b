"""The journal itself: schema versions, ownership of runs, and watermarks."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import psycopg
import pytest

from command import DONE, REFUSED, migrate, windlass
from servers import Database, Pair
from windlass import api, recorded
from windlass.engines.postgres.transaction import begun, working_on_target
from windlass.errors import AlreadyDone, Refused, RunLost, WindlassError
from windlass.flows.rewrite.runs import read_rewrite_plan
from windlass.journal import door, records, versions
from windlass.journal.journal import Journal
from windlass.journal.watermarks import read_watermarks, watermark_statement
from windlass.model.outcome import Outcome, StartedBy, State
from windlass.model.relation import Kind, Name
from windlass.model.rewrite import Call, Kept, Selection

VERSION_1 = (Path(__file__).parent / "journals" / "version_1.sql").read_text(encoding="utf-8")
PLAN_1 = (Path(__file__).parent / "journals" / "plan_1.json").read_text(encoding="utf-8")
RUN = "20260101_0000_aaaa"
REWRITE_1 = {
    "run": RUN,
    "table": {"schema": "public", "name": "message"},
    "oid": 16384,
    "place": "127.0.0.1:5416",
    "database": "shop",
    "columns": [],
    "condition": "true",
    "changes": [],
    "missing": [],
    "key": "base",
    "id": "message_id",
    "stamp": "",
    "backup_schema": "public",
    "backup": "touched",
    "deletes_by_key": False,
    "duplicates": None,
    "function": "m:f",
    "frame": "rows",
    "batch_rows": 500,
}
COLUMNS = """
select c.relname::text, c.relpersistence::text, a.attname::text,
       format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid)
  from pg_class c
  join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
 where c.relnamespace = 'windlass'::regnamespace and c.relkind = 'r'
 order by c.relname, a.attnum
"""
CONSTRAINTS = """
select conrelid::regclass::text, conname::text, pg_get_constraintdef(oid)
  from pg_constraint where connamespace = 'windlass'::regnamespace and contype <> 'n' order by 1, 2
"""
INDEXES = (
    "select indexname::text, indexdef from pg_indexes where schemaname = 'windlass' order by 1"
)


def shape(database: Database) -> list[list[tuple[Any, ...]]]:
    return [database.rows(query) for query in (COLUMNS, CONSTRAINTS, INDEXES)]


def create(database: Database) -> None:
    with database.connect() as connection, connection.transaction():
        door.create(connection)


def put_plan(database: Database, plan: str) -> None:
    with database.connect() as connection:
        connection.execute("update windlass.run set plan = %s", (zlib.compress(plan.encode()),))


def version_of(database: Database) -> int:
    with database.connect() as connection:
        return versions.read_version(connection)


def insert_run(connection: psycopg.Connection[Any], run: str = RUN) -> None:
    with connection.transaction():
        door.create(connection)
        records.insert_any_run(connection, "migrate", run, ("a source", "shop"), {}, b"{}")


def journal_of(connection: psycopg.Connection[Any]) -> Journal:
    insert_run(connection)
    return Journal(RUN, working_on_target)


# versions


@pytest.mark.parametrize("pair", [(15, 15), (16, 18)], indirect=True)
def test_an_upgraded_journal_is_as_a_new_one_and_keeps_what_it_has(pair: Pair) -> None:
    old, new = pair.target, pair.target.server.create_database()
    old.run(VERSION_1)
    lines = (
        "select relation, rows, size_bytes, seconds, snapshot, at from windlass.line order by at"
    )
    before = old.rows(lines)
    writer = old.value("select xmin::text from windlass.line where step = 'transfer_table_data'")
    create(old)
    create(new)
    assert shape(old) == shape(new)
    assert version_of(old) == version_of(new) == versions.VERSION
    assert old.rows(lines) == before
    assert old.rows("select run from windlass.crash_marker") == [(RUN,)]
    assert old.rows("select version from windlass.schema_version order by 1") == [
        (version,) for version in range(1, versions.VERSION + 1)
    ]
    assert old.rows("select step, note->'source', note->'xids' from windlass.line order by 1") == [
        ("copy_tables", [7, "a"], [writer]),  # which still tells whose the copied rows are
        ("create_indexes", None, None),
    ]


def test_an_upgrade_keeps_plans_readable(pair: Pair) -> None:
    """The plan is what an earlier windlass has written; else nobody could undo that run."""
    pair.target.run(VERSION_1)
    put_plan(pair.target, PLAN_1)
    create(pair.target)
    with pair.target.connect() as connection:
        plan = records.read_plan(connection, RUN)
    relations = {str(one.target): one for one in plan.relations}
    assert relations["shop.p0"].root == Name("shop", "p")
    big = relations["shop.big"]
    assert (big.relation.kind, big.relation.identity) == (Kind.TABLE, "16424")
    assert (big.root, big.relation.scan_bytes) == (None, 87 * 8192)
    assert [(kind, str(name)) for kind, name, _ in plan.objects.others] == [
        ("materialized view", "shop.m"),
        ("partitioned", "shop.p"),
        ("view", "shop.v"),
    ]
    assert plan.objects.large_objects.count == 1
    assert plan.objects.materialized_views == (Name("shop", "m"),)
    assert {one.component for one in plan.statements} == {0, 223}
    assert (plan.how.verify, plan.how.most_statements, plan.how.notes_sums) == ("full", 200, True)
    assert (plan.made.tools, plan.made.version) == ({"pg_dump": "18.4"}, "0.1.0")
    assert "copy_tables" in plan.estimate.steps


def test_an_upgrade_keeps_plans_of_rewrites_readable(pair: Pair) -> None:
    pair.target.run(VERSION_1, "update windlass.run set flow = 'rewrite'")
    put_plan(pair.target, json.dumps(REWRITE_1))
    create(pair.target)
    with pair.target.connect() as connection:
        plan = read_rewrite_plan(connection, RUN)
    assert plan.title == "public.message of shop on 127.0.0.1:5416"
    assert (plan.kept, plan.call) == (Kept("touched", "public"), Call("m:f", "rows", 500))
    assert plan.selection == Selection("true")


@pytest.mark.parametrize("words", [("status", "--json"), ("status", "--json", RUN)])
def test_a_run_of_an_older_windlass_is_reported(words: tuple[str, ...], pair: Pair) -> None:
    pair.target.run(VERSION_1)
    put_plan(pair.target, PLAN_1)
    windlass(*words, pair=pair).expect(DONE)


def test_a_process_of_the_older_windlass_journals_nothing_more(pair: Pair) -> None:
    pair.target.run(VERSION_1)
    with pair.target.connect() as connection:
        old = Journal(RUN, working_on_target, epoch=3)
        create(pair.target)
        with pytest.raises(RunLost):
            old.once(connection, "step", "one", lambda _: {})


@pytest.mark.parametrize("words", [("status", "--json"), ("plan", "--json")])
def test_the_next_command_upgrades_an_older_journal(words: tuple[str, ...], pair: Pair) -> None:
    pair.source.run("create table t as select 1 as a")
    pair.target.run(VERSION_1, "delete from windlass.run")
    windlass(*words, pair=pair).expect(DONE)
    assert version_of(pair.target) == versions.VERSION
    run = migrate(pair).expect(DONE).result["run"]
    windlass("rollback", "--json", "--yes", run, pair=pair).expect(DONE)


def test_who_only_looks_leaves_a_journal_that_can_be_read_as_it_is(pair: Pair) -> None:
    """An older windlass may be at work on it, and would not know the tables of a newer one."""
    pair.source.run("create table t as select 1 as a")
    run = migrate(pair).expect(DONE).result["run"]
    pair.target.run(
        "drop table windlass.act, windlass.log",
        f"update windlass.schema_version set version = {versions.READABLE}",
    )
    listed = windlass("status", "--json", pair=pair).expect(DONE).result["runs"]
    assert [one["run"] for one in listed] == [run]
    assert windlass("status", "--json", run, pair=pair).expect(DONE).result["acts"] == []
    assert recorded.read_log(pair.target.url, run, looking=True).entries
    foreseen = api.foresee_rollback(pair.target.url, run)
    assert foreseen and "drops 1 table" in foreseen.summary
    assert version_of(pair.target) == versions.READABLE
    windlass("rollback", "--json", "--yes", run, pair=pair).expect(DONE)
    assert version_of(pair.target) == versions.VERSION


def test_the_page_never_upgrades_a_journal(pair: Pair) -> None:
    """It says how that is done."""
    pair.target.run(VERSION_1)
    for look in (
        lambda: api.status(pair.target.url, looking=True),
        lambda: api.read_run(pair.target.url, RUN, looking=True),
        lambda: recorded.read_plan(pair.target.url, RUN, looking=True),
        lambda: recorded.read_log(pair.target.url, RUN, looking=True),
    ):
        with pytest.raises(Refused) as caught:
            look()
        (problem,) = caught.value.problems
        assert f"upgraded to version {versions.VERSION}" in problem.message
        assert "windlass status" in problem.hint
    assert version_of(pair.target) == 1


def test_an_older_journal_that_is_only_to_be_read_is_refused(pair: Pair) -> None:
    pair.target.run(VERSION_1)
    with pair.target.connect() as connection:
        connection.execute("set default_transaction_read_only = on")
        with pytest.raises(Refused) as caught:
            door.exists(connection)
    assert "of an older windlass" in caught.value.problems[0].message
    assert version_of(pair.target) == 1


def test_an_upgrade_that_fails_leaves_the_journal_as_it_was(pair: Pair) -> None:
    pair.target.run(VERSION_1, "create table windlass.watermark (a int)")
    before = shape(pair.target)
    with pytest.raises(psycopg.errors.DuplicateTable):
        create(pair.target)
    assert shape(pair.target) == before


def test_a_run_that_stopped_under_an_older_version_resumes(pair: Pair) -> None:
    pair.source.run("create table t as select 1 as a")
    run = migrate(pair).expect(DONE).result["run"]
    pair.target.run(
        "drop table windlass.schema_version, windlass.watermark, windlass.following,"
        " windlass.applied, windlass.marker, windlass.request, windlass.ddl, windlass.act,"
        " windlass.log",
        "alter table windlass.run drop column caller_url",
        "alter table windlass.crash_marker rename to survivor",
        "alter index windlass.crash_marker_pkey rename to survivor_pkey",
        "update windlass.run set state = 'interrupted'",
        "update windlass.line set step = 'transfer_table_data' where step = 'copy_tables'",
        "delete from windlass.line where step like 'validate%' or step = 'set_sequences'",
    )
    result = migrate(pair).expect(DONE).result
    assert (result["run"], result["resumed"]) == (run, True)
    assert version_of(pair.target) == versions.VERSION


@pytest.mark.parametrize(
    "words",
    [
        ("plan", "--json"),
        ("migrate", "--json"),
        ("status", "--json"),
        ("rollback", "--json", "--yes", RUN),
    ],
)
def test_a_journal_of_a_newer_version_is_refused_and_left_alone(
    words: tuple[str, ...], pair: Pair
) -> None:
    pair.source.run("create table t (a int)")
    create(pair.target)
    newer = versions.VERSION + 1
    pair.target.run(f"insert into windlass.schema_version (version) values ({newer})")
    (problem,) = windlass(*words, pair=pair).expect(REFUSED).result["problems"]
    assert f"has schema version {newer}" in problem["message"]
    assert problem["hint"] == "upgrade windlass on this machine"
    assert pair.target.value("select to_regclass('public.t')") is None


def test_a_journal_of_a_newer_version_is_not_created_over(pair: Pair) -> None:
    create(pair.target)
    pair.target.run("insert into windlass.schema_version (version) values (99)")
    with pytest.raises(Refused):
        create(pair.target)


# a run


def test_work_that_fails_leaves_no_line_and_work_that_is_done_is_not_done_twice(pair: Pair) -> None:
    with pair.target.connect() as connection:
        journal = journal_of(connection)
        with pytest.raises(WindlassError, match="step one: division by zero"):
            journal.once(connection, "step", "one", lambda c: {"x": c.execute("select 1/0")})
        assert ("step", "one") not in journal
        assert journal.once(connection, "step", "one", lambda _: {"rows": 5}) == {"rows": 5}
        assert journal.once(connection, "step", "one", lambda _: {"rows": 6}) == {"rows": 5}
        assert journal.lacking({"step": ["one", "two"], "other": []}) == {"step": ["two"]}


def test_work_that_another_session_has_committed_is_found_done(pair: Pair) -> None:
    """As after a commit whose answer was lost."""
    with pair.target.connect() as connection:
        journal = journal_of(connection)
        knowing_less = Journal(RUN, working_on_target)
        journal.once(connection, "step", "one", lambda _: {"rows": 5})
        assert knowing_less.once(connection, "step", "one", lambda _: {"rows": 6}) == {"rows": 5}


def test_work_is_never_taken_for_done_where_the_journal_does_not_have_it(pair: Pair) -> None:
    def work(_: psycopg.Connection[Any]) -> dict[str, Any]:
        raise AlreadyDone("another has done it")

    with pair.target.connect() as connection:
        journal = journal_of(connection)
        with pytest.raises(AlreadyDone):
            journal.once(connection, "step", "one", work)
        assert ("step", "one") not in journal


def test_who_has_lost_the_run_journals_nothing_more(pair: Pair) -> None:
    with pair.target.connect() as connection:
        journal = journal_of(connection)
        records.take_over(connection, RUN, StartedBy("another"))
        for work in (
            lambda: journal.once(connection, "step", "one", lambda _: {}),
            lambda: journal.fenced(connection, "step", lambda _: None),
            lambda: journal.end(connection, State.DONE, Outcome(RUN, State.DONE)),
        ):
            with pytest.raises(RunLost, match="taken over by another process"):
                work()
        assert records.read_lines(connection, RUN) == []
        assert records.read_runs(connection)[0].state is State.RUNNING


# watermarks


def test_a_watermark_moves_with_the_work_up_to_it_or_not_at_all(pair: Pair) -> None:
    with pair.target.connect() as connection:
        journal = journal_of(connection)
        connection.execute("create table t (a int)")
        for value, fails in (("0/15D6B80", False), ("0/15D6C00", True), ("0/15D6D00", False)):
            try:
                with begun(connection, journal.fence) as transaction:
                    journal.check_epoch(transaction.answers[0])
                    connection.execute("insert into t values (1)")
                    transaction.last.append(watermark_statement(RUN, "public.t", value))
                    if fails:
                        raise InterruptedError
            except InterruptedError:
                assert read_watermarks(connection, RUN) == {"public.t": "0/15D6B80"}
        assert read_watermarks(connection, RUN) == {"public.t": "0/15D6D00"}
        assert connection.execute("select count(*) from t").fetchone() == (2,)


def test_watermarks_are_of_one_run_and_go_with_it(pair: Pair) -> None:
    value = "it's \\ 'exact'"
    with pair.target.connect() as connection:
        insert_run(connection, "one")
        insert_run(connection, "two")
        connection.execute(watermark_statement("one", "a", value).encode())
        connection.execute(watermark_statement("two", "a", "2").encode())
        assert read_watermarks(connection, "one") == {"a": value}
        connection.execute("delete from windlass.run where run = 'one'")
        assert read_watermarks(connection, "one") == {}
        assert read_watermarks(connection, "two") == {"a": "2"}
