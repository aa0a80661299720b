"""The warehouses that an export can load into: what is the same in each runs over all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from clouds import bigquery, gs, s3, storage
from fakes.bigquery import FakeBigQuery
from servers import Database
from snowflake_fake import FakeSnowflake

__all__ = ["bigquery", "file", "gs", "s3", "storage", "warehouse"]  # fixtures

WAREHOUSES = ("postgresql", "duckdb", "bigquery", "snowflake")
Rows = list[tuple[Any, ...]]


@dataclass(frozen=True)
class Warehouse:
    """One warehouse, empty at first. SQL is its own; BigQuery's stand-in speaks DuckDB's."""

    name: str
    words: dict[str, Any]  # of the export's spec
    schema: str  # of its tables
    run: Callable[[str], None]
    rows: Callable[[str], Rows]

    def named(self, table: str) -> str:
        return f"{self.schema}.{table}"


@dataclass(frozen=True)
class File:
    """A database in a file of DuckDB: the quickest source there is."""

    path: Path

    @property
    def url(self) -> str:
        return f"duckdb://{self.path}"

    def run(self, *statements: str) -> None:
        with duckdb.connect(str(self.path)) as connection:
            for one in statements:
                connection.execute(one)

    def rows(self, query: str) -> Rows:
        with duckdb.connect(str(self.path)) as connection:
            return connection.execute(query).fetchall()


@pytest.fixture
def file(tmp_path: Path) -> File:
    return File(tmp_path / "source.duckdb")


@pytest.fixture(params=WAREHOUSES)
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Warehouse:
    makers = {
        "postgresql": _postgres,
        "duckdb": _duckdb,
        "bigquery": _bigquery,
        "snowflake": _snowflake,
    }
    return makers[request.param](request, tmp_path)


def _postgres(request: pytest.FixtureRequest, _: Path) -> Warehouse:
    there: Database = request.getfixturevalue("database")(18)
    return Warehouse("postgresql", {"warehouse": there.url}, "public", there.run, there.rows)


def _duckdb(_: pytest.FixtureRequest, folder: Path) -> Warehouse:
    there = File(folder / "w.duckdb")
    words = {"warehouse": there.url}
    return Warehouse("duckdb", words, "main", there.run, there.rows)


def _bigquery(request: pytest.FixtureRequest, _: Path) -> Warehouse:
    fake: FakeBigQuery = request.getfixturevalue("bigquery")
    words = {
        "to": "gs://lake/exports",
        "store_options": request.getfixturevalue("gs"),
        "warehouse": fake.url("raw"),
    }
    return Warehouse("bigquery", words, "raw", fake.change, fake.rows)


def _snowflake(request: pytest.FixtureRequest, _: Path) -> Warehouse:
    if request.node.callspec.params.get("form") == "csv":
        pytest.skip("Snowflake is loaded from Parquet alone")
    fake: FakeSnowflake = request.getfixturevalue("snowflake")
    return Warehouse("snowflake", {"warehouse": fake.url}, fake.schema, fake.run, fake.rows)
