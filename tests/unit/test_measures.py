"""What keeps the code small: no long module, class or function, and no imports in a loop.

Exceptions are listed with their figures, which may only fall. An exception that is no longer needed
fails as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path

import pytest

import measures
from measures import Source, import_loops, read_sources
from paths import ROOT

Counted = Callable[[Iterable[Source]], Mapping[str, int]]

MODULE_LINES = 500
LIMITS: dict[str, tuple[Counted, int]] = {
    "module_lines": (measures.module_lines, MODULE_LINES),
    "class_lines": (measures.class_lines, 300),
    "class_attributes": (measures.class_attributes, 15),
    "function_lines": (measures.function_lines, 60),
}
LEFT: dict[str, dict[str, int]] = {
    "module_lines": {},
    "class_lines": {},
    "class_attributes": {},
    "function_lines": {},
}
IN_LOOPS: set[str] = set()


@cache
def read(folder: str) -> list[Source]:
    return read_sources(ROOT / folder)


@cache
def larger(measure: str, folder: str) -> Mapping[str, int]:
    """What of a folder is over the limit."""
    counted, limit = LIMITS[measure]
    return over(counted(read(folder)), limit)


@pytest.mark.parametrize("measure", LIMITS)
def test_nothing_is_larger_than_its_limit(measure: str) -> None:
    assert larger_than_listed(larger(measure, "src"), LEFT[measure]) == {}


@pytest.mark.parametrize("measure", LIMITS)
def test_no_exception_is_listed_that_is_not_needed(measure: str) -> None:
    assert sorted(LEFT[measure].keys() - larger(measure, "src").keys()) == []


@pytest.mark.parametrize("measure", LIMITS)
def test_nothing_of_the_local_airflow_is_larger_than_its_limit(measure: str) -> None:
    assert larger(measure, "demo") == {}


def test_no_module_of_the_tests_is_larger_than_its_limit() -> None:
    found = {path: len(path.read_text().splitlines()) for path in (ROOT / "tests").rglob("*.py")}
    assert {str(path): lines for path, lines in found.items() if lines > MODULE_LINES} == {}


@pytest.mark.parametrize("measure", LIMITS)
def test_no_benchmark_is_larger_than_its_limit(measure: str) -> None:
    assert larger(measure, "bench") == {}


def test_no_modules_import_each_other_in_a_loop() -> None:
    found = {name for loop in import_loops(read("src")) for name in loop}
    assert found == found & IN_LOOPS
    assert found & IN_LOOPS == IN_LOOPS


def test_every_test_is_in_a_folder_of_its_kind() -> None:
    kinds = {path.parent.name for path in (ROOT / "tests").rglob("test_*.py")}
    assert kinds == {"unit", "engines", "postgres", "faults", "airflow", "django"}


def over(found: Mapping[str, int], limit: int) -> dict[str, int]:
    return {name: figure for name, figure in found.items() if figure > limit}


def larger_than_listed(found: Mapping[str, int], listed: Mapping[str, int]) -> dict[str, int]:
    return {name: figure for name, figure in found.items() if figure > listed.get(name, 0)}


def written(folder: Path, **modules: str) -> list[Source]:
    for name, text in modules.items():
        path = folder.joinpath(*name.split("__")).with_suffix(".py")
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text)
    return read_sources(folder)


@pytest.mark.parametrize(
    "back",
    [
        "import a.one",
        "from a import one",
        "from a.one import x",
        "from . import one",
        "from .one import x",
        "def f():\n    from a.one import x",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from a.one import x",
    ],
)
def test_a_loop_is_found_whatever_way_it_is_imported(back: str, tmp_path: Path) -> None:
    sources = written(tmp_path, a__one="from a.two import y\nx = 1", a__two=back, a__three=back)
    assert import_loops(sources) == [["a.one", "a.two"]]


def test_a_chain_of_imports_is_no_loop(tmp_path: Path) -> None:
    sources = written(tmp_path, a__one="import a.two", a__two="import a.three", a__three="")
    assert import_loops(sources) == []


def test_lines_and_attributes_are_counted_by_name(tmp_path: Path) -> None:
    (source,) = written(
        tmp_path,
        one="""
@dataclass(frozen=True)
class Noun:
    a: int
    b: ClassVar[int] = 1

    def f(self):
        def inner():
            pass
        self.c = self.a

class Other:
    a: int
    def __init__(self):
        self.x, self.y = 1, 2

class Third(Other):
    def __init__(self):
        self.y, self.z = 1, 2
""",
    )
    assert measures.module_lines([source]) == {"one.py": 19}
    assert measures.class_lines([source]) == {
        "one.py:Noun": 8,
        "one.py:Other": 4,
        "one.py:Third": 3,
    }
    attributes = {"one.py:Noun": 2, "one.py:Other": 2, "one.py:Third": 3}
    assert measures.class_attributes([source]) == attributes
    assert measures.function_lines([source]) == {
        "one.py:Noun.f": 4,
        "one.py:Noun.f.inner": 2,
        "one.py:Other.__init__": 2,
        "one.py:Third.__init__": 2,
    }
