"""What a transaction changes and cannot be followed has a way out without a copy; what is renamed
on both sides is followed, forth and back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from awaiting import until
from command import DONE, REFUSED, STOPPED, finish, windlass
from cutovers import WIDE
from follow_runs import VERSIONS
from pursued import FOLLOW, TABLES, following
from servers import Database, Pair

REPAIR = ("verify", "--follow", "--repair", "--yes", "--json")
MORE = (
    "create table shop.twins (id bigint primary key, name text not null, balance numeric)",
    "insert into shop.twins select n, 'twin ' || n, 1 from generate_series(1, 50) n",
)
DETAIL = "select detail->>'renamed' from windlass.following"
EXCHANGE = (
    "alter table shop.accounts rename to other",
    "alter table shop.twins rename to accounts",
    "alter table shop.other rename to twins",
)
# statements of one transaction, and those that the target needs
STANDING = {
    "rows of a column that is renamed": (
        (
            "insert into shop.accounts values (5000, 'new', 1)",
            "alter table shop.accounts rename balance to amount",
        ),
        ("alter table shop.accounts rename balance to amount",),
    ),
    "rows of a column with another type": (
        (
            "insert into shop.accounts values (5000, 'new', 1)",
            "alter table shop.accounts alter column balance type bigint",
        ),
        ("alter table shop.accounts alter column balance type bigint",),
    ),
    "a column that is dropped and made again": (
        (
            "alter table shop.accounts drop column balance",
            "alter table shop.accounts add column balance numeric",
            "update shop.accounts set balance = 7 where id = 7",
        ),
        (
            "alter table shop.accounts drop column balance",
            "alter table shop.accounts add column balance numeric",
        ),
    ),
    "tables that exchange their names": (EXCHANGE, EXCHANGE),
}


@pytest.fixture(params=VERSIONS)
def pair(request: pytest.FixtureRequest, logical: Callable[[int], Database]) -> Pair:
    found = Pair(*map(logical, request.param))
    found.source.run(*TABLES, *MORE)
    return found


def at_once(database: Database, *statements: str) -> None:
    with database.connect() as connection, connection.transaction():
        for statement in statements:
            connection.execute(statement.encode())


def rows(database: Database) -> list[object]:
    names = database.rows(
        "select relname::text from pg_class where relnamespace = 'shop'::regnamespace"
        " and relkind = 'r' order by 1"
    )
    query = "select md5(string_agg(t::text, ',' order by t::text)) from shop.{} t"
    return [(name, database.value(query.format(name))) for (name,) in names]


def await_equal(pair: Pair) -> None:
    until(lambda: rows(pair.source) == rows(pair.target), "both sides are equal")


@pytest.mark.parametrize("kind", STANDING)
def test_what_stops_a_run_again_and_again_is_repaired_and_followed_from_there(
    pair: Pair, kind: str
) -> None:
    statements, theirs = STANDING[kind]
    with following(pair) as follower:
        at_once(pair.source, *statements)
        assert finish(follower).expect(STOPPED).result["stopped_by"] == "schema_change"
    pair.target.run(*theirs)
    again = windlass(*FOLLOW, pair=pair).expect(STOPPED).result
    assert again["stopped_by"] == "schema_change"
    assert "windlass verify --follow --repair" in again["hint"]
    assert windlass(*REPAIR, pair=pair).expect(DONE).result["differences"] == []
    with following(pair):
        pair.source.run(
            "update shop.accounts set name = 'x' where id < 9",
            "update shop.twins set name = 'y' where id < 5",
        )
        await_equal(pair)


def test_rows_of_a_table_that_their_transaction_renames_are_followed(pair: Pair) -> None:
    renaming = "alter table shop.accounts rename to customers"
    with following(pair) as follower:
        at_once(pair.source, "insert into shop.accounts values (5000, 'new', 1)", renaming,
            "update shop.customers set name = 'newer' where id = 5000")  # fmt: skip
        assert finish(follower).expect(STOPPED).result["stopped_by"] == "schema_change"
    pair.target.run(renaming)
    with following(pair):
        await_equal(pair)


def test_a_table_takes_the_name_of_another_one_and_both_are_followed(pair: Pair) -> None:
    """As where a table was built again."""
    renames = (
        "alter table shop.accounts rename to accounts_old",
        "alter table shop.twins rename to accounts",
    )
    with following(pair) as follower:
        at_once(pair.source, *renames, "update shop.accounts set name = 'built' where id = 1")
        finish(follower).expect(STOPPED)
    pair.target.run(*renames)
    for number in range(2):  # the second process knows it from the journal
        with following(pair):
            pair.source.run(f"update shop.accounts set name = 'r {number}'",
                f"update shop.accounts_old set name = 'r {number}' where id < 5")  # fmt: skip
            await_equal(pair)


@pytest.mark.parametrize("noticed", [True, False], ids=["event-triggers", "rows"])
def test_what_is_written_to_a_renamed_table_after_a_cutover_comes_back(
    pair: Pair, noticed: bool
) -> None:
    renaming = "alter table shop.accounts rename to customers"
    with following(pair) as follower:
        if not noticed:
            drop_triggers(pair.source)
        pair.source.run(renaming, "update shop.customers set name = 'a' where id = 1")
        finish(follower).expect(STOPPED)
    pair.target.run(renaming)
    with following(pair):
        await_equal(pair)
        for words, side in (((), pair.target), (("--back",), pair.source)):
            windlass("cutover", "--yes", *WIDE, *words, pair=pair).expect(DONE)
            side.run("update shop.customers set name = name || ' more' where id < 4")
            await_equal(pair)
        assert pair.source.value("select name from shop.customers where id = 2") == (
            "account 2 more more"
        )


def drop_triggers(source: Database) -> None:
    names = source.rows("select evtname from pg_event_trigger")
    source.run(*(f"drop event trigger {name}" for (name,) in names))


def test_a_rename_of_which_nothing_has_come_yet_prevents_a_way_back(pair: Pair) -> None:
    """Nobody knows yet which table of the target it is."""
    renaming = "alter table shop.twins rename to others"
    with following(pair):
        drop_triggers(pair.source)
        pair.source.run(renaming)
        pair.target.run(renaming)
        until(lambda: pair.target.value("select lag_ms from windlass.applied"), "a lag")
        ran = windlass("cutover", "--rehearse", "--json", *WIDE, pair=pair).expect(REFUSED)
        assert "no table shop.twins, which the source has" in str(ran.result["problems"])
        pair.source.run("update shop.others set name = 'z' where id = 1")
        until(lambda: rows(pair.source) == rows(pair.target), "both sides are equal")
        until(lambda: "others" in str(pair.target.value(DETAIL)), "the name is noted")
        windlass("cutover", "--rehearse", "--json", *WIDE, pair=pair).expect(DONE)


def test_definitions_are_followed_into_renamed_schemas(pair: Pair) -> None:
    words = ("--map-schema", "shop=store")
    with following(pair, *words) as follower:
        pair.source.run(
            "alter table shop.accounts add column more text",
            "update shop.accounts set more = 'x' where id < 5",
        )
        hint = finish(follower).expect(STOPPED).result["hint"]
        assert hint.startswith("run alter table store.accounts add column more text on the target")
    pair.target.run("alter table store.accounts add column more text")
    with following(pair, *words) as follower:
        pair.source.run("alter table shop.accounts rename to customers")
        hint = finish(follower).expect(STOPPED).result["hint"]
        assert "run alter table store.accounts rename to customers on the target" in hint
    pair.target.run("alter table store.accounts rename to customers")
    with following(pair, *words):
        pair.source.run("update shop.customers set more = 'y' where id < 9")
        query = "select md5(string_agg(c::text, ',' order by id)) from {}.customers c"
        until(
            lambda: (
                pair.source.value(query.format("shop")) == pair.target.value(query.format("store"))
            ),
            "both sides are equal",
        )
