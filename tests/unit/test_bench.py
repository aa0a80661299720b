"""Benchmarks without running them: their results can be read, and the pages show nothing else."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from bench.compare import Verdict, compare, unlike
from bench.pages.markdown import notes
from bench.registry import BENCHMARKS, PAGES, Benchmark, Page, named
from bench.render import DOCS, page_text
from bench.result import (
    RESULTS,
    Case,
    Goal,
    Metric,
    Result,
    Statistic,
    Surroundings,
    judged,
    ratio,
    read_result,
    read_results,
    write_result,
)
from bench.run import load

FILES = sorted(RESULTS.glob("*.json"))
# a path from the root of at least two names, and not a part of a URL or a fraction
FOLDERS = re.compile(r"(?<![\w.:/<>*`])/[a-z][\w.-]*/[\w.-]+")
RUN = [one for one in BENCHMARKS if not one.never_run]


def timed(*seconds: float, name: str = "one") -> Case:
    return Case(name=name, title=name, runs=tuple({Metric.SECONDS: one} for one in seconds))


def result_of(*cases: Case) -> Result:
    return Result(
        benchmark="mixed", data="rows", cases=cases, goals=(), surroundings=Surroundings()
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.file)
def test_a_page_is_what_render_makes_of_the_results(page: Page) -> None:
    path = DOCS / page.file
    written = path.read_text() if path.exists() else None
    assert written == page_text(page, read_results()), "run: python -m bench render"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_result_is_read_and_written_without_loss(path: Path, tmp_path: Path) -> None:
    result = read_result(path)
    assert result.benchmark == path.stem
    assert write_result(result, tmp_path).read_bytes() == path.read_bytes()


def test_a_folder_of_a_machine_is_found_in_a_text() -> None:
    assert FOLDERS.findall('"data": "/srv/data/x", in "/mnt/y"') == ["/srv/data", "/mnt/y"]
    assert not FOLDERS.findall("rows/s, s3://bucket/path, 1/2, src/windlass/api.py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_result_names_no_folder_of_the_machine(path: Path) -> None:
    assert not FOLDERS.findall(path.read_text())


@pytest.mark.parametrize("one", BENCHMARKS, ids=lambda one: one.name)
def test_a_benchmark_has_a_function_and_a_page(one: Benchmark) -> None:
    assert callable(load(one.function))
    assert [page.file for page in PAGES].count(one.page) == 1


def test_the_beginning_of_several_names_means_all_of_them() -> None:
    assert [one.name for one in named("load")] == [
        "load-append", "load-merge", "load-memory", "load-duckdb", "load-files",
    ]  # fmt: skip
    assert [one.name for one in named("small")] == ["small"]


def test_a_benchmark_has_a_result_unless_it_never_ran() -> None:
    assert sorted(read_results()) == sorted(one.name for one in RUN)


def test_every_goal_is_of_cases_that_the_result_has() -> None:
    for name, result in read_results().items():
        named = {one for goal in result.goals for one in (goal.subject, goal.peer) if one}
        assert named <= {case.name for case in result.cases}, name


def test_a_ratio_divides_the_medians() -> None:
    (goal,) = judged(
        [ratio("ours", "theirs", Metric.SECONDS, at_most=0.5)],
        [timed(1, 9, 2, name="ours"), timed(4, 5, 3, name="theirs")],
    )
    assert (goal.measured, goal.is_reached) == (0.5, True)


def test_a_goal_of_the_least_takes_the_least() -> None:
    asked = Goal(subject="one", metric=Metric.SECONDS, statistic=Statistic.MINIMUM, at_most=1.0)
    (goal,) = judged([asked], [timed(3, 1, 2)])
    assert (goal.measured, goal.is_reached) == (1, True)


def test_a_goal_without_a_measurement_is_missed() -> None:
    (goal,) = judged([ratio("one", "peer", Metric.SECONDS, at_most=0.5)], [timed(1)])
    assert (goal.measured, goal.is_reached) == (None, False)


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        ((1.0, 1.1, 1.2), (1.15, 1.3, 1.5), Verdict.WITHIN_NOISE),  # they overlap
        ((1.0,), (1.09,), Verdict.WITHIN_NOISE),  # they are close
        ((1.0, 1.1, 1.2), (1.3, 1.4, 1.5), Verdict.WORSE),
        ((1.3, 1.4, 1.5), (1.0, 1.1, 1.2), Verdict.BETTER),
        ((1.0,), (), Verdict.MISSING),
    ],
)
def test_two_results_are_compared(
    old: tuple[float, ...], new: tuple[float, ...], verdict: Verdict
) -> None:
    (change,) = compare(result_of(timed(*old)), result_of(timed(*new)))
    assert change.verdict is verdict


def test_results_of_other_data_are_not_alike() -> None:
    one = result_of(timed(1))
    assert (unlike(one, one), unlike(one, replace(one, data="more rows"))) == ([], ["data"])


def test_notes_on_earlier_figures_say_so() -> None:
    day = datetime(2026, 1, 2, tzinfo=UTC)
    written = replace(
        result_of(), notes=("It is fast.",), notes_on=date(2026, 1, 2), measured_at=day
    )
    assert notes(written) == "It is fast."
    measured_again = replace(written, measured_at=datetime(2026, 3, 4, tzinfo=UTC))
    assert notes(measured_again).startswith("Written about the figures of 2 January 2026:")
