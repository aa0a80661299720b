"""Databases with a table in use, as `windlass load` finds them: PostgreSQL, DuckDB, SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from command import Ran, windlass
from servers import Database, Server

ENGINES = ("postgresql", "duckdb", "sqlite")
Rows = list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class LoadTarget:
    """One database, and the folder that commands run in. `database` is PostgreSQL's."""

    engine: str
    folder: Path
    database: Database | None = None

    @property
    def url(self) -> str:
        if self.database:
            return self.database.url
        return f"{self.engine}://{self.folder}/shop.db"

    def run(self, *statements: str) -> None:
        if self.database:
            self.database.run(*statements)
            return
        with closing(self._connect()) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()

    def rows(self, query: str) -> Rows:
        if self.database:
            return self.database.rows(query)
        with closing(self._connect()) as connection:
            return [tuple(row) for row in connection.execute(query).fetchall()]

    def _connect(self) -> Any:
        path = str(self.folder / "shop.db")
        return duckdb.connect(path) if self.engine == "duckdb" else sqlite3.connect(path)

    def file(self, name: str, text: str) -> str:
        (self.folder / name).write_text(text)
        return name

    @property
    def env(self) -> dict[str, str]:
        return {"WINDLASS_TARGET": self.url, "XDG_CACHE_HOME": str(self.folder / "cache")}

    def windlass(self, *words: str) -> Ran:
        return windlass(*words, env=self.env)

    def load(self, *words: str) -> Ran:
        """With its result as JSON."""
        return self.windlass("load", "--json", *words)

    def counts(self, *words: str) -> dict[str, int]:
        """What became of the rows of a load that is done, without what is zero."""
        found = self.load(*words).expect(0).result["counts"]
        return {name: number for name, number in found.items() if number}

    def refused(self) -> Rows:
        """Records that the newest run has put aside, as JSON, with their lines."""
        if self.database:
            (table,) = self.database.rows(
                "select relname from pg_class where relname ~ '^refused_' order by oid desc limit 1"
            )[0]
            return self.rows(f'select fields::text, line from windlass."{table}" order by record')
        return self.rows("select fields, line from _windlass_refused order by record")

    def newest_run(self) -> str:
        name: str = self.windlass("status", "--json").expect(0).result["runs"][0]["run"]
        return name

    def orders(self, query: str = "select id, total, note from orders order by id") -> list[str]:
        """Rows as text: engines have several types for the same number."""
        return [" ".join(_text(value) for value in row) for row in self.rows(query)]


def _text(value: Any) -> str:
    return "-" if value is None else str(value)


def make_orders(target: LoadTarget) -> None:
    """A table with three rows."""
    amount = "integer"
    target.run(
        f"create table orders (id integer primary key, total {amount}, note varchar(10))",
        "insert into orders values (1, 10, 'a'), (2, 20, 'b'), (3, 30, 'c')",
    )


@pytest.fixture(params=ENGINES)
def target(
    request: pytest.FixtureRequest,
    server: Callable[[int], Server],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[LoadTarget]:
    monkeypatch.chdir(tmp_path)
    if request.param != "postgresql":
        made = LoadTarget(request.param, tmp_path)
        make_orders(made)
        yield made
        return
    database = server(16).create_database()
    made = LoadTarget(request.param, tmp_path, database)
    make_orders(made)
    yield made
    server(16).drop_database(database)
