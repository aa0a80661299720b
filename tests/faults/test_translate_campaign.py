"""A migration from another engine dies at moments that nobody chose: the same command ends it, with
every row once."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from command import DONE
from killing import is_killed
from servers import Database
from translating import CUSTOMERS, TEXTS, Move, mariadb_shop, sqlite_shop

KILLS = 40  # of each engine
ITEMS = 60_000  # more than share a transaction with other tables
BEGUN = "windlass.flows.translate.opening.begin_new"
RESUMED = "windlass.flows.translate.opening.resume"
STATEMENTS = 40  # that a run has at least, once it has begun; and some when it is resumed
RESUMED_STATEMENTS = 20
CHUNKS = 5  # that are copied, at least
COPIES = "windlass.flows.translate.rows._copied"
WORDS = ("migrate", "--chunk-size", "64kB", "--jobs", "2")
COUNTS = (
    "select (select count(*) from {0}.customers), (select count(*) from {0}.items),"
    ' (select count(*) from {0}."odd ""name"), (select sum(qty) from {0}.items),'
    " (select count(distinct note) from {0}.items)"
)
KEYS = "select count(*) from pg_constraint where contype in ('p', 'u', 'f') and convalidated"


@pytest.fixture(params=("sqlite", "mariadb"))
def move(
    request: pytest.FixtureRequest, tmp_path: Path, database: Callable[[int], Database]
) -> Move:
    if request.param == "sqlite":
        return Move(sqlite_shop(tmp_path / "shop.db", items=ITEMS), database(16))
    server, name = request.getfixturevalue("mariadb"), request.getfixturevalue("maria_database")()
    return Move(mariadb_shop(server, name, items=ITEMS), database(16))


def places(seed: int) -> list[str]:
    """One of the run, and of every third run another one once it is resumed."""
    chosen = random.Random(seed)
    kinds = "statement", "answer"
    found = [f"{chosen.choice(kinds)} {chosen.randint(1, STATEMENTS)} since {BEGUN}"]
    if seed % 4 == 3:
        found = [f"call {COPIES} {chosen.randint(1, CHUNKS)}"]
    if seed % 3 == 0:
        number = chosen.randint(1, RESUMED_STATEMENTS)
        found.append(f"{chosen.choice(kinds)} {number} since {RESUMED}")
    return found


@pytest.mark.parametrize("seed", range(KILLS))
def test_killed_at_any_statement_every_row_arrives_once(move: Move, seed: int) -> None:
    first, *others = places(seed)
    died = is_killed(first, WORDS, move.env)
    for place in others:
        is_killed(place, WORDS, move.env)
    found = move.command(*WORDS).expect(DONE).result
    assert found["verified"] == "full"
    assert died, f"{first}: the run has fewer statements"
    quantities = sum(at % 5 + 1 for at in range(1, ITEMS + 1))
    schema = f'"{move.source.schema}"'
    assert move.target.rows(COUNTS.format(schema)) == [
        (CUSTOMERS, ITEMS, len(TEXTS), quantities, ITEMS)
    ]
    assert move.target.value(f"{KEYS} and connamespace = '{schema}'::regnamespace") == 5
