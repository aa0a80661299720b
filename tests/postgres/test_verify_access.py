"""A comparison with missing or unreadable objects: each is reported once, and plainly."""

from __future__ import annotations

import pytest

from command import DIFFERENT, DONE, REFUSED, Ran, migrate, verify, windlass
from servers import PASSWORD, Database, Pair

SHOP = [
    "create schema shop",
    "create table shop.orders (id serial primary key, note text, amount int check (amount > 0))",
    "create index orders_note on shop.orders (note)",
    "comment on index shop.orders_note is 'quick'",
    "grant select on shop.orders to corpus_reader",
    "insert into shop.orders (note, amount) select 'n' || g, g from generate_series(1, 9000) g",
    "create table shop.lines (id int primary key, orders int references shop.orders)",
    "insert into shop.lines select g, g from generate_series(1, 100) g",
    "create sequence shop.alone",
    "create table shop.parts (id int primary key, note text) partition by range (id)",
    "create index on shop.parts (note)",
    "create table shop.parts_1 partition of shop.parts for values from (0) to (100)",
    "create table shop.parts_2 partition of shop.parts for values from (100) to (200)",
    "insert into shop.parts select g, 'x' from generate_series(1, 150) g",
    "select lo_from_bytea(5000, 'one'), lo_from_bytea(5001, 'two')",
]


@pytest.fixture
def shop(pair: Pair) -> Pair:
    pair.source.run(*SHOP)
    migrate(pair, "--verify", "none").expect(DONE)
    return pair


def reported(ran: Ran) -> list[tuple[str, str]]:
    found = ran.expect(DIFFERENT).result["differences"]
    return [(one["object"], one["message"]) for one in found]


GONE = "is missing on the target"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (["drop table shop.orders cascade"], [("table shop.orders", GONE)]),
        (["drop table shop.parts_1"], [("table shop.parts_1", GONE)]),
        (
            ["drop table shop.parts"],
            [
                ("table shop.parts", GONE),
                ("table shop.parts_1", GONE),
                ("table shop.parts_2", GONE),
            ],
        ),
        (["drop sequence shop.alone"], [("sequence shop.alone", GONE)]),
        (
            ["drop table shop.orders cascade", "create view shop.orders as select 1 as id"],
            [("table shop.orders", "is a view on the target")],
        ),
        (
            ["select lo_unlink(5001)"],
            [("large object 5001", GONE)],
        ),
        (
            ["alter table shop.orders drop amount"],
            [("table shop.orders", "is defined differently")],
        ),
    ],
)
def test_what_is_missing_is_reported_once(
    shop: Pair, changes: list[str], expected: list[tuple[str, str]]
) -> None:
    shop.target.run(*changes)
    found = reported(verify(shop, "--chunk-size", "64kB"))
    assert [name for name, _ in found] == [name for name, _ in expected]
    for (_, message), (_, start) in zip(found, expected, strict=True):
        assert message.startswith(start)


def test_rows_alone_are_compared_where_a_relation_is_missing(shop: Pair) -> None:
    shop.target.run("drop table shop.lines", "delete from shop.orders where id = 7")
    found = reported(verify(shop, "--data-only"))
    assert found == [
        ("table shop.lines", GONE),
        ("shop.orders", "has 9,000 rows on the source and 8,999 on the target"),
        ("shop.orders", "on the source only"),
    ]


def test_a_relation_that_is_partitioned_on_the_target_has_its_rows(shop: Pair) -> None:
    shop.target.run(
        "drop table shop.lines",
        "create table shop.lines (id int primary key, orders int) partition by range (id)",
        "create table shop.lines_1 partition of shop.lines for values from (1) to (50)",
        "create table shop.lines_2 partition of shop.lines for values from (50) to (101)",
        "insert into shop.lines select g, g from generate_series(1, 100) g where g <> 60",
    )
    rows = [name for name, _ in reported(verify(shop, "--data-only"))]
    assert rows == ["shop.lines", "shop.lines"]  # the count and the row
    verify(shop, "--data-only", "--repair", "--yes").expect(DONE)


def test_rows_that_filled_a_partitioned_relation_are_found(pair: Pair) -> None:
    for side in (pair.source, pair.target):
        side.run("create schema s")
    pair.source.run("create table s.t (id int)", "insert into s.t select generate_series(1, 100)")
    pair.target.run(
        "create table s.t (id int) partition by range (id)",
        "create table s.t_1 partition of s.t for values from (0) to (1000)",
    )
    migrate(pair, "--existing", "fill", "--include", "s.t").expect(DONE)


def test_the_tail_of_a_relation_may_go_while_it_is_compared(shop: Pair) -> None:
    """Ranges do not depend on the target's size: what it was a moment ago means nothing."""
    shop.target.run(
        "insert into shop.orders (id, note, amount) select g, 'x', 1"
        " from generate_series(10000, 90000) g",
        "delete from shop.orders where id between 10000 and 90000",
    )
    verify(shop, "--chunk-size", "64kB").expect(DONE)
    shop.target.run("vacuum full shop.orders")
    verify(shop, "--chunk-size", "64kB").expect(DONE)


@pytest.fixture
def reader(shop: Pair) -> dict[str, str]:
    """Variables by which both sides are reached as somebody who may read schema `shop` alone."""
    for side in (shop.source, shop.target):
        side.server.admin.run(
            "do $$ begin create role verifier login; exception when duplicate_object then null;"
            " end $$",
            f"alter role verifier password '{PASSWORD}'",
        )
        side.run(
            "grant usage on schema shop to verifier",
            "grant select on all tables in schema shop to verifier",
            "grant select on all sequences in schema shop to verifier",
            "create table shop.salaries (id int)",
            "create schema hidden",
            "create table hidden.t (id int primary key)",
        )
    shop.target.run(
        "create table hidden.roots (id int) partition by range (id)",
        "grant select on hidden.t to verifier",  # which does not help without the schema
    )
    return {
        "WINDLASS_SOURCE": shop.source.url_for("verifier"),
        "WINDLASS_TARGET": shop.target.url_for("verifier"),
    }


WORDS = ("--schema", "shop", "--exclude", "shop.salaries")


def compare(env: dict[str, str], *words: str) -> Ran:
    return windlass("verify", "--json", *words, env=env)


def test_what_nobody_asked_for_need_not_be_readable(reader: dict[str, str]) -> None:
    compare(reader, *WORDS).expect(DONE)


def refuses(ran: Ran) -> list[tuple[str, str]]:
    return [(one["object"], one["hint"]) for one in ran.expect(REFUSED).result["problems"]]


def test_what_may_not_be_read_on_the_target_is_refused_with_what_helps(
    shop: Pair, reader: dict[str, str]
) -> None:
    target: Database = shop.target
    target.run(
        "revoke select on shop.orders, shop.parts from verifier",
        "revoke select on sequence shop.alone from verifier",
        "alter table shop.lines enable row level security",
    )
    assert refuses(compare(reader, *WORDS)) == [
        ("shop.orders", 'GRANT SELECT ON "shop"."orders" TO "verifier"'),
        ("shop.lines", 'ALTER ROLE "verifier" BYPASSRLS, or connect as its owner'),
        ("shop.parts", 'GRANT SELECT ON "shop"."parts" TO "verifier"'),
        ("shop.alone", 'GRANT SELECT ON SEQUENCE "shop"."alone" TO "verifier"'),
    ]
    target.run("revoke usage on schema shop from verifier")
    problems = refuses(compare(reader, *WORDS))
    assert ("schema shop", 'GRANT USAGE ON SCHEMA "shop" TO "verifier"') in problems
    assert len(problems) == 5
