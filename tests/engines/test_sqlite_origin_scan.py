"""However a scan of an SQLite file finds out which values its columns hold, it finds the same."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from sqlite_files import file_with, held
from windlass.engines.sqlite.origin import counting, whole_rows
from windlass.engines.sqlite.origin.choosing import choose
from windlass.engines.sqlite.origin.counted import SHORT_BYTES, Counted
from windlass.engines.sqlite.origin.origin import SqliteOrigin
from windlass.engines.sqlite.origin.ranges import read_order
from windlass.model.translation import Answers

# declaration, values of most rows in SQLite's SQL, others that some rows have
COLUMNS = [
    ("integer", ["7", "-9223372036854775808"], ["null", "'x'", "1.5", "9e18", "x'31'", "9e999"]),
    ("text", ["'a'", "''", "'é'"], ["null", "x'61'", "char(9)", "'a\\b'", "'a' || char(0)"]),
    ("real", ["1.5", "3", "1e15"], ["null", "0.0", "-1.5", "1e-30", "-0.001", "1e300", "'x'"]),
    ("boolean", ["0", "1"], ["null", "2", "'t'", "1.5", "x'01'"]),
    ("numeric", ["5", "1.5"], ["null", "-0.001", "'x'", "9e999"]),
    ("", ["'a'"], ["null", "5", "1.5", "x'61'"]),
    ("float", ["0.5"], ["cast(x'ff' as text)", "null", "9007199254740993"]),
]
ROWS = 3000  # more than the first blocks


@pytest.mark.parametrize("seed", range(6))
def test_counts_are_the_same_with_short_conditions_and_with_exact_ones(
    tmp_path: Path, seed: int
) -> None:
    numbers = random.Random(seed)
    url = file_with(tmp_path, *_statements(numbers, key="integer primary key"))
    with held(url) as origin:
        found, fit = _counted(origin)
        exact = _exactly(origin)
    assert (found.pop("k").fitting, exact.pop("k").fitting) == ([ROWS], [ROWS])
    assert {name: _shown(one) for name, one in found.items()} == {
        name: _shown(one) for name, one in exact.items()
    }
    assert fit == ROWS


def test_a_large_value_after_null_is_counted(tmp_path: Path) -> None:
    """The short conditions of the row do not reach it."""
    url = file_with(
        tmp_path,
        "create table t (k integer primary key, a text, b blob)",
        "insert into t values (1, null, zeroblob(20 << 20)), (2, null, x'00')",
    )
    with held(url) as origin:
        found, _ = _counted(origin)
    assert [(one.values, one.fitting[0]) for one in found.values()] == [(2, 2), (0, 0), (2, 2)]


@pytest.mark.parametrize(
    ("text", "is_short"),
    [
        ("'x'", True),
        ("''", True),
        ("null", True),
        (f"'{'x' * SHORT_BYTES}'", True),
        (f"'{'x' * (SHORT_BYTES + 1)}'", False),
        (f"'{'é' * 200}'", False),
        ("'x' || char(31) || 'x'", False),
    ],
)
def test_a_column_has_short_texts_only_if_none_is_long(
    tmp_path: Path, text: str, is_short: bool
) -> None:
    rows = "with recursive n (i) as (select 1 union all select i + 1 from n where i < 3000)"
    url = file_with(
        tmp_path,
        "create table t (k integer primary key, a text, b text)",
        f"insert into t {rows} select i, 'row ' || i, iif(i = 2500, {text}, 'x') from n",
    )
    with held(url) as origin:
        found, _ = _counted(origin)
    assert (found["a"].is_short, found["b"].is_short) == (True, is_short)


def _statements(numbers: random.Random, key: str) -> list[str]:
    """Columns of which some have other values: nowhere, or only after the first blocks."""
    declared = ", ".join(f"c{at} {one[0]}" for at, one in enumerate(COLUMNS))
    rows = [[numbers.choice(most) for _, most, _ in COLUMNS] for _ in range(ROWS)]
    for at, (_, _, others) in enumerate(COLUMNS):
        for _ in range(numbers.choice([0, 0, 1, 3])):
            rows[numbers.randrange(ROWS)][at] = numbers.choice(others)
    values = ", ".join(f"({number}, {', '.join(row)})" for number, row in enumerate(rows, 1))
    return [f"create table t (k {key}, {declared})", f"insert into t values {values}"]


def _counted(origin: Any) -> tuple[dict[str, Counted], int]:
    assert isinstance(origin, SqliteOrigin)
    choices, order = _choices(origin), None
    with origin._sessions.some(2) as sessions:
        order = read_order(sessions[0], "t")
        rows, found = counting.count_forms(sessions, order, choices)
    return {one.column.name: each for one, each in zip(choices, found, strict=True)}, rows


def _exactly(origin: Any) -> dict[str, Counted]:
    """Each column's values counted one by one."""
    choices = _choices(origin)
    found = [Counted() for _ in choices]
    pairs = list(zip(choices, found, strict=True))
    with origin._sessions.some(1) as sessions:
        order = read_order(sessions[0], "t")
        whole_rows.look_at_rows(sessions, order, pairs)  # texts
        for _, one in pairs:
            one.bytes = 0
        counting._count(sessions, order, pairs, first=True)
        again = [
            (choice, one)
            for choice, one in pairs
            if one.fitting[0] < one.values and len(choice.fields) > 1
        ]
        if again:
            counting._count(sessions, order, again, first=False)
    return {choice.column.name: one for choice, one in pairs}


def _choices(origin: SqliteOrigin) -> list[Any]:
    (table,) = origin.schemas().tables
    return [choose(one, one.name, Answers()) for one in table.columns]


def _shown(one: Counted) -> tuple[object, ...]:
    """What decides. Of `odd` and `fractional` it matters whether there are any."""
    return (
        one.values, one.fitting, one.is_text_fine, one.has_special,
        one.odd > 0, one.fractional > 0, one.small, one.negative,
    )  # fmt: skip
