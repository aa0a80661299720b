"""Definitions that change on the source while it is followed: the run stops exactly there, and the
same command resumes once the target has the same change."""

from __future__ import annotations

import signal
from collections.abc import Callable
from importlib import resources
from typing import Any

import pytest

from awaiting import until
from command import DONE, INTERRUPTED, REFUSED, STOPPED, Running, finish, windlass
from follow_runs import FOLLOW, following
from servers import Database, Pair

TABLES = (
    "create schema shop",
    "create type shop.mood as enum ('calm', 'cross')",
    "create domain shop.cents as bigint check (value >= 0)",
    "create table shop.accounts (id bigint primary key, name text not null, code int,"
    " mood shop.mood, cents shop.cents)",
    "create table shop.notes (id int primary key, account bigint, body text)",
    "create table shop.days (day date primary key, total int) partition by range (day)",
    "create table shop.days_1 partition of shop.days for values from ('2026-01-01')"
    " to ('2026-07-01')",
    "insert into shop.accounts select n, 'no ' || n, n, 'calm', n from generate_series(1, 50) n",
    "insert into shop.notes select n, n, 'note' from generate_series(1, 50) n",
    "insert into shop.days select date '2026-01-01' + n, n from generate_series(0, 50) n",
)
BEFORE = "update shop.accounts set name = 'before' where id = 1"
AFTER = "insert into shop.notes (id, account) values (1000, 1)"

# what changes, and rows that are written then
STATEMENTS = {
    "add column": (
        "alter table shop.accounts add column more text",
        "update shop.accounts set more = 'x' where id < 5",
    ),
    "drop column": (
        "alter table shop.accounts drop column code",
        "update shop.accounts set name = 'y' where id < 5",
    ),
    "rename column": (
        "alter table shop.accounts rename column code to number",
        "update shop.accounts set number = 7 where id < 5",
    ),
    "retype column": (
        "alter table shop.accounts alter column code type bigint",
        "update shop.accounts set code = 8589934592 where id = 3",
    ),
    "rename table": (
        "alter table shop.accounts rename to customers",
        "update shop.customers set name = 'z' where id < 5",
    ),
    "new partition": (
        "create table shop.days_2 partition of shop.days"
        " for values from ('2026-07-01') to ('2027-01-01')",
        "insert into shop.days values ('2026-08-01', 1)",
    ),
    "enum value": (
        "alter type shop.mood add value 'glad'",
        "update shop.accounts set mood = 'glad' where id < 5",
    ),
}
# what no description of rows shows
UNSEEN = {
    "drop table": (
        "drop table shop.days",
        "update shop.accounts set name = 'z' where id < 5",
    ),
    "drop key": (
        "alter table shop.notes drop constraint notes_pkey",
        "insert into shop.notes values (2000, 2, 'z')",
    ),
    "add key": (
        "alter table shop.notes add unique (account)",
        "update shop.notes set account = account + 1000",
    ),
    "domain": (
        "alter domain shop.cents add constraint little check (value < 1000000)",
        "update shop.accounts set cents = 5 where id < 5",
    ),
    "not null": (
        "alter table shop.accounts alter column code set not null",
        "update shop.accounts set code = 5 where id < 5",
    ),
    "check": (
        "alter table shop.accounts add constraint positive check (code > 0)",
        "update shop.accounts set code = 5 where id < 5",
    ),
}
ALL = STATEMENTS | UNSEEN
HARMLESS = (
    "create index on shop.accounts (name)",
    "comment on table shop.accounts is 'people'",
    "create temporary table t (id int)",
    "create schema elsewhere",
    "create view elsewhere.t as select 1 as one",
    "grant select on shop.accounts to public",
    "analyze shop.accounts",
    "alter table shop.accounts alter column name set statistics 5",
    "create view shop.names as select name from shop.accounts",
    "truncate shop.days",
)


@pytest.fixture
def pair(logical: Callable[[int], Database]) -> Pair:
    """A source with a few tables, and an empty target."""
    found = Pair(logical(16), logical(18))
    found.source.run(*TABLES)
    return found


ADDED = (
    "alter table shop.accounts add column more text default 'none'::text not null,"
    " add seen timestamptz",
    "create index more_seen on shop.accounts (more, seen desc)",
    "alter type shop.mood add value 'glad' before 'cross'",
    "set search_path = shop; alter table notes add if not exists stars int",
)


def content(database: Database) -> list[Any]:
    names = database.rows(
        "select relname::text from pg_class where relnamespace = 'shop'::regnamespace"
        " and relkind in ('r', 'p') and not relispartition order by 1"
    )
    return [(name, database.rows(f"table shop.{name} order by 1")) for (name,) in names]


def await_equal(pair: Pair, follower: Running) -> None:
    until(
        lambda: content(pair.source) == content(pair.target) or follower.poll() is not None,
        "the target is equal",
    )
    assert follower.poll() is None, follower.said()


def stopped(follower: Running) -> dict[str, Any]:
    ran = finish(follower).expect(STOPPED)
    assert ran.result["stopped_by"] == "schema_change", ran.said
    return ran.result


def is_exact(pair: Pair) -> bool:
    """What was written before the statement has arrived, and nothing else."""
    found = pair.target.rows(
        "select (select name from shop.accounts where id = 1),"
        " (select count(*) from shop.notes where id = 1000)"
    )
    return found == [("before", 0)]


@pytest.mark.parametrize("kind", ALL)
def test_a_statement_stops_the_run_just_before_it(pair: Pair, kind: str) -> None:
    statement, rows = ALL[kind]
    with following(pair) as follower:
        pair.source.run(BEFORE, statement, rows, AFTER)
        result = stopped(follower)
        assert statement in result["message"]
        assert "on the target, then run the same command again" in result["hint"]
    assert is_exact(pair)
    pair.target.run(statement)
    with following(pair) as again:
        await_equal(pair, again)


def test_as_long_as_the_target_does_not_fit_the_same_command_says_so(pair: Pair) -> None:
    statement, rows = STATEMENTS["retype column"]
    with following(pair) as follower:
        pair.source.run(BEFORE, statement, rows, AFTER)
        first = stopped(follower)
    pair.target.run("alter table shop.accounts alter column code type numeric")
    again = windlass(*FOLLOW, pair=pair).expect(STOPPED)
    assert again.result["stopped_by"] == "schema_change"
    assert statement in first["message"] and statement in again.result["message"]
    assert "column code has type int8, on the target numeric" in again.result["message"]
    assert is_exact(pair)


def test_harmless_statements_stop_nothing_and_the_others_are_named(pair: Pair) -> None:
    index = "create index on shop.accounts (name)"
    with following(pair) as follower:
        pair.source.run(BEFORE, *HARMLESS, AFTER)
        await_equal(pair, follower)
        until(lambda: index in followed(pair)["changed"], "the statement is named")
        known = followed(pair)
        assert not [one for one in known["blockers"] if "shop." in one], known
        assert "comment on" not in str(known) and "elsewhere" not in str(known)


def followed(pair: Pair) -> dict[str, Any]:
    found: dict[str, Any] = windlass("status", "--json", pair=pair).expect(DONE).result["runs"][0]
    return dict(found["following"])


@pytest.mark.parametrize(
    ("statements", "row"),
    [
        (
            (
                "alter table shop.accounts add column more int not null default 5",
                "alter table shop.accounts add column last text",
            ),
            "(101, 'new', 1, 'calm', 1, 6)",
        ),
        (("alter table shop.accounts drop column code",), "(101, 'new', 'calm', 1)"),
    ],
)
def test_a_transaction_with_rows_before_and_after_its_statements_is_applied_whole(
    pair: Pair, statements: tuple[str, ...], row: str
) -> None:
    with following(pair) as follower:
        with pair.source.connect() as connection:
            connection.execute("begin; alter table shop.notes drop column body; rollback")
        with pair.source.connect() as connection, connection.transaction():
            connection.execute("insert into shop.accounts values (100, 'old', 1, 'calm', 1)")
            for statement in statements:
                connection.execute(statement.encode())
            connection.execute(f"insert into shop.accounts values {row}".encode())
        result = stopped(follower)
        assert all(statement in result["message"] for statement in statements)
        assert pair.target.value("select count(*) from shop.accounts where id >= 100") == 0
    pair.target.run(*statements)
    with following(pair) as again:
        await_equal(pair, again)


def test_rows_of_a_column_that_their_transaction_renames_are_not_dropped(pair: Pair) -> None:
    statement = "alter table shop.accounts rename code to number"
    with following(pair) as follower:
        with pair.source.connect() as connection, connection.transaction():
            connection.execute("insert into shop.accounts values (100, 'old', 1, 'calm', 1)")
            connection.execute(statement.encode())
        assert statement in stopped(follower)["message"]
    pair.target.run(statement)
    result = windlass(*FOLLOW, pair=pair).expect(STOPPED).result
    assert "the target has no column code" in result["message"]
    assert pair.target.value("select count(*) from shop.accounts where id >= 100") == 0


def test_what_else_was_sent_with_a_statement_is_not_shown(pair: Pair) -> None:
    with following(pair) as follower:
        with pair.source.connect() as connection:
            connection.execute(
                "select 'hidden'; alter table shop.notes add column more int; select 'hidden'"
            )
        result = stopped(follower)
        assert "alter table shop.notes add column more int (" in result["message"]
        assert "hidden" not in str(result)
    with pair.source.connect() as connection:
        connection.execute("do $$ begin alter table shop.notes add column last int; end $$")
    pair.target.run("alter table shop.notes add column more int")
    result = windlass(*FOLLOW, pair=pair).expect(STOPPED).result
    assert "ALTER TABLE shop.notes (" in result["message"], result["message"]


def test_a_role_without_rights_changes_definitions_and_the_run_stops(pair: Pair) -> None:
    pair.source.run("drop role if exists plain_owner", "create role plain_owner login")
    try:
        pair.source.run("grant all on schema shop to plain_owner",
            "alter table shop.notes owner to plain_owner",
            "grant create on database " + pair.source.name + " to plain_owner")  # fmt: skip
        pair.target.run("create role plain_owner")
        with following(pair) as follower:
            with pair.source.connect() as connection:
                connection.execute("set session authorization plain_owner")
                connection.execute("alter table shop.notes add column more int")
            assert "add column more int" in stopped(follower)["message"]
    finally:
        pair.source.run("reassign owned by plain_owner to postgres", "drop owned by plain_owner",
            "drop role plain_owner")  # fmt: skip


def without_triggers(pair: Pair) -> None:
    pair.source.run(
        *(
            f"drop event trigger {name}"
            for (name,) in pair.source.rows("select evtname from pg_event_trigger")
        )
    )


@pytest.mark.parametrize("kind", STATEMENTS)
def test_without_event_triggers_the_first_row_after_a_statement_stops_the_run(
    pair: Pair, kind: str
) -> None:
    statement, rows = STATEMENTS[kind]
    with following(pair) as follower:
        without_triggers(pair)
        pair.source.run(BEFORE, statement, rows, AFTER)
        if kind == "enum value":
            finish(follower).expect(STOPPED)
        else:
            stopped(follower)
    assert is_exact(pair)
    pair.target.run(statement)
    with following(pair) as again:
        await_equal(pair, again)


def test_without_event_triggers_a_change_without_rows_is_named_and_blocks_the_cutover(
    pair: Pair,
) -> None:
    with following(pair) as follower:
        without_triggers(pair)
        pair.source.run(
            "alter table shop.accounts alter column code set not null",
            "create table shop.fresh (id int primary key)",
            "drop table shop.days",
        )
        until(lambda: "shop.fresh" in str(followed(pair)["blockers"]), "it is named")
        found = followed(pair)["blockers"]
        assert any("shop.accounts: column code is NOT NULL on the source" in one for one in found)
        assert any("shop.days_1: is no longer on the source" in one for one in found)
        refused = windlass("cutover", "--yes", pair=pair).expect(REFUSED)
        said = " ".join(refused.said.split())
        assert "shop.fresh" in said and "column code is NOT NULL on the source" in said
        pair.target.run(
            "alter table shop.accounts alter column code set not null", "drop table shop.days"
        )
        refused = windlass("cutover", "--yes", pair=pair).expect(REFUSED)
        assert "shop.fresh" in refused.said and "column code" not in refused.said
        until(lambda: "column code" not in str(followed(pair)["blockers"]), "it is gone")
        assert follower.poll() is None
        follower.send_signal(signal.SIGINT)
        finish(follower).expect(INTERRUPTED)


def test_nothing_of_the_event_triggers_is_left(pair: Pair) -> None:
    with following(pair) as follower:
        triggers = pair.source.rows("select evtname, evtenabled::text from pg_event_trigger")
        assert [enabled for _, enabled in triggers] == ["A", "A"]
        assert pair.target.rows("select 1 from pg_event_trigger") == []
        windlass("abandon", "--yes", pair=pair).expect(DONE)
        finish(follower)
    assert pair.source.rows("select 1 from pg_event_trigger") == []
    assert pair.source.rows("select 1 from pg_namespace where nspname = 'windlass'") == []


def test_a_function_in_our_schema_that_is_not_ours_is_refused(pair: Pair) -> None:
    body = "create function windlass.note_ddl_20261129_2000_f4f4() returns event_trigger"
    journal = resources.files("windlass.journal").joinpath("schema.sql").read_text()
    pair.source.run(journal, f"{body} language plpgsql as 'begin end'")
    refused = windlass(*FOLLOW, pair=pair).expect(REFUSED)
    problems = [(one["object"], one["message"]) for one in refused.result["problems"]]
    named = ("windlass.note_ddl_20261129_2000_f4f4", "is a function, which windlass did not make")
    assert named in problems


def test_a_column_that_is_dropped_and_made_again_at_once_stops_also_if_it_looks_the_same(
    pair: Pair,
) -> None:
    with following(pair) as follower:
        with pair.source.connect() as connection, connection.transaction():
            connection.execute("alter table shop.accounts drop column code")
            connection.execute("alter table shop.accounts add column code int")
        done = finish(follower).expect(STOPPED)
    assert "dropped and made again" in done.result["message"]
    assert pair.target.value("select count(code) from shop.accounts") == 50


def test_what_only_adds_is_applied_where_it_belongs_if_asked(pair: Pair) -> None:
    with following(pair, "--apply-ddl", "--map-schema", "shop=store") as follower:
        for seed, statement in enumerate(ADDED):
            pair.source.run(
                f"update shop.notes set body = 'before {seed}' where id = {seed + 1}",
                statement,
                f"insert into shop.notes (id, account) values ({seed + 100}, 1)",
            )
        with pair.source.connect() as source, source.transaction():  # rows on both sides of it
            source.execute("insert into shop.accounts (id, name) values (500, 'x')")
            source.execute("alter table shop.accounts add column level int default 3")
            source.execute("update shop.accounts set level = 4, mood = 'glad' where id < 3")

        def rows(database: Database, schema: str) -> list[Any]:
            tables = ("accounts", "notes")
            return [
                sorted(database.rows(f"select t::text from {schema}.{one} t")) for one in tables
            ]

        until(
            lambda: (
                rows(pair.source, "shop") == rows(pair.target, "store")
                or follower.poll() is not None
            ),
            "the target is equal",
        )
        assert follower.poll() is None, follower.said()
        assert pair.target.value("select to_regclass('store.more_seen')::text") == "store.more_seen"
        pair.source.run("alter table shop.notes add column at timestamptz default now()")
        found = stopped(follower)
    assert "does not only add what can be applied" in found["message"]
    assert "run alter table store.notes add column at" in found["hint"]
    assert sum("applied to the target" in one for one in found["notices"]) == len(ADDED) + 1
