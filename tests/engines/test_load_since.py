"""Only rows from a watermark on are read, that value included, whatever the source's type of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing

import duckdb
import pytest

from load_targets import LoadTarget, target

__all__ = ["target"]  # fixtures

# the type that the source declares, that of the target, and stamps: the last two after a load
TYPES: dict[str, tuple[str, str, Sequence[object]]] = {
    "text": ("text", "timestamp", ["2026-01-01 10:00:00", "2026-01-02 10:00:00",
                                   "2026-01-02 10:00:00", "2026-01-03 10:00:00"]),
    "timestamp": ("timestamp", "timestamp", ["2026-01-01 10:00:00", "2026-01-02 10:00:00",
                                             "2026-01-02 10:00:00", "2026-01-03 10:00:00"]),
    "integer": ("integer", "bigint", [8, 9, 9, 10]),
    "version": ("text", "varchar(10)", ["v1", "v2", "v2", "v3"]),
    "number as text": ("text", "bigint", ["8", "9", "9", "10"]),
    "time as text": ("text", "timestamp", ["2026-01-01T10:00:00", "2026-01-02T10:00:00",
                                           "2026-01-02 10:00:00", "2026-01-02 10:00:01"]),
    "text of a collation": ("text collate nocase", "varchar(10)", ["A", "B", "B", "a"]),
}  # fmt: skip
SPEC = """
flow: load
from: {{source: 'sqlite:///{folder}/old.db', relation: events}}
into: events
load: merge
key: id
since: seen
"""


def make(target: LoadTarget, kind: str) -> Sequence[object]:
    declared, column, stamps = TYPES[kind]
    source(target, f"create table events (id integer primary key, seen {declared})")
    target.run(f"create table events (id integer primary key, seen {column})")
    target.file("load.yaml", SPEC.format(folder=target.folder))
    add(target, 1, stamps[0])
    add(target, 2, stamps[1])
    return stamps


def source(target: LoadTarget, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(target.folder / "old.db")) as connection:
        connection.execute(statement, values)
        connection.commit()


def add(target: LoadTarget, key: int, stamp: object) -> None:
    source(target, "insert into events values (?, ?)", key, stamp)


@pytest.mark.parametrize("kind", TYPES)
def test_rows_that_share_the_last_value_are_read_and_earlier_ones_are_not(
    target: LoadTarget, kind: str
) -> None:
    stamps = make(target, kind)
    assert target.counts("-f", "load.yaml") == {"read": 2, "inserted": 2}
    add(target, 3, stamps[2])
    add(target, 4, stamps[3])
    assert target.counts("-f", "load.yaml") == {"read": 3, "inserted": 2, "unchanged": 1}
    assert target.counts("-f", "load.yaml") == {"read": 1, "unchanged": 1}
    assert target.orders("select id from events order by id") == ["1", "2", "3", "4"]


@pytest.mark.parametrize("kind", ["text", "integer"])
def test_a_row_without_a_watermark_stops_the_load(target: LoadTarget, kind: str) -> None:
    make(target, kind)
    target.load("-f", "load.yaml").expect(0)
    add(target, 5, None)
    (problem,) = target.load("-f", "load.yaml").expect(3).result["problems"]
    assert "not-null(seen)" in problem["message"]


def test_an_overlap_reads_rows_before_the_last_value_again(target: LoadTarget) -> None:
    make(target, "timestamp")
    target.load("-f", "load.yaml").expect(0)
    add(target, 3, "2026-01-02 09:59:30")  # committed late
    assert target.counts("-f", "load.yaml", "--overlap-seconds", "60") in (
        {"read": 3, "inserted": 1, "unchanged": 2},  # other options: all rows
        {"read": 2, "inserted": 1, "unchanged": 1},
    )


def test_a_rollback_takes_the_watermark_back(target: LoadTarget) -> None:
    make(target, "integer")
    target.load("-f", "load.yaml").expect(0)
    target.windlass("rollback", target.newest_run(), "--yes").expect(0)
    assert target.counts("-f", "load.yaml") == {"read": 2, "inserted": 2}


def test_a_text_that_stands_for_a_number_is_refused_where_the_source_compares_it_as_text(
    target: LoadTarget,
) -> None:
    """Of '9' and '10' the source would take '9' for the later one, and never read '10'."""
    target.run("create table events (id integer primary key, seen bigint)")
    with closing(duckdb.connect(str(target.folder / "old.duckdb"))) as old:
        old.execute("create table events (id integer primary key, seen varchar)")
        old.execute("insert into events values (1, '9')")
    spec = SPEC.replace("sqlite:", "duckdb:").replace("old.db", "old.duckdb")
    target.file("load.yaml", spec.format(folder=target.folder))
    (problem,) = target.load("-f", "load.yaml").expect(3).result["problems"]
    assert "text in the source" in problem["message"] and "cast(seen as" in problem["hint"]


def test_the_plan_names_a_watermark_that_is_compared_as_text(target: LoadTarget) -> None:
    make(target, "version")
    plan = target.windlass("plan", "-f", "load.yaml").expect(0).said
    assert "the watermark seen is text, compared as bytes: v10 comes before v9" in plan
