"""What `make test` leaves out is some variants of a test, and what is named for it exists."""

from __future__ import annotations

import importlib.util
import re
from functools import cache

import pytest

from command import PRELOADED
from paths import TESTS
from sampling import LEFT, SAMPLED, left_to_full, named
from sampling_shares import SHARES

NAMED = [(file, name) for table in (LEFT, SAMPLED) for file in table for name in table[file]]
MANY = [
    f"tests/x/test_kill.py::test_a_server_that_dies_under_a_move_changes_nothing[{n}]"
    for n in range(8)
]


CASES = [f"tests/x/test_existing.py::test_{n}" for n in range(20)]


@cache
def defined_in(file: str) -> set[str]:
    (path,) = TESTS.glob(f"*/{file}.py")
    return set(re.findall(r"^def (\w+)", path.read_text(), re.MULTILINE))


def defined_tests(file: str) -> set[str]:
    return {name for name in defined_in(file) if name.startswith("test_")}


def test_files_that_need_a_running_airflow_share_one() -> None:
    conftest = (TESTS / "conftest.py").read_text()
    listed = re.search(r"^AIRFLOW = \((.*?)^\)", conftest, re.MULTILINE | re.DOTALL)
    assert listed
    needing = [
        file.stem
        for file in (TESTS / "airflow").glob("test_*.py")
        if "running: LocalAirflow" in file.read_text()
    ]
    assert needing
    assert [one for one in needing if f'"{one}"' not in listed[1]] == []


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_what_is_sampled_exists(file: str, name: str) -> None:
    assert name in defined_in(file)


def test_a_sample_has_as_many_as_it_should_and_is_the_same_for_one_seed() -> None:
    left = left_to_full(MANY, "a")
    assert len(left) == 7 and left < set(MANY)
    assert left_to_full(reversed(MANY), "a") == left


def test_every_variant_has_its_turn() -> None:
    ran = [set(MANY) - left_to_full(MANY, str(seed)) for seed in range(60)]
    assert set().union(*ran) == set(MANY)


def test_one_variant_alone_runs() -> None:
    assert left_to_full(MANY[3:4], "a") == set()


@pytest.mark.parametrize("file", SHARES)
def test_a_file_has_more_tests_than_its_share(file: str) -> None:
    """Else the share is a number without a meaning; and none of them would be no test at all."""
    assert 0 < SHARES[file] < len(defined_tests(file) - named() - LEFT.get(file, {}).keys())


def test_a_share_of_a_file_runs_and_what_the_page_names_runs_with_it() -> None:
    promised = "tests/x/test_existing.py::" + next(
        one for one in named() if one in defined_tests("test_existing")
    )
    left = left_to_full([*CASES, promised, f"{promised}[a]"], "a")
    assert len(left) == len(CASES) - SHARES["test_existing"]
    assert left < set(CASES)


def test_a_file_that_is_asked_for_by_name_runs_as_a_whole() -> None:
    assert left_to_full(CASES, "a", ["tests/x/test_existing.py"]) == set()


def test_every_test_of_a_share_has_its_turn() -> None:
    ran = [set(CASES) - left_to_full(CASES, str(seed)) for seed in range(60)]
    assert set().union(*ran) == set(CASES)


def test_every_engine_has_its_turn_with_each_commit() -> None:
    names = [name for name, count in SAMPLED["test_source_contract"].items() if count == 1]
    file = "tests/engines/test_source_contract.py"
    every = [f"{file}::{name}[{engine}]" for name in names for engine in ("a", "b", "c")]
    for seed in "abcdef":
        ran = set(every) - left_to_full(every, seed)
        assert {one[-2] for one in ran} == set("abc")


@pytest.mark.parametrize("module", PRELOADED)
def test_what_runs_have_loaded_beforehand_exists(module: str) -> None:
    """Nothing says so otherwise; each run would load it again."""
    assert importlib.util.find_spec(module) is not None


def test_whatever_forks_has_that_loaded() -> None:
    """Who forks first starts the server, which would load nothing of it without a path to it."""
    names = re.compile(r"^from command import .*\b_\w", re.MULTILINE)
    assert [one.name for one in TESTS.rglob("*.py") if names.search(one.read_text())] == []
