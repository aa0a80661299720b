"""How benchmarks are run: repetitions, scale, folder, and order."""

import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeVar

from bench.data import Scale
from bench.measure import RunFailed
from bench.result import Case, Figures, Metric
from bench.servers import POSTGRES_BIN

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Setup:
    """`folder` is empty, and removed afterwards; `keep` is where recorded events go."""

    folder: Path
    repeat: int
    scale: Scale = Scale.FULL
    programs: Path = POSTGRES_BIN
    keep: Path | None = None

    @contextmanager
    def empty_folder(self) -> Iterator[Path]:
        """For the files of one run."""
        work = self.folder / "work"
        work.mkdir()
        try:
            yield work
        finally:
            shutil.rmtree(work)

    def choose(self, full: T, small: T) -> T:
        return full if self.scale is Scale.FULL else small


@contextmanager
def temporary_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="windlass-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # the servers may run under another account
        yield folder


class Entrant(Protocol):
    """Takes part in a benchmark; has the name and title of its case."""

    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str: ...


E = TypeVar("E", bound=Entrant)


def take_turns(entrants: Sequence[E], run: Callable[[E], Figures], repeat: int) -> tuple[Case, ...]:
    """Run each of `entrants` `repeat` times, in turn; another one is first every time.

    One that fails is not run again and has no figures.
    """
    runs: dict[str, list[Figures]] = {one.name: [] for one in entrants}
    failed = set()
    for turn in range(repeat):
        first = turn % len(entrants)
        for one in (*entrants[first:], *entrants[:first]):
            if one.name in failed:
                continue
            try:
                figures = run(one)
            except RunFailed as failure:
                failed.add(one.name)
                log.info("failed case=%s error=%s", one.name, failure)
            else:
                runs[one.name].append(rounded(figures))
                log.info("ran case=%s %s", one.name, _words(figures))
    return tuple(
        Case(
            name=one.name,
            title=one.title,
            runs=() if one.name in failed else tuple(runs[one.name]),
            failed=one.name in failed,
        )
        for one in entrants
    )


def rounded(figures: Figures) -> Figures:
    """Rounded to the resolution of the clock and the kernel."""
    return {metric: round(value, 4) for metric, value in figures.items()}


def with_rate(case: Case, rows: int) -> Case:
    """The case with rows/s in each of its repetitions, which copied `rows`."""
    rates = (
        {**run, Metric.ROWS_PER_SECOND: round(rows / run[Metric.SECONDS])} for run in case.runs
    )
    return replace(case, runs=tuple(rates))


def _words(figures: Figures) -> str:
    return " ".join(f"{metric.value}={value:.2f}" for metric, value in figures.items())
