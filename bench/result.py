"""A benchmark's result, and the one way into its file and out of it.

What is measured is in `bench.benchmarks`; what a page shows of it is in `bench.pages`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import Enum, StrEnum
from pathlib import Path
from statistics import median

from pydantic import TypeAdapter

RESULTS = Path(__file__).parent / "results"


class Metric(Enum):
    """What a figure is of. The value is its name in a file."""

    SECONDS = "seconds"
    CPU_SECONDS = "cpu_seconds"
    PEAK_MB = "peak_mb"
    ROWS_PER_SECOND = "rows_per_second"
    WAITING_SECONDS = "waiting_seconds"
    WORKER_SECONDS = "worker_seconds"
    SECONDS_EACH = "seconds_each"
    CPU_SECONDS_EACH = "cpu_seconds_each"
    LOW_SECONDS = "low_seconds"
    HIGH_SECONDS = "high_seconds"
    SIZE_MIB = "size_mib"
    SHARE_HELD = "share_held"
    SOURCE_ROUND_TRIPS = "source_round_trips"
    TARGET_ROUND_TRIPS = "target_round_trips"
    MOST_ROUND_TRIPS = "most_round_trips"
    LONGEST_STATEMENT_SECONDS = "longest_statement_seconds"
    DEAD_ROWS = "dead_rows"
    TRANSACTIONS_PER_SECOND = "transactions_per_second"
    LAG_P99_SECONDS = "lag_p99_seconds"
    DRAIN_SECONDS = "drain_seconds"
    FREEZE_SECONDS = "freeze_seconds"
    WORST_FREEZE_SECONDS = "worst_freeze_seconds"
    VALUES_RIGHT = "values_right"
    VALUES_REFUSED = "values_refused"
    VALUES_WRONG = "values_wrong"
    FIRST_PAINT_SECONDS = "first_paint_seconds"
    LARGEST_RESPONSE_KB = "largest_response_kb"

    @property
    def title(self) -> str:
        """As in a table's head."""
        return _TITLES.get(self, self.value.replace("_", " "))


_TITLES = {
    Metric.FIRST_PAINT_SECONDS: "seconds until the first paint",
    Metric.LARGEST_RESPONSE_KB: "largest response, kB",
    Metric.VALUES_RIGHT: "right",
    Metric.VALUES_REFUSED: "refused",
    Metric.VALUES_WRONG: "silently wrong",
    Metric.CPU_SECONDS: "client CPU seconds",
    Metric.PEAK_MB: "client peak MB",
    Metric.ROWS_PER_SECOND: "rows/s",
    Metric.CPU_SECONDS_EACH: "CPU seconds each",
    Metric.LONGEST_STATEMENT_SECONDS: "longest statement of a writer, seconds",
    Metric.SHARE_HELD: "share of estimates that held",
    Metric.TRANSACTIONS_PER_SECOND: "transactions/s",
    Metric.LAG_P99_SECONDS: "lag, 99th percentile, seconds",
    Metric.DRAIN_SECONDS: "seconds until drained",
    Metric.FREEZE_SECONDS: "freeze, median, seconds",
    Metric.WORST_FREEZE_SECONDS: "freeze, longest, seconds",
}

Figures = dict[Metric, float]


class Statistic(StrEnum):
    """Which of a case's repetitions a goal is asked of."""

    MEDIAN = "median"
    MINIMUM = "minimum"


class Relation(StrEnum):
    """How a goal compares its subject with its peer."""

    ALONE = "alone"
    RATIO = "ratio"
    DIFFERENCE = "difference"


@dataclass(frozen=True, slots=True)
class Spread:
    """The spread of repetitions of one figure. None is unknown."""

    median: float
    low: float | None = None
    high: float | None = None
    runs: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One contestant, or one row of a table: the figures of every repetition, in their order.

    `printed` holds what a page said where the single repetitions are not known.
    A case that failed once has no figures.
    """

    name: str
    title: str
    group: str = ""
    runs: tuple[Figures, ...] = ()
    printed: Mapping[Metric, Spread] = field(default_factory=dict)
    failed: bool = False

    def spread(self, metric: Metric) -> Spread | None:
        """None if this figure was not measured."""
        if metric in self.printed:
            return self.printed[metric]
        values = [run[metric] for run in self.runs if metric in run]
        if not values:
            return None
        return Spread(median(values), min(values), max(values), len(values))

    def figure(self, metric: Metric, statistic: Statistic = Statistic.MEDIAN) -> float | None:
        spread = self.spread(metric)
        if spread is None:
            return None
        return spread.low if statistic is Statistic.MINIMUM else spread.median


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A goal and its measurement: of `subject`, or of it compared with a `peer`.

    Both are names of cases. Without a measurement the goal is missed.
    """

    subject: str
    metric: Metric
    peer: str | None = None
    relation: Relation = Relation.ALONE
    statistic: Statistic = Statistic.MEDIAN
    at_most: float | None = None
    at_least: float | None = None
    measured: float | None = None

    @property
    def is_reached(self) -> bool:
        if self.measured is None:
            return False
        is_low_enough = self.at_most is None or self.measured <= self.at_most
        is_high_enough = self.at_least is None or self.measured >= self.at_least
        return is_low_enough and is_high_enough


def ratio(
    subject: str,
    peer: str,
    metric: Metric,
    *,
    at_most: float | None = None,
    at_least: float | None = None,
) -> Goal:
    """A goal for the medians of two cases: the subject's divided by the peer's."""
    return Goal(
        subject=subject,
        peer=peer,
        metric=metric,
        relation=Relation.RATIO,
        at_most=at_most,
        at_least=at_least,
    )


def judged(goals: Iterable[Goal], cases: Iterable[Case]) -> tuple[Goal, ...]:
    """The goals with what `cases` measured."""
    by_name = {case.name: case for case in cases}
    return tuple(replace(goal, measured=_measured(goal, by_name)) for goal in goals)


def _measured(goal: Goal, cases: Mapping[str, Case]) -> float | None:
    names = [name for name in (goal.subject, goal.peer) if name is not None]
    found = [
        cases[name].figure(goal.metric, goal.statistic) if name in cases else None for name in names
    ]
    figures = [figure for figure in found if figure is not None]
    if len(figures) < len(names):
        return None
    if goal.relation is Relation.ALONE:
        return figures[0]
    subject, peer = figures
    return subject / peer if goal.relation is Relation.RATIO else subject - peer


def is_held(case: Case) -> bool:
    """Whether the migration took a time within its estimate."""
    low, took, high = map(case.figure, (Metric.LOW_SECONDS, Metric.SECONDS, Metric.HIGH_SECONDS))
    if low is None or took is None or high is None:
        return False
    return low <= took <= high


@dataclass(frozen=True, slots=True)
class Transcribed:
    """The page that figures were taken from, and the day it was written."""

    page: str
    written_on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a benchmark itself returns; `data` says in one line what was measured. `load_before`
    counts instead of the load at the start, if making the data loads the machine for long."""

    data: str
    cases: tuple[Case, ...]
    goals: tuple[Goal, ...]
    load_before: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Where figures were measured. Names neither the machine nor its folders."""

    machine: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    server_settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Everything that is kept of a benchmark. Empty or None is unknown.

    `revision` is the commit that was measured, with a plus sign if files differed from it.
    `notes` are written by people, in Markdown, about the figures of the day `notes_on`.
    """

    benchmark: str
    data: str
    cases: tuple[Case, ...]
    goals: tuple[Goal, ...]
    surroundings: Surroundings
    measured_at: datetime | None = None
    transcribed: Transcribed | None = None
    revision: str | None = None
    load_before: float | None = None
    notes: tuple[str, ...] = ()
    notes_on: date | None = None

    @property
    def day(self) -> date | None:
        """When it was measured, or, if nobody wrote that down, when its page was written."""
        if self.measured_at:
            return self.measured_at.date()
        return self.transcribed.written_on if self.transcribed else None

    def case(self, name: str) -> Case | None:
        return next((case for case in self.cases if case.name == name), None)

    def group(self, name: str) -> tuple[Case, ...]:
        return tuple(case for case in self.cases if case.group == name)

    @property
    def is_reached(self) -> bool:
        return all(goal.is_reached for goal in self.goals) and not any(
            case.failed for case in self.cases
        )


_RESULT = TypeAdapter(Result)


def read_result(path: Path) -> Result:
    """Raises:
    pydantic.ValidationError: the file does not hold a result.
    """
    return _RESULT.validate_json(path.read_bytes())


def write_result(result: Result, folder: Path = RESULTS) -> Path:
    path = folder / f"{result.benchmark}.json"
    path.write_bytes(_RESULT.dump_json(result, indent=2, exclude_defaults=True) + b"\n")
    return path


def read_results(folder: Path = RESULTS) -> dict[str, Result]:
    """Every result in `folder`, by the name of its benchmark."""
    found = (read_result(path) for path in sorted(folder.glob("*.json")))
    return {result.benchmark: result for result in found}
