"""A process that loads is killed at any moment; the same again loads as if it had run once."""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest

from command import forked
from landing_targets import (
    Target,
    duckdb_target,
    load,
    planned,
    postgres_target,
    sqlite_target,
    words_of,
)
from landings import Records
from rooms import make_room
from sampling import SEED
from servers import Database
from windlass.engines.registry import open_landing
from windlass.model.past import Others

ROWS = 20_000
MOMENTS = 40
RUN = "20260101_0000_0001"
FIELDS = ("id", "n", "name")


@pytest.fixture
def target(request: pytest.FixtureRequest, database: Callable[[int], Database]) -> Iterator[Target]:
    if request.param == "postgresql":
        yield postgres_target(database(18))
        return
    room = make_room()
    make = sqlite_target if request.param == "sqlite" else duckdb_target
    yield make(room)
    shutil.rmtree(room)


def inputs() -> list[Records]:
    """Half of the rows are there, and half of these have changed."""
    low, half = ROWS // 2, ROWS
    records = [(str(n), str(n % 2), f"row {n}") for n in range(low, low + ROWS)]
    return [
        Records(FIELDS, records[:half], "a.csv", 1000),
        Records(FIELDS, records[half:], "b.csv", 1000),
    ]


@dataclass(frozen=True)
class Work:
    """All of a run, in another process."""

    url: str
    word: str

    def __call__(self) -> None:
        with open_landing(self.url) as landing, landing.working(RUN):
            sources = inputs()
            what = planned(landing, "shop", words_of(self.word), *sources)
            load(landing, RUN, what, *sources)


def filled(target: Target, word: str) -> list[tuple[Any, ...]]:
    key = "" if word == "append" else "primary key"
    target.fresh("shop", f"id {{int}} {key}, n {{int}}, name {{text}}")
    series = {
        "sqlite": "with recursive s(n) as (select 0 union all select n + 1 from s where n < {})",
        "postgresql": "with s(n) as (select generate_series(0, {}))",
        "duckdb": "with s(n) as (select range from range({} + 1))",
    }[target.name].format(ROWS - 1)
    target.run(f"insert into shop {series} select n, 0, 'row ' || n from s")
    return rows(target)


def rows(target: Target) -> list[tuple[Any, ...]]:
    return target.rows("select id, n, name from shop order by id, n")


def wanted(word: str, before: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    new = [(n, n % 2, f"row {n}") for n in range(ROWS // 2, ROWS // 2 + ROWS)]
    if word == "append":
        return sorted([*before, *new])
    old = before if word == "merge" else []
    return sorted({**{one[0]: one for one in old}, **{one[0]: one for one in new}}.values())


@pytest.mark.parametrize("moment", range(MOMENTS))
@pytest.mark.parametrize("target", ["postgresql", "sqlite", "duckdb"], indirect=True)
def test_a_load_killed_at_any_moment_is_as_if_it_had_run_once(target: Target, moment: int) -> None:
    rng = random.Random(f"{os.environ.get(SEED)} {target.name} {moment}")
    word = rng.choice(["merge", "mirror", "append"])
    before = filled(target, word)
    process = forked(Work(target.url, word))
    process.join(rng.uniform(0, 2.5))  # some are through before that
    with suppress(ProcessLookupError):
        os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    with target.open() as landing:
        sources = inputs()
        known = landing.read(RUN)
        is_applied = bool(known and known.lines.get("apply_rows"))
        assert rows(target) == (wanted(word, before) if is_applied else before)
        what = planned(landing, "shop", words_of(word), *sources)
        load(landing, RUN, what, *sources)
        assert rows(target) == wanted(word, before)
        landing.undo(RUN, Others.REFUSE)
    assert rows(target) == before
