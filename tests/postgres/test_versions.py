"""Every supported version, as source and target: everything that it supports arrives complete.

`make test` runs some of the pairs, `make test-all` all of them.
"""

from __future__ import annotations

import random
import re
import subprocess
from pathlib import Path

import pytest

from command import DONE, Running, finish, kill_group, migrate, start
from corpora import corpora
from oracle import content_difference, half_made, schema_difference
from paths import DOCS
from servers import Database, Pair, tool
from whole import BEHAVIOUR, whole

VERSIONS = (12, 13, 14, 15, 16, 17, 18)
PAIRS = (
    *((version, 18) for version in VERSIONS),
    *((version, version) for version in VERSIONS[:-1]),
    (12, 15), (12, 16), (12, 17), (14, 17), (15, 16), (15, 17), (16, 17),
)  # fmt: skip
SAMPLE = {(12, 18)}  # of those that no other test runs

# What a newer statement is to an older server: unknown words, parameters, types or values; a
# column, table or function that is then not there; a feature that it says it lacks.
UNKNOWN = {
    "42601", "22023", "42704", "42P17", "0A000", "42883", "42P01", "42703", "3F000", "42P16",
    "42809", "42939", "42611", "22P02", "22015",  # values: infinite numerics, intervals
}  # fmt: skip


def pairs(sample: set[tuple[int, int]]) -> list[object]:
    return [
        pytest.param(
            pair,
            id=f"{pair[0]}-{pair[1]}",
            marks=[] if pair in sample else [pytest.mark.full],
        )
        for pair in PAIRS
    ]


def load_what_it_knows(database: Database, files: list[Path]) -> None:
    """The corpora are written for 15 and newer: of older servers each statement may be refused, but
    only for what they do not know, and most are not."""
    if database.server.version >= 15:
        database.load(*files)
        return
    refused, statements = [], 0
    for file in files:
        ran = subprocess.run(
            [tool("psql"), "-XqAt", "-v", "VERBOSITY=sqlstate", "-f", str(file)],
            env=database.variables,
            capture_output=True,
            text=True,
            check=True,
        )
        refused += re.findall(r"ERROR:  (\w{5})", ran.stderr)
        statements += len(re.findall(r";\s*$", file.read_text(), re.MULTILINE))
    assert set(refused) <= UNKNOWN
    assert len(refused) < statements * (15 - database.server.version) / 15


def fill(pair: Pair) -> None:
    versions = pair.source.server.version, pair.target.server.version
    files = [*corpora("types", *versions), *corpora("identifiers", *versions), *whole(*versions)]
    load_what_it_knows(pair.source, files)


def assert_equal(pair: Pair) -> None:
    assert schema_difference(pair.source, pair.target) == []
    assert content_difference(pair.source, pair.target) == []
    assert set(half_made(pair.target)) <= set(half_made(pair.source))


@pytest.mark.parametrize("pair", pairs(SAMPLE), indirect=True)
def test_all_that_a_version_knows_arrives(pair: Pair) -> None:
    fill(pair)
    done = migrate(pair, *BEHAVIOUR).expect(DONE).result
    assert [loss["object"] for loss in done["losses"]] == ["families.kept"]
    assert_equal(pair)


def kill_somewhere(process: Running, seed: int) -> None:
    """Dead at a random moment, if it has not ended before."""
    if not process.wait(random.Random(seed).uniform(0.5, 8.0)):
        kill_group(process)


@pytest.mark.parametrize("pair", pairs(set()), indirect=True)
def test_all_of_it_arrives_although_it_was_killed(pair: Pair) -> None:
    fill(pair)
    words = ("migrate", "--json", "--chunk-size", "64kB", "--jobs", "2", *BEHAVIOUR)
    for seed in range(3):
        process = start(*words, pair=pair)
        kill_somewhere(process, seed)
        finish(process)
    migrate(pair, "--chunk-size", "64kB", "--jobs", "2", *BEHAVIOUR).expect(DONE)
    assert_equal(pair)


DOCUMENTED = DOCS / "tested.md"


def test_the_documentation_names_the_pairs_that_are_run() -> None:
    lines = [f"| source \\ target | {' | '.join(map(str, VERSIONS))} |", "|---" * 8 + "|"]
    for source in VERSIONS:
        marks = ["x" if (source, target) in PAIRS else "" for target in VERSIONS]
        lines.append(f"| {source} | {' | '.join(marks)} |")
    assert "\n".join(lines) in DOCUMENTED.read_text()
