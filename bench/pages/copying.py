"""The page on copies of whole databases: a section for each table, then what the figures mean."""

from collections.abc import Sequence

from bench.cases import TABLES, Table
from bench.contestants import DUMP_PSQL, DUMP_RESTORE, PGCOPYDB, WINDLASS, WINDLASS_VERIFIED
from bench.pages.markdown import (
    bound_text,
    data_text,
    document,
    failed_or,
    fixed,
    made_from,
    measured_on,
    median_of,
    notes,
    span_of,
    surroundings_list,
    table,
    verdict_text,
)
from bench.result import Case, Goal, Metric, Result

HEAD = """\
# Benchmarks

Every contestant is a separate process that copies a whole database into an empty one: schema, rows,
indexes, constraints and statistics; only `keyset` measures rows alone. Source and target are
two servers on one machine with equal settings, reached over TCP. Both checkpoint before every run,
and the order rotates. After every run, the rows of each relation (count and fingerprint), its
indexes, constraints, sequences and statistics are compared with the source's. An incomplete copy
gets no figures.
"""

METHOD = """\
## What the figures mean

Each tool gathers statistics in the way that is best for it, and the time includes that: pgcopydb
does so by default; for the others, vacuumdb runs afterwards.

Client CPU is the CPU time of all processes of the contestant, as the kernel counts it. Client
memory is the sum of their memory, sampled twenty times a second; a page that two processes share
counts twice. Neither includes the servers. Megabytes are millions of bytes.

The floor is the time that the servers alone need: COPY to nowhere on the source, then COPY from a
file and building indexes and constraints on the target, divided by the number of cores. It does not
include statistics.

`keyset` measures the rows of `pgbench_accounts` and `events`, copied into existing tables without
indexes; other work that the copy needs is done before and after, and not measured. The earlier
method is `bench/programs/keyset.py`, written from the description of a published Airflow pipeline:
pages of 100,000 rows in the order of the key, each fetched as a whole, converted to CSV by Python
and loaded by COPY. It is one stream, without the time that Airflow takes, so the goal is for one
stream. All copy the same rows, so the inverse ratio of seconds is that of rows/s.
"""

REPEATING = """\
## Repeating it

`make bench` repeats these benchmarks and those of the other pages. It creates servers and data in
the folder for temporary files, which needs about 40 GB of space, and removes them afterwards. It
needs Debian's postgresql-15 and pgcopydb, and a machine that is otherwise idle.
"""

COMMANDS = (WINDLASS, WINDLASS_VERIFIED, PGCOPYDB, DUMP_RESTORE, DUMP_PSQL)


def render(results: Sequence[Result]) -> str:
    is_one_machine = len({_around(result) for result in results}) == 1
    return document(
        HEAD,
        made_from(results),
        _around(results[0]) if is_one_machine else "",
        *(block for one in results for block in _sections(one, with_around=not is_one_machine)),
        METHOD,
        "## Contestants",
        *(f"{one.title}:\n\n```sh\n{one.script}\n```" for one in COMMANDS),
        REPEATING,
    )


def _around(result: Result) -> str:
    """When and where: once for the page where it is the same for all results."""
    return f"{measured_on(result)}\n\n{surroundings_list(result)}"


def _sections(result: Result, *, with_around: bool) -> list[str]:
    """A heading and a table for each table of the benchmark, and the notes."""
    blocks = []
    for at, one in enumerate(TABLES[result.benchmark]):
        blocks += [f"## {one.title} (`{one.name}`)", data_text(result) if at == 0 else ""]
        blocks += [_around(result) if with_around and at == 0 else "", _table(one, result)]
    return [*blocks, notes(result)]


def _table(one: Table, result: Result) -> str:
    cases = [case for name in one.rows if (case := result.case(name)) is not None]
    shown = [case for case in cases if case.failed or case.spread(one.metric)]
    subject = result.case(one.subject)
    compared = subject.title if subject else one.subject
    with_rate = any(case.spread(Metric.ROWS_PER_SECOND) for case in shown)
    head = ["contestant", one.metric.title, "min-max", *(["rows/s"] if with_rate else [])]
    head += [f"{compared} / this", "to reach", "reached"]
    return table(head, [_cells(one, case, result, with_rate=with_rate) for case in shown])


def _cells(one: Table, case: Case, result: Result, *, with_rate: bool) -> list[str]:
    goals = [goal for goal in result.goals if _is_shown(goal, one, case)]
    rate = [median_of(case, Metric.ROWS_PER_SECOND, 0)] if with_rate else []
    return [
        case.title,
        failed_or(case, median_of(case, one.metric, 2)),
        span_of(case, one.metric, 2),
        *rate,
        _ratio_text(one, case, result),
        ", ".join(f"ratio {bound_text(g)}" if g.peer else bound_text(g) for g in goals),
        ", ".join(map(verdict_text, goals)),
    ]


def _is_shown(goal: Goal, one: Table, case: Case) -> bool:
    """A ratio stands beside the peer, another goal beside its subject."""
    if goal.metric is not one.metric:
        return False
    if goal.peer is None:
        return goal.subject == case.name
    return goal.subject == one.subject and goal.peer == case.name


def _ratio_text(one: Table, case: Case, result: Result) -> str:
    subject = result.case(one.subject)
    own = case.figure(one.metric)
    compared = subject.figure(one.metric) if subject else None
    if case.name == one.subject or own is None or compared is None:
        return ""
    return fixed(compared / own, 2)
