"""Only rows from a watermark on are read, that value included, whatever the source's type of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing

import duckdb
import pytest

from load_targets import LoadTarget, target
from servers import Database, Server

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


@pytest.fixture
def old(server: Callable[[int], Server]) -> Iterator[Database]:
    """PostgreSQL as the source."""
    made = server(16).create_database()
    yield made
    server(16).drop_database(made)


def make_typed(old: Database, target: LoadTarget, type_: str, column: str, *rows: object) -> None:
    old.run(f"create table events (id integer primary key, seen {type_})")
    for number, value in enumerate(rows, 1):
        add_typed(old, number, value)
    target.run(f"create table events (id integer primary key, seen {column})")
    spec = SPEC.replace("sqlite:///{folder}/old.db", "{url}").replace("events}", "public.events}")
    target.file("load.yaml", spec.format(url=old.url))


def add_typed(old: Database, number: int, value: object) -> None:
    old.run(f"insert into events values ({number}, '{value}')")


@pytest.mark.parametrize("type_", ["public.mood", "jsonb"])
def test_a_watermark_whose_text_does_not_tell_which_is_the_last_is_refused_at_once(
    old: Database, target: LoadTarget, type_: str
) -> None:
    """It was loaded once, and the second load failed in the source."""
    old.run("create type mood as enum ('new', 'gone')")
    make_typed(old, target, type_, "varchar(20)")
    (problem,) = target.load("-f", "load.yaml").expect(3).result["problems"]
    assert f"the watermark seen is {type_} in the source" in problem["message"]
    assert "cast(seen as" in problem["hint"]


def test_numbers_of_any_length_are_compared_as_numbers(old: Database, target: LoadTarget) -> None:
    make_typed(old, target, "numeric", "numeric(12,0)", 8, 9)
    assert target.counts("-f", "load.yaml") == {"read": 2, "inserted": 2}
    add_typed(old, 3, 10)
    assert target.counts("-f", "load.yaml") == {"read": 2, "inserted": 1, "unchanged": 1}
    assert target.counts("-f", "load.yaml") == {"read": 1, "unchanged": 1}


@pytest.mark.parametrize(
    ("type_", "last", "values"),
    [
        ("double precision", "NaN", ("1.5", "2.5", "3.5")),
        ("double precision", "Infinity", ("1.5", "2.5", "3.5")),
        ("timestamp", "infinity", ("2026-01-01 10:00", "2026-01-02 10:00", "2026-01-03 10:00")),
    ],
)
def test_rows_after_a_value_that_none_comes_after_are_read(
    old: Database, target: LoadTarget, type_: str, last: str, values: Sequence[str]
) -> None:
    """Some targets have no such value: nothing is loaded there, neither now nor later."""
    make_typed(old, target, type_, type_, *values[:2], last)
    if target.load("-f", "load.yaml").code:
        assert target.orders("select id from events") == []
        return
    add_typed(old, 4, values[2])
    assert target.counts("-f", "load.yaml") == {"read": 3, "inserted": 1, "unchanged": 2}
    assert target.orders("select id from events order by id") == ["1", "2", "3", "4"]
