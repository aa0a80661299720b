"""Iceberg as the warehouse of an export: read back by pyiceberg, and its files by DuckDB."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from command import Ran
from exporting import export, files, spec_file, stop
from killing import kill
from needs import needs_module
from servers import QUOTED_PASSWORD, Database
from warehouses import File, file
from windlass.errors import WindlassError

if TYPE_CHECKING:
    from pyiceberg.catalog.sql import SqlCatalog
    from pyiceberg.table import Table

__all__ = ["file"]  # fixtures


@pytest.fixture(autouse=True)
def installed() -> None:
    needs_module("pyiceberg")


@pytest.fixture
def orders(file: File) -> File:
    file.run(
        "create table orders (id bigint, note varchar, price decimal(10,2))",
        "insert into orders values (1, 'a', 1.10), (2, '', null), (3, null, 3)",
    )
    return file


def warehouse(folder: Path) -> str:
    return f"iceberg+sqlite://{folder}/catalog.db?warehouse=file://{folder}/tables"


def load(source: Any, folder: Path, *options: str, **words: Any) -> Ran:
    given = {"warehouse": warehouse(folder), "relations": "orders", **words}
    return export(source, folder, *options, **given)


def table(folder: Path, name: str = "orders", namespace: str = "default") -> Table:
    return catalog(folder).load_table((namespace, name))


def catalog(folder: Path) -> SqlCatalog:
    from pyiceberg.catalog.sql import SqlCatalog

    place = {"uri": f"sqlite:///{folder}/catalog.db", "warehouse": f"file://{folder}/tables"}
    return SqlCatalog("default", **place)


def rows(folder: Path, name: str = "orders") -> list[tuple[Any, ...]]:
    found = table(folder, name).scan().to_arrow().to_pylist()
    return sorted((tuple(one.values()) for one in found), key=repr)


ROWS = [(1, "a", Decimal("1.10")), (2, "", None), (3, None, Decimal("3.00"))]


def test_rows_are_replaced_or_appended_in_one_commit_each(orders: File, tmp_path: Path) -> None:
    ran = load(orders, tmp_path).expect(0)
    assert (rows(tmp_path), ran.result["verified"], files(tmp_path)) == (ROWS, "rows", [])
    first = table(tmp_path).current_snapshot()
    assert first is not None and first.summary is not None
    assert first.summary["windlass.run"] == ran.result["run"]
    load(orders, tmp_path, disposition="append").expect(0)
    assert len(rows(tmp_path)) == 6
    load(orders, tmp_path).expect(0)
    assert rows(tmp_path) == ROWS
    assert len(table(tmp_path).metadata.metadata_log) == 3  # of the table's creation and two loads


def test_other_readers_find_the_rows_in_its_files(orders: File, tmp_path: Path) -> None:
    load(orders, tmp_path).expect(0)
    load(orders, tmp_path).expect(0)
    paths = [one.file.file_path for one in table(tmp_path).scan().plan_files()]
    query = "select * from read_parquet(?) order by id"
    assert duckdb.execute(query, [paths]).fetchall() == ROWS


TYPES = {
    "b": ("boolean", "boolean"),
    "i2": ("smallint", "int"),
    "i4": ("integer", "int"),
    "i8": ("bigint", "long"),
    "f4": ("real", "float"),
    "f8": ("double precision", "double"),
    "d": ("numeric(38,10)", "decimal(38, 10)"),
    "n": ("numeric", "string"),
    "t": ("text", "string"),
    "j": ("jsonb", "string"),
    "u": ("uuid", "uuid"),
    "y": ("bytea", "binary"),
    "dt": ("date", "date"),
    "ti": ("time", "time"),
    "ts": ("timestamp", "timestamp"),
    "tz": ("timestamptz", "timestamptz"),
    "l": ("integer[]", "list<int>"),
    "l2": ("smallint[]", "list<int>"),
    "lt": ("text[]", "list<string>"),
}
VALUES = r"""true, -32768, 2147483647, -9223372036854775808, 1.5, '-0',
    1234567890123456789012345678.0123456789, 'NaN', E'é\n', '{"a": 1}',
    '00000000-0000-0000-0000-0000000000ff', '\x00ff', '0001-01-01', '23:59:59.999999',
    '9999-12-31 23:59:59.999999', '2024-02-29 12:00:00.000001+05', '{1,null}', '{-1}',
    '{"",null,"x"}'"""


def test_every_type_arrives_exactly(database: Callable[[int], Database], tmp_path: Path) -> None:
    source = database(16)
    columns = ", ".join(f"{name} {type_}" for name, (type_, _) in TYPES.items())
    nulls = ", ".join("null" for _ in TYPES)
    source.run(
        f"create table every ({columns})",
        f"insert into every values ({VALUES})",
        f"insert into every values ({nulls})",
    )
    load(source, tmp_path, relations="public.every").expect(0)
    found = table(tmp_path, "every")
    types = {one.name: str(one.field_type) for one in found.schema().fields}
    assert types == {name: type_ for name, (_, type_) in TYPES.items()}
    (first, second) = sorted(found.scan().to_arrow().to_pylist(), key=lambda one: one["b"] is None)
    assert set(second.values()) == {None}
    assert first["d"] == Decimal("1234567890123456789012345678.0123456789")
    assert str(first["f8"]) == "-0.0" and first["i8"] == -(2**63) and first["y"] == b"\x00\xff"
    assert str(first["u"]).endswith("00ff") and first["n"] == "NaN" and first["t"] == "é\n"
    assert str(first["tz"]) == "2024-02-29 07:00:00.000001+00:00"
    assert str(first["ts"]) == "9999-12-31 23:59:59.999999" and str(first["dt"]) == "0001-01-01"
    assert (first["l"], first["l2"], first["lt"]) == ([1, None], [-1], ["", None, "x"])


def test_what_it_has_no_place_for_is_a_named_loss(
    database: Callable[[int], Database], tmp_path: Path
) -> None:
    source = database(16)
    source.run(
        "create table v (d date, ts timestamptz, n numeric(9,2), t time)",
        "insert into v values ('infinity', '0044-03-15 BC', 'NaN', '24:00')",
    )
    ran = load(source, tmp_path, relations="public.v").expect(0)
    assert len(ran.result["losses"]) == 4
    assert rows(tmp_path, "v") == [(None, None, None, None)]


def test_an_empty_relation_is_an_empty_table(orders: File, tmp_path: Path) -> None:
    load(orders, tmp_path).expect(0)
    orders.run("delete from orders")
    for disposition in ("append", "truncate"):
        load(orders, tmp_path, disposition=disposition).expect(0)
    assert rows(tmp_path) == []


def test_a_run_that_is_named_again_loads_nothing_twice(orders: File, tmp_path: Path) -> None:
    words = {"disposition": "append"}
    load(orders, tmp_path, "--run", "monday", **words).expect(0)
    load(orders, tmp_path, "--run", "tuesday", **words).expect(0)
    for run in ("monday", "tuesday"):
        stop(tmp_path, run, **words)
        load(orders, tmp_path, "--run", run, **words).expect(0)
    assert len(rows(tmp_path)) == 6


STEPS = ("extract", "check_objects", "load", "check_rows", "clean_up")
PLACES = (
    *(f"{when} {step}" for step in STEPS for when in ("before", "after")),
    "call pyiceberg.catalog.sql:SqlCatalog.commit_table",  # the files are there, and no commit
    "call pyiceberg.table:Table.refresh",  # right after the commit
)


@pytest.mark.parametrize("disposition", ["append", "truncate"])
@pytest.mark.parametrize("place", PLACES)
def test_a_killed_run_is_resumed_and_loads_once(
    place: str, disposition: str, orders: File, tmp_path: Path
) -> None:
    words = {"disposition": disposition, "relations": "orders", "warehouse": warehouse(tmp_path)}
    load(orders, tmp_path, **words).expect(0)
    orders.run("insert into orders values (4, 'd', 4)")
    path = spec_file(tmp_path, **words)
    kill(place, ["export", "--json", "-f", str(path)], {"WINDLASS_SOURCE": orders.url})
    ran = load(orders, tmp_path, **words).expect(0)
    assert ran.result["verified"] == "rows" and ran.result["resumed"]
    assert len(rows(tmp_path)) == (7 if disposition == "append" else 4)
    assert files(tmp_path) == []


def test_a_table_that_somebody_changes_meanwhile_is_loaded_by_the_next_try(
    orders: File, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same run in another process was faster: its rows are not added again."""
    from pyiceberg.catalog.sql import SqlCatalog
    from pyiceberg.table.update import AddSnapshotUpdate

    words = {"disposition": "append"}
    load(orders, tmp_path, **words).expect(0)
    commit, others = SqlCatalog.commit_table, ["the other process"]

    def second(here: SqlCatalog, at: Table, requirements: Any, updates: Any) -> Any:
        if others:
            others.clear()
            (added,) = (one.snapshot for one in updates if isinstance(one, AddSnapshotUpdate))
            assert added.summary is not None
            said = added.summary.additional_properties.items()
            record = {key: word for key, word in said if key.startswith("windlass.")}
            table(tmp_path).append(at.scan().to_arrow(), snapshot_properties=record)
        return commit(here, at, requirements, updates)

    monkeypatch.setattr(SqlCatalog, "commit_table", second)
    ran = load(orders, tmp_path, **words).expect(0)
    assert len(rows(tmp_path)) == 6
    assert any("has been loaded into orders before" in one for one in ran.result["notices"])


def test_a_load_that_was_rolled_back_in_iceberg_is_loaded_again(
    orders: File, tmp_path: Path
) -> None:
    words = {"disposition": "append"}
    load(orders, tmp_path, **words).expect(0)
    before = table(tmp_path).current_snapshot()
    assert before is not None
    load(orders, tmp_path, "--run", "monday", **words).expect(0)
    table(tmp_path).manage_snapshots().rollback_to_snapshot(before.snapshot_id).commit()
    stop(tmp_path, "monday", **words)
    load(orders, tmp_path, "--run", "monday", **words).expect(0)
    assert len(rows(tmp_path)) == 6


def test_columns_are_added_and_widened(orders: File, tmp_path: Path) -> None:
    load(orders, tmp_path).expect(0)
    orders.run(
        "alter table orders add column more bigint",
        "alter table orders alter price type decimal(20,2)",
    )
    (problem,) = load(orders, tmp_path).expect(3).result["problems"]
    assert "more (long) is missing" in problem["message"]
    assert "price is decimal(10,2), not decimal(20,2)" in problem["message"]
    load(orders, tmp_path, schema="add", disposition="append").expect(0)
    assert {one.name: str(one.field_type) for one in table(tmp_path).schema().fields} == {
        "id": "long", "note": "string", "price": "decimal(20, 2)", "more": "long",
    }  # fmt: skip
    assert len(rows(tmp_path)) == 6


def test_a_column_that_is_there_in_another_case_is_not_added(orders: File, tmp_path: Path) -> None:
    load(orders, tmp_path).expect(0)
    renamed = {"name": "orders", "rename": {"id": "ID"}}
    for schema in ("refuse", "add"):
        ran = load(orders, tmp_path, relations=renamed, schema=schema).expect(3)
        (problem,) = ran.result["problems"]
        assert problem["message"] == "ID exists as id: only their case differs"
        assert "rename" in problem["hint"]
    load(orders, tmp_path, relations=renamed, schema="replace").expect(0)
    assert [one.name for one in table(tmp_path).schema().fields] == ["note", "price", "ID"]


def test_columns_are_replaced_on_request(orders: File, tmp_path: Path) -> None:
    load(orders, tmp_path).expect(0)
    orders.run("alter table orders alter price type varchar", "alter table orders drop note")
    load(orders, tmp_path, schema="add").expect(3)
    load(orders, tmp_path, schema="replace").expect(0)
    assert rows(tmp_path) == [(1, "1.10"), (2, None), (3, "3.00")]


def test_a_column_that_is_not_exported_stays(orders: File, tmp_path: Path) -> None:
    load(orders, tmp_path).expect(0)
    few = {"name": "orders", "columns": ["price", "id"]}
    load(orders, tmp_path, relations=few, disposition="append").expect(0)
    assert rows(tmp_path) == sorted(
        [*ROWS, *((id_, None, price) for id_, _, price in ROWS)], key=repr
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"disposition": "merge"}, "do not look for rows by their key"),
        (
            {"disposition": "append", "relations": {"name": "orders", "watermark": "id"}},
            "do not look for rows by their key",
        ),
        ({"format": "csv"}, "Iceberg loads Parquet only"),
        ({"nested": "nested"}, "which loads into Iceberg cannot write"),
        ({"after-load": ["select 1"]}, "a catalog of Iceberg runs no statements"),
    ],
)
def test_what_it_cannot_do_is_refused(
    words: dict[str, Any], said: str, orders: File, tmp_path: Path
) -> None:
    assert said in load(orders, tmp_path, **words).expect(2).result["message"]


@pytest.mark.parametrize(
    ("words", "said"),
    [({"table": "a/b"}, "no table 'a/b'"), ({"rename": {"id": "a.b"}}, "no column 'a.b'")],
)
def test_names_that_it_does_not_have_are_refused_in_the_plan(
    words: dict[str, Any], said: str, orders: File, tmp_path: Path
) -> None:
    ran = load(orders, tmp_path, relations={"name": "orders", **words}).expect(3)
    (problem,) = ran.result["problems"]
    assert f"Iceberg has {said}" in problem["message"]
    assert not (tmp_path / "catalog.db").exists()


def test_tables_of_others_that_cannot_be_written_are_refused(orders: File, tmp_path: Path) -> None:
    from pyiceberg.partitioning import PartitionField, PartitionSpec
    from pyiceberg.schema import Schema
    from pyiceberg.transforms import IdentityTransform
    from pyiceberg.types import LongType, NestedField

    here = catalog(tmp_path)
    here.create_namespace("default")
    schema = Schema(NestedField(1, "id", LongType(), required=True))
    field = PartitionField(1, 1000, IdentityTransform(), "id")
    here.create_table("default.orders", schema, partition_spec=PartitionSpec(field))
    words = {"relations": {"name": "orders", "columns": ["id"]}}
    problems = load(orders, tmp_path, **words).expect(3).result["problems"]
    said = " ".join(one["message"] for one in problems)
    assert "is partitioned" in said and "is required, and exported columns can be NULL: id" in said


@pytest.mark.parametrize(
    "url",
    [
        "iceberg://srv/catalog.db",
        "iceberg+sqlite:///srv/catalog.db",
        "iceberg+sqlite:///srv/catalog.db?warehouse=/srv",
        "iceberg+sqlite:///srv/catalog.db?warehouse=file:///srv&x=y",
        "iceberg+mysql://host/db?warehouse=file:///srv",
        "iceberg+postgresql://host?warehouse=file:///srv",
        "iceberg+postgresql://app:se/cret@host/db?warehouse=file:///srv",
        "iceberg+postgresql://app:[cret@host/db?warehouse=file:///srv",
        "iceberg+postgresql://host:99999/db?warehouse=file:///srv",
    ],
)
def test_a_url_that_is_none_is_refused(url: str, orders: File, tmp_path: Path) -> None:
    ran = load(orders, tmp_path, warehouse=url).expect(2)
    assert "iceberg+sqlite:///srv/catalog.db?warehouse=" in ran.result["message"]
    assert "cret" not in ran.said.replace("secret", "")


@pytest.mark.parametrize(
    ("catalog", "tables", "said"),
    [
        ("a_file/catalog.db", "tables", "a_file is not a folder"),
        ("a_folder", "tables", "it is a folder"),
        ("a_file", "tables", "not a database"),
        ("catalog.db", "a_file", "a_file is not a folder"),
        ("catalog.db", "a_file/tables", "a_file is not a folder"),
    ],
)
def test_a_place_that_cannot_be_is_refused_in_the_plan(
    catalog: str, tables: str, said: str, orders: File, tmp_path: Path
) -> None:
    (tmp_path / "a_file").write_text("a note")
    (tmp_path / "a_folder").mkdir()
    url = f"iceberg+sqlite://{tmp_path}/{catalog}?warehouse=file://{tmp_path}/{tables}"
    (problem,) = load(orders, tmp_path, warehouse=url).expect(3).result["problems"]
    assert said in problem["message"] and not files(tmp_path)


def test_the_folders_of_a_new_catalog_are_made(orders: File, tmp_path: Path) -> None:
    url = f"iceberg+sqlite://{tmp_path}/a/b/catalog.db?warehouse=file://{tmp_path}/c/d"
    load(orders, tmp_path, warehouse=url).expect(0)
    assert (tmp_path / "a/b/catalog.db").exists()


def test_a_table_that_is_gone_is_named(orders: File, tmp_path: Path) -> None:
    from windlass.engines.iceberg.target import IcebergTarget

    load(orders, tmp_path).expect(0)
    catalog(tmp_path).drop_table("default.orders")
    gone = pytest.raises(WindlassError, match=r"counting orders: .*default\.orders")
    with IcebergTarget(warehouse(tmp_path)) as there, gone:
        there.count("orders")


def test_the_catalog_can_be_a_postgres_database(
    orders: File, database: Callable[[int], Database], tmp_path: Path
) -> None:
    there = database(18)
    url = f"iceberg+{there.url}?warehouse=file://{tmp_path}/tables&catalog=lake"
    load(orders, tmp_path, "--dry-run", warehouse=url, into="raw").expect(0)
    assert there.rows("select 1 from pg_class where relname like 'iceberg%'") == []
    for disposition in ("truncate", "append"):
        load(orders, tmp_path, warehouse=url, into="raw", disposition=disposition).expect(0)
    assert there.rows("select catalog_name, table_namespace, table_name from iceberg_tables") == [
        ("lake", "raw", "orders")
    ]
    wrong = url.replace(QUOTED_PASSWORD, "wrong")
    (problem,) = load(orders, tmp_path, warehouse=wrong, into="raw").expect(3).result["problems"]
    assert "password authentication failed" in problem["message"]
