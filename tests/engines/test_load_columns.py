"""Columns that tell about the load of each row, in files and every warehouse."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from export_shop import shop
from exporting import export, rows, stop
from servers import Database
from warehouses import File, Warehouse, bigquery, file, gs, s3, storage, warehouse

__all__ = ["bigquery", "file", "gs", "s3", "shop", "storage", "warehouse"]  # fixtures

ALL = ["run", "loaded-at", "read-at", "lsn", "source"]
NAMES = [f"_windlass_{name}" for name in ("run", "loaded_at", "read_at", "lsn", "source")]


@pytest.fixture
def orders(file: File) -> File:
    file.run("create table orders (id bigint, note varchar)", "insert into orders values (1, 'a')")
    return file


def load(source: Any, warehouse: Warehouse, folder: Path, **words: Any) -> Any:
    relation = {"name": "orders", "key": "id"}
    return export(source, folder, **{"relations": relation, **warehouse.words, **words})


@pytest.mark.parametrize("disposition", ["append", "merge"])
def test_each_row_tells_which_run_has_loaded_it(
    disposition: str, orders: File, warehouse: Warehouse, tmp_path: Path
) -> None:
    words = {"disposition": disposition, "load_columns": ["run", "read-at=seen_at"]}
    first = load(orders, warehouse, tmp_path, **words).expect(0).result["run"]
    orders.run("update orders set id = 2")
    second = load(orders, warehouse, tmp_path, **words).expect(0).result["run"]
    found = warehouse.rows(
        "select id, note, _windlass_run, seen_at is not null"
        f" from {warehouse.named('orders')} order by id"
    )
    assert found == [(1, "a", first, True), (2, "a", second, True)]


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_postgres_tells_its_snapshot(form: str, shop: Database, tmp_path: Path) -> None:
    shop.run("update shop.orders set note = E'a\"b\\nc' where id = 1")
    words: dict[str, Any] = {"relations": "shop.orders", "load_columns": ALL, "format": form}
    ran = export(shop, tmp_path, **words).expect(0).result
    found = rows(tmp_path, f"select distinct {', '.join(NAMES)} from orders")
    ((run, loaded_at, read_at, lsn, source),) = found
    (snapshot,) = ran["snapshots"]
    assert (run, lsn, source) == (ran["run"], snapshot["lsn"], ran["source"])
    assert read_at == datetime.fromisoformat(snapshot["taken_at"]) <= loaded_at
    assert rows(tmp_path, "select count(*), min(note) from orders") == [(100, 'a"b\nc')]


def test_files_have_them(shop: Database, tmp_path: Path) -> None:
    words: dict[str, Any] = {"warehouse": None, "relations": "shop.orders"}
    ran = export(shop, tmp_path, "--load-column", "run=batch", **words).expect(0).result
    latest = json.loads((tmp_path / "files" / "latest.json").read_text())
    (relation,) = latest["relations"]
    assert [one["name"] for one in relation["columns"]] == ["id", "at", "note", "batch"]
    (path,) = (str(tmp_path / "files" / one["path"]) for one in relation["files"])
    with duckdb.connect() as connection:
        found = connection.execute(
            "select batch, count(*) from read_parquet(?) group by batch", [path]
        ).fetchall()
    assert found == [(ran["run"], 100)]


def test_a_resumed_run_does_not_change_what_rows_tell(shop: Database, tmp_path: Path) -> None:
    words: dict[str, Any] = {"relations": "shop.orders", "load_columns": ALL, "keep_files": True}
    run = export(shop, tmp_path, **words).expect(0).result["run"]
    query = f"select distinct {', '.join(NAMES)} from orders"
    before = rows(tmp_path, query)
    stop(tmp_path, run)
    assert export(shop, tmp_path, **words).expect(0).result["run"] == run
    assert rows(tmp_path, query) == before


def test_a_watermark_stays_what_it_was_from_run_to_run(shop: Database, tmp_path: Path) -> None:
    words: dict[str, Any] = {
        "relations": {"name": "shop.orders", "watermark": "at"},
        "disposition": "merge",
        "load_columns": ["run", "lsn"],
    }
    runs = [export(shop, tmp_path, **words).expect(0).result for _ in range(2)]
    assert [one["relations"][0]["rows"] for one in runs] == [100, 1]
    counts = rows(tmp_path, "select _windlass_run, count(*) from orders group by 1 order by 2")
    assert counts == [(runs[1]["run"], 1), (runs[0]["run"], 99)]


def test_names_that_clash_are_refused(shop: Database, file: File, tmp_path: Path) -> None:
    ran = export(shop, tmp_path, relations="shop.orders", load_columns=["run=note"]).expect(3)
    assert "load-columns: there is a column note already" in ran.said
    ran = export(shop, tmp_path, relations="shop.orders", load_columns=["run=NOTE"]).expect(3)
    assert "have one name in DuckDB" in ran.said
    ran = export(shop, tmp_path, load_columns=["run=a", "lsn=a"]).expect(2)
    assert "two columns would be called a" in ran.said
    ran = export(shop, tmp_path, load_columns="when").expect(2)
    assert "'when' is none of run, loaded-at, read-at, lsn, source" in ran.said
    file.run("create table orders (id bigint)")
    ran = export(file, tmp_path, load_columns="lsn").expect(3)
    assert "a snapshot of DuckDB has no lsn" in ran.said
