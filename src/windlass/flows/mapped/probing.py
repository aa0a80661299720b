"""Tries the functions and SQL of computed columns with the first rows, before anything is written.
What cannot be proven is a problem."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import psycopg
from psycopg import sql

from windlass.engines.postgres.mapped_reading import volatile
from windlass.engines.postgres.session import Connection
from windlass.errors import WindlassError
from windlass.flows.mapped.apart import closable, through_another_process
from windlass.flows.mapped.calling import (
    Caller,
    Work,
    is_late,
    missing_libraries,
    read_columns,
    work_of,
)
from windlass.flows.mapped.landing import finished
from windlass.flows.mapped.lines import read_lines
from windlass.model.functions import imported
from windlass.model.plan import Plan, RelationPlan
from windlass.model.report import Problem
from windlass.planning.postgres.mapped.expressions import fault_of

ROWS = 100  # rows that are tried
_APART = 7  # rows of a batch in the other process

Lines = Callable[[RelationPlan], bytes]
"""The first lines of what is read of a relation, at most `ROWS`."""


@dataclass(frozen=True, slots=True)
class _Tried:
    """Rows as they are read, and as they arrive, by the target's columns."""

    before: Sequence[Sequence[str | None]]
    after: Sequence[Sequence[str | None]]


def probe(plan: Plan, target: Connection, lines: Lines) -> Plan:
    """The plan with what was found."""
    problems: list[Problem] = []
    shown: list[str] = []
    for item in plan.relations:
        if not is_late(item):
            continue
        found = list(_import_problems(item))
        if not found:
            probing = _Probing(item, target, lines)
            found = list(probing.problems())
            wanted = item.mapping.samples if item.mapping else 0
            shown += probing.shown(wanted) if not found else []
        problems += found
    if not problems and not shown:
        return plan
    findings = plan.findings
    return replace(
        plan,
        findings=replace(
            findings,
            problems=(*findings.problems, *problems),
            notices=(*findings.notices, *shown),
        ),
    )


def _import_problems(item: RelationPlan) -> Iterator[Problem]:
    work = work_of(item, computed=True)
    if work is None:
        return
    name = str(item.relation.name)
    if missing := missing_libraries(work.frame):
        message = f"its functions need {', '.join(missing)}"
        yield Problem(name, message, "pip install 'windlass-db[frames]'")
        return
    for one, _ in work.functions:
        try:
            imported(one)
        except WindlassError as error:
            yield Problem(name, str(error), error.hint)


class _Probing:
    """Probes one relation."""

    def __init__(self, item: RelationPlan, target: Connection, lines: Lines) -> None:
        self._item, self._target, self._lines = item, target, lines
        self._columns = read_columns(item)
        self._tried = _Tried((), ())
        self._computed: dict[str, Sequence[str | None]] = {}

    def problems(self) -> Iterator[Problem]:
        try:
            lines = self._lines(self._item)
            after = self._called(lines)
        except WindlassError as error:
            if error.retryable:
                raise
            yield Problem(self._name, str(error), error.hint)
            return
        if after is None:
            functions = ", ".join(name for name, _ in self._work.functions)
            message = (
                f"function {functions} gave other values for the same rows in another process, or"
                " in batches of another size: what it makes cannot be proven"
            )
            hint = "let it depend on nothing but its row: no random numbers, no hash(), no counting"
            yield Problem(self._name, message, hint)
            return
        self._tried = _Tried(read_lines(lines), read_lines(after))
        yield from self._sql_problems()

    @property
    def _name(self) -> str:
        return str(self._item.relation.name)

    @property
    def _work(self) -> Work:
        found = work_of(self._item, computed=True)
        assert found is not None, "it has functions"
        return found

    def _called(self, lines: bytes) -> bytes | None:
        """What functions make of the lines; None if another process makes others."""
        if work_of(self._item, computed=True) is None:
            return lines
        here = b"".join(Caller(self._work).through([lines]))
        again = through_another_process(self._work.in_batches_of(_APART), closable(iter([lines])))
        return here if here == b"".join(again) else None

    def _sql_problems(self) -> Iterator[Problem]:
        for one in self._item.columns:
            finish = self._item.how(one).finish
            if not finish:
                continue
            what = f"column {one.target}"
            if fault := fault_of(finish, partial(volatile, self._target)):
                yield Problem(
                    self._name, f"{what} {fault}", "give SQL over the columns that arrive"
                )
                continue
            try:
                self._computed[one.target] = self._compute(finish, one.target_type)
            except psycopg.DataError:  # its message may show a value
                message = f"{what}: cannot be computed for one of the first {ROWS} rows"
                yield Problem(self._name, message, "correct it; see docs/mapping.md")
            except psycopg.Error as error:
                if self._target.closed:
                    raise
                message = (error.diag.message_primary or str(error)).replace("\n", " ")
                hint = (
                    "it is computed by the target, from columns that arrive, with what the target"
                    " has before the migration"
                )
                yield Problem(self._name, f"{what}: {message}", hint)

    def _compute(self, finish: str, type_: str) -> list[str | None]:
        """An expression's values for the rows that were tried, as text."""
        known = [
            (at, one) for at, one in enumerate(self._columns) if self._is_type(one.target_type)
        ]
        arrays = [[row[at] for row in self._tried.after] for at, _ in known]
        names = [sql.Identifier(f"c{at}") for at, _ in known]
        query = sql.SQL(
            "select ({value})::text from (select {read} from unnest({arrays}) as r"
            " ({names})) as {table}"
        ).format(
            value=finished(finish, type_),
            read=sql.SQL(", ").join(
                sql.SQL("{}::{} as {}").format(
                    name, sql.SQL(one.target_type), sql.Identifier(one.target)
                )
                for name, (_, one) in zip(names, known, strict=True)
            ),
            arrays=sql.SQL(", ").join(
                [sql.SQL("{}::text[]").format(sql.Literal(some)) for some in arrays]
            ),
            names=sql.SQL(", ").join(names),
            table=sql.Identifier(self._item.target.name),
        )
        with self._target.transaction(force_rollback=True):
            return [None if one is None else str(one) for (one,) in self._target.execute(query)]

    def _is_type(self, type_: str) -> bool:
        """Whether the target has it: types of the source are not there yet."""
        row = self._target.execute("select to_regtype(%s) is not null", (type_,)).fetchone()
        return bool(row and row[0])

    def shown(self, count: int) -> Iterator[str]:
        """The first rows, before and after."""
        names = [one.target for one in self._columns]
        for number, (before, after) in enumerate(
            zip(self._tried.before, self._tried.after, strict=True)
        ):
            if number == count:
                return
            was, now = dict(zip(names, before, strict=True)), dict(zip(names, after, strict=True))
            now |= {name: values[number] for name, values in self._computed.items()}
            made = [one.target for one in self._item.columns if self._item.how(one).is_late]
            changes = ", ".join(
                f"{one} {_shown(was.get(one))} → {_shown(now[one])}" for one in made
            )
            yield f"{self._name}, row {number + 1}: {changes}"


_LONGEST = 40


def _shown(text: str | None) -> str:
    if text is None:
        return "NULL"
    return repr(text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…")
