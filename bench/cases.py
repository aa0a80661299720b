"""The cases: what is compared on which data, and the figures to reach."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

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
from bench.data import (
    EVENTS_1M,
    EVENTS_5M,
    EVENTS_20M,
    MIXED,
    SMALL_RELATIONS,
    TOAST,
    Dataset,
    Scale,
)
from bench.floor import Floor
from bench.measure import Metric

FLOOR = Floor()


@dataclass(frozen=True, slots=True)
class Entry:
    """One contestant on one data set: what is run, once for all the cases that show it."""

    dataset: Dataset
    contestant: Contestant


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a case's table, and what has to be reached there.

    `at_most` bounds the entry's own figure; the ratios bound the case's subject divided by
    this entry.
    """

    entry: Entry
    at_most: float | None = None
    ratio_at_most: float | None = None
    ratio_at_least: float | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """A table. Its first row is the subject, which the others are compared with.

    Where all entries move the same rows and nothing else, `moved_rows` is how many.
    """

    name: str
    title: str
    metric: Metric
    rows: tuple[Row, ...]
    moved_rows: Mapping[Scale, int] | None = None

    @property
    def subject(self) -> Entry:
        return self.rows[0].entry

    def label(self, entry: Entry) -> str:
        """The contestant's title, with the data where that differs from row to row."""
        if len({row.entry.dataset for row in self.rows}) == 1:
            return entry.contestant.title
        return f"{entry.contestant.title}, {entry.dataset.name}"


CASES = (
    Case(
        "first",
        "Everything but verification",
        Metric.SECONDS,
        (
            Row(Entry(MIXED, WINDLASS)),
            Row(Entry(MIXED, PGCOPYDB), ratio_at_most=0.60),
            Row(Entry(MIXED, DUMP_RESTORE), ratio_at_most=0.70),
            Row(Entry(MIXED, DUMP_PSQL)),
            Row(Entry(MIXED, FLOOR)),
        ),
    ),
    Case(
        "first-verified",
        "The same, fully verified, against the unverified peer",
        Metric.SECONDS,
        (
            Row(Entry(MIXED, WINDLASS_VERIFIED)),
            Row(Entry(MIXED, PGCOPYDB), ratio_at_most=0.85),
        ),
    ),
    Case(
        "keyset",
        "Rows alone, against the earlier method",
        Metric.SECONDS,
        (
            Row(Entry(MIXED, KEYSET)),
            Row(Entry(MIXED, WINDLASS_ONE_STREAM), ratio_at_least=10),
            Row(Entry(MIXED, WINDLASS_ROWS)),
        ),
        moved_rows={Scale.FULL: 5_000_000, Scale.SMALL: 150_000},
    ),
    Case(
        "toast",
        "Large values",
        Metric.SECONDS,
        (
            Row(Entry(TOAST, WINDLASS)),
            Row(Entry(TOAST, PGCOPYDB), ratio_at_most=0.80),
            Row(Entry(TOAST, DUMP_RESTORE)),
            Row(Entry(TOAST, DUMP_PSQL)),
            Row(Entry(TOAST, FLOOR)),
        ),
    ),
    Case(
        "small",
        "Many small relations",
        Metric.SECONDS,
        (
            Row(Entry(SMALL_RELATIONS, WINDLASS)),
            Row(Entry(SMALL_RELATIONS, PGCOPYDB), ratio_at_most=1.0),
            Row(Entry(SMALL_RELATIONS, DUMP_RESTORE)),
            Row(Entry(SMALL_RELATIONS, DUMP_PSQL), ratio_at_most=1.2),
            Row(Entry(SMALL_RELATIONS, FLOOR)),
        ),
    ),
    Case(
        "cpu",
        "Client CPU, all processes",
        Metric.CPU_SECONDS,
        (
            Row(Entry(MIXED, WINDLASS), at_most=1.5),
            Row(Entry(MIXED, WINDLASS_VERIFIED)),
            Row(Entry(MIXED, PGCOPYDB)),
            Row(Entry(MIXED, DUMP_RESTORE)),
            Row(Entry(MIXED, DUMP_PSQL)),
        ),
    ),
    Case(
        "memory",
        "Client peak memory, all processes: flat",
        Metric.PEAK_MB,
        (
            Row(Entry(EVENTS_20M, WINDLASS_VERIFIED), at_most=200),
            Row(Entry(EVENTS_5M, WINDLASS_VERIFIED), at_most=200),
            Row(Entry(EVENTS_1M, WINDLASS_VERIFIED), at_most=200, ratio_at_most=1.2),
        ),
    ),
)

CONTESTANTS = (
    WINDLASS,
    WINDLASS_VERIFIED,
    PGCOPYDB,
    DUMP_RESTORE,
    DUMP_PSQL,
    FLOOR,
    KEYSET,
    WINDLASS_ONE_STREAM,
    WINDLASS_ROWS,
)


def entries_of(cases: tuple[Case, ...], contestants: tuple[Contestant, ...]) -> list[Entry]:
    """What `cases` show of `contestants`, each entry once, in the order of the tables."""
    rows = chain.from_iterable(case.rows for case in cases)
    return [e for e in dict.fromkeys(row.entry for row in rows) if e.contestant in contestants]
