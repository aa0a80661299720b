"""Increments: rows changed since the last export are read, and none is missed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from export_shop import MERGE, SHOP, shop, table
from exporting import export, rows
from servers import PASSWORD, Database

__all__ = ["shop"]  # fixtures


def test_merge_reads_only_what_has_changed(shop: Database, tmp_path: Path) -> None:
    export(shop, tmp_path, **MERGE).expect(0)
    shop.run(
        "insert into shop.orders values (101, '2024-02-01 00:00Z', 'more')",
        "update shop.orders set note = 'changed', at = '2024-02-01 00:00Z' where id = 7",
        "update shop.orders set note = 'not stamped' where id = 8",
    )
    ran = export(shop, tmp_path, **MERGE).expect(0)
    assert ran.result["rows"] == 3  # and the one whose stamp was the last
    found = dict(table(tmp_path))
    assert len(found) == 101
    assert (found[7], found[8], found[101]) == ("changed", "new", "more")
    marks = rows(tmp_path, "select watermark from _windlass_loads order by number")
    assert marks == [("2024-01-01 00:01:40+00",), ("2024-02-01 00:00:00+00",)]


def test_an_overlap_reads_what_was_committed_late(shop: Database, tmp_path: Path) -> None:
    words = {**MERGE, "relations": {**MERGE["relations"], "overlap-seconds": 30}}
    export(shop, tmp_path, **words).expect(0)
    shop.run("insert into shop.orders values (0, '2024-01-01 00:01:20Z', 'late')")
    export(shop, tmp_path, **words).expect(0)
    assert dict(table(tmp_path))[0] == "late"


def test_nothing_new_is_merged_and_the_watermark_stays(shop: Database, tmp_path: Path) -> None:
    export(shop, tmp_path, **MERGE).expect(0)
    shop.run("delete from shop.orders")
    export(shop, tmp_path, **MERGE).expect(0)
    assert len(table(tmp_path)) == 100
    assert rows(tmp_path, "select distinct watermark from _windlass_loads") == [
        ("2024-01-01 00:01:40+00",)
    ]


def test_a_table_that_was_dropped_or_emptied_is_merged_whole(
    shop: Database, database: Callable[[int], Database], tmp_path: Path
) -> None:
    there = database(18)
    for words in ({}, {"warehouse": there.url}):
        export(shop, tmp_path, **MERGE, **words).expect(0)
    for change in ("drop table orders", "delete from orders"):
        there.run(change)
        with duckdb.connect(str(tmp_path / "w.duckdb")) as connection:
            connection.execute(change)
        for words in ({}, {"warehouse": there.url}):
            assert export(shop, tmp_path, **MERGE, **words).expect(0).result["rows"] == 100
    assert len(table(tmp_path)) == there.value("select count(*) from orders") == 100


def test_changes_alone_do_not_fill_a_table_that_was_dropped_in_between(
    shop: Database, tmp_path: Path
) -> None:
    """A run was killed before its load; when it resumes, the table is gone."""
    export(shop, tmp_path, **MERGE).expect(0)
    shop.run("update shop.orders set note = 'changed', at = '2024-02-01 00:00Z' where id = 7")
    export(shop, tmp_path, "--run", "monday", keep_files=True, **MERGE).expect(0)
    with duckdb.connect(str(tmp_path / "w.duckdb")) as connection:
        connection.execute("drop table orders; delete from _windlass_loads where run = 'monday'")
    export(shop, tmp_path, "--run", "monday", **MERGE).expect(0)
    assert len(table(tmp_path)) == 100


def test_a_table_that_was_replaced_by_others_is_merged_whole(
    shop: Database, tmp_path: Path
) -> None:
    export(shop, tmp_path, **MERGE).expect(0)
    few = {"name": "few", "query": "select * from shop.orders where id < 3", "table": "orders"}
    export(shop, tmp_path, relations=few).expect(0)
    assert len(table(tmp_path)) == 2
    export(shop, tmp_path, **MERGE).expect(0)
    assert len(table(tmp_path)) == 100


@pytest.mark.parametrize("warehouse", ["duckdb", "postgres"])
def test_each_source_has_its_own_watermark(
    warehouse: str, shop: Database, database: Callable[[int], Database], tmp_path: Path
) -> None:
    """Two sources, and two conditions, merge into one table; their runs have one name."""
    other, there = database(16), database(18)
    other.run(*SHOP, "update shop.orders set id = id + 500, at = at - interval '1 year'")
    words = {**MERGE, **({"warehouse": there.url} if warehouse == "postgres" else {})}
    export(shop, tmp_path, "--run", "monday", **words).expect(0)
    export(other, tmp_path, "--run", "monday", **words).expect(0)
    some = {**MERGE["relations"], "where": "id < 510"}
    assert export(other, tmp_path, **{**words, "relations": some}).expect(0).result["rows"] == 9
    for source in (shop, other):
        assert export(source, tmp_path, **words).expect(0).result["rows"] == 1
    query = "select count(*) from orders"
    found = there.rows(query) if warehouse == "postgres" else rows(tmp_path, query)
    assert found == [(200,)]


def test_rows_that_are_still_being_written_are_not_passed_by(
    shop: Database, tmp_path: Path
) -> None:
    """Stamped before others, committed after them; and there is no overlap."""
    with shop.connect() as writer:
        writer.execute("begin; insert into shop.orders values (200, now(), 'late')")
        shop.run("insert into shop.orders values (201, now(), 'soon')")
        export(shop, tmp_path, **MERGE).expect(0)
        assert 201 in dict(table(tmp_path)) and 200 not in dict(table(tmp_path))
        writer.execute("commit")
    export(shop, tmp_path, **MERGE).expect(0)
    assert dict(table(tmp_path))[200] == "late"


def test_a_user_who_may_not_see_the_writers_gets_a_notice(shop: Database, tmp_path: Path) -> None:
    """Since when a session of another role has been writing is for few to know."""
    shop.run(
        f"create role export_reader login password '{PASSWORD}'",
        "grant usage on schema shop to export_reader; grant select on shop.orders to export_reader",
    )
    try:
        with shop.connect() as writer:
            writer.execute("begin; insert into shop.orders values (200, now(), 'late')")
            env = {"WINDLASS_SOURCE": shop.url_for("export_reader")}
            words = {**MERGE, "env": env}
            ran = export(shop, tmp_path, **words).expect(0)
            assert any("grant pg_read_all_stats" in notice for notice in ran.result["notices"])
            words["relations"] = {**MERGE["relations"], "overlap-seconds": 60}
            assert export(shop, tmp_path, **words).expect(0).result["notices"] == []
    finally:
        shop.run("drop owned by export_reader; drop role export_reader")


def test_writers_that_the_server_does_not_track_give_a_notice(
    shop: Database, tmp_path: Path
) -> None:
    """The server hides when their transactions began, even from a superuser."""
    with shop.connect(options="-c track_activities=off") as writer:
        writer.execute("begin; insert into shop.orders values (200, now(), 'late')")
        (notice,) = export(shop, tmp_path, **MERGE).expect(0).result["notices"]
        assert "sessions of postgres write, whose track_activities is off" in notice
        assert "give overlap-seconds" in notice
        appended = {"relations": MERGE["relations"], "disposition": "append", "warehouse": None}
        (notice,) = export(shop, tmp_path, **appended).expect(0).result["notices"]
        assert "give overlap-seconds" not in notice and "use merge with" in notice
        writer.execute("commit")
    words = {**MERGE, "relations": {**MERGE["relations"], "overlap-seconds": 60}}
    assert export(shop, tmp_path, **words).expect(0).result["notices"] == []


def test_infinity_and_the_future_do_not_end_the_increments(shop: Database, tmp_path: Path) -> None:
    types = ("timestamptz", "timestamp", "date")
    for type_ in types:
        shop.run(
            f"create table shop.with_{type_} (id int primary key, at {type_})",
            f"insert into shop.with_{type_} values (1, '2024-01-01'), (2, 'infinity'),"
            " (3, now() + '9 years'), (4, null)",
        )
    words = {"relations": {"name": "shop.with_*", "watermark": "at"}, "disposition": "merge"}
    export(shop, tmp_path, **words).expect(0)
    shop.run(*(f"insert into shop.with_{type_} values (5, now())" for type_ in types))
    export(shop, tmp_path, **words).expect(0)
    for type_ in types:
        found = rows(tmp_path, f"select id from with_{type_} order by id")
        assert found == [(n,) for n in range(1, 6)], type_


def test_watermarks_of_other_types(shop: Database, tmp_path: Path) -> None:
    """And rows that have none are read each time."""
    marks = {"bigint": ("9", "10"), "text": ("'a'", "'b'"), "numeric": ("9.5", "10")}
    for type_, (first, _) in marks.items():
        shop.run(
            f"create table shop.by_{type_} (id int primary key, mark {type_}, note text)",
            f"insert into shop.by_{type_} values (0, null, 'none'), (1, {first}, 'one'),"
            f" (2, {first}, 'two')",
        )
    relation: dict[str, Any] = {"name": "shop.by_*", "watermark": "mark"}
    words = {"relations": relation, "disposition": "merge", "format": "csv"}
    export(shop, tmp_path, **words).expect(0)
    for type_, (_, second) in marks.items():
        shop.run(f"update shop.by_{type_} set mark = {second}, note = 'changed' where id = 1")
    assert export(shop, tmp_path, **words).expect(0).result["rows"] == 3 * 3
    shop.run(*(f"update shop.by_{type_} set note = 'still none' where id = 0" for type_ in marks))
    assert export(shop, tmp_path, **words).expect(0).result["rows"] == 2 * 3
    for type_ in marks:
        found = table(tmp_path, f"by_{type_}")
        assert found == [(0, "still none"), (1, "changed"), (2, "two")], type_
    relation["overlap-seconds"] = 60
    problems = export(shop, tmp_path, **words).expect(3).result["problems"]
    assert len(problems) == 3 and "not a time or date" in problems[0]["message"]


@pytest.mark.parametrize("type_", ["numeric", "numeric(10, 2)", "real", "float8"])
@pytest.mark.parametrize("value", ["NaN", "Infinity"])
def test_a_number_that_no_other_is_above_does_not_end_the_increments(
    value: str, type_: str, shop: Database, tmp_path: Path
) -> None:
    if (value, type_) == ("Infinity", "numeric(10, 2)"):
        return  # it has none
    shop.run(
        f"create table m (id int primary key, at {type_} not null, note text)",
        f"insert into m values (1, 1, 'a'), (2, '{value}', 'b')",
    )
    words = {"relations": {"name": "public.m", "watermark": "at"}, "disposition": "merge"}
    export(shop, tmp_path, **words).expect(0)
    shop.run("insert into m values (3, 5, 'c')")
    export(shop, tmp_path, **words).expect(0)
    assert [row[0] for row in table(tmp_path, "m")] == [1, 2, 3]
    assert rows(tmp_path, "select cast(watermark as double) from _windlass_loads") == [(1,), (5,)]
    said = export(shop, tmp_path, **{**words, "disposition": "append"}, warehouse=None).expect(3)
    assert "rows have no watermark (it is NULL, infinite or NaN)" in said.said


@pytest.mark.parametrize("value", ["infinity", "-infinity"])
def test_append_refuses_rows_that_no_run_would_read(
    value: str, shop: Database, tmp_path: Path
) -> None:
    shop.run(f"insert into shop.orders values (101, '{value}', 'odd')")
    words = {"relations": {"name": "shop.orders", "watermark": "at"}, "disposition": "append"}
    ran = export(shop, tmp_path, **words, warehouse=None)
    assert "rows have no watermark" in ran.expect(3).said


def test_a_table_that_was_recreated_is_named(shop: Database, tmp_path: Path) -> None:
    """Its rows may be below the watermark that the one before it had."""
    export(shop, tmp_path, **MERGE).expect(0)
    assert "re-created" not in export(shop, tmp_path, **MERGE).expect(0).said
    shop.run(
        "delete from shop.orders",
        "insert into shop.orders values (1, '2020-01-01 00:00Z', 'again')",
    )
    said = export(shop, tmp_path, **MERGE).expect(0).said
    assert "shop.orders: all rows are below at 2024-01-01 00:01:40+00" in said
