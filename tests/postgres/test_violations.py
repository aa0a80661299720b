"""A violated foreign key is named with the number of violating rows, and a query that shows
them."""

from __future__ import annotations

import pytest

from command import DIFFERENT, migrate
from servers import Database, Pair

UNCHECKED = "set session_replication_role = replica"
SCHEMA = 'create schema "Odd ""one"; '
PARENT = 'create table "Odd ""one".parent (a int, b text, primary key (a, b))'
CHILD = (
    "create table child (id int primary key, x int, y text{part},"
    ' foreign key (x, y) references "Odd ""one".parent {match}){by}'
)
ROWS = (
    "insert into \"Odd \"\"one\".parent values (1, 'a'), (2, 'b')",
    "insert into child values (1, 1, 'a'), (2, 2, 'x'), (3, 3, 'x'), (4, 4, 'x')",
    "insert into child values (5, null, 'x'), (6, null, null)",
)
KINDS = {
    "plain": ({"match": "", "part": "", "by": ""}, [2, 3, 4]),
    "full": ({"match": "match full", "part": "", "by": ""}, [2, 3, 4, 5]),
    "partitioned": ({"match": "", "part": "", "by": " partition by range (id)"}, [2, 3, 4]),
}


def violate(source: Database, kind: dict[str, str]) -> None:
    source.run(SCHEMA + PARENT, CHILD.format(**kind))
    if kind["by"]:
        source.run("create table child_1 partition of child default")
    with source.connect() as connection:
        for statement in (UNCHECKED, *ROWS):
            connection.execute(statement.encode())


@pytest.mark.parametrize("kind", KINDS)
def test_violating_rows_are_counted_and_shown(pair: Pair, kind: str) -> None:
    words, expected = KINDS[kind]
    violate(pair.source, words)
    ran = migrate(pair).expect(DIFFERENT).result
    (loss,) = [one for one in ran["losses"] if one["class"] == "constraints"]
    said, query = loss["message"].split(": SELECT ")
    assert said.endswith(f"; {len(expected)} rows")
    assert sorted(row[0] for row in pair.target.rows(f"select {query}")) == expected


def test_an_inherited_table_s_children_are_not_counted(pair: Pair) -> None:
    words, expected = KINDS["plain"]
    violate(pair.source, words)
    pair.source.run(
        "create table grandchild () inherits (child)", "insert into grandchild values (9, 9, 'z')"
    )
    (loss,) = [
        one
        for one in migrate(pair, "--accept", "behaviour").expect(DIFFERENT).result["losses"]
        if one["class"] == "constraints"
    ]
    assert f"; {len(expected)} rows: SELECT * FROM ONLY" in loss["message"]
