"""Statements of the user's before and after a load and a run: exactly once, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from command import windlass
from exporting import export, spec_file, stop
from killing import kill
from servers import Database
from warehouses import File, Warehouse, bigquery, file, gs, s3, storage, warehouse

__all__ = ["bigquery", "file", "gs", "s3", "storage", "warehouse"]  # fixtures

LOGGING = {
    "before_run": "insert into log values ('before-run')",
    "after_run": ["insert into log select 'after-run ' || count(*) from orders;"],
    "before_load": "insert into log values ('before {table}')",
    "after_load": [
        "insert into log select 'after ' || count(*) from {table}",
        "-- the last one\nupdate log set said = said || '!' where said like 'after %'",
    ],
}
TRANSACTIONAL = pytest.mark.parametrize(
    "warehouse", ["postgresql", "duckdb", "snowflake"], indirect=True
)


@pytest.fixture
def orders(file: File) -> File:
    file.run(
        "create table orders (id bigint, note varchar)",
        "insert into orders select range, 'new' from range(10)",
    )
    return file


def load(source: Any, there: Warehouse, folder: Path, *options: str, **words: Any) -> Any:
    return export(source, folder, *options, **{"relations": "main.orders", **there.words, **words})


def logged(there: Warehouse) -> list[Any]:
    return sorted(said for (said,) in there.rows(f"select said from {there.named('log')}"))


@TRANSACTIONAL
@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_they_run_in_order_and_once_for_a_run(
    form: str, orders: File, warehouse: Warehouse, tmp_path: Path
) -> None:
    table = warehouse.named("log")
    warehouse.run(f"create table {table} (said varchar)")
    words = {**LOGGING, "format": form, "disposition": "append"}
    run = load(orders, warehouse, tmp_path, **words).expect(0).result["run"]
    name = {
        "postgresql": '"public"."orders"',
        "duckdb": '"main"."orders"',
        "snowflake": '"ORDERS"',
    }[warehouse.name]
    expected = sorted(["before-run", f"before {name}", "after 10!", "after-run 10"])
    assert logged(warehouse) == expected
    stop(tmp_path, run, **warehouse.words)
    ran = load(orders, warehouse, tmp_path, **words).expect(0).result
    assert ran["run"] == run and logged(warehouse) == expected
    assert "after-run was run before, and is not repeated" in ran["notices"]
    assert warehouse.rows(f"select count(*) from {warehouse.named('orders')}") == [(10,)]


@TRANSACTIONAL
@pytest.mark.parametrize("when", ["before-load", "after-load"])
def test_a_relation_whose_hook_fails_is_not_loaded(
    when: str, orders: File, warehouse: Warehouse, tmp_path: Path
) -> None:
    warehouse.run(f"create table {warehouse.named('log')} (said varchar)")
    load(orders, warehouse, tmp_path).expect(0)
    orders.run("delete from orders where id > 0")
    statements = ["insert into log values ('undone')", "select missing from {table}"]
    ran = load(orders, warehouse, tmp_path, **{when.replace("-", "_"): statements}).expect(4)
    assert f"statement 2 of {when} of main.orders" in ran.result["message"]
    assert logged(warehouse) == []
    assert warehouse.rows(f"select count(*) from {warehouse.named('orders')}") == [(10,)]


@TRANSACTIONAL
@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_hooks_cannot_end_the_transaction_of_the_load(
    form: str, orders: File, warehouse: Warehouse, tmp_path: Path
) -> None:
    load(orders, warehouse, tmp_path).expect(0)
    orders.run("delete from orders where id > 0")
    for text, code in (("commit", 2), ("select 1; commit", 4), ("/* */ rollback", 2),
                       ("select 1; select 2", 4)):  # fmt: skip
        load(orders, warehouse, tmp_path, format=form, after_load=text).expect(code)
    count = f"select count(*) from {warehouse.named('orders')}"
    assert warehouse.rows(count) == [(10,)]


@TRANSACTIONAL
def test_a_relation_has_its_own_hooks_and_they_may_change_its_rows(
    orders: File, warehouse: Warehouse, tmp_path: Path
) -> None:
    relation = {"name": "main.orders", "after_load": "delete from {table} where id = 3"}
    words = {"relations": relation, "after_load": "select missing"}
    for _ in range(2):
        ran = load(orders, warehouse, tmp_path, **words).expect(0).result
        assert (ran["verified"], ran["relations"][0]["rows"]) == ("rows", 10)
    assert warehouse.rows(f"select count(*) from {warehouse.named('orders')}") == [(9,)]


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_a_role_or_setting_of_a_hook_is_that_of_its_load_only(
    form: str, orders: File, database: Callable[[int], Database], tmp_path: Path
) -> None:
    orders.run("create table visits as from orders")
    there, role = database(18), f"loader_{form}"
    there.run("create table log (said text)", f"create role {role} superuser")
    words: dict[str, Any] = {
        "relations": [
            {"name": "main.orders", "before_load": f"set role {role}",
             "after_load": "set application_name = 'left behind'"},
            {"name": "main.visits", "after_load": "insert into log select current_user"
             " || ' ' || current_setting('application_name')"},
        ],
        "after_run": f"set role {role}",
        "format": form,
        "warehouse": there.url,
    }  # fmt: skip
    export(orders, tmp_path, "--jobs", "1", **words).expect(0)
    assert there.rows("select tableowner from pg_tables where tablename = 'orders'") == [(role,)]
    assert there.rows("select said from log") == [("postgres windlass warehouse",)]


@pytest.mark.parametrize(
    "place",
    [
        "postgres insert into log values",
        "call windlass.engines.postgres.warehouse_hooks:HookRunner._transaction 7",
        "after load",
        "call windlass.engines.postgres.target:PostgresTarget.run_once 2",
        "call windlass.engines.postgres.warehouse_tables:Tables.record_hooks 2",
    ],
)
def test_a_killed_run_has_run_each_hook_once_when_it_is_resumed(
    place: str, orders: File, database: Callable[[int], Database], tmp_path: Path
) -> None:
    there = database(18)
    there.run("create table log (said text)")
    words: dict[str, Any] = {
        **LOGGING,
        "relations": "main.orders",
        "warehouse": there.url,
        "disposition": "append",
    }
    path = spec_file(tmp_path, **words)
    kill(place, ["export", "--json", "-f", str(path)], {"WINDLASS_SOURCE": orders.url})
    assert export(orders, tmp_path, **words).expect(0).result["resumed"]
    assert sorted(there.rows("select said from log")) == [
        ("after 10!",), ("after-run 10",), ('before "public"."orders"',), ("before-run",),
    ]  # fmt: skip
    assert there.rows("select count(*) from orders") == [(10,)]


@TRANSACTIONAL
def test_after_run_waits_until_all_is_loaded(
    orders: File, warehouse: Warehouse, tmp_path: Path
) -> None:
    warehouse.run(f"create table {warehouse.named('log')} (said varchar)")
    orders.run("create table more (id bigint)")
    words: dict[str, Any] = {
        "relations": ["main.orders", {"name": "main.more", "after_load": "select missing"}],
        "after_run": "insert into log values ('after-run')",
        "before_run": "insert into log values ('before-run')",
    }
    load(orders, warehouse, tmp_path, **words).expect(4)
    assert logged(warehouse) == ["before-run"]
    warehouse.run(f"drop table if exists {warehouse.named('more')}")  # as Snowflake has it
    warehouse.run(f"create table {warehouse.named('more')} (id date)")
    words["relations"] = "main.*"
    ran = load(orders, warehouse, tmp_path, **words).expect(1).result
    said = "after-run was not run: 1 relation of the export could not be loaded"
    assert said in ran["notices"] and logged(warehouse) == ["before-run"] * 2


def test_a_failed_before_run_loads_nothing(orders: File, tmp_path: Path) -> None:
    ran = export(orders, tmp_path, relations="main.orders", before_run="select missing").expect(4)
    assert "running statement 1 of before-run of run" in ran.result["message"]
    ran = export(orders, tmp_path, relations="main.orders", before_run="select 1").expect(0)
    assert ran.result["relations"][0]["rows"] == 10


def test_names_are_looked_up_where_psql_would(
    orders: File, database: Callable[[int], Database], tmp_path: Path
) -> None:
    there = database(18)
    there.run("create schema mart", "create schema audit", "create table mart.log (said text)")
    there.run("create table audit.seen (path text, zone text)")
    role = there.rows("select current_user::text")[0][0]
    there.run(f'alter role "{role}" in database "{there.name}" set search_path = audit')
    words: dict[str, Any] = {
        "relations": "main.orders",
        "warehouse": there.url,
        "into": "mart",
        "after_load": [
            "insert into seen values (current_setting('search_path'), current_setting('TimeZone'))",
            "insert into log values ('x')",
        ],
    }
    export(orders, tmp_path, **words).expect(0)
    assert there.rows("select path from audit.seen") == [('audit, "mart", "public"',)]
    assert there.rows("select count(*) from mart.log") == [(1,)]


def test_the_plan_shows_them(orders: File, tmp_path: Path) -> None:
    path = str(spec_file(tmp_path, relations="main.orders", **LOGGING))
    said = windlass("plan", "-f", path, env={"WINDLASS_SOURCE": orders.url}).expect(0).stdout
    for text in (
        "before-run: insert into log values ('before-run')",
        "after-run: insert into log select 'after-run ' || count(*) from orders",
        "before-load: insert into log values ('before {table}')",
        "after-load: insert into log select 'after ' || count(*) from {table}",
    ):
        assert text in said


def test_what_cannot_be_is_refused(
    orders: File, bigquery: Any, gs: dict[str, str], tmp_path: Path
) -> None:
    ran = export(orders, tmp_path, warehouse=None, after_run="select 1").expect(2)
    assert "there is no warehouse to run" in ran.said
    ran = export(orders, tmp_path, after_run="select * from {table}").expect(2)
    assert "is of the whole run, which has no {table}" in ran.said
    words = {"to": "gs://lake/x", "store_options": gs, "warehouse": bigquery.url("raw")}
    ran = export(orders, tmp_path, **words, after_load="select 1").expect(2)
    assert "BigQuery loads by jobs, which are no transactions" in ran.said
    commented = "/* a */ " * 40
    ran = export(orders, tmp_path, after_run=f"{commented} commit").expect(2)
    assert "a hook is part of the load's transaction" in ran.said
    export(orders, tmp_path, after_run=f"{commented} select 1").expect(0)


@TRANSACTIONAL
def test_increments_begin_again_where_others_have_replaced_the_rows(
    orders: File, warehouse: Warehouse, tmp_path: Path
) -> None:
    """However many rows their hook has left."""
    relation = {"name": "main.orders", "key": "id"}
    increments = {"relations": {**relation, "watermark": "id"}, "disposition": "merge"}
    load(orders, warehouse, tmp_path, **increments).expect(0)
    others = {**relation, "where": "id < 2", "after-load": "insert into {table} values (99, 'x')"}
    load(orders, warehouse, tmp_path, relations=others).expect(0)
    load(orders, warehouse, tmp_path, **increments).expect(0)
    found = warehouse.rows(f"select id from {warehouse.named('orders')} order by 1")
    assert [one for (one,) in found] == [*range(10), 99]
