"""What a merge does to a table is the same in every warehouse: update and insert, never delete."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exporting import export
from servers import PASSWORD, Database
from warehouses import File, Warehouse, bigquery, file, gs, s3, storage, warehouse

__all__ = ["bigquery", "file", "gs", "s3", "storage", "warehouse"]  # fixtures

MERGE: dict[str, Any] = {"relations": {"name": "orders", "key": "id"}, "disposition": "merge"}


def orders(file: File, *more: str) -> None:
    file.run(
        "create table orders (id bigint, n bigint, note varchar)",
        "insert into orders values (1, 10, 'a'), (2, 20, 'b')",
        *more,
    )


def test_a_column_of_the_warehouses_own_keeps_its_values(
    file: File, warehouse: Warehouse, tmp_path: Path
) -> None:
    orders(file)
    export(file, tmp_path, **MERGE, **warehouse.words).expect(0)
    table = warehouse.named("orders")
    warehouse.run(f"alter table {table} add column mine varchar")
    warehouse.run(f"update {table} set mine = 'kept'")
    file.run(
        "update orders set note = 'changed' where id = 2", "insert into orders (id) values (3)"
    )
    ran = export(file, tmp_path, **MERGE, **warehouse.words).expect(0)
    assert ran.result["rows"] == 3
    assert warehouse.rows(f"select id, note, mine from {table} order by id") == [
        (1, "a", "kept"), (2, "changed", "kept"), (3, None, None),
    ]  # fmt: skip


def test_columns_that_are_not_exported_any_more_keep_their_values(
    file: File, warehouse: Warehouse, tmp_path: Path
) -> None:
    orders(file)
    export(file, tmp_path, **MERGE, **warehouse.words).expect(0)
    file.run("update orders set n = 99", "alter table orders drop column note")
    export(file, tmp_path, **MERGE, **warehouse.words).expect(0)
    found = warehouse.rows(f"select id, n, note from {warehouse.named('orders')} order by id")
    assert found == [(1, 99, "a"), (2, 99, "b")]


def test_rows_that_the_source_has_deleted_stay(
    file: File, warehouse: Warehouse, tmp_path: Path
) -> None:
    orders(file)
    export(file, tmp_path, **MERGE, **warehouse.words).expect(0)
    file.run("delete from orders where id = 1")
    export(file, tmp_path, **MERGE, **warehouse.words).expect(0)
    found = warehouse.rows(f"select id, note from {warehouse.named('orders')} order by id")
    assert found == [(1, "a"), (2, "b")]


def test_a_key_of_several_columns_and_nothing_else_is_merged(
    file: File, warehouse: Warehouse, tmp_path: Path
) -> None:
    file.run("create table pairs (a bigint, b varchar)", "insert into pairs values (1, 'x')")
    words = {"relations": {"name": "pairs", "key": ["a", "b"]}, "disposition": "merge"}
    export(file, tmp_path, **words, **warehouse.words).expect(0)
    file.run("insert into pairs values (1, 'y')")
    ran = export(file, tmp_path, **words, **warehouse.words).expect(0)
    assert ran.result["rows"] == 2
    found = warehouse.rows(f"select a, b from {warehouse.named('pairs')} order by b")
    assert found == [(1, "x"), (1, "y")]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("insert into orders values (1, 11, 'twin')", "several rows have the same key (id)"),
        ("insert into orders values (null, 1, 'none')", "rows have no key (NULL in id)"),
    ],
)
def test_rows_of_the_source_without_a_key_of_their_own_are_not_merged(
    row: str, said: str, file: File, warehouse: Warehouse, tmp_path: Path
) -> None:
    orders(file, row)
    ran = export(file, tmp_path, **MERGE, **warehouse.words).expect(4)
    assert said in ran.result["message"]


def test_rows_of_the_table_that_share_a_key_are_not_merged(
    file: File, warehouse: Warehouse, tmp_path: Path
) -> None:
    """Which of them is the source's row, nobody knows."""
    orders(file)
    for _ in range(2):
        append = {"relations": "orders", "disposition": "append"}
        export(file, tmp_path, **append, **warehouse.words).expect(0)
    ran = export(file, tmp_path, **MERGE, **warehouse.words).expect(4)
    assert "orders: several rows of the table have the same key (id)" in ran.result["message"]
    assert warehouse.rows(f"select count(*) from {warehouse.named('orders')}") == [(4,)]


@pytest.mark.parametrize("warehouse", ["postgresql", "duckdb"], indirect=True)  # constraints hold
def test_a_merge_needs_no_unique_constraint_and_agrees_with_one(
    file: File, warehouse: Warehouse, tmp_path: Path
) -> None:
    file.run(
        "create table lists (id bigint, n bigint, tags varchar[], code varchar)",
        "insert into lists values (1, 10, ['a'], 'x'), (2, 20, null, 'y')",
    )
    table = warehouse.named("lists")
    text = "text" if warehouse.name == "postgresql" else "varchar"
    warehouse.run(
        f"create table {table} (id bigint primary key, n bigint, tags {text}[], code {text}"
        " not null, unique (code))"
    )
    words = {"relations": {"name": "lists", "key": "id"}, "disposition": "merge"}
    export(file, tmp_path, **words, **warehouse.words).expect(0)
    file.run("update lists set tags = ['b'], n = 11 where id = 1")
    file.run("insert into lists values (3, 30, ['c'], 'z')")
    export(file, tmp_path, **words, **warehouse.words).expect(0)
    assert warehouse.rows(f"select id, n, tags, code from {table} order by id") == [
        (1, 11, ["b"], "x"), (2, 20, None, "y"), (3, 30, ["c"], "z"),
    ]  # fmt: skip


def test_not_a_number_is_no_key_in_bigquery(
    file: File, warehouse: Warehouse, tmp_path: Path
) -> None:
    """It equals nothing there, so each merge would insert its row again."""
    file.run("create table f (id double, n bigint)", "insert into f values ('nan', 1), (2, 2)")
    words = {"relations": {"name": "f", "key": "id"}, "disposition": "merge"}
    if warehouse.name == "bigquery":
        ran = export(file, tmp_path, **words, **warehouse.words).expect(4)
        assert "rows have no key" in ran.result["message"]
        return
    for _ in range(2):
        export(file, tmp_path, **words, **warehouse.words).expect(0)
    assert warehouse.rows(f"select count(*) from {warehouse.named('f')}") == [(2,)]


# PostgreSQL, whose tables can do more


@pytest.fixture
def there(database: Callable[[int], Database]) -> Database:
    return database(18)


def merge(file: File, there: Database, folder: Path, **words: Any) -> Any:
    return export(file, folder, **{**MERGE, "warehouse": there.url, **words})


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_a_merge_deletes_no_rows_that_refer_to_those_it_changes(
    form: str, file: File, there: Database, tmp_path: Path
) -> None:
    orders(file)
    there.run(
        "create table orders (id bigint primary key, n bigint, note text)",
        "create table child (id bigint references orders on delete cascade)",
    )
    merge(file, there, tmp_path, format=form).expect(0)
    there.run("insert into child values (1), (2)")
    file.run("update orders set note = 'changed'")
    merge(file, there, tmp_path, format=form).expect(0)
    assert there.rows("select count(*) from child") == [(2,)]
    assert there.rows("select distinct note from orders") == [("changed",)]


def test_identity_columns_take_the_sources_values(
    file: File, there: Database, tmp_path: Path
) -> None:
    orders(file)
    there.run(
        "create table orders (id bigint generated always as identity primary key,"
        " n bigint, note text, twice bigint generated always as (n * 2) stored)"
    )
    for _ in range(2):
        merge(file, there, tmp_path).expect(0)
        file.run("update orders set n = n + 1")
    assert there.rows("select id, n, twice from orders order by id") == [
        (1, 11, 22), (2, 21, 42),
    ]  # fmt: skip
    there.run("truncate orders")
    merge(file, there, tmp_path, disposition="append", relations="orders").expect(0)
    assert there.rows("select id from orders order by id") == [(1,), (2,)]


def test_updates_that_a_trigger_discards_are_missed(
    file: File, there: Database, tmp_path: Path
) -> None:
    orders(file)
    merge(file, there, tmp_path).expect(0)
    there.run(
        "create function few() returns trigger language plpgsql as"
        " $$begin if new.id > 1 then return null; end if; return new; end$$",
        "create trigger few before update on orders for each row execute function few()",
    )
    file.run("update orders set note = 'changed'")
    ran = merge(file, there, tmp_path).expect(4)
    assert "2 rows were read, 1 have arrived in orders" in ran.result["message"]
    assert there.rows("select distinct note from orders order by 1") == [("a",), ("b",)]


def test_a_key_that_is_equal_and_reads_otherwise_is_written_as_the_source_has_it(
    database: Callable[[int], Database], there: Database, tmp_path: Path
) -> None:
    source = database(16)
    source.run("create table v (id numeric primary key, n int)", "insert into v values (1.0, 1)")
    words = {"relations": "public.v", "disposition": "merge", "warehouse": there.url}
    export(source, tmp_path, **words).expect(0)
    source.run("update v set id = 1.00")
    export(source, tmp_path, **words).expect(0)
    assert there.rows("select id::text from v") == [("1.00",)]


@pytest.mark.parametrize(
    ("change", "words", "said"),
    [
        ("alter table orders enable row level security", {}, "row security hides rows"),
        ("create table kid (x int) inherits (orders)", {}, "other tables inherit from it"),
        (
            "alter table orders add primary key (id); create table child (id bigint references"
            " orders on delete cascade)",
            {"disposition": "truncate"},
            "cannot be emptied: it is referenced by child_id_fkey of public.child",
        ),
        ("revoke update on orders from loader", {}, "this role may not update"),
        (
            "drop table orders; create table orders (id bigint, n bigint, note text generated"
            " always as ('x') stored); grant all on orders to loader",
            {},
            "note is generated there",
        ),
        (
            "drop table orders; create view orders as select 1::bigint as id, 2::bigint as n,"
            " 'x'::text as note; grant all on orders to loader",
            {},
            "is a view",
        ),
    ],
)
def test_tables_that_postgres_cannot_load_as_asked_are_refused(
    change: str, words: dict[str, Any], said: str, file: File, there: Database, tmp_path: Path
) -> None:
    orders(file)
    merge(file, there, tmp_path).expect(0)
    there.run(
        f"create role loader login password '{PASSWORD}'",
        "grant all on schema public to loader; grant all on all tables in schema public to loader",
        change,
    )
    try:
        user = {"warehouse": there.url_for("loader"), **words}
        (problem,) = merge(file, there, tmp_path, **user).expect(3).result["problems"]
        assert said in problem["message"]
    finally:
        there.run("drop owned by loader; drop role loader")
