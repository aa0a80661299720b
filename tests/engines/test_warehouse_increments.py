"""New rows alone are appended, each exactly once, in every warehouse alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exporting import export, stop
from servers import Database
from warehouses import File, Warehouse, bigquery, file, gs, s3, storage, warehouse

__all__ = ["bigquery", "file", "gs", "s3", "storage", "warehouse"]  # fixtures

EVENTS: dict[str, Any] = {"name": "events", "key": "id", "watermark": "id"}


@pytest.fixture
def events(file: File) -> File:
    file.run(
        "create table events (id bigint, note varchar)",
        "insert into events values (1, 'a'), (2, 'b')",
    )
    return file


def append(
    source: Any, warehouse: Warehouse, folder: Path, relation: Any = None, **words: Any
) -> int:
    """How many rows were read."""
    given = {"relations": {**EVENTS, **(relation or {})}, "disposition": "append", **words}
    rows: int = export(source, folder, **{**warehouse.words, **given}).expect(0).result["rows"]
    return rows


def notes(warehouse: Warehouse) -> dict[Any, Any]:
    found = warehouse.rows(f"select id, note from {warehouse.named('events')}")
    assert len(found) == len(dict(found)), "doubled"
    return dict(found)


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_only_new_rows_are_appended(
    form: str, events: File, warehouse: Warehouse, tmp_path: Path
) -> None:
    assert append(events, warehouse, tmp_path, format=form) == 2
    events.run("insert into events values (3, 'c')", "update events set note = 'late' where id = 1")
    assert append(events, warehouse, tmp_path, format=form) == 2  # and the last of the first
    assert notes(warehouse) == {1: "a", 2: "b", 3: "c"}
    assert append(events, warehouse, tmp_path, format=form) == 1
    assert notes(warehouse) == {1: "a", 2: "b", 3: "c"}


def test_rows_that_have_the_last_value_too_are_appended(
    events: File, warehouse: Warehouse, tmp_path: Path
) -> None:
    """And those that have none."""
    events.run("alter table events add column mark bigint", "update events set mark = 5")
    append(events, warehouse, tmp_path, {"watermark": "mark"})
    events.run("insert into events values (3, 'c', 5), (4, 'd', null)")
    for _ in range(2):
        append(events, warehouse, tmp_path, {"watermark": "mark"})
        assert notes(warehouse) == {1: "a", 2: "b", 3: "c", 4: "d"}


def test_an_overlap_finds_what_was_committed_late(
    events: File, warehouse: Warehouse, tmp_path: Path
) -> None:
    events.run("insert into events values (100, 'z')")
    append(events, warehouse, tmp_path)
    events.run("insert into events values (95, 'late')")
    assert append(events, warehouse, tmp_path, {"overlap": 10}) == 2
    assert notes(warehouse)[95] == "late"


def test_a_column_that_is_added_doubles_no_rows(
    events: File, warehouse: Warehouse, tmp_path: Path
) -> None:
    append(events, warehouse, tmp_path)
    events.run("alter table events add column more bigint", "insert into events values (3, 'c', 1)")
    append(events, warehouse, tmp_path, schema="add")
    assert notes(warehouse) == {1: "a", 2: "b", 3: "c"}
    found = warehouse.rows(f"select more from {warehouse.named('events')} order by id")
    assert found == [(None,), (None,), (1,)]


def test_a_table_that_was_emptied_is_appended_to_from_the_beginning(
    events: File, warehouse: Warehouse, tmp_path: Path
) -> None:
    append(events, warehouse, tmp_path)
    warehouse.run(f"delete from {warehouse.named('events')}")
    append(events, warehouse, tmp_path)
    assert notes(warehouse) == {1: "a", 2: "b"}


def test_a_run_that_is_named_again_appends_nothing_twice(
    events: File, warehouse: Warehouse, tmp_path: Path
) -> None:
    """The load is there; its files are gone, as are those of a run that was killed afterwards."""
    words = {"relations": EVENTS, "disposition": "append", **warehouse.words}
    export(events, tmp_path, "--run", "monday", **words).expect(0)
    events.run("insert into events values (3, 'c')")
    export(events, tmp_path, "--run", "tuesday", **words).expect(0)
    stop(tmp_path, "tuesday", **words)
    export(events, tmp_path, "--run", "tuesday", **words).expect(0)
    assert notes(warehouse) == {1: "a", 2: "b", 3: "c"}


def test_rows_of_the_source_need_a_key(events: File, tmp_path: Path) -> None:
    words = {"relations": {"name": "events", "watermark": "id"}, "disposition": "append"}
    (problem,) = export(events, tmp_path, **words).expect(3).result["problems"]
    assert "no key to tell new rows by" in problem["message"]
    query = {"name": "q", "query": "select 1 as id", "watermark": "id"}
    ran = export(events, tmp_path, relations=query, disposition="append").expect(2)
    assert "need its key" in ran.result["message"]


# PostgreSQL, whose transactions commit in any order


@pytest.fixture
def source(database: Callable[[int], Database]) -> Database:
    source = database(16)
    source.run(
        "create table events (id bigint primary key, at timestamptz default now(), note text)",
        "insert into events values (1, '2024-01-01 00:00Z', 'a'), (2, '2024-01-01 00:01Z', 'b')",
    )
    return source


def test_numbers_may_be_committed_late_in_postgres(source: Database, tmp_path: Path) -> None:
    words: dict[str, Any] = {"disposition": "append"}
    relation = {"name": "public.events", "watermark": "id"}
    (problem,) = export(source, tmp_path, relations=relation, **words).expect(3).result["problems"]
    assert "would be missed; give `overlap`" in problem["message"]
    for overlap in (0, 5):
        export(source, tmp_path, relations={**relation, "overlap": overlap}, **words).expect(0)
    for overlap in (0, 5):
        timed = {"name": "public.events", "watermark": "at", "overlap": overlap}
        (problem,) = export(source, tmp_path, relations=timed, **words).expect(3).result["problems"]
        assert "at is timestamp with time zone, not a number" in problem["message"]


def test_rows_that_are_committed_late_are_appended_by_the_next_run(
    source: Database, database: Callable[[int], Database], tmp_path: Path
) -> None:
    there = database(18)
    words = {
        "relations": {"name": "public.events", "watermark": "at"},
        "disposition": "append",
        "warehouse": there.url,
    }
    with source.connect() as writer:
        writer.execute("begin; insert into events (id, note) values (200, 'late')")
        source.run("insert into events (id, note) values (201, 'soon')")
        export(source, tmp_path, **words).expect(0)
        assert there.rows("select id from events order by id") == [(1,), (2,), (201,)]
        writer.execute("commit")
    for _ in range(2):
        export(source, tmp_path, **words).expect(0)
        assert there.rows("select id from events order by id") == [(1,), (2,), (200,), (201,)]
