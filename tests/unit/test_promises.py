"""The page of promises is true: what it names exists, and runs in part with every change."""

from __future__ import annotations

import re
from functools import cache

import pytest

from paths import DOCS, TESTS
from sampling import LEFT
from sampling_tables import left_table, sampled_table, shares_table

PAGE = (DOCS / "promises.md").read_text()
ROWS = [row for row in PAGE.partition("<!-- left")[0].splitlines() if row.startswith("| ")]
PROMISES = [row for row in ROWS if row != "| promise | tests |"]
# the decorators of a test, each of which may have several lines, and its name
DEFINED = re.compile(r"((?:^@.*\n(?:^[ )\]].*\n)*)*)^def (test_\w+)", re.MULTILINE)
NAMED = re.compile(r"`(\w+/test_\w+\.py)(?:::(\w+))?`")


def named(row: str) -> list[tuple[str, str]]:
    return NAMED.findall(row.rstrip("| ").rpartition(" | ")[2])


@cache
def with_every_change(file: str) -> set[str]:
    """The tests of a file that `make test` runs, if only in a variant."""
    found = {name for marks, name in DEFINED.findall((TESTS / file).read_text())
             if "@pytest.mark.full\n" not in marks}  # fmt: skip
    return found - LEFT.get((TESTS / file).stem, {}).keys()


@pytest.mark.parametrize("row", PROMISES, ids=lambda row: row[2:60])
def test_a_promise_is_tested_with_every_change(row: str) -> None:
    assert named(row)
    for file, name in named(row):
        assert (TESTS / file).exists(), file
        assert not name or name in with_every_change(file), f"{file}::{name}"
    assert any(with_every_change(file) for file, _ in named(row))


def test_every_file_of_tests_holds_a_promise() -> None:
    there = {path.relative_to(TESTS).as_posix() for path in TESTS.rglob("test_*.py")}
    assert there - {file for row in PROMISES for file, _ in named(row)} == set()


def test_what_is_left_out_is_listed() -> None:
    for table in (left_table(), sampled_table(), shares_table()):
        assert table in PAGE
