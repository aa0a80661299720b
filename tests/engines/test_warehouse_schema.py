"""Tables whose columns are not those of the export: refused, added to or replaced, in every
warehouse alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exporting import export
from servers import Database
from warehouses import File, Warehouse, bigquery, file, gs, s3, storage, warehouse
from windlass.engines.fitting import holds_all

__all__ = ["bigquery", "file", "gs", "s3", "storage", "warehouse"]  # fixtures

ORDERS: dict[str, Any] = {"name": "orders", "key": "id"}


@pytest.fixture
def orders(file: File) -> File:
    file.run(
        "create table orders (id bigint, amount decimal(10,2), small integer)",
        "insert into orders values (1, 1.25, 7)",
    )
    return file


def load(source: Any, warehouse: Warehouse, folder: Path, **words: Any) -> Any:
    return export(source, folder, **{"relations": ORDERS, **warehouse.words, **words})


def grow(warehouse: Warehouse) -> tuple[str, ...]:
    """In Snowflake a column's digits after the point stay as many as they are."""
    digits = "12,2" if warehouse.name == "snowflake" else "12,3"
    return (
        "alter table orders add column note varchar",
        f"alter table orders alter column amount type decimal({digits})",
        "update orders set note = 'x', amount = 1234567.5 where id = 1",
        "insert into orders (id, amount, note) values (2, 3, 'y')",
    )


def test_a_table_that_does_not_fit_is_refused_with_what_to_do(
    orders: File, warehouse: Warehouse, tmp_path: Path
) -> None:
    load(orders, warehouse, tmp_path).expect(0)
    orders.run(*grow(warehouse))
    ran = load(orders, warehouse, tmp_path).expect(3)
    (problem,) = ran.result["problems"]
    assert "note (" in problem["message"] and "is missing" in problem["message"]
    assert "amount is " in problem["message"] and "schema: add" in problem["hint"]


@pytest.mark.parametrize(
    ("disposition", "form"),
    [("truncate", "parquet"), ("truncate", "csv"), ("append", "parquet"), ("merge", "csv")],
)
def test_columns_are_added_and_types_widened(
    disposition: str, form: str, orders: File, warehouse: Warehouse, tmp_path: Path
) -> None:
    words = {"disposition": disposition, "schema": "add", "format": form}
    load(orders, warehouse, tmp_path, **words).expect(0)
    table = warehouse.named("orders")
    warehouse.run(f"alter table {table} add column mine varchar")
    warehouse.run(f"update {table} set mine = 'kept'")
    orders.run(*grow(warehouse))
    ran = load(orders, warehouse, tmp_path, **words).expect(0)
    (notice,) = ran.result["notices"]
    assert "adds note (" in notice and "changes amount from " in notice
    mine = {"merge": "kept"}.get(disposition)
    found = warehouse.rows(
        f"select id, cast(amount as varchar), note, mine from {table} order by id, amount"
    )
    end = "" if warehouse.name == "snowflake" else "0"
    new = [(1, f"1234567.50{end}", "x", mine), (2, f"3.00{end}", "y", None)]
    before = [(1, f"1.25{end}", None, "kept")] if disposition == "append" else []
    assert found == before + new
    assert load(orders, warehouse, tmp_path, **words).expect(0).result["notices"] == []


@pytest.mark.parametrize("warehouse", ["duckdb", "bigquery", "snowflake"], indirect=True)
def test_a_column_that_is_there_in_another_case_is_not_added(
    orders: File, warehouse: Warehouse, tmp_path: Path
) -> None:
    load(orders, warehouse, tmp_path).expect(0)
    renamed = {**ORDERS, "rename": {"small": "Small"}}
    ran = load(orders, warehouse, tmp_path, relations=renamed, schema="add").expect(3)
    (problem,) = ran.result["problems"]
    assert problem["message"] == "Small exists as small: only their case differs"


def test_what_cannot_be_widened_is_refused_and_replaced_on_request(
    orders: File, warehouse: Warehouse, tmp_path: Path
) -> None:
    load(orders, warehouse, tmp_path).expect(0)
    table = warehouse.named("orders")
    warehouse.run(f"alter table {table} add column mine varchar")
    orders.run(
        "alter table orders alter column amount type varchar",
        "alter table orders drop column small",
        "alter table orders add column more bigint",
        "update orders set more = 5",
    )
    (problem,) = load(orders, warehouse, tmp_path, schema="add").expect(3).result["problems"]
    assert "amount is " in problem["message"] and "more" not in problem["message"]
    assert "schema: replace" in problem["hint"]
    ran = load(orders, warehouse, tmp_path, schema="replace").expect(0)
    (notice,) = ran.result["notices"]
    for said in ("adds more (", "changes amount from ", "drops small (", "drops mine ("):
        assert said in notice
    assert warehouse.rows(f"select id, amount, more from {table}") == [(1, "1.25", 5)]
    assert _columns(warehouse, "orders") == {"id", "amount", "more"}


def _columns(warehouse: Warehouse, table: str) -> set[str]:
    found = warehouse.rows(
        "select lower(column_name) from information_schema.columns"
        f" where lower(table_schema) = '{warehouse.schema}' and lower(table_name) = '{table}'"
    )
    return {name for (name,) in found}


@pytest.mark.parametrize("disposition", ["truncate", "merge"])
def test_a_dropped_column_stays_and_is_reported(
    disposition: str, orders: File, warehouse: Warehouse, tmp_path: Path
) -> None:
    load(orders, warehouse, tmp_path, disposition=disposition).expect(0)
    table = warehouse.named("orders")
    warehouse.run(f"alter table {table} add column mine varchar")
    orders.run("alter table orders drop column small")
    ran = load(orders, warehouse, tmp_path, disposition=disposition).expect(0)
    (notice,) = ran.result["notices"]
    assert "main.orders: small is not exported any more" in notice
    assert _columns(warehouse, "orders") == {"id", "amount", "small", "mine"}
    expected = {"truncate": [None], "merge": [7]}[disposition]
    found = [row[0] for row in warehouse.rows(f"select small from {table} order by small")]
    assert found == expected


def test_a_table_that_is_wider_is_loaded_as_it_is(
    orders: File, warehouse: Warehouse, tmp_path: Path
) -> None:
    warehouse.run(f"create table {warehouse.named('orders')}"
                  " (id bigint, amount decimal(20,5), small bigint)")  # fmt: skip
    for disposition in ("append", "merge", "truncate"):
        words = {"disposition": disposition, "schema": "add"}
        if disposition == "merge":
            warehouse.run(f"delete from {warehouse.named('orders')}")
        load(orders, warehouse, tmp_path, **words).expect(0)
        query = f"select id, cast(amount as varchar), small from {warehouse.named('orders')}"
        assert warehouse.rows(query) == [(1, "1.25000", 7)]


def test_a_relation_that_does_not_fit_does_not_stop_the_others(
    orders: File, warehouse: Warehouse, tmp_path: Path
) -> None:
    orders.run("create table others (id bigint)", "insert into others values (1)")
    both = {"relations": [ORDERS, "others"]}
    load(orders, warehouse, tmp_path, **both).expect(0)
    orders.run(*grow(warehouse), "insert into others values (2)")
    ran = load(orders, warehouse, tmp_path, **both).expect(1)
    assert ran.result["state"] == "different"
    (difference,) = ran.result["differences"]
    assert difference["object"] == "main.orders" and difference["kind"] == "schema"
    assert "note (" in difference["message"] and "schema: add" in difference["message"]
    assert warehouse.rows(f"select count(*) from {warehouse.named('others')}") == [(2,)]
    assert warehouse.rows(f"select count(*) from {warehouse.named('orders')}") == [(1,)]
    verified = {one["source"]: one["verified"] for one in ran.result["relations"]}
    assert verified == {"main.others": "rows", "main.orders": ""}
    load(orders, warehouse, tmp_path, **both, schema="add").expect(0)
    assert warehouse.rows(f"select count(*) from {warehouse.named('orders')}") == [(2,)]


@pytest.mark.parametrize("disposition", ["append", "merge"])
def test_columns_of_rows_that_stay_are_not_replaced(
    disposition: str, orders: File, tmp_path: Path
) -> None:
    for words in (
        {"schema": "replace"},
        {"relations": [{**ORDERS, "schema": "replace"}]},
    ):
        ran = export(orders, tmp_path, disposition=disposition, **words).expect(2)
        assert "schema: replace needs disposition: truncate" in ran.result["message"]


# PostgreSQL


def test_postgres_keeps_what_hangs_on_a_table_whose_columns_are_replaced(
    database: Callable[[int], Database], tmp_path: Path
) -> None:
    source, there = database(16), database(18)
    source.run("create table t (id int primary key, a text)", "insert into t values (1, 'x')")
    there.run(
        "create table t (id bigint primary key, a int, b text)",
        "create index on t (a)",
        "comment on table t is 'ours'",
        "create view v as select id from t",
    )
    words = {"relations": "public.t", "warehouse": there.url, "schema": "replace"}
    (problem,) = export(source, tmp_path, **words).expect(3).result["problems"]
    assert "views use id" in problem["message"]
    there.run("drop view v; create view v as select count(*) from t")
    export(source, tmp_path, **words).expect(0)
    assert there.rows("select * from t") == [(1, "x")]
    assert there.value("select obj_description('t'::regclass)") == "ours"
    assert there.value("select count(*) from pg_index where indrelid = 't'::regclass") == 2


def test_a_load_that_fails_leaves_the_columns_as_they_were(
    database: Callable[[int], Database], tmp_path: Path
) -> None:
    source, there = database(16), database(18)
    source.run(
        "create table t (id int primary key, v varchar(20), n int)",
        "insert into t values (1, 'x', -1)",
    )
    there.run("create table t (id int, v varchar(10))", "alter table t add check (id > 1)")
    words = {"relations": "public.t", "warehouse": there.url, "schema": "add"}
    export(source, tmp_path, **words).expect(4)
    columns = "select attname, format_type(atttypid, atttypmod) from pg_attribute" \
        " where attrelid = 't'::regclass and attnum > 0 order by attnum"  # fmt: skip
    assert there.rows(columns) == [("id", "integer"), ("v", "character varying(10)")]
    there.run("alter table t drop constraint t_id_check")
    export(source, tmp_path, **words).expect(0)
    assert there.rows(columns)[1:] == [("v", "character varying(20)"), ("n", "integer")]


# which types hold all values of another


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("smallint", "integer"),
        ("integer", "bigint"),
        ("integer", "numeric(12,2)"),
        ("bigint", "numeric"),
        ("numeric(10,2)", "numeric(12,2)"),
        ("numeric(10,2)", "numeric(11,3)"),
        ("numeric(10,2)", "numeric"),
        ("real", "double precision"),
        ("character varying(10)", "character varying(20)"),
        ("character varying(10)", "text"),
        ("character varying", "text"),
        ("integer[]", "bigint[]"),
        ("timestamp(3) without time zone", "timestamp without time zone"),
    ],
)
def test_a_type_that_holds_all_values_of_another_is_wider(old: str, new: str) -> None:
    assert holds_all(old, new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("integer", "smallint"),
        ("integer", "numeric(11,2)"),
        ("bigint", "double precision"),
        ("integer", "real"),
        ("numeric(10,2)", "numeric(10,3)"),
        ("numeric(10,2)", "numeric(12,1)"),
        ("numeric", "numeric(38,10)"),
        ("numeric", "text"),
        ("double precision", "real"),
        ("text", "character varying(10)"),
        ("character varying", "character varying(10)"),
        ("character(3)", "text"),
        ("timestamp without time zone", "timestamp with time zone"),
        ("timestamp without time zone", "timestamp(3) without time zone"),
        ("date", "timestamp without time zone"),
        ("integer", "bigint[]"),
        ("jsonb", "json"),
        ("integer", "boolean"),
    ],
)
def test_a_type_that_loses_something_of_another_is_not_wider(old: str, new: str) -> None:
    assert not holds_all(old, new)
