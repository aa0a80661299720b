"""What `make test` leaves out is some variants of a test, and what is named for it exists."""

from __future__ import annotations

import ast
import importlib.util
from functools import cache

import pytest

from command import PRELOADED
from paths import TESTS
from sampling import LEFT, SAMPLED, left_to_full

NAMED = [(file, name) for table in (LEFT, SAMPLED) for file in table for name in table[file]]
MANY = [
    f"tests/x/test_kill.py::test_a_server_that_dies_under_a_move_changes_nothing[{n}]"
    for n in range(8)
]


@cache
def defined_in(file: str) -> set[str]:
    (path,) = TESTS.glob(f"*/{file}.py")
    return {
        one.name for one in ast.parse(path.read_text()).body if isinstance(one, ast.FunctionDef)
    }


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


@pytest.mark.parametrize("module", PRELOADED)
def test_what_runs_have_loaded_beforehand_exists(module: str) -> None:
    """Nothing says so otherwise; each run would load it again."""
    assert importlib.util.find_spec(module) is not None
