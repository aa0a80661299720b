"""Exports as their users run them: dispositions, watermarks, refusals, and what is killed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from awaiting import until
from command import finish, start, windlass
from export_shop import SLEEPING, shop, table
from exporting import export, files, rows, spec_file, stop
from paths import DOCS
from servers import Database
from windlass import ExportSpec, read_spec

__all__ = ["shop"]  # fixtures


# what arrives


def test_files_go_once_they_are_loaded(shop: Database, tmp_path: Path) -> None:
    ran = export(shop, tmp_path, relations="shop.orders").expect(0)
    assert ran.result["rows"] == 100 and ran.result["verified"] == "rows"
    assert len(table(tmp_path)) == 100
    assert files(tmp_path) == []


def test_a_named_run_reports_whether_it_resumes(shop: Database, tmp_path: Path) -> None:
    words = {"relations": "shop.orders", "keep_files": True}
    for reported in ("has left nothing to resume", "the rest is read in a new snapshot"):
        ran = export(shop, tmp_path, "--run", "monday", **words).expect(0)
        assert any(reported in notice for notice in ran.result["notices"])
        stop(tmp_path, "monday")


def test_each_relation_says_in_which_snapshot_it_was_read(shop: Database, tmp_path: Path) -> None:
    """The relations that a resumed run finds written are those of an earlier moment."""
    shop.run("create table shop.other (id int)")
    words = {"relations": ["shop.orders", "shop.other"], "warehouse": None}
    first = export(shop, tmp_path, "--run", "monday", **words).expect(0).result
    stop(tmp_path, "monday")
    (manifest,) = (tmp_path / "files" / "shop.other").glob("*/manifest.json")
    manifest.unlink()
    shop.run("insert into shop.other values (1)", "delete from shop.orders where id > 10")
    again = export(shop, tmp_path, "--run", "monday", **words).expect(0).result
    found = {one["source"]: (one["rows"], one["snapshots"]) for one in again["relations"]}
    assert found == {"shop.orders": (100, [1]), "shop.other": (1, [2])}
    moments = {one["number"]: one["taken_at"] for one in again["snapshots"]}
    assert moments[1] == first["snapshots"][0]["taken_at"] < moments[2]


def test_files_are_kept_on_request_and_cut_by_size(shop: Database, tmp_path: Path) -> None:
    shop.run(
        "create table shop.long as select n, repeat(md5(n::text), 30) as text"
        " from generate_series(1, 60000) n"
    )
    for form in ("parquet", "csv"):
        words = {"relations": "shop.long", "format": form, "file_size": "64kB"}
        export(shop, tmp_path, **words, compression="none", keep_files=True).expect(0)
        assert rows(tmp_path, "select count(*), sum(n) from long") == [(60000, 1800030000)]
    found = files(tmp_path)
    assert found.count("shop.long/part-00003.parquet") == 1
    assert found.count("shop.long/part-00003.csv") == 1
    assert found.count("shop.long/manifest.json") == 2


def test_a_query_is_a_table_under_its_own_name(shop: Database, tmp_path: Path) -> None:
    query = "select id % 2 as half, count(*) as orders, sum(1.50)::numeric(9,2) as worth" \
        " from shop.orders group by 1"  # fmt: skip
    export(shop, tmp_path, relations={"name": "halves", "query": query}).expect(0)
    assert [row[:2] for row in rows(tmp_path, "select * from halves order by half")] == [
        (0, 50), (1, 50),
    ]  # fmt: skip


def test_a_partitioned_relation_is_one_table(shop: Database, tmp_path: Path) -> None:
    shop.run(
        "create table shop.parts (id int, note text) partition by range (id)",
        "create table shop.parts_1 partition of shop.parts for values from (1) to (3)",
        "create table shop.parts_2 partition of shop.parts for values from (3) to (9)",
        "insert into shop.parts select n, 'x' from generate_series(1, 5) n",
    )
    halves = {"name": "halves", "query": "select id / 2 as half from shop.parts"}
    path = str(spec_file(tmp_path, relations=["shop.part*", halves]))
    env = {"WINDLASS_SOURCE": shop.url}
    planned = windlass("plan", "-q", "-f", path, env=env).expect(0).stdout
    assert re.search(r"shop.parts → parts: [1-9][\d.]+ kB, truncate", planned)
    assert "halves → halves: truncate" in planned
    export(shop, tmp_path, relations="shop.part*").expect(0)
    assert len(table(tmp_path, "parts")) == 5
    assert rows(
        tmp_path, "select count(*) from duckdb_tables() where table_name like 'parts%'"
    ) == [(1,)]


def test_all_relations_are_read_in_one_snapshot(shop: Database, tmp_path: Path) -> None:
    """Somebody writes while the first is being read: the second shows nothing of it."""
    shop.run(
        "create table shop.slow as select n as id from generate_series(1, 500) n",
        "create view shop.waiting as select id, pg_sleep(0.001) is null as woke from shop.slow",
    )
    second = {"name": "orders", "query": "select * from shop.orders"}
    path = spec_file(tmp_path, relations=["shop.waiting", second], jobs=1)
    process = start("export", "--json", "-f", str(path), env={"WINDLASS_SOURCE": shop.url})
    until(lambda: shop.value(SLEEPING))
    shop.run("update shop.orders set note = 'later'; delete from shop.orders where id = 1")
    finish(process).expect(0)
    assert rows(tmp_path, "select note, count(*) from orders group by 1") == [("new", 100)]


def test_an_empty_relation_is_a_result_unless_rows_are_required(
    shop: Database, tmp_path: Path
) -> None:
    shop.run("delete from shop.orders")
    for form in ("parquet", "csv"):
        export(shop, tmp_path, relations="shop.orders", format=form).expect(0)
        assert table(tmp_path) == []
    ran = export(shop, tmp_path, relations="shop.orders", require_rows=True).expect(4)
    assert "shop.orders has no rows" in ran.result["message"]
    assert files(tmp_path) == []


# dispositions


def test_truncate_replaces_append_keeps(shop: Database, tmp_path: Path) -> None:
    for disposition, count in (("truncate", 100), ("truncate", 100), ("append", 200)):
        words = {"relations": "shop.orders", "disposition": disposition}
        export(shop, tmp_path, **words).expect(0)
        assert len(table(tmp_path)) == count


def test_the_same_run_again_loads_nothing_twice(shop: Database, tmp_path: Path) -> None:
    """As if it had been killed just before its end was recorded."""
    for _ in range(2):
        words = {"relations": "shop.orders", "disposition": "append"}
        ran = export(shop, tmp_path, "--run", "monday", **words).expect(0)
        assert len(table(tmp_path)) == 100
        stop(tmp_path, "monday")
    assert any("nothing is loaded again" in notice for notice in ran.result["notices"])
    for _ in range(2):
        ran = export(
            shop, tmp_path, "--run", "files", relations="shop.orders", warehouse=None
        ).expect(0)
        stop(tmp_path, "files")
    assert any("written before" in notice for notice in ran.result["notices"])


@pytest.mark.parametrize("words", [{}, {"warehouse": None}], ids=["loaded", "files"])
@pytest.mark.parametrize("quiet", [(), ("-q",)], ids=["", "quiet"])
def test_a_run_that_has_finished_is_refused_under_its_name(
    quiet: tuple[str, ...], words: dict[str, Any], shop: Database, tmp_path: Path
) -> None:
    """A constant name in a nightly job would load once, and look like success forever."""
    path = spec_file(tmp_path, relations="shop.orders", **words)
    command = ["export", "-f", str(path), "--run", "nightly", *quiet]
    windlass(*command, env={"WINDLASS_SOURCE": shop.url}).expect(0)
    shop.run("insert into shop.orders values (101, now(), 'more')")
    refused = windlass(*command, env={"WINDLASS_SOURCE": shop.url}).expect(3)
    assert "run nightly: has finished" in refused.stderr and "leave --run out" in refused.stderr
    result = windlass(*command[:3], "--json", *command[3:], env={"WINDLASS_SOURCE": shop.url})
    assert result.expect(3).result["state"] == "refused"
    more = export(shop, tmp_path, "--run", "tonight", relations="shop.orders", **words).expect(0)
    assert more.result["rows"] == 101


def test_a_new_run_has_no_name_of_another(shop: Database, tmp_path: Path) -> None:
    ran = export(shop, tmp_path, "--run", "a", "--restart", relations="shop.orders").expect(2)
    assert "--restart begins a new run" in ran.said


@pytest.mark.parametrize("name", ["../x", "a/b"])
def test_a_run_whose_name_is_no_folder_is_refused(
    name: str, shop: Database, tmp_path: Path
) -> None:
    ran = export(shop, tmp_path, "--run", name, relations="shop.orders").expect(2)
    assert "is not one word of letters" in ran.result["message"]


@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_csv_is_counted_whatever_its_values_look_like(
    compression: str, shop: Database, tmp_path: Path
) -> None:
    """Texts that begin like numbers, one that is longer than a reader's block, quotes and ends of
    lines within."""
    shop.run(
        'create table shop.v (code text, "a ""long"" one" text)',
        "insert into shop.v select n::text, 'x' from generate_series(1, 200000) n",
        "insert into shop.v values ('A17', repeat(E'a,\"\\n', 600000)), (null, null), ('', E'\\n')",
    )
    words = {"relations": "shop.v", "format": "csv", "compression": compression, "warehouse": None}
    ran = export(shop, tmp_path, **words).expect(0)
    assert ran.result["rows"] == 200_003


@pytest.mark.parametrize("compression", ["snappy", "gzip", "none"])
def test_parquet_is_compressed_as_asked(compression: str, shop: Database, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    words = {"relations": "shop.orders", "compression": compression, "keep_files": True}
    export(shop, tmp_path, **words).expect(0)
    (file,) = (tmp_path / "files").rglob("*.parquet")
    found = pq.ParquetFile(file).metadata.row_group(0).column(0).compression
    assert found == {"none": "UNCOMPRESSED"}.get(compression, compression.upper())
    assert len(table(tmp_path)) == 100


def test_the_example_in_the_documentation_loads(tmp_path: Path) -> None:
    page = (DOCS / "export.md").read_text()
    file = tmp_path / "export.yaml"
    file.write_text(page.split("```yaml\n")[1].split("```")[0])
    spec = read_spec(file)
    assert isinstance(spec, ExportSpec) and spec.relations
