"""Columns of all kinds as keys and as values: equality is the server's for keys, and to the byte
for values; what the server fills is left to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from landings import Loads, Record, Records, Typed, words
from servers import Database
from windlass.model.export import Column, Kind
from windlass.model.load import Counts


@pytest.fixture
def loads(database: Callable[[int], Database], request: pytest.FixtureRequest) -> Iterator[Loads]:
    made = database(getattr(request, "param", 16))
    made.run("create schema shop")
    with Loads(made) as found:
        yield found


@pytest.mark.parametrize("loads", [15], indirect=True)  # Debian's has ICU
def test_a_key_that_ignores_case_finds_rows_that_differ_in_it(loads: Loads) -> None:
    shop = loads.database
    shop.run(
        "create collation shop.caseless (provider = icu, locale = 'und-u-ks-level2',"
        " deterministic = false)"
    )
    shop.run("create table shop.people (mail text collate shop.caseless primary key, name text)")
    shop.run("insert into shop.people values ('Ann@x', 'Ann'), ('bob@x', 'Bob')")
    records: list[Record] = [("ann@x", "Ann"), ("bob@x", "Bob"), ("eve@x", "Eve")]
    source = Records(("mail", "name"), records)
    loaded = loads.run("shop.people", words("mirror", "mail"), source)
    assert loaded.counts == Counts(3, 1, 1, 1, 0)
    found = 'select mail collate "C", name from shop.people order by 1'
    assert shop.rows(found) == [("ann@x", "Ann"), ("bob@x", "Bob"), ("eve@x", "Eve")]
    loads.undo(loaded.run)
    assert shop.rows(found) == [("Ann@x", "Ann"), ("bob@x", "Bob")]


def test_values_differ_if_they_read_differently_though_they_are_equal(loads: Loads) -> None:
    shop = loads.database
    shop.run("create table shop.prices (id int primary key, price numeric, doc jsonb, f float8)")
    shop.run("insert into shop.prices values (1, 1.0, '{\"a\": 1.0}', 0), (2, 1.0, '{}', 0)")
    source = Records(("id", "price", "f"), [("1", "1.00", "0"), ("2", "1.0", "-0")])
    loaded = loads.run("shop.prices", words("merge", "id"), source)
    assert loaded.counts == Counts(2, 0, 2, 0, 0)
    assert shop.rows("select price::text, f::text from shop.prices order by id") == [
        ("1.00", "0"),
        ("1.0", "-0"),
    ]
    assert loads.run("shop.prices", words("merge", "id"), source).counts.unchanged == 2


def test_types_without_an_equality_are_compared_and_put_back(loads: Loads) -> None:
    shop = loads.database
    shop.run("create table shop.odd (id int primary key, j json, p point)")
    shop.run("insert into shop.odd values (1, '{}', '(1,2)'), (2, '[1]', '(0,0)')")
    records: list[Record] = [("1", "{}", "(1,2)"), ("2", "[2]", "(0,0)"), ("3", None, None)]
    loaded = loads.run("shop.odd", words("mirror", "id"), Records(("id", "j", "p"), records))
    assert loaded.counts == Counts(3, 1, 1, 1, 0)
    loads.undo(loaded.run)
    found = shop.rows("select id, j::text, p::text from shop.odd order by id")
    assert found == [(1, "{}", "(1,2)"), (2, "[1]", "(0,0)")]


def test_a_key_of_several_columns_and_a_domain(loads: Loads) -> None:
    shop = loads.database
    shop.run("create domain shop.code as text check (value <> '') not null")
    shop.run("create table shop.rates (code shop.code, day date, rate numeric, unique (code, day))")
    shop.run("insert into shop.rates values ('a', '2024-01-01', 1), ('b', '2024-01-01', 2)")
    records: list[Record] = [("a", "2024-01-01", "5"), ("a", "2024-01-02", "6")]
    source = Records(("code", "day", "rate"), records)
    loaded = loads.run("shop.rates", words("mirror", "code", "day"), source)
    assert loaded.counts == Counts(2, 1, 1, 0, 1)
    loads.undo(loaded.run)
    assert shop.rows("select code, rate::int from shop.rates order by 1") == [("a", 1), ("b", 2)]


def test_what_the_server_fills_is_left_to_it(loads: Loads) -> None:
    shop = loads.database
    shop.run(
        "create table shop.things (id bigint generated always as identity primary key,"
        " no serial, name text not null, made date not null default '2020-02-02',"
        " double int generated always as (length(name) * 2) stored)"
    )
    loads.run("shop.things", words("append"), Records(("name",), [("abc",), ("d",)]))
    found = "select id, no, name, made::text, double from shop.things order by id"
    assert shop.rows(found) == [(1, 1, "abc", "2020-02-02", 6), (2, 2, "d", "2020-02-02", 2)]


def test_given_values_of_an_identity_put_its_sequence_past_them(loads: Loads) -> None:
    shop = loads.database
    shop.run("create table shop.things (id int generated always as identity primary key, n text)")
    loaded = loads.run("shop.things", words("merge", "id"), Records(("id", "n"), [("7", "x")]))
    shop.run("insert into shop.things (n) values ('next')")
    assert shop.rows("select id, n from shop.things order by id") == [(7, "x"), (8, "next")]
    loads.undo(loaded.run)
    assert shop.rows("select id, n from shop.things") == [(8, "next")]


@pytest.mark.parametrize("loads", [15], indirect=True)  # and contrib
def test_an_extension_outside_of_the_path_of_our_sessions_is_found(loads: Loads) -> None:
    shop = loads.database
    shop.run("create extension citext schema shop")
    shop.run("create table public.people (mail shop.citext primary key, n int)")
    shop.run("insert into public.people values ('Ann', 1)")
    loaded = loads.run(
        "public.people", words("merge", "mail"), Records(("mail", "n"), [("ANN", "2")])
    )
    assert loaded.counts == Counts(1, 0, 1, 0, 0)


def test_typed_batches_arrive_exactly(loads: Loads) -> None:
    shop = loads.database
    shop.run(
        "create table shop.typed (i bigint, f float8, n numeric, t text, d date, at timestamp,"
        " z timestamptz, b boolean, raw bytea, u uuid, l int[], c time)"
    )
    columns = [
        Column("i", "", Kind.INT64), Column("f", "", Kind.FLOAT64),
        Column("n", "", Kind.DECIMAL, precision=20, scale=3), Column("t", "", Kind.TEXT),
        Column("d", "", Kind.DATE), Column("at", "", Kind.TIMESTAMP),
        Column("z", "", Kind.INSTANT), Column("b", "", Kind.BOOLEAN),
        Column("raw", "", Kind.BYTES), Column("u", "", Kind.UUID),
        Column("l", "", Kind.INT32, is_list=True), Column("c", "", Kind.TIME),
    ]  # fmt: skip
    days = [date(2024, 2, 29).toordinal() - 719163, (1 << 31) - 1, -1_000_000]
    moment = datetime(2024, 1, 2, 3, 4, 5, 678901)
    arrays = [
        pa.array([1 << 62, None, -1]), pa.array([0.1 + 0.2, float("nan"), float("-inf")]),
        pa.array([Decimal("12345678901234567.125"), None, Decimal("-0.001")], pa.decimal128(20, 3)),
        pa.array(['a "quoted",\n\\text', "", None]),
        pa.array(days, pa.int32()).view(pa.date32()),
        pa.array([moment, None, moment], pa.timestamp("us")),
        pa.array([moment, None, moment], pa.timestamp("us", "UTC")),
        pa.array([True, None, False]), pa.array([b"\x00\xff", b"", None]),
        pa.array([bytes(range(16)), None, bytes(16)], pa.binary(16)),
        pa.array([[1, None], [], None], pa.list_(pa.int32())),
        pa.array([86_399_999_999, 86_400_000_000, None], pa.time64("us")),
    ]  # fmt: skip
    batch = pa.RecordBatch.from_arrays(arrays, names=[one.name for one in columns])
    loads.run("shop.typed", words("append"), Typed(columns, batch))
    rows = shop.rows(f"select {', '.join(f'{one.name}::text' for one in columns)} from shop.typed")
    assert rows[0] == (
        "4611686018427387904", "0.30000000000000004", "12345678901234567.125",
        'a "quoted",\n\\text', "2024-02-29", "2024-01-02 03:04:05.678901",
        "2024-01-02 03:04:05.678901+00", "true", "\\x00ff",
        "00010203-0405-0607-0809-0a0b0c0d0e0f", "{1,NULL}", "23:59:59.999999",
    )  # fmt: skip
    assert rows[1] == (
        None, "NaN", None, "", "infinity", None, None, None, "\\x", None, "{}", "24:00:00",
    )  # fmt: skip
    early = shop.value("select (date '1970-01-01' - 1000000)::text")
    assert rows[2][1:5] == ("-Infinity", "-0.001", None, early)


def test_text_that_looks_like_null_or_the_end_is_kept(loads: Loads) -> None:
    shop = loads.database
    shop.run("create table shop.texts (id int, t text)")
    texts = ["", "\\N", "\\.", "NULL", ' "', "a\tb", "\r\n", "ü", "'"]
    records: list[Record] = [(str(at), text) for at, text in enumerate(texts)]
    loads.run("shop.texts", words("append"), Records(("id", "t"), [*records, ("99", None)]))
    assert [text for (text,) in shop.rows("select t from shop.texts order by id")] == [*texts, None]


def test_names_that_need_quotes_and_one_that_is_too_long_for_a_column(loads: Loads) -> None:
    shop = loads.database
    shop.run('create table shop."Od""d; table" ("Id %s" int primary key, "{x}" text)')
    long = "f" * 80
    source = Records(("Id %s", "{x}", long), [("1", '%s {} "', "z")])
    loaded = loads.run(
        'shop."Od""d; table"', words("merge", "Id %s"), source, skip=(long, "{x}"),
        sql={"{x}": '"{x}" || \'{}%s\''},
    )  # fmt: skip
    assert shop.rows('select "{x}" from shop."Od""d; table"') == [('%s {} "{}%s',)]
    loads.undo(loaded.run)
    assert shop.rows('select "{x}" from shop."Od""d; table"') == []


def test_a_partitioned_table_is_merged_across_its_partitions(loads: Loads) -> None:
    shop = loads.database
    shop.run(
        "create table shop.parts (id int, k int, v text, primary key (id, k)) partition by list (k)"
    )
    for k in (1, 2):
        shop.run(f"create table shop.part_{k} partition of shop.parts for values in ({k})")
    shop.run("insert into shop.parts values (1, 1, 'a'), (1, 2, 'b'), (2, 2, 'c')")
    records: list[Record] = [("1", "1", "A"), ("1", "2", "b"), ("3", "2", "d")]
    loaded = loads.run("shop.parts", words("mirror", "id", "k"), Records(("id", "k", "v"), records))
    assert loaded.counts == Counts(3, 1, 1, 1, 1)
    loads.undo(loaded.run)
    found = "select id, k, v from shop.parts order by 1, 2"
    assert shop.rows(found) == [(1, 1, "a"), (1, 2, "b"), (2, 2, "c")]
