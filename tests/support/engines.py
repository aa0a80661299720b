"""The engines that an export can read, each with its own database to fill: what the contract
suite runs over.

A case that an engine cannot pass is marked, with the reason: `notimpl` is ours to do, `notyet`
theirs, `never` cannot be. All are strict: one that passes fails the suite.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from servers import Database


def over_engines(**marks: pytest.MarkDecorator) -> pytest.MarkDecorator:
    """The test runs on every engine, which the fixture `engine` is; marks are by engine."""
    cases = [pytest.param(name, marks=[marks[name]] if name in marks else []) for name in MADE]
    return pytest.mark.parametrize("engine", cases, indirect=True)


def notimpl(reason: str) -> pytest.MarkDecorator:
    return pytest.mark.xfail(strict=True, reason=f"notimpl: {reason}")


def notyet(reason: str) -> pytest.MarkDecorator:
    return pytest.mark.xfail(strict=True, reason=f"notyet: {reason}")


def never(reason: str) -> pytest.MarkDecorator:
    return pytest.mark.xfail(strict=True, reason=f"never: {reason}")


@dataclass(frozen=True)
class Engine:
    """A database of one engine, empty at first."""

    name: str
    url: str
    schema: str  # that tables are in without being asked
    run: Callable[..., None]  # statements, each in a transaction
    types: Mapping[str, str]  # what it calls them
    binary: tuple[str, str]  # how it writes 00 ff 27, and none
    failing: str  # an expression that cannot be computed for the text `note`
    endless: str  # a query without an end, with a column n

    def named(self, table: str) -> str:
        return f"{self.schema}.{table}"


POSTGRES = {"int": "bigint", "float": "double precision", "text": "text", "bytes": "bytea"}
SQLITE = {"int": "integer", "float": "real", "text": "text", "bytes": "blob"}
DUCKDB = {"int": "bigint", "float": "double", "text": "text", "bytes": "blob"}


def postgres_engine(database: Database) -> Engine:
    return Engine(
        "postgresql", database.url, "public", database.run, POSTGRES, (r"'\x00ff27'", "''"),
        "cast(note as int)",
        "select n from generate_series(1, 1000000000) as n",
    )  # fmt: skip


def sqlite_engine(folder: Path) -> Engine:
    path = folder / "source.db"

    def run(*statements: str) -> None:
        with closing(sqlite3.connect(path, timeout=0)) as connection, connection:
            for statement in statements:
                connection.execute(statement)

    run("pragma journal_mode = wal")
    return Engine(
        "sqlite", f"sqlite://{path}", "main", run, SQLITE, ("x'00ff27'", "x''"),
        "json_extract(note, '$.a')",
        "with recursive s(n) as (select 1 union all select n + 1 from s) select n from s",
    )  # fmt: skip


def duckdb_engine(folder: Path) -> Engine:
    path = folder / "source.duckdb"

    def run(*statements: str) -> None:
        with duckdb.connect(str(path)) as connection:
            for statement in statements:
                connection.execute(statement)

    run("select 1")
    return Engine(
        "duckdb", f"duckdb://{path}", "main", run, DUCKDB, (r"'\x00\xFF\x27'", "''"),
        "cast(note as int)",
        "select hash(range) % 7 as n from range(1000000000000)",
    )  # fmt: skip


MADE: Mapping[str, Callable[[Callable[[int], Database], Path], Engine]] = {
    "postgresql": lambda database, _: postgres_engine(database(16)),
    "sqlite": lambda _, folder: sqlite_engine(folder),
    "duckdb": lambda _, folder: duckdb_engine(folder),
}


def values_of(rows: list[tuple[Any, ...]]) -> list[Any]:
    """Of rows with one column."""
    return [value for (value,) in rows]
