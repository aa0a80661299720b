"""Arrays and composites of PostgreSQL as lists and structs: exact, a named loss, or refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import pytest

from exporting import export, rows
from fakes.bigquery import FakeBigQuery
from servers import Database
from warehouses import bigquery, gs, s3, storage

__all__ = ["bigquery", "gs", "s3", "storage"]  # fixtures

SOURCE = (
    "create schema shop",
    "create type shop.colour as enum ('red', 'dark \"blue\"')",
    "create domain shop.money as numeric(10,2)",
    "create domain shop.tags as text[]",
    "create type shop.size as (width int, height real)",
    'create type shop.item as ("a b" text, n shop.money, at timestamptz, size shop.size,'
    " tags shop.tags, grid int[][], raw bytea, id uuid, doc jsonb, ok boolean, c shop.colour,"
    " t time, d date, free numeric, f float8)",
    "create table shop.orders (id int primary key, matrix int[][], days date[],"
    " moments timestamptz[], amounts numeric(10,2)[], ids uuid[], names text[], item shop.item,"
    " items shop.item[], tags shop.tags, sizes shop.size[][])",
)
FULL = (
    """row(E'x "y", (z)\\\\', 1.50, '2024-02-29 12:00+02', row(1, 1.1), '{a,NULL,"",NULL,"N,U"}',"""
    r""" '{{1,2},{3,NULL}}', '\x00ff', '00000000-0000-0000-0000-000000000001', '{"a": [1, "b"]}',"""
    """ true, 'dark "blue"', '23:59:59.5', '0044-03-15 BC', 'NaN', '-Infinity')::shop.item"""
)
EMPTY = (
    "row('', null, null, row(null, null), '{}', '{}', '', null, null, false, null, null, null,"
    " null, null)::shop.item"
)
ROWS = (
    "insert into shop.orders select 1, '{{1,2},{3,NULL}}', '{2024-02-29,NULL}',"
    " '{2024-02-29 12:00+02}', '{1.50,NULL}', '{00000000-0000-0000-0000-000000000001}',"
    f""" '{{a,NULL,"NULL","","q\\"{{,}}"}}', {FULL}, array[{FULL}, null], '{{x}}',"""
    " array[[row(1, 2.5)::shop.size, null]]",
    "insert into shop.orders select 2, '{}', '{}', '{}', '{}', '{}', '{}',"
    f" {EMPTY}, '{{}}', '{{}}', '{{}}'",
    "insert into shop.orders values (3)",
)
WORDS: dict[str, Any] = {"relations": "shop.orders", "nested": "nested"}
ITEM = {
    "a b": 'x "y", (z)\\',
    "n": Decimal("1.50"),
    "at": datetime(2024, 2, 29, 10, tzinfo=UTC),
    "size": {"width": 1, "height": pytest.approx(1.1)},
    "tags": ["a", None, "", None, "N,U"],
    "grid": [[1, 2], [3, None]],
    "raw": b"\x00\xff",
    "id": UUID(int=1),
    "doc": '{"a": [1, "b"]}',
    "ok": True,
    "c": 'dark "blue"',
    "t": time(23, 59, 59, 500_000),
    "d": "0044-03-15 (BC)",
    "free": "NaN",
    "f": float("-inf"),
}
NOTHING: dict[str, Any] = {
    **dict.fromkeys(ITEM),
    "a b": "",
    "size": {"width": None, "height": None},
    "tags": [],
    "grid": [],
    "raw": b"",
    "ok": False,
}


@pytest.fixture
def source(database: Callable[[int], Database]) -> Database:
    there = database(16)
    there.run(*SOURCE)
    return there


def make(source: Database, column: str, *values: str) -> None:
    """A table t with one more column."""
    source.run(f"create table shop.t (id int primary key, {column})")
    for at, value in enumerate(values):
        source.run(f"insert into shop.t values ({at}, {value})")


def lossless(ran: Any) -> Any:
    assert ran.result["losses"] == []
    return ran


@pytest.mark.parametrize("disposition", ["truncate", "merge"])
def test_duckdb_gets_lists_and_structs(disposition: str, source: Database, tmp_path: Path) -> None:
    source.run(*ROWS)
    words = {**WORDS, "disposition": disposition}
    for _ in range(2):  # the second finds a table, whose types fit
        lossless(export(source, tmp_path, **words).expect(0))
    found = rows(
        tmp_path,
        "select * replace (case when item is not null"
        " then struct_update(item, d := item.d::varchar) end as item,"
        " list_transform(items, lambda i: case when i is not null"
        " then struct_update(i, d := i.d::varchar) end) as items)"
        " from orders order by id",
    )
    full, empty, null = map(list, found)
    assert full == [
        1, [[1, 2], [3, None]], [date(2024, 2, 29), None], [datetime(2024, 2, 29, 10, tzinfo=UTC)],
        [Decimal("1.50"), None], [UUID(int=1)], ["a", None, "NULL", "", 'q"{,}'],
        ITEM, [ITEM, None], ["x"], [[{"width": 1, "height": 2.5}, None]],
    ]  # fmt: skip
    assert empty == [2, [], [], [], [], [], [], NOTHING, [], [], []]
    assert null == [3, *[None] * 10]


def test_files_have_arrows_types(source: Database, tmp_path: Path) -> None:
    source.run(*ROWS)
    lossless(export(source, tmp_path, warehouse=None, **WORDS).expect(0))
    (path,) = (tmp_path / "files").rglob("*.parquet")
    with duckdb.connect() as connection:
        found = connection.execute("describe from read_parquet(?)", [str(path)]).fetchall()
        sizes = connection.execute("select sizes from read_parquet(?)", [str(path)]).fetchall()
    types = {row[0]: row[1] for row in found}
    assert types["matrix"] == "INTEGER[][]" and types["amounts"] == "DECIMAL(10,2)[]"
    assert types["sizes"] == "STRUCT(width INTEGER, height FLOAT)[][]"
    assert types["items"] == types["item"] + "[]"
    assert sizes == [([[{"width": 1, "height": 2.5}, None]],), ([],), (None,)]


def test_postgres_keeps_arrays_and_gets_composites_as_json(
    source: Database, database: Callable[[int], Database], tmp_path: Path
) -> None:
    make(source, "a int[], b shop.size[], c date[]", "'[2:3]={1,2}', '{\"(1,)\"}', '{infinity}'")
    source.run("insert into shop.t values (1, '{{1,2},{3,4}}')")
    there = database(18)
    words = {"relations": "shop.t", "nested": "nested", "warehouse": there.url}
    for _ in range(2):
        lossless(export(source, tmp_path, **words).expect(0))
    found = there.rows("select a::text, b::text, c::text, pg_typeof(a)::text, pg_typeof(b)::text"
                       " from t order by id")  # fmt: skip
    assert found == [
        ("[2:3]={1,2}", '[{"width":1,"height":null}]', "{infinity}", "integer[]", "json"),
        ("{{1,2},{3,4}}", None, None, "integer[]", "json"),
    ]


def test_by_default_nothing_changes_and_a_change_is_refused(
    source: Database, tmp_path: Path
) -> None:
    make(source, "a date[], b int[]", "'{2024-01-01}', '{1}'")
    export(source, tmp_path, relations="shop.t").expect(0)
    assert rows(tmp_path, "select a, b from t") == [("{2024-01-01}", [1])]
    ran = export(source, tmp_path, relations="shop.t", nested="nested").expect(3)
    assert "a is VARCHAR, not DATE[]" in ran.said and "schema: replace" in ran.said
    export(source, tmp_path, relations="shop.t", nested="nested", schema="replace").expect(0)
    assert rows(tmp_path, "select a, b from t") == [([date(2024, 1, 1)], [1])]
    relation = {"name": "shop.t", "nested": "text"}
    assert "a is DATE[], not VARCHAR" in export(
        source, tmp_path, relations=relation, nested="nested"
    ).expect(3).said  # fmt: skip


def test_what_has_no_place_inside_is_a_named_loss(source: Database, tmp_path: Path) -> None:
    make(
        source,
        "n numeric(5,2)[], s shop.item, at timestamptz[], low date[]",
        "'{NaN,1}', row(null, 'NaN', 'infinity', null, null, null, null, null, null, null, null,"
        " '24:00', null, null, null)::shop.item, '{infinity,-infinity,294276-12-31 23:59:59}',"
        " '[0:1]={infinity,2024-01-01}'",
    )
    words = {"relations": "shop.t", "nested": "nested"}
    ran = export(source, tmp_path, warehouse=None, **words).expect(0).result
    lost = {one["object"].rpartition(".")[2]: one["message"] for one in ran["losses"]}
    assert lost["n"].startswith("1 value ") and lost["s"].startswith("3 values ")
    assert lost["at"].startswith("3 values ")
    assert "1 arrays whose first index" in lost["low"] and "1 value " in lost["low"]
    ran = export(source, tmp_path, **words).expect(0).result  # DuckDB knows infinity
    lost = {one["object"].rpartition(".")[2]: one["message"] for one in ran["losses"]}
    assert lost["n"].startswith("1 value ") and "first index" in lost["low"]
    found = rows(
        tmp_path, 'select n, s."at"::varchar, s.t::varchar, "at"::varchar, low::varchar from t'
    )
    assert found == [
        ([None, Decimal(1)], "infinity", "24:00:00", "[infinity, -infinity, NULL]",
         "[infinity, 2024-01-01]"),
    ]  # fmt: skip


def test_dimensions_are_declared_and_others_are_refused(source: Database, tmp_path: Path) -> None:
    make(source, "m int[], d date[][], s shop.item", "'{{1}}', '{{2024-01-01}}'")
    words = {"nested": "nested"}
    relation: dict[str, Any] = {"name": "shop.t"}
    ran = export(source, tmp_path, relations=relation, **words).expect(4)
    assert "m holds arrays of more than one dimension" in ran.said
    assert "`dimensions: {m: 2}`" in ran.said
    relation["dimensions"] = {"m": 2}
    export(source, tmp_path, relations=relation, **words).expect(0)
    assert rows(tmp_path, "select m, d from t") == [([[1]], [[date(2024, 1, 1)]])]
    source.run("insert into shop.t values (1, '{1}')")
    ran = export(source, tmp_path, relations=relation, **words).expect(4)
    assert "shop.t.m holds arrays of 1 dimensions, not 2" in ran.said
    assert rows(tmp_path, "select count(*) from t") == [(1,)]
    source.run("delete from shop.t where id = 1")
    grid = f"row({'null, ' * 5}'{{1}}'{', null' * 9})"
    source.run(f"insert into shop.t values (2, null, null, {grid})")
    ran = export(source, tmp_path, relations=relation, **words).expect(4)
    assert "s.grid holds arrays of 1 dimensions, not 2" in ran.said
    relation |= {"text": ["s"], "schema": "replace"}
    export(source, tmp_path, relations=relation, **words).expect(0)


def test_a_zone_of_the_role_does_not_move_moments(source: Database, tmp_path: Path) -> None:
    make(source, "at timestamptz[]", "'{2024-07-01 12:00Z}'", "'{1880-01-01 00:00Z}'")
    role = source.rows("select current_user::text")[0][0]
    source.run(f"alter role \"{role}\" set timezone = 'Europe/Amsterdam'")
    try:
        relation = {"name": "shop.t", "where": "id >= 0"}
        lossless(export(source, tmp_path, relations=relation, nested="nested").expect(0))
    finally:
        source.run(f'alter role "{role}" reset timezone')
    assert rows(tmp_path, 'select "at" from t order by id') == [
        ([datetime(2024, 7, 1, 12, tzinfo=UTC)],),
        ([datetime(1880, 1, 1, tzinfo=UTC)],),
    ]


def test_json_takes_the_form_that_a_query_declares(source: Database, tmp_path: Path) -> None:
    make(source, "doc jsonb", """'{"width": 3, "height": 1.5, "more": 1}'""")
    query = {
        "name": "sizes",
        "query": "select id, jsonb_populate_record(null::shop.size, doc) as size from shop.t",
    }
    lossless(export(source, tmp_path, relations=query, nested="nested").expect(0))
    assert rows(tmp_path, "select size from sizes") == [({"width": 3, "height": 1.5},)]


def test_masks_hashes_and_text_come_first(source: Database, tmp_path: Path) -> None:
    make(source, "a date[], b date[], c date[]", "'{2024-01-01}', '{2024-01-01}', '{2024-01-01}'")
    export(
        source,
        tmp_path,
        relations={"name": "shop.t", "text": ["b"]},
        nested="nested",
        mask="*.a",
        hash="*.c",
        env={"WINDLASS_HASH_KEY": "k" * 32},
    ).expect(0)
    ((a, b, c),) = rows(tmp_path, "select a, b, c from t")
    assert (a, b, len(c)) == ("***", "{2024-01-01}", 64)


def test_what_cannot_be_is_refused_in_the_plan(source: Database, tmp_path: Path) -> None:
    make(source, "s shop.size, u text", "null, 'x'")
    source.run(
        'create type shop.two as (a int, "A" int)', "alter table shop.t add column x shop.two"
    )
    relation = {"name": "shop.t", "key": ["s"], "dimensions": {"u": 2}}
    ran = export(source, tmp_path, relations=relation, nested="nested", disposition="merge")
    for said in (
        "key: s is shop.size, whose values cannot be compared",
        "dimensions: u is text, not an array",
        "x: fields a and A have one name in DuckDB",
    ):
        assert said in ran.expect(3).said
    ran = export(source, tmp_path, relations="shop.t", nested="nested", format="csv").expect(2)
    assert "CSV holds text alone" in ran.said


# BigQuery


@pytest.fixture
def google(bigquery: FakeBigQuery, gs: dict[str, str]) -> dict[str, Any]:
    return {
        "to": "gs://lake/exports",
        "store_options": gs,
        "warehouse": bigquery.url("raw"),
        "nested": "nested",
    }


@pytest.mark.parametrize("disposition", ["truncate", "merge"])
def test_bigquery_gets_repeated_fields_and_records(
    disposition: str,
    source: Database,
    bigquery: FakeBigQuery,
    google: dict[str, Any],
    tmp_path: Path,
) -> None:
    make(
        source,
        "names text[], sizes shop.size[], item shop.size, amounts numeric(10,2)[]",
        "'{a,b}', '{\"(1,2)\",\"(,)\"}', '(1,)', '{1.50}'",
        "'{}', null, null, null",
    )
    words = {"relations": "shop.t", **google, "disposition": disposition}
    for _ in range(2):
        ran = export(source, tmp_path, **words).expect(0).result
    assert any("has no NULL lists, which become empty" in one for one in ran["notices"])
    lost = {one["object"]: one["message"] for one in ran["losses"]}
    assert lost == {
        "shop.t.sizes": "1 list that is NULL became empty",
        "shop.t.amounts": "1 list that is NULL became empty",
    }
    assert bigquery.rows("select names, sizes, item, amounts from raw.t order by id") == [
        (["a", "b"], [{"width": 1, "height": 2.0}, {"width": None, "height": None}],
         {"width": 1, "height": None}, [Decimal("1.50")]),
        ([], [], None, []),
    ]  # fmt: skip
    fields = {one["name"]: one for one in bigquery.schemas["raw", "t"]}
    assert (fields["sizes"]["type"], fields["sizes"]["mode"]) == ("RECORD", "REPEATED")
    assert (fields["amounts"]["type"], fields["amounts"]["scale"]) == ("NUMERIC", 2)


def test_bigquery_refuses_null_inside_of_lists_before_it_loads(
    source: Database, bigquery: FakeBigQuery, google: dict[str, Any], tmp_path: Path
) -> None:
    make(source, "names text[]", "'{a,NULL}'")
    ran = export(source, tmp_path, relations="shop.t", **google).expect(4)
    assert "names holds lists with NULL inside, which BigQuery cannot hold" in ran.said
    assert "`text: [names]`" in ran.said


def test_bigquery_refuses_lists_of_lists_in_the_plan(
    source: Database, google: dict[str, Any], tmp_path: Path
) -> None:
    make(source, "m int[][], t shop.tags[], i shop.item", "null, null, null")
    ran = export(source, tmp_path, relations="shop.t", **google).expect(3)
    for name in ("m", "t", "i"):
        assert f"{name} has lists of lists, which BigQuery cannot hold" in ran.said
