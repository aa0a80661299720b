"""Public samples' shapes, moved whole: every row, key and reference is there, and every row is
proven."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from command import DONE
from mysql_shapes import in_mariadb, in_sqlite
from servers import Database
from translating import Move, Source

SHAPES = {  # tables, foreign keys; what has to be accepted; a sum over the rows, the same in both
    "chinook": (11, 11, (), 'select sum("Milliseconds"), sum("UnitPrice") from "Track"'),
    "northwind": (11, 11, ("objects",), 'select sum("Quantity"), count(*) from "Order Details"'),
    "employees": (6, 6, (), "select sum(salary), max(from_date) from salaries"),
    "sakila": (7, 6, (), "select sum(amount), max(payment_date) from payment"),
}
TABLES = "select count(*) from pg_tables where schemaname = '{}'"
KEYS = (
    "select count(*) from pg_constraint where contype = 'f' and convalidated"
    " and connamespace = '{}'::regnamespace"
)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("engine", ["sqlite", "mariadb"])
def test_a_public_sample_arrives_whole(
    engine: str,
    shape: str,
    tmp_path: Path,
    database: Callable[[int], Database],
    request: pytest.FixtureRequest,
) -> None:
    tables, keys, accepted, sums = SHAPES[shape]
    if engine == "sqlite":
        path = tmp_path / "source.db"
        in_sqlite(path, shape)
        with closing(sqlite3.connect(path)) as session:
            expected = session.execute(sums).fetchone()
        source = Source(f"sqlite:///{path}", lambda: None, "public")
    else:
        server = request.getfixturevalue("mariadb")
        name = request.getfixturevalue("maria_database")()
        in_mariadb(server, name, shape, tmp_path)
        (row,) = server.run(name, sums.replace('"', "`"))
        expected = tuple(one.decode() if isinstance(one, bytes) else one for one in row)
        source = Source(server.url(name), lambda: None, name)
    move = Move(source, database(16))
    words = [word for one in accepted for word in ("--accept", one)]
    found = move.command("migrate", *words).expect(DONE).result
    assert found["verified"] == "full"
    assert move.target.value(TABLES.format(source.schema)) == tables
    assert move.target.value(KEYS.format(source.schema)) == keys
    there = sums.replace('"', "").replace("Order Details", '"order details"')
    with move.target.connect() as connection:
        connection.execute(f"set search_path = {source.schema}")
        arrived = connection.execute(there).fetchone()
    assert arrived is not None
    assert [_rounded(one) for one in arrived] == [_rounded(one) for one in expected]


def _rounded(value: object) -> str:
    try:
        return f"{float(str(value)):.6f}"
    except ValueError:
        return str(value)
