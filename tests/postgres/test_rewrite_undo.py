"""The result when a rewrite cannot continue or is undone: no row is lost or duplicated."""

from __future__ import annotations

import json
import threading
import zlib
from collections.abc import Callable
from datetime import date
from functools import partial
from typing import Any

import pytest

from rewrites import PRODUCT, STEPS, done, fill, left_over, problems, rows, run, spec, step, steps
from servers import Database
from windlass.api import clean, foresee_rollback, plan, read_left, rollback, status
from windlass.cli.asking import confirm_rollback
from windlass.errors import Refused, WindlassError
from windlass.inplace.check import literal
from windlass.model.event import ignore
from windlass.model.outcome import State
from windlass.model.planned import Style

Make = Callable[[int], Database]
RUN_2 = "airflow migrate_to_db run_2"
ALIKE = {"set": {"body": {"value": "same"}}, "drop_duplicates": ["base"]}


@pytest.fixture
def messages(database: Make) -> Database:
    return fill(database(16))


def undo(database: Database, name: str) -> None:
    undone = rollback(database.url, name, ignore)
    assert undone.state is State.ROLLED_BACK, undone.reason.problems


def refusal(database: Database, name: str) -> str:
    undone = rollback(database.url, name, ignore)
    assert undone.state is State.REFUSED
    return "\n".join(map(str, undone.reason.problems))


def backup_of(database: Database) -> list[tuple[Any, ...]]:
    return database.rows("select * from backup.message order by 1")


def last_run(database: Database) -> str:
    found: str = database.value("select run from windlass.run order by started_at desc limit 1")
    return found


# a write that cannot happen


@pytest.mark.parametrize("words", [{"delete": "all_with_key"}, {"drop_duplicates": ["base"]}])
def test_deleted_rows_come_back_when_the_write_breaks_a_constraint(
    words: dict[str, Any], messages: Database
) -> None:
    done(messages, {**PRODUCT, "select": "message_id = 1"})
    kept = backup_of(messages)
    messages.run("alter table message add check (total < 100)")
    before = rows(messages)
    outcome = run(messages, {"set": {"total": {"value": 100}}, **words})
    assert outcome.state is State.STOPPED and "message_total_check" in outcome.reason.message
    assert any("had deleted are back" in one for one in outcome.notices)
    assert rows(messages) == before
    assert backup_of(messages) == kept
    assert left_over(messages) == []
    assert done(messages).totals.counts["written"] == 20


def test_a_run_that_was_killed_after_it_deleted_and_cannot_write_gives_its_rows_back(
    messages: Database,
) -> None:
    before = rows(messages)
    words = {"set": {"total": {"value": 100}}, "drop_duplicates": ["base"]}
    steps(messages, STEPS[0], "delete_rows", words)
    assert len(rows(messages)) < len(before)
    messages.run("alter table message add constraint low check (total < 100) not valid")
    assert step(messages, STEPS[0], {**PRODUCT, "select": "false"}, RUN_2)["rows"] == 0
    assert rows(messages) == before
    assert left_over(messages) == []


def test_deleted_rows_that_do_not_fit_any_more_are_kept_aside(messages: Database) -> None:
    steps(messages, STEPS[0], "delete_rows", ALIKE)
    gone = 40 - len(rows(messages))
    messages.run("alter table message drop body, add word text not null default 'x'",
                 "alter table message alter word drop default")  # fmt: skip
    with pytest.raises(WindlassError, match="was altered"):
        step(messages, "write_rows", ALIKE)
    name = last_run(messages)
    assert messages.value(f"select count(*) from windlass.kept_{name}") == gone
    assert messages.value(f"select count(body) from windlass.kept_{name}") == gone


def test_duplicates_come_back_when_the_row_that_was_to_stay_is_changed_before_the_write(
    messages: Database,
) -> None:
    words = {**PRODUCT, "drop_duplicates": ["base"], "backup": "touched",
             "select": "base = 'base 1'"}  # fmt: skip
    steps(messages, STEPS[0], "delete_rows", words)
    messages.run("update message set body = 'theirs' where message_id = 4")
    result = steps(messages, "write_rows", STEPS[-1], words)
    assert (result["written"], result["duplicates_deleted"]) == (0, 0)
    found = rows(messages, "message_id, body", "base = 'base 1'")
    assert found == [(4, "theirs"), (5, "body 5"), (6, "body 6"), (7, "body 7")]


def test_a_stamp_that_fails_changes_nothing_and_does_not_hold_up_later_runs(
    messages: Database,
) -> None:
    messages.run("alter table message add constraint never check (exported_at > '9000-01-01')"
                 " not valid")  # fmt: skip
    before = rows(messages)
    outcome = run(messages, {"set": {"body": {"value": "new"}}})
    assert outcome.state is State.STOPPED and "never" in outcome.reason.message
    later = {"select": "false", "set": {"body": {"value": "other"}}}
    outcome = done(messages, later)
    assert any("it had not changed a row" in notice for notice in outcome.notices)
    assert rows(messages) == before
    assert left_over(messages) == []


def test_a_column_that_is_altered_before_the_stamp_does_not_have_rows_changed_twice(
    messages: Database,
) -> None:
    words = {"set": {"total": {"sql": "total * 2"}}}
    steps(messages, STEPS[0], "write_rows", words)
    messages.run("alter table message alter total type numeric")
    assert step(messages, STEPS[-1], words)["stamped"] == 20
    assert done(messages, words).totals.counts["selected"] == 0


def test_an_id_that_cannot_be_compared_is_refused_before_anything_is_written(
    messages: Database,
) -> None:
    messages.run("alter table message add document json")
    assert "id document: is of type json" in problems(messages, {**PRODUCT, "id": "document"})


# one backup and others


def test_a_run_that_is_dropped_or_fails_leaves_the_backup_before_it(messages: Database) -> None:
    first = done(messages).run
    kept = backup_of(messages)
    words = {**PRODUCT, "select": "true"}
    steps(messages, STEPS[0], "back_up_rows", words)
    steps(messages, STEPS[0], STEPS[-1], {**words, "select": "false"}, RUN_2)
    assert backup_of(messages) == kept
    messages.run("alter table message add constraint low check (product_id <> 'X') not valid")
    assert run(messages, {**words, "add": {"product_id": {"value": "X"}}}).state is State.STOPPED
    assert backup_of(messages) == kept
    with_first = [one.run for one in status(messages.url) if one.kept.backup == "backup.message"]
    assert with_first == [first]


def test_a_backup_of_another_schemas_table_is_never_dropped(messages: Database) -> None:
    messages.run("create schema sales", "create table sales.message (like message including all)",
                 "insert into sales.message select * from message")  # fmt: skip
    first = done(messages).run
    said = problems(messages, {**PRODUCT, "schema": "sales"})
    assert "backup.message: holds the backup of public.message" in said
    theirs = done(messages, {**PRODUCT, "schema": "sales", "backup_schema": "sales_backup"})
    assert theirs.totals.counts["written"] == 20
    undo(messages, first)
    assert messages.value("select count(*) from sales.message where product_id = 'ABCD'") == 20


def test_a_touched_backup_keeps_the_only_copy_of_a_deleted_row_beside_an_equal_one(
    database: Make,
) -> None:
    """Of three equal rows one is written, one deleted, and one left as somebody has changed it."""
    found = database(16)
    found.run(
        "create table message (message_id int, base text, body text, exported_at timestamp)",
        "insert into message select 1, 'a', 'x', '9999-12-31' from generate_series(1, 3)",
    )
    words = {**PRODUCT, "backup": "touched", "drop_duplicates": ["body"]}
    steps(found, STEPS[0], "back_up_rows", words)
    found.run("update message set body = 'theirs' where ctid = '(0,2)'")
    steps(found, "delete_rows", STEPS[-1], words)
    assert found.rows("select body, product_id from message order by 1") == [
        ("theirs", None),
        ("x", "ABCD"),
    ]
    assert found.value("select count(*) from backup.message") == 2


@pytest.mark.parametrize("words", [{"delete": "all_with_key"}, {"drop_duplicates": ["base"]}])
def test_undoing_half_a_run_leaves_what_others_have_changed(
    words: dict[str, Any], messages: Database
) -> None:
    words = {**PRODUCT, "backup": "touched", "select": "message_id in (4, 5, 8)", **words}
    before = rows(messages)
    steps(messages, STEPS[0], "back_up_rows", words)
    messages.run("update message set body = 'theirs' where message_id in (8, 9)")
    step(messages, "delete_rows", words)
    assert len(rows(messages)) < len(before)
    undo(messages, last_run(messages))
    expected = [(*one[:2], "theirs", *one[3:]) if one[0] in (8, 9) else one for one in before]
    assert rows(messages) == expected
    assert left_over(messages) == []


def test_a_plan_says_whose_backup_is_replaced(messages: Database) -> None:
    assert "replaces" not in plan(spec(messages)).as_text(Style())
    first = done(messages).run
    assert f"replaces the backup of {first}" in plan(spec(messages)).as_text(Style())


@pytest.mark.parametrize("kept", ["full", "touched"])
@pytest.mark.parametrize(
    "write", ["update message set body = 'theirs' where message_id = 4", "delete from message"
              " where message_id = 4"],
)  # fmt: skip
def test_what_others_have_changed_since_is_not_overwritten_unasked(
    kept: str, write: str, messages: Database
) -> None:
    before = rows(messages)
    name = done(messages, {**PRODUCT, "backup": kept}).run
    messages.run(write)
    theirs = rows(messages)
    assert "public.message: 1 row that others have changed or deleted" in refusal(messages, name)
    with pytest.raises(Refused, match="1 problem"):
        confirm_rollback(name, foresee_rollback(messages.url, name), force=False)
    assert rows(messages) == theirs
    assert rollback(messages.url, name, ignore, force=True).state is State.ROLLED_BACK
    assert rows(messages) == before


# rows are identified


@pytest.mark.parametrize("has_id", [True, False])
def test_a_stamp_in_the_key_does_not_double_rows_on_the_way_back(
    has_id: bool, messages: Database
) -> None:
    """As in a table that is partitioned by time."""
    messages.run("alter table message drop constraint message_pkey",
                 "alter table message add primary key (message_id, exported_at)")  # fmt: skip
    if not has_id:
        messages.run("insert into message values (2, 'base 0', 'old', 0, '2025-01-01')")
    before = rows(messages)
    name = done(messages).run
    if has_id:
        undo(messages, name)
        assert rows(messages) == before
    else:
        assert "it has changed exported_at of the key" in refusal(messages, name)


def test_without_key_and_id_a_rollback_says_so(messages: Database) -> None:
    messages.run("alter table message drop message_id")
    name = done(messages, {**PRODUCT, "stamp": None}).run
    assert "public.message has no key, and message_id does not tell" in refusal(messages, name)


@pytest.mark.parametrize("later", [{"backup": "none"}, {"backup_schema": "elsewhere"}])
def test_a_rollback_does_not_undo_what_a_later_run_has_changed(
    later: dict[str, Any], messages: Database
) -> None:
    first = done(messages).run
    second = done(messages, {**PRODUCT, "select": "message_id = 1", **later}).run
    assert f"run {second}, which came later" in refusal(messages, first)


def test_nobody_queues_behind_a_rollback_that_waits(messages: Database) -> None:
    name = done(messages).run
    with messages.connect() as writer:
        writer.execute("begin")
        writer.execute("update message set body = 'mine' where message_id = 1")
        forced = partial(rollback, messages.url, name, ignore, force=True)
        undoing = threading.Thread(target=forced)
        undoing.start()
        messages.run("set statement_timeout to '5s'",
                     "update message set total = 1 where message_id = 3")  # fmt: skip
        writer.execute("commit")
        undoing.join()


# values


@pytest.mark.parametrize("type_", ["varchar(3)", "char(3)", "bit(3)", "short", "varchar(3)[]"])
@pytest.mark.parametrize("how", ["value", "sql"])
def test_values_that_are_too_long_are_reported_and_never_cut(
    type_: str, how: str, messages: Database
) -> None:
    messages.run("create domain short as varchar(3)", f"alter table message add code {type_}")
    value: Any = "101010" if type_ == "bit(3)" else "ABCDEF"
    if type_.endswith("[]"):
        value = [value]
    words = {"set": {"code": {"value": value}}}
    if how == "sql":
        words = {"set": {"code": {"sql": f"array['{value[0]}']" if type_.endswith("[]")
                                  else f"'{value}'::text"}}}  # fmt: skip
    outcome = run(messages, words)
    said = outcome.reason.message + "".join(map(str, outcome.reason.problems))
    assert outcome.state in (State.STOPPED, State.REFUSED)
    assert "code" in said and ("too long" in said or "does not match type bit(3)" in said), said
    assert messages.value("select count(code) from message") == 0


@pytest.mark.parametrize(
    ("type_", "value", "said"),
    [
        ("int", 1.6, "set code: more digits than integer keeps"),
        ("int", True, "set code: true or false, where the column is integer"),
        ("numeric(5, 2)", 1.239, "set code: more digits than numeric(5,2) keeps"),
    ],
)
def test_constants_that_their_column_would_round_are_refused(
    type_: str, value: Any, said: str, messages: Database
) -> None:
    messages.run(f"alter table message add code {type_}")
    assert said in problems(messages, {"set": {"code": {"value": value}}})


def test_constants_of_another_type_that_are_the_same_are_stored(messages: Database) -> None:
    messages.run("alter table message add code int, add rate numeric(5, 2), add real real")
    words = {"code": {"value": 2.0}, "rate": {"value": 1.5}, "real": {"value": 0.1}}
    done(messages, {"set": words})
    assert rows(messages, "code, rate::text, real::text", "message_id = 2") == [(2, "1.50", "0.1")]


def test_values_that_fit_are_stored_as_an_update_would(messages: Database) -> None:
    messages.run("alter table message add code char(3), add bits bit(3), add word varchar(3)[]")
    words = {
        "set": {
            "code": {"value": "ab"}, "bits": {"sql": "'101'::varbit"}, "word": {"value": ["abc"]},
            "total": {"sql": "1.239"},
        }
    }  # fmt: skip
    done(messages, words)
    found = rows(messages, "code, bits::text, word, total::text", "message_id = 2")
    assert found == [("ab ", "101", ["abc"], "1.24")]


def test_a_foreign_key_that_points_at_a_partition_is_seen(messages: Database) -> None:
    messages.run(
        "create table parted (message_id int, base text, exported_at timestamp)"
        " partition by list (base)",
        "create table part partition of parted (primary key (message_id)) default",
        "create table reply (message int references part on delete set null)",
    )
    said = problems(messages, {**PRODUCT, "table": "parted", "drop_duplicates": True})
    assert "reply_message_fkey" in said


def test_errors_of_the_driver_are_reported_as_ours_wherever_they_come_up(
    messages: Database,
) -> None:
    done(messages)
    step(messages, STEPS[0])
    messages.run("alter table windlass.line rename column note to notes")
    with pytest.raises(WindlassError, match='column "note" does not exist'):
        step(messages, STEPS[1])


def test_a_time_inside_a_document_is_text() -> None:
    given = literal({"day": date(2026, 1, 1)}, "jsonb")
    assert given.as_string(None) == """'{"day": "2026-01-01"}'"""


def test_status_does_not_call_a_run_killed_that_is_between_two_tasks(messages: Database) -> None:
    steps(messages, STEPS[0], "back_up_rows")
    assert [one.active for one in status(messages.url)] == [True]
    messages.run("update windlass.line set at = at - interval '2 minutes'")
    assert [one.active for one in status(messages.url)] == [False]


def test_a_column_that_stays_behind_is_reported(messages: Database) -> None:
    messages.run("alter table message add constraint low check (total < 100) not valid")
    words = {**PRODUCT, "set": {"total": {"value": 100}}}
    assert run(messages, words).state is State.STOPPED
    outcome = done(messages, {**PRODUCT, "select": "false"})
    assert any("product_id, which it had added, stays" in one for one in outcome.notices)


def test_what_is_refused_after_the_run_began_is_not_said_to_have_written_nothing(
    messages: Database,
) -> None:
    """Somebody makes a table in the backup's place in the middle of a run."""
    messages.run(
        "create function take_place() returns text language plpgsql as $$ begin"
        " create schema if not exists backup;"
        " create table if not exists backup.message (mine int); return 'x'; end $$"
    )
    before = rows(messages)
    outcome = run(messages, {"set": {"body": {"sql": "take_place()"}}})
    assert outcome.state is State.STOPPED
    assert "backup.message: has the name of the backup" in outcome.reason.message
    assert rows(messages) == before
    assert messages.rows("select * from backup.message") == []


def test_clean_removes_a_backup_with_its_run_and_leaves_a_later_one(messages: Database) -> None:
    done(messages, {**PRODUCT, "select": "message_id = 1"})
    first = last_run(messages)
    done(messages, {**PRODUCT, "select": "message_id = 2"})
    earlier, later = read_left(messages.url, first), read_left(messages.url, "")[0]
    assert earlier[0].backup is None and str(later.backup) == "backup.message"
    assert later.size_bytes > 0
    clean(messages.url, earlier)
    assert backup_of(messages)
    messages.run("create view mine as select * from backup.message")
    with pytest.raises(Refused) as refused:
        clean(messages.url, [later])
    assert "view public.mine" in str(refused.value.problems[0])
    messages.run("drop view mine")
    clean(messages.url, [later])
    assert messages.value("select to_regclass('backup.message')") is None


# a run of another build


def of_another_build(database: Database, name: str) -> None:
    """Its plan has not all that this one's have."""
    query = "select plan from windlass.run where run = %s"
    packed = database.value(query, (name,))
    old = {key: one for key, one in json.loads(zlib.decompress(packed)).items() if key != "kept"}
    with database.connect() as connection:
        connection.execute(
            "update windlass.run set plan = %s where run = %s",
            (zlib.compress(json.dumps(old).encode()), name),
        )


@pytest.mark.parametrize("external_run", ["", RUN_2], ids=["same command", "same DAG run"])
def test_a_run_that_another_build_has_begun_is_not_resumed(
    external_run: str, messages: Database
) -> None:
    steps(messages, "read_rows", "back_up_rows", external_run=external_run)
    name, before = last_run(messages), rows(messages)
    of_another_build(messages, name)
    if external_run:
        with pytest.raises(WindlassError) as caught:
            step(messages, "delete_rows", external_run=external_run)
        said = f"{caught.value} {caught.value.hint}"
    else:
        why = run(messages).reason
        said = "\n".join([why.message, why.hint, *map(str, why.problems)])
    assert f"run {name} was begun by another build of windlass" in said
    assert "finish it or undo it with" in said
    assert rows(messages) == before
    (shown,) = status(messages.url)
    assert (shown.run, shown.source, shown.state) == (name, "public.message", State.RUNNING)


def test_a_run_that_another_build_has_done_is_shown_and_not_undone(messages: Database) -> None:
    name = done(messages).run
    of_another_build(messages, name)
    (shown,) = status(messages.url)
    assert (shown.run, shown.progress.rows, shown.state) == (name, 20, State.DONE)
    assert "another build of windlass" in refusal(messages, name)
    assert [one.backup for one in read_left(messages.url)] == [None]
    messages.run("update message set exported_at = '9999-12-31' where message_id = 2")
    assert done(messages).totals.counts["written"] == 1
