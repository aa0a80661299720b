"""The tables of the page on copying: the contestants and goals of each."""

from dataclasses import dataclass

from bench.result import Goal, Metric, ratio


@dataclass(frozen=True, slots=True)
class Table:
    """`rows` are names of cases. The first is the subject, with which the others are compared."""

    name: str
    title: str
    metric: Metric
    rows: tuple[str, ...]
    goals: tuple[Goal, ...] = ()

    @property
    def subject(self) -> str:
        return self.rows[0]


MEMORY_20M, MEMORY_5M, MEMORY_1M = (f"windlass-verified-{rows}" for rows in ("20M", "5M", "1M"))

TABLES = {
    "mixed": (
        Table(
            "first",
            "Everything but verification",
            Metric.SECONDS,
            ("windlass", "pgcopydb", "dump-restore", "dump-psql", "floor"),
            (
                ratio("windlass", "pgcopydb", Metric.SECONDS, at_most=0.60),
                ratio("windlass", "dump-restore", Metric.SECONDS, at_most=0.70),
            ),
        ),
        Table(
            "first-verified",
            "The same, fully verified, against the unverified peer",
            Metric.SECONDS,
            ("windlass-verified", "pgcopydb"),
            (ratio("windlass-verified", "pgcopydb", Metric.SECONDS, at_most=0.85),),
        ),
        Table(
            "cpu",
            "Client CPU, all processes",
            Metric.CPU_SECONDS,
            ("windlass", "windlass-verified", "pgcopydb", "dump-restore", "dump-psql"),
            (Goal(subject="windlass", metric=Metric.CPU_SECONDS, at_most=1.5),),
        ),
    ),
    "keyset": (
        Table(
            "keyset",
            "Rows alone, against the earlier method",
            Metric.SECONDS,
            ("keyset", "windlass-one-stream", "windlass-rows"),
            (ratio("keyset", "windlass-one-stream", Metric.SECONDS, at_least=10.0),),
        ),
    ),
    "toast": (
        Table(
            "toast",
            "Large values",
            Metric.SECONDS,
            ("windlass", "pgcopydb", "dump-restore", "dump-psql", "floor"),
            (ratio("windlass", "pgcopydb", Metric.SECONDS, at_most=0.80),),
        ),
    ),
    "small": (
        Table(
            "small",
            "Many small relations",
            Metric.SECONDS,
            ("windlass", "dump-psql", "pgcopydb", "dump-restore", "floor"),
            (
                ratio("windlass", "dump-psql", Metric.SECONDS, at_most=1.2),
                ratio("windlass", "pgcopydb", Metric.SECONDS, at_most=1.0),
            ),
        ),
    ),
    "memory": (
        Table(
            "memory",
            "Client peak memory, fully verified",
            Metric.PEAK_MB,
            (MEMORY_20M, MEMORY_5M, MEMORY_1M),
            (
                *(
                    Goal(subject=name, metric=Metric.PEAK_MB, at_most=200.0)
                    for name in (MEMORY_20M, MEMORY_5M, MEMORY_1M)
                ),
                ratio(MEMORY_20M, MEMORY_1M, Metric.PEAK_MB, at_most=1.2),
            ),
        ),
    ),
}


def goals_of(benchmark: str) -> tuple[Goal, ...]:
    return tuple(goal for table in TABLES[benchmark] for goal in table.goals)
