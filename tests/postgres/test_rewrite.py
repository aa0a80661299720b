"""What a rewrite does to a table, option by option; and how it is undone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rewrites import PRODUCT, done, fill, left_over, problems, rows, run, spec
from servers import Database, Server
from windlass.api import foresee_rollback, rollback, status
from windlass.errors import Refused
from windlass.flows.rewrite.runs import KEPT_RUNS
from windlass.inplace import check
from windlass.model.event import ignore
from windlass.model.outcome import State

Make = Callable[[int], Database]


@pytest.fixture(params=[15, 16, 18])
def anywhere(request: pytest.FixtureRequest, database: Make) -> Database:
    return fill(database(request.param))


@pytest.fixture
def messages(database: Make) -> Database:
    return fill(database(16))


def undo(database: Database, name: str, *, force: bool = False) -> Any:
    return rollback(database.url, name, ignore, force=force)


# what is selected


def test_the_original_task_is_done_as_it_was_meant(anywhere: Database) -> None:
    outcome = done(anywhere)
    assert outcome.totals.counts["written"] == outcome.totals.counts["stamped"] == 20
    assert outcome.totals.counts["backed up"] == 40
    changed = "product_id = 'ABCD' and exported_at > now() - interval '1 minute'"
    assert rows(anywhere, "message_id", changed) == [(n,) for n in range(2, 41, 2)]
    untouched = "product_id is null and exported_at = '2026-01-01'"
    assert rows(anywhere, "message_id", untouched) == [(n,) for n in range(1, 41, 2)]
    assert left_over(anywhere) == []


def test_all_rows_of_a_run_bear_the_same_moment(messages: Database) -> None:
    done(messages)
    query = "select count(distinct exported_at) from message where product_id = 'ABCD'"
    assert messages.value(query) == 1


def test_nothing_selected_changes_nothing_not_even_the_backup(messages: Database) -> None:
    done(messages)
    before = rows(messages), messages.rows("select ctid, * from backup.message order by 2")
    columns = "select count(*) from pg_attribute where attrelid = 'message'::regclass"
    count = messages.value(columns)
    outcome = done(messages, {"add": {"other": {"value": 1}}})
    assert outcome.totals.counts["selected"] == 0
    assert (
        rows(messages),
        messages.rows("select ctid, * from backup.message order by 2"),
    ) == before
    assert messages.value(columns) == count


def test_the_next_run_selects_nothing_as_the_rows_are_stamped(messages: Database) -> None:
    done(messages)
    assert done(messages).totals.counts["selected"] == 0


def test_ended_runs_do_not_fill_the_journal_for_ever(messages: Database) -> None:
    first = done(messages).run
    copy = "insert into windlass.run select run || n, flow, state, source, source_name, essence,"
    copy += " version, plan, outcome, caller, epoch, started_at + n * interval '1 s', finished_at"
    messages.run(f"{copy} from windlass.run, generate_series(1, 300) n")
    done(messages)
    assert messages.value("select count(*) from windlass.run") == KEPT_RUNS + 2
    assert undo(messages, first).state is State.ROLLED_BACK


# how rows change


def test_columns_are_set_by_constants_and_by_expressions(messages: Database) -> None:
    words = {
        "select": "message_id <= 3",
        "set": {"body": {"sql": "upper(body) || ' of ' || base"}, "total": {"value": 1.5}},
        "add": {"length": {"sql": "char_length(body)"}, "note": {"value": None, "type": "text"}},
    }
    done(messages, words)
    found = rows(messages, "body, total, length, note", "message_id = 3")
    assert [(body, float(total), length, note) for body, total, length, note in found] == [
        ("BODY 3 of base 0", 1.5, 6, None)
    ]
    types = messages.rows(
        "select format_type(atttypid, atttypmod) from pg_attribute"
        " where attrelid = 'message'::regclass and attname in ('length', 'note') order by attname"
    )
    assert types == [("integer",), ("text",)]


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        ("it's", "text"),
        (7, "bigint"),
        (True, "boolean"),
        (0.5, "double precision"),
        ({"a": [1, "b"]}, "jsonb"),
        ([1, 2], "integer[]"),
        ("2026-01-01", "date"),
    ],
)
def test_a_missing_column_gets_the_type_of_its_value(
    messages: Database, value: Any, type_: str
) -> None:
    given = {"type": type_} if type_ in ("jsonb", "integer[]", "date") else {}
    done(messages, {"add": {"extra": {"value": value, **given}}})
    found = messages.rows(
        "select distinct extra, pg_typeof(extra)::text from message where extra is not null"
    )
    assert len(found) == 1
    assert (str(found[0][0]) if type_ == "date" else found[0][0], found[0][1]) == (value, type_)


def test_an_added_column_that_is_there_is_only_set(messages: Database) -> None:
    done(messages)
    done(messages, {**PRODUCT, "select": "message_id = 1"})
    assert rows(messages, "product_id", "message_id = 1") == [("ABCD",)]


def test_odd_names_are_just_names(database: Make) -> None:
    found = database(16)
    found.run(
        'create schema "My Schema"',
        'create table "My Schema"."s" ("ordinal" int, "place" text, "n0" text, "o1" text,'
        ' "select" text, "t" text, "message id" int primary key, "Stamp" date)',
        """insert into "My Schema"."s" values (1, 'a', 'b', 'c', 'd', 'e', 1, null)""",
    )
    words = {
        "schema": "My Schema", "table": "s", "select": "ordinal = 1", "id": "message id",
        "stamp": "Stamp", "set": {"select": {"sql": "s.place || n0 || o1 || t"}},
        "add": {'"quoted"': {"value": "%s {x}"}}, "drop_duplicates": True,
    }  # fmt: skip
    done(found, words)
    assert found.rows(
        'select "select", """quoted""", "Stamp" = current_date from "My Schema".s'
    ) == [("abce", "%s {x}", True)]


def test_partitions_and_moves_between_them(anywhere: Database) -> None:
    anywhere.run(
        "alter table message rename to old_message",
        "create table message (message_id bigint, base text, body text, total numeric(10, 2),"
        " exported_at timestamp, primary key (message_id, base)) partition by list (base)",
        "create table message_a partition of message for values in ('a')",
        "create table message_b partition of message default",
        "insert into message select * from old_message",
    )
    done(anywhere, {"set": {"base": {"value": "a"}}})
    assert anywhere.value("select count(*) from message_a where exported_at <= now()") == 20
    assert anywhere.value("select count(*) from message_b") == 20


def test_foreign_keys_hold_and_no_cascade_fires(messages: Database) -> None:
    messages.run(
        "create table reply (id int, message bigint references message on delete cascade)",
        "insert into reply select n, n from generate_series(1, 40) n",
    )
    done(messages)
    assert messages.value("select count(*) from reply") == 40


def test_without_a_stamp_no_id_is_needed(messages: Database) -> None:
    messages.run("alter table message drop message_id")
    outcome = done(messages, {**PRODUCT, "stamp": None})
    assert outcome.totals.counts["written"] == 20 and outcome.totals.counts["stamped"] == 0


# duplicates and deleting


@pytest.fixture
def doubled(database: Make) -> Database:
    """Rows 1 and 2 are equal; 3 differs from them in its body alone; 4 has their base."""
    found = database(16)
    found.run(
        "create table message (message_id bigint, base text, body text, total numeric(10, 2),"
        " exported_at timestamp, extra json)",
        "insert into message (message_id, base, body, exported_at, extra) values"
        " (1, 'a', 'x', '9999-12-31', '{}'), (1, 'a', 'x', '9999-12-31', '{}'),"
        " (1, 'a', 'y', '9999-12-31', '{}'), (2, 'a', 'z', '2026-01-01', null),"
        " (3, 'b', 'x', '2026-01-01', null)",
    )
    return found


@pytest.mark.parametrize(
    ("wanted", "left"),
    [(False, ["x", "x", "y"]), (True, ["x", "y"]), (["message_id", "base"], ["x"])],
)
def test_duplicates_are_dropped_as_asked(doubled: Database, wanted: Any, left: list[str]) -> None:
    outcome = done(doubled, {**PRODUCT, "drop_duplicates": wanted})
    found = doubled.rows("select body from message where product_id = 'ABCD' order by body")
    assert [row[0] for row in found] == left
    assert outcome.totals.counts["duplicates deleted"] == 3 - len(left)
    assert doubled.value("select count(*) from message where base = 'b' or body = 'z'") == 2


def test_rows_are_compared_after_the_change(doubled: Database) -> None:
    done(doubled, {"set": {"body": {"value": "same"}}, "drop_duplicates": True})
    assert doubled.value("select count(*) from message where body = 'same'") == 1


def test_rows_with_the_key_go_only_where_asked_for_and_are_in_the_backup(
    doubled: Database,
) -> None:
    words = {**PRODUCT, "delete": "all_with_key", "backup": "none"}
    outcome = done(doubled, words)
    assert outcome.totals.counts["others deleted"] == 1
    assert doubled.rows("select body from message where message_id > 1") == [("x",)]
    kept = doubled.rows("select message_id, body from backup.message order by 1, 2")
    assert kept == [(1, "x"), (1, "x"), (1, "y"), (2, "z")]


# backup and rollback


def test_a_touched_backup_has_the_rows_as_they_were(messages: Database) -> None:
    before = rows(messages, where="message_id % 2 = 0")
    done(messages, {**PRODUCT, "backup": "touched"})
    assert messages.rows("select * from backup.message order by message_id") == before


def test_of_a_large_table_only_what_is_touched_is_backed_up_unless_asked(
    messages: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "FULL_BACKUP_BYTES", 4096)
    assert done(messages).totals.counts["backed up"] == 20
    outcome = done(messages, {**PRODUCT, "select": "true", "backup": "full"})
    assert outcome.totals.counts["backed up"] == 40


@pytest.mark.parametrize("kept", ["full", "touched"])
def test_a_rollback_puts_back_what_the_run_changed(anywhere: Database, kept: str) -> None:
    before = rows(anywhere)
    words = {**PRODUCT, "backup": kept, "delete": "all_with_key", "select": "message_id % 4 = 0"}
    outcome = done(anywhere, words)
    assert outcome.totals.counts["others deleted"] == 30 - 3
    anywhere.run("insert into message values (99, 'new', 'new', 0, '2026-01-01', null)")
    undone = undo(anywhere, outcome.run)
    assert undone.state is State.ROLLED_BACK, undone.reason
    after = rows(anywhere)
    assert after[:-1] == before and after[-1][0] == 99
    assert "product_id" not in column_names(anywhere)


def column_names(database: Database) -> list[str]:
    found = database.rows(
        "select attname::text from pg_attribute where attrelid = 'message'::regclass"
        " and attnum > 0 and not attisdropped"
    )
    return [row[0] for row in found]


def test_a_rollback_leaves_a_column_that_others_have_come_to_use(messages: Database) -> None:
    name = done(messages).run
    messages.run("update message set product_id = 'mine' where message_id = 1")
    messages.run("insert into message values (99, 'new', 'new', 0, '2026-01-01', 'mine')")
    assert undo(messages, name).state is State.REFUSED
    undone = undo(messages, name, force=True)
    assert undone.notices and "product_id" in column_names(messages)
    assert rows(messages, "product_id", "message_id = 99") == [("mine",)]


def test_a_rollback_by_id_where_there_is_no_key(messages: Database) -> None:
    messages.run("alter table message drop constraint message_pkey")
    before = rows(messages)
    undo(messages, done(messages).run)
    assert rows(messages) == before


def refusal(database: Database, name: str) -> str:
    """Why a run cannot be undone, which is known before anybody is asked whether to."""
    undone = undo(database, name)
    assert undone.state is State.REFUSED
    with pytest.raises(Refused) as foreseen:
        foresee_rollback(database.url, name)
    assert foreseen.value.problems == undone.reason.problems
    return "\n".join(map(str, undone.reason.problems))


def test_a_rollback_is_refused_with_the_reason(doubled: Database) -> None:
    first = done(doubled).run
    assert "does not tell its rows apart" in refusal(doubled, first)
    second = done(doubled, {**PRODUCT, "select": "true"}).run
    assert f"of run {second}, which came later" in refusal(doubled, first)
    doubled.run("drop table backup.message")
    assert "no longer exists" in refusal(doubled, second)
    third = done(doubled, {**PRODUCT, "select": "true", "backup": "none"}).run
    assert "kept no backup" in refusal(doubled, third)
    empty = done(doubled, {**PRODUCT, "select": "false"}).run
    assert "has changed nothing" in refusal(doubled, empty)


def test_a_refused_rollback_changes_nothing(messages: Database) -> None:
    name = done(messages).run
    messages.run("alter table message drop column total")
    before = rows(messages)
    assert "total" in refusal(messages, name)
    assert rows(messages) == before


def test_status_lists_rewrites_and_what_can_be_undone(messages: Database) -> None:
    first, second = done(messages).run, done(messages, {**PRODUCT, "select": "true"}).run
    found = {status.run: status for status in status(messages.url)}
    assert [found[one].progress.rows for one in (first, second)] == [20, 40]
    assert [found[one].kept.backup for one in (first, second)] == ["", "backup.message"]
    assert {status.flow for status in found.values()} == {"rewrite"}


# what it refuses


def test_every_problem_is_reported_at_once_and_nothing_is_written(messages: Database) -> None:
    messages.run("alter table message add twice int generated always as (message_id * 2) stored")
    said = problems(
        messages,
        {
            "select": "exportd_at = 1",
            "set": {"bdy": {"value": 1}, "twice": {"value": 1}, "total": {"value": "much"}},
            "add": {"more": {"sql": "no_such(base)"}, "typed": {"value": 1, "type": "no_type"}},
            "id": "mesage_id",
            "stamp": "body",
            "function": "no_such_module:function",
            "drop_duplicates": ["nobody"],
        },
    )
    for words in (
        'select: column "exportd_at" does not exist',
        "set bdy: public.message has no such column (did you mean body?)",
        "set twice: is a generated column",
        "set total: invalid input syntax",
        "add more: function no_such(text) does not exist",
        'add typed: type no_type: type "no_type" does not exist',
        "id mesage_id: public.message has no such column (did you mean message_id?)",
        "stamp body: is of type text, which takes no time",
        "function no_such_module:function: cannot be imported",
        "drop-duplicates nobody",
    ):
        assert words in said, said
    assert messages.value("select to_regnamespace('windlass')") is None


def test_a_second_statement_hidden_in_a_condition_is_refused(messages: Database) -> None:
    said = problems(messages, {"select": "true); drop table message; select (true"})
    assert "cannot insert multiple commands" in said
    assert len(rows(messages)) == 40


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mesage", "there is no such table (did you mean public.message?)"),
        ("public.message", "(give its schema separately: `schema: public`, `table: message`)"),
        ("seen", "is a view"),
    ],
)
def test_what_is_no_table_is_refused(messages: Database, name: str, said: str) -> None:
    messages.run("create view seen as select * from message")
    assert said in problems(messages, {"table": name})


def test_a_table_in_the_backups_place_is_never_dropped(messages: Database) -> None:
    messages.run("create schema backup", "create table backup.message as select 1 as mine")
    assert "not made by Windlass" in problems(messages)
    assert messages.rows("select * from backup.message") == [(1,)]


def test_deleting_what_would_take_other_tables_rows_is_refused(messages: Database) -> None:
    messages.run("create table reply (message bigint references message on delete cascade)")
    said = problems(messages, {**PRODUCT, "delete": "all_with_key"})
    assert "reply_message_fkey" in said


@pytest.fixture
def guest(server: Callable[[int], Server], messages: Database) -> Iterator[str]:
    """The URL of a role that may do nothing yet."""
    messages.run("drop role if exists guest", "create role guest login")
    password = "alter role guest password 'guest'"
    messages.run(password)
    yield f"postgresql://guest:guest@127.0.0.1:{messages.server.port}/{messages.name}"
    messages.run("drop owned by guest", "drop role guest")


def test_missing_privileges_are_reported_together(messages: Database, guest: str) -> None:
    messages.run("grant select on message to guest")
    said = problems(messages, {**PRODUCT, "connection": guest, "drop_duplicates": True})
    for words in (
        "may not change it",
        "may not delete from it",
        "only its owner may add product_id",
        "schema windlass: is missing, and this user may not create schemas",
        "schema backup: is missing, and this user may not create schemas",
    ):
        assert words in said, said


@pytest.mark.parametrize("granted", ["usage", "create"])
def test_half_of_what_a_schema_takes_is_not_enough(
    granted: str, messages: Database, guest: str
) -> None:
    messages.run(
        "grant select, update on message to guest",
        "alter table message add product_id text",
        "create schema windlass",
        "create schema backup",
        "grant usage on schema windlass to guest",
        f"grant {granted} on schema backup to guest",
    )
    said = problems(messages, {**PRODUCT, "connection": guest})
    assert "schema windlass: this user may not write to it" in said
    assert "schema backup: this user may not create tables in it" in said


def test_a_guest_with_the_least_privileges_can(messages: Database, guest: str) -> None:
    messages.run(
        "grant select, update on message to guest",
        "alter table message add product_id text",
        "create schema windlass authorization guest",
        "create schema backup authorization guest",
    )
    assert done(messages, {**PRODUCT, "connection": guest}).totals.counts["written"] == 20


def test_a_backup_of_another_role_is_reported_before_anything_is_written(
    messages: Database, guest: str
) -> None:
    done(messages)
    messages.run(
        "grant all on message to guest",
        "grant all on schema windlass, backup to guest",
        "grant all on all tables in schema windlass to guest",
    )
    said = problems(messages, {**PRODUCT, "select": "true", "connection": guest})
    assert "backup.message: the previous backup belongs to another role" in said


def test_an_expression_that_makes_rows_is_refused_before_anything_changes(
    messages: Database,
) -> None:
    before = rows(messages)
    outcome = run(messages, {"set": {"total": {"sql": "generate_series(1, 2)"}}})
    assert outcome.state is State.STOPPED and "makes 40 rows of 20" in outcome.reason.message
    assert rows(messages) == before


def test_a_rewrite_that_breaks_a_constraint_stops_and_the_next_is_not_held_up(
    messages: Database,
) -> None:
    messages.run("alter table message add check (total < 100)")
    before = rows(messages)
    outcome = run(messages, {"set": {"total": {"value": 100}}})
    assert outcome.state is State.STOPPED and "message_total_check" in outcome.reason.message
    assert rows(messages) == before
    done(messages)
    assert left_over(messages) == []


def test_a_spec_shows_no_password(messages: Database) -> None:
    assert "Sw0rdfish" not in str(spec(messages)) + str(spec(messages).config())
