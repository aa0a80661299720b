"""Exports that cannot work are refused before anything is read, with every problem."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest

from command import windlass
from export_shop import shop
from exporting import export, files, rows, spec_file
from servers import Database
from windlass.errors import WindlassError

__all__ = ["shop"]  # fixtures


def test_a_source_is_not_loaded_into_itself(shop: Database, tmp_path: Path) -> None:
    shop.run("create view shop.few as select * from shop.orders where id < 3", "create schema lake")
    words = {"warehouse": shop.url, "into": "shop", "disposition": "append"}
    query = {"name": "orders", "query": "select * from shop.orders"}
    for relation in ("shop.orders", query, {"name": "shop.few", "table": "orders"}):
        (problem,) = (
            export(shop, tmp_path, relations=relation, **words).expect(3).result["problems"]
        )
        assert "the source's own shop.orders" in problem["message"]
    assert shop.value("select count(*) from shop.orders") == 100
    words["into"] = "lake"
    for count in (100, 200):
        export(shop, tmp_path, relations="shop.orders", **words).expect(0)
        assert shop.value("select count(*) from lake.orders") == count


def test_our_own_tables_are_no_part_of_a_source(
    shop: Database, database: Callable[[int], Database], tmp_path: Path
) -> None:
    there = database(16)
    export(shop, tmp_path, relations="shop.orders", warehouse=there.url).expect(0)
    ran = export(there, tmp_path, relations="public.*").expect(0)
    assert [one["source"] for one in ran.result["relations"]] == ["public.orders"]
    named = {"name": "public._windlass_loads"}
    (problem,) = export(there, tmp_path, relations=named).expect(3).result["problems"]
    assert "a name of windlass's own" in problem["message"]
    export(there, tmp_path, relations={**named, "table": "loads"}).expect(0)


# refusals: everything at once, and nothing is written


def test_everything_that_is_wrong_is_reported_at_once(shop: Database, tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "w.duckdb")) as connection:
        connection.execute("create table orders (id bigint, note int, must int not null)")
    words: dict[str, Any] = {
        "relations": [
            "shop.orders",
            "shop.nothing",
            {"name": "broken", "query": "select * from shop.missing"},
            {"name": "shop.o*", "columns": ["nope"], "table": "other"},
        ]
    }
    words["relations"][3] = {"name": "named", "query": "select 1 as a", "columns": ["nope"]}
    ran = export(shop, tmp_path, **words).expect(3)
    reported = "\n".join(f"{one['object']}: {one['message']}" for one in ran.result["problems"])
    assert "shop.nothing: names no relation" in reported
    assert 'broken: relation "shop.missing" does not exist' in reported
    assert "named: columns: there is no column nope" in reported
    assert "id is BIGINT, not INTEGER" in reported
    assert "at (TIMESTAMP WITH TIME ZONE) is missing" in reported
    assert "note is INTEGER, not VARCHAR" in reported
    assert "must is NOT NULL without a default" in reported
    assert files(tmp_path) == []


def test_words_that_would_hide_something_and_name_nothing_are_refused(
    shop: Database, tmp_path: Path
) -> None:
    words: dict[str, Any] = {
        "relations": ["shop.orders", {"name": "named", "query": "select 1 as a"}],
        "exclude": ["tmp", "shop.temp_*"],
        "mask": ["pasword", "orders.nots", "shop.orders.note", "note", "named.a"],
        "leave_out": "*.secret",
    }
    ran = export(shop, tmp_path, **words).expect(3)
    assert [one["object"] for one in ran.result["problems"]] == [
        "exclude: tmp", "exclude: shop.temp_*", "mask: pasword", "mask: orders.nots",
        "leave-out: *.secret",
    ]  # fmt: skip
    export(shop, tmp_path, **words, unmatched="ignore").expect(0)
    assert rows(tmp_path, "select distinct note, a from orders, named") == [("***", "***")]


def test_a_bare_name_is_one_everywhere(shop: Database, tmp_path: Path) -> None:
    shop.run("create table shop.tmp as select 1 as id, 'x' as orders")
    export(shop, tmp_path, exclude="tmp", mask="note", leave_out="orders.at").expect(0)
    assert rows(tmp_path, "select distinct columns(* exclude id) from orders") == [("***",)]
    export(shop, tmp_path, relations=["orders", "tm?"], mask="orders", warehouse=None).expect(0)
    assert rows(tmp_path, "select count(*) from duckdb_tables() where table_name = 'tmp'") == [(0,)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"formt": "csv"}, "unknown key 'formt'; did you mean 'format'?"),
        ({"relations": [{"name": "a", "colums": ["x"]}]}, "did you mean 'columns'?"),
        ({"to": "ftp://x"}, "not the URL of a folder in an object store"),
        ({"warehouse": "oracle://x"}, "not a warehouse"),
        ({"format": "csv", "compression": "zstd"}, "csv files can have gzip, none"),
        ({"warehouse": "bigquery://p/d"}, "BigQuery loads from gs:// only"),
        ({"relations": [{"name": "a", "watermark": "at"}]}, "which only merge"),
        ({"relations": [{"name": "q", "query": "select 1"}], "disposition": "merge"}, "its key"),
    ],
)
def test_words_that_are_wrong_are_refused(words: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = spec_file(tmp_path, **words)
    ran = windlass("export", "-f", str(path), env={"WINDLASS_SOURCE": "postgresql://nowhere/x"})
    assert said in ran.expect(2).stderr


def test_a_source_that_is_not_there_may_be_there_later(tmp_path: Path) -> None:
    path = spec_file(tmp_path)
    env = {"WINDLASS_SOURCE": "postgresql://u@127.0.0.1:1/x"}
    ran = windlass("export", "--json", "-f", str(path), env=env).expect(4)
    assert ran.result["problems"][0]["object"] == "source"


def test_a_folder_where_nothing_may_be_written_is_refused(shop: Database, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ran = export(shop, tmp_path, to=f"file://{tmp_path}/file/below").expect(3)
    assert "below" in ran.said


# faults


class FullDisk:
    """What a store does where its copies have no space."""

    def place(self, path: str) -> str:
        return f"s3://lake/{path}"

    @contextmanager
    def local(self, path: str) -> Iterator[Path]:
        with Path("/dev/full").open("wb", buffering=0) as copy:
            copy.write(b"rows")
        yield Path(copy.name)


def test_a_machine_without_space_for_a_copy_says_so() -> None:
    from windlass.engines.objects.store import fetched

    full: Any = FullDisk()
    with (
        pytest.raises(WindlassError, match="no space left on this machine") as reported,
        fetched(full, "part-00001.parquet"),
    ):
        pass
    assert "TMPDIR" in reported.value.hint
