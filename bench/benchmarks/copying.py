"""Copies of whole databases, and of rows alone: Windlass and its peers in the same run."""

from collections.abc import Sequence
from dataclasses import replace

from bench.cases import goals_of
from bench.contestants import (
    DUMP_PSQL,
    DUMP_RESTORE,
    KEYSET,
    PGCOPYDB,
    WINDLASS,
    WINDLASS_ONE_STREAM,
    WINDLASS_ROWS,
    WINDLASS_VERIFIED,
    Contestant,
)
from bench.data import EVENTS_1M, EVENTS_5M, EVENTS_20M, MIXED, SMALL_RELATIONS, TOAST, Dataset
from bench.floor import FLOOR
from bench.race import racing
from bench.result import Case, Measured, judged
from bench.setup import Setup, with_rate

PEERS: tuple[Contestant, ...] = (PGCOPYDB, DUMP_RESTORE, DUMP_PSQL, FLOOR)
MOVED_ROWS = {"full": 5_000_000, "small": 150_000}


def mixed(setup: Setup) -> Measured:
    return _raced("mixed", setup, MIXED, (WINDLASS, WINDLASS_VERIFIED, *PEERS))


def toast(setup: Setup) -> Measured:
    return _raced("toast", setup, TOAST, (WINDLASS, *PEERS))


def small(setup: Setup) -> Measured:
    return _raced("small", setup, SMALL_RELATIONS, (WINDLASS, *PEERS))


def keyset(setup: Setup) -> Measured:
    found = _raced("keyset", setup, MIXED, (KEYSET, WINDLASS_ONE_STREAM, WINDLASS_ROWS))
    rows = MOVED_ROWS[setup.scale.value]
    return replace(found, cases=tuple(with_rate(case, rows) for case in found.cases))


def memory(setup: Setup) -> Measured:
    """One contestant on three sizes; a case for each."""
    cases: list[Case] = []
    data: list[str] = []
    with racing(setup) as race:
        for dataset in (EVENTS_20M, EVENTS_5M, EVENTS_1M):
            text, (case,) = race.run(dataset, (WINDLASS_VERIFIED,))
            data.append(text)
            name, title = f"{case.name}-{dataset.name}", f"{case.title}, {dataset.name}"
            cases.append(replace(case, name=name, title=title))
    goals = judged(goals_of("memory"), cases)
    return Measured(data="; ".join(data), cases=tuple(cases), goals=goals)


def _raced(
    name: str, setup: Setup, dataset: Dataset, contestants: Sequence[Contestant]
) -> Measured:
    with racing(setup) as race:
        data, cases = race.run(dataset, contestants)
    return Measured(data=data, cases=tuple(cases), goals=judged(goals_of(name), cases))
