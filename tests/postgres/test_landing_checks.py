"""Expectations of staged rows, the rules of keys, and what the plan of a load is refused for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from landings import Loads, Record, Records, load_of, words
from servers import PASSWORD, Database, verifier
from windlass.errors import WindlassError
from windlass.inplace.triggers import read_triggers
from windlass.model.load import BadRules, Expect, Expectation, Finding, Table, TableColumn
from windlass.model.load_words import LoadWords, Matched, Missing
from windlass.model.relation import Name

TABLES = """
create schema shop;
create table shop.customers (id integer primary key);
insert into shop.customers values (1), (2);
create table shop.orders (
    id integer primary key, customer integer, total numeric, state text, doc json,
    twice numeric generated always as (total * 2) stored
);
create view shop.seen as select * from shop.orders;
"""
FIELDS = ("id", "customer", "total", "state")
RECORDS: list[Record] = [
    ("1", "1", "5", "new"), ("2", "2", "-1", "paid"), ("3", "7", "3", "lost"),
    ("4", None, None, None), ("5", "1", "5", "new"),
]  # fmt: skip


@pytest.fixture
def loads(database: Callable[[int], Database], request: pytest.FixtureRequest) -> Iterator[Loads]:
    made = database(getattr(request, "param", 16))
    made.run(TABLES)
    with Loads(made) as found:
        yield found


def findings(
    loads: Loads, how: LoadWords, records: list[Record], *expect: Expectation, **more: Any
) -> Sequence[Finding]:
    source = Records(FIELDS, records)
    load = load_of(loads.table("shop.orders"), how, source, expect=expect, **more)
    run = loads.begin()
    loads.landing.stage(run, load, 0, source)
    return loads.landing.check(run, load)


@pytest.mark.parametrize(
    ("expectation", "records"),
    [
        (Expectation(Expect.NOT_NULL, ("customer",)), [4]),
        (Expectation(Expect.UNIQUE, ("customer", "total")), [1, 5]),
        (Expectation(Expect.RANGE, ("total",), low="0"), [2]),
        (Expectation(Expect.RANGE, ("total",), low="0", high="4.99"), [1, 2, 5]),
        (Expectation(Expect.ACCEPTED, ("state",), accepted=("new", "paid")), [3]),
        (Expectation(Expect.FOREIGN_KEY, ("customer",), refers_to="shop.customers.id"), [3]),
        (Expectation(Expect.SQL, sql="total >= 0 and length(state) < 10"), [2]),
        (Expectation(Expect.NOT_NULL, ("id",)), []),
    ],
)
def test_an_expectation_finds_exactly_the_rows_that_break_it(
    expectation: Expectation, records: list[int], loads: Loads
) -> None:
    found = findings(loads, words("merge", "id"), RECORDS, expectation)
    keys = tuple(f"id = {one} (orders.csv: record {one})" for one in records)
    if records:
        (one,) = found
        assert (one.expectation, one.rows, one.keys) == (expectation, len(records), keys)
    else:
        assert not found


@pytest.mark.parametrize(
    ("low", "high", "holds"), [("5", "5", True), ("6", "", False), ("", "4", False)]
)
def test_the_number_of_rows_is_expected(low: str, high: str, holds: bool, loads: Loads) -> None:
    expectation = Expectation(Expect.ROWS, low=low, high=high)
    found = findings(loads, words("append"), RECORDS, expectation)
    assert [one.rows for one in found] == ([] if holds else [5])


def test_a_key_that_is_null_or_there_twice_is_found(loads: Loads) -> None:
    loads.database.run("alter table shop.orders drop constraint orders_pkey")
    loads.database.run("alter table shop.orders alter id drop not null")
    records: list[Record] = [(None, "1", "1", "a"), ("7", "1", "1", "b"), ("7", "1", "1", "c")]
    found = findings(loads, words("merge", "id"), records)
    assert [(one.expectation.kind, one.rows) for one in found] == [
        (Expect.NOT_NULL, 1),
        (Expect.UNIQUE, 2),
    ]
    assert found[0].keys == ("id = NULL (orders.csv: record 1)",)
    assert found[1].keys == ("id = 7 (orders.csv: record 2)", "id = 7 (orders.csv: record 3)")


def test_rows_outside_of_the_slice_are_found(loads: Loads) -> None:
    found = findings(loads, words("slice", slice="customer = 1"), RECORDS)
    assert [one.rows for one in found] == [3]


def test_failing_rows_are_kept_where_that_is_asked_for(loads: Loads) -> None:
    expectation = Expectation(Expect.RANGE, ("total",), low="0", warns=True)
    findings(loads, words("merge", "id"), RECORDS, expectation, bad=BadRules(keeps_failing=True))
    (name,) = loads.database.rows("select relname from pg_class where relname like '%_expected'")[0]
    kept = loads.database.rows(f'select expectation, id from windlass."{name}"')
    assert kept == [("range(total)", "2")]


# what is refused before anything is written


def problems(loads: Loads, how: LoadWords, **more: Any) -> list[str]:
    source = Records(("id", "total", *(one for one in how.key if one != "id")), [])
    load = load_of(loads.table("shop.orders"), how, source, **more)
    return [one.text for one in loads.landing.survey([load])]


def test_a_load_that_can_be_done_has_no_problem_and_writes_nothing(loads: Loads) -> None:
    expectations = [Expectation(Expect.SQL, sql="total > 0"), Expectation(Expect.ROWS, low="1")]
    made = {"state": "upper(coalesce(id::text, ''))"}
    assert problems(loads, words("merge", "id"), sql=made, expect=expectations) == []
    assert loads.database.value("select count(*) from pg_namespace where nspname = 'windlass'") == 0


def test_sql_that_the_server_refuses_is_a_problem_each(loads: Loads) -> None:
    found = problems(
        loads,
        words("merge", "id"),
        sql={"state": "nofunction(id)", "customer": "total ||"},
        expect=[
            Expectation(Expect.SQL, sql="nocolumn > 1"),
            Expectation(Expect.RANGE, ("total",), low="x"),
        ],
    )
    assert len(found) == 4
    for text, said in zip(
        found, ["nofunction", "syntax error", "nocolumn", "numeric"], strict=True
    ):
        assert said in text


def test_a_computed_value_of_another_type_is_a_problem(loads: Loads) -> None:
    (found,) = problems(loads, words("append"), sql={"customer": "'five'::text"})
    assert "customer" in found
    assert "integer" in found


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (words("merge", "doc"), "which has no equality"),
        (words("mirror", "id", missing=Missing.MARK, mark="gone"), "has no column gone"),
        (words("mirror", "id", missing=Missing.MARK, mark="state"), "is text, expected one of"),
        (words("history", "id"), "has no column valid_from"),
        (words("slice", slice="nothing = 1"), "the slice is not a condition"),
    ],
)
def test_columns_that_the_words_need_must_fit(how: LoadWords, said: str, loads: Loads) -> None:
    assert any(said in one for one in problems(loads, how))


def test_what_a_role_may_not_do_is_named(loads: Loads) -> None:
    loads.database.run(
        "create role limited login", "grant usage on schema shop to limited",
        "grant select, insert on shop.orders to limited",
        "grant create on database " + loads.database.name + " to limited",
    )  # fmt: skip
    try:
        loads.database.run("alter role limited password 'x'")
        with loads.database.connect() as connection:
            connection.execute("set role limited")
            from windlass.engines.postgres.landing.describing import read_table
            from windlass.engines.postgres.landing.sessions import Sessions
            from windlass.engines.postgres.landing.surveying import survey_load

            table = read_table(connection, "shop.orders")
            assert table is not None
            load = load_of(table, words("mirror", "id"), Records(("id", "total"), []))
            sessions = Sessions(loads.landing._address)
            found = [one.text for one in survey_load(sessions, connection, load)]
        assert any("may not be deleted from" in one for one in found)
        assert any("may not be locked" in one for one in found)
        assert any("may not be updated" in one for one in found)
    finally:
        loads.database.run("drop owned by limited", "drop role limited")


@pytest.mark.parametrize(
    ("name", "said"), [("shop.seen", "is a view"), ("pg_catalog.pg_class", "of the server")]
)
def test_what_nothing_can_be_loaded_into_says_why(name: str, said: str, loads: Loads) -> None:
    assert said in loads.table(name).problems[0].text


def test_the_owner_of_a_table_needs_no_more_than_a_schema_for_the_journal(
    loads: Loads,
) -> None:
    shop = loads.database
    shop.run(
        "create role owning login",
        f"alter role owning password '{verifier(PASSWORD)}'",
        "alter table shop.orders owner to owning",
        "grant usage on schema shop to owning",
    )
    source = Records(("id", "total"), [("1", "5"), ("2", "6")])
    try:
        with Loads(shop, "owning") as theirs:
            load = load_of(theirs.table("shop.orders"), words("mirror", "id"), source)
            assert load.table.problems == ()
            (problem,) = theirs.landing.survey([load])
            assert problem.hint == f"GRANT CREATE ON DATABASE {shop.name}"
            shop.run(f"grant create on database {shop.name} to owning")
            assert theirs.landing.survey([load]) == []
            loaded = theirs.run_load(load, source)
            assert loaded.counts.inserted == 2
            theirs.undo(loaded.run)
        assert shop.value("select count(*) from shop.orders") == 0
    finally:
        shop.run("drop owned by owning cascade", "drop role owning")


def test_code_that_a_partition_has_from_its_parent_is_named_too(
    database: Callable[[int], Database],
) -> None:
    """Version 14 marks such a trigger as the server's."""
    shop = database(14)
    shop.run(
        "create role parting",
        "create function f() returns trigger language plpgsql as $$ begin return new; end $$",
        "alter function f() owner to parting",
        "create table parts (id int primary key) partition by range (id)",
        "create table parts_1 partition of parts for values from (0) to (9)",
        "create trigger t before update on parts for each row execute function f()",
    )
    try:
        with Loads(shop) as loads:
            for name in ("public.parts", "public.parts_1"):
                (problem,) = loads.table(name).problems
                assert problem.text.count("trigger t would run the function public.f()") == 1
        with shop.connect() as connection:
            oid = shop.value("select 'parts_1'::regclass::oid")
            assert [one.name for one in read_triggers(connection, oid)] == ["t"]
    finally:
        shop.run("drop table parts", "drop function f()", "drop role parting")


def test_code_of_a_role_that_is_not_trusted_is_named_and_the_servers_own_is_not(
    loads: Loads,
) -> None:
    shop = loads.database
    shop.run(
        "create role planter",
        "create function shop.f() returns trigger language plpgsql as $$ begin return new; end $$",
        "create function shop.g(int) returns int language sql immutable as 'select 1'",
        "alter function shop.f() owner to planter",
        "alter function shop.g(int) owner to planter",
        "create table shop.plants (id int default 1 + 1 check (id < 9), n int default shop.g(1),"
        " m int check (shop.g(m) = 1), at timestamptz default now())",
        "create trigger t before insert on shop.plants for each row execute function shop.f()",
        "create index on shop.plants (shop.g(id))",
    )
    try:
        found = [
            one.message.partition(" would run")[0] for one in loads.table("shop.plants").problems
        ]
        wanted = ["constraint plants_m_check", "default of n", "index plants_g_idx", "trigger t"]
        assert found == wanted
    finally:
        shop.run("drop owned by planter cascade", "drop role planter")


def test_row_security_that_applies_to_us_is_a_problem(loads: Loads) -> None:
    loads.database.run("alter table shop.orders enable row level security")
    assert loads.table("shop.orders").problems == (), "it does not apply to a superuser"


def test_a_table_is_described_with_keys_types_and_what_the_server_fills(loads: Loads) -> None:
    loads.database.run("create unique index on shop.orders (customer, state) where total > 0")
    loads.database.run("create unique index on shop.orders (customer, total)")
    table = loads.table("shop.orders")
    assert table.primary == ("id",)
    assert table.keys == (("id",), ("customer", "total"))
    twice = table.column("twice")
    assert twice is not None and twice.generated and not twice.has_default
    assert loads.landing.table("shop.nothing") is None
    assert loads.landing.table("nothing") is None


def test_deleting_rows_that_would_take_others_with_them_is_a_problem(loads: Loads) -> None:
    loads.database.run(
        "create table shop.lines (o integer references shop.orders on delete cascade)"
    )
    assert any("no undo puts back" in one for one in problems(loads, words("mirror", "id")))
    assert problems(loads, words("merge", "id")) == []


def test_a_table_is_created_with_its_key_and_dropped_when_undone(loads: Loads) -> None:
    source = Records(("id", "day"), [("1", "2024-01-01"), ("2", None)])
    columns = (TableColumn("id", "bigint"), TableColumn("day", "date"))
    table = Table(Name("shop", "fresh"), columns, keys=(("id",),), primary=("id",))
    load = load_of(table, words("merge", "id"), source, creates=True)
    assert loads.landing.survey([load]) == []
    loaded = loads.run_load(load, source)
    assert loads.database.rows("select id, day::text from shop.fresh order by id") == [
        (1, "2024-01-01"),
        (2, None),
    ]
    assert loads.table("shop.fresh").primary == ("id",)
    loads.undo(loaded.run)
    assert loads.landing.table("shop.fresh") is None


def test_a_column_is_added_and_stays_when_undone(loads: Loads) -> None:
    loads.database.run("insert into shop.orders (id) values (1)")
    source = Records(("id", "paid"), [("1", "true"), ("2", "false")])
    how = words("merge", "id")
    added = (TableColumn("paid", "boolean"),)
    load = load_of(loads.table("shop.orders"), how, source, adds=added)
    assert loads.landing.survey([load]) == []
    loaded = loads.run_load(load, source)
    assert loads.database.rows("select id, paid from shop.orders order by id") == [
        (1, True),
        (2, False),
    ]
    undone = loads.undo(loaded.run)
    assert loads.database.rows("select id, paid from shop.orders") == [(1, None)]
    assert "paid" in undone.stayed[0]


def test_a_column_that_was_dropped_since_the_plan_stops_the_load(loads: Loads) -> None:
    source = Records(("id", "state"), [("1", "x")])
    load = load_of(loads.table("shop.orders"), words("insert", "id", matched=Matched.SKIP), source)
    loads.database.run("alter table shop.orders drop state cascade")
    with pytest.raises(WindlassError, match="has no column state"):
        loads.run_load(load, source)
