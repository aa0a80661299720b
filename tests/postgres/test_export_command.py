"""`windlass export` without a spec file."""

from __future__ import annotations

from pathlib import Path

import pytest

from command import Ran, windlass
from export_shop import shop
from exporting import files, rows
from servers import Database

__all__ = ["shop"]  # fixtures


def export(shop: Database, folder: Path, *words: str) -> Ran:
    places = ("--to", f"file://{folder}/files", "--warehouse", f"duckdb:///{folder}/w.duckdb")
    return windlass("export", *places, *words, env={"WINDLASS_SOURCE": shop.url})


def test_some_rows_of_one_table_need_no_file(shop: Database, tmp_path: Path) -> None:
    shop.run("create table shop.secret as select 1 as id")
    words = ["--include", "shop.orders", "--where", "id <= 10", "--mask", "note"]
    words += [
        "--leave-out",
        "orders.at",
        "--compression",
        "gzip",
        "--into",
        "lake",
        "--require-rows",
    ]
    ran = export(shop, tmp_path, "--json", *words).expect(0)
    assert "leaked" not in ran.said, "DuckDB's library has printed what the process left behind"
    assert [one["source"] for one in ran.result["relations"]] == ["shop.orders"]
    found = "select count(*), max(id), min(note) from lake.orders"
    assert rows(tmp_path, found) == [(10, 10, "***")]
    assert "has no rows" in export(shop, tmp_path, *words, "--where", "id < 0").expect(4).said


def test_queries_alone_are_all_that_is_exported(shop: Database, tmp_path: Path) -> None:
    export(shop, tmp_path, "--query", "few=select id from shop.orders where id < 4",
           "--query", "one=select 1 as a").expect(0)  # fmt: skip
    assert rows(tmp_path, "select count(*), max(a) from few, one") == [(3, 1)]
    assert rows(tmp_path, "select count(*) from duckdb_tables() where table_name = 'orders'") == [
        (0,)
    ]
    export(shop, tmp_path, "--include", "shop.*", "--query", "two=select 2 as a").expect(0)
    assert rows(tmp_path, "select count(*), max(a) from orders, two") == [(100, 2)]


def test_a_condition_is_of_every_table_and_of_no_query(shop: Database, tmp_path: Path) -> None:
    shop.run("create table shop.more as select 1 as id union select 200")
    words = ["--where", "id > 95", "--query", "q=select 1 as a"]
    assert "a query has its own" in export(shop, tmp_path, *words).expect(2).said
    export(shop, tmp_path, "--include", "shop.*", *words).expect(0)
    assert rows(tmp_path, "select (select count(*) from orders), (select count(*) from more), a"
                " from q") == [(5, 1, 1)]  # fmt: skip


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["text", "json"])
def test_a_dry_run_shows_the_plan_and_writes_nothing(
    form: tuple[str, ...], shop: Database, tmp_path: Path
) -> None:
    ran = export(shop, tmp_path, "--include", "shop.orders", "--dry-run", *form).expect(0)
    if form:
        assert [one["name"] for one in ran.result["relations"]] == ["shop.orders"]
    else:
        assert "shop.orders → orders" in ran.stdout and "--dry-run" not in ran.stdout
    assert files(tmp_path) == [] and not (tmp_path / "w.duckdb").exists()
    refused = export(shop, tmp_path, "--include", "shop.nothing", "--dry-run").expect(3)
    assert "names no relation" in refused.said


def test_the_host_of_a_file_s_url_is_refused(shop: Database, tmp_path: Path) -> None:
    ran = windlass("export", "--to", "file://srv/lake", env={"WINDLASS_SOURCE": shop.url}).expect(3)
    assert "file://srv/lake: not the absolute path of a folder" in ran.said
    assert "give file:///srv/lake" in ran.said
