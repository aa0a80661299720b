"""The targets that the contract of landings is tested on, each with a separate database."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import settings

from landings import Source, load_of, words
from servers import Database
from snowflake_fake import FakeSnowflake
from windlass.engines.duckdb.session import MEMORY
from windlass.engines.landing import Landing
from windlass.engines.registry import open_landing
from windlass.model.load import Counts, Load, LoadRun, Table
from windlass.model.load_words import LoadWords, Matched, Missing
from windlass.model.outcome import State

TARGETS = ("postgresql", "sqlite", "duckdb")
SNOWFLAKE_TOO = (*TARGETS, "snowflake")  # as fakesnow plays it
CONFIG: Any = {"memory_limit": MEMORY}  # as a landing opens it, in the same process


def over_targets(
    names: Sequence[str] = TARGETS, **marks: pytest.MarkDecorator
) -> pytest.MarkDecorator:
    """The test runs on every target, which the fixture `target` is; marks are by engine."""
    cases = [pytest.param(name, marks=[marks[name]] if name in marks else []) for name in names]
    return pytest.mark.parametrize("target", cases, indirect=True)


@dataclass(frozen=True)
class Target:
    """A database of one engine, empty at first."""

    name: str
    url: str
    run: Callable[..., None]  # statements, as another program
    rows: Callable[[str], list[tuple[Any, ...]]]
    types: Mapping[str, str]  # what it calls them

    def open(self) -> Landing:
        return open_landing(self.url)

    def fresh(self, table: str, columns: str) -> None:
        """A new table; types are in braces."""
        made = columns.format(**self.types)
        self.run(f"drop table if exists {table}", f"create table {table} ({made})")

    def fill(self, table: str, rows: Sequence[Sequence[Any]]) -> None:
        values = (
            "({})".format(", ".join("null" if one is None else repr(one) for one in row))
            for row in rows
        )
        if rows:
            self.run(f"insert into {table} values {', '.join(values)}")


POSTGRES = {"int": "bigint", "decimal": "numeric(8,2)", "float": "double precision",
            "text": "text", "short": "varchar(5)", "bytes": "bytea", "bool": "boolean",
            "date": "date", "moment": "timestamp", "time": "time", "uuid": "uuid",
            "json": "json"}  # fmt: skip
SQLITE = {**POSTGRES, "int": "integer", "decimal": "decimal(8,2)", "float": "real",
          "bytes": "blob"}  # fmt: skip


def postgres_target(database: Database) -> Target:
    def run(*statements: str) -> None:
        for statement in statements:
            database.run(statement)

    return Target("postgresql", database.url, run, database.rows, POSTGRES)


def sqlite_target(folder: Path) -> Target:
    path = folder / "target.db"

    def run(*statements: str) -> None:
        with closing(sqlite3.connect(path, timeout=5)) as connection, connection:
            for statement in statements:
                connection.execute(statement)

    def rows(query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(path, timeout=5)) as connection:
            return connection.execute(query).fetchall()

    run("pragma journal_mode = wal")
    return Target("sqlite", f"sqlite://{path}", run, rows, SQLITE)


DUCKDB = {**POSTGRES, "decimal": "decimal(8,2)", "float": "double", "short": "varchar",
          "bytes": "blob"}  # fmt: skip


def duckdb_target(folder: Path) -> Target:
    path = folder / "target.duckdb"

    def run(*statements: str) -> None:
        with duckdb.connect(str(path), config=CONFIG) as connection:
            for statement in statements:
                connection.execute(statement)

    def rows(query: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(path), config=CONFIG) as connection:
            return connection.execute(query).fetchall()

    run("select 1")
    return Target("duckdb", f"duckdb://{path}", run, rows, DUCKDB)


SNOWFLAKE = {**POSTGRES, "int": "number(38,0)", "decimal": "number(8,2)", "float": "float",
             "text": "varchar", "bytes": "binary", "bool": "boolean",
             "moment": "timestamp_ntz", "uuid": "varchar", "json": "varchar"}  # fmt: skip


def snowflake_target(schema: FakeSnowflake) -> Target:
    def run(*statements: str) -> None:
        schema.run(f"use schema {schema.schema}", *statements)

    def rows(query: str) -> list[tuple[Any, ...]]:
        schema.run(f"use schema {schema.schema}")
        return schema.rows(query)

    return Target("snowflake", schema.url, run, rows, SNOWFLAKE)


def has_enough(target: Target, seen: list[None]) -> bool:
    """Whether there were enough examples: one into Snowflake is some 150 statements over HTTP."""
    seen.append(None)
    return target.name == "snowflake" and len(seen) > settings().max_examples // 20


_NUMBERS = itertools.count(1)
KEYED = ("insert", "refuse", "merge", "mirror", "mark", "history")


def new_run() -> str:
    """Another one for each example."""
    return f"20260101_0000_{next(_NUMBERS):04x}"


def words_of(name: str, **more: Any) -> LoadWords:
    """Of the model's names: `refuse`, `mark` and a `history` that closes what is missing, too."""
    if name == "refuse":
        return words("merge", "id", matched=Matched.REFUSE, **more)
    if name == "mark":
        return words("mirror", "id", missing=Missing.MARK, mark="gone", **more)
    if name == "history":
        return words("history", "id", missing=Missing.DELETE, **more)
    return words(name, *(("id",) if name in KEYED else ()), **more)


def table_of(landing: Landing, name: str) -> Table:
    found = landing.table(name)
    assert found is not None
    return found


def begin(landing: Landing, run: str) -> None:
    landing.begin(LoadRun(run, State.RUNNING, "orders.csv", {"run": run}, {}))


def planned(
    landing: Landing, table: str, how: LoadWords, source: Source, *more: Source, **rest: Any
) -> Load:
    load = load_of(table_of(landing, table), how, source, **rest)
    return replace(load, inputs=tuple(one.place for one in (source, *more)))


def load(landing: Landing, run: str, what: Load, *inputs: Source) -> Counts:
    """All that a flow does, but for the end. Each thing twice: the second time it does nothing."""
    begin(landing, run)
    for number, one in enumerate(inputs):
        first = landing.stage(run, what, number, one)
        again = landing.stage(run, what, number, one)
        assert (first.rows, first.refused) == (again.rows, again.refused)
    findings = landing.check(run, what)
    assert not [one for one in findings if not one.expectation.warns]
    counts = landing.apply(run, what)
    assert landing.apply(run, what) == counts
    landing.clean_up(run, what)
    landing.clean_up(run, what)
    return counts
