"""How the columns of tables arrive, and what is lost. Pure: whoever calls this counts rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from windlass.engines.destination import Columns, Destination
from windlass.model.conversion import Carried, ColumnPlan, PgColumn, PgTable
from windlass.model.relation import Name
from windlass.model.report import Loss, LossClass, Problem
from windlass.model.units import several
from windlass.model.wording import word
from windlass.planning.answering import problems_of_unused, spellings

Counts = Callable[[PgTable, Sequence[tuple[str, str]]], Sequence[int]]
"""For a table, how many rows it has, and how many meet each condition on a column."""


@dataclass
class Arriving:
    """The columns of all tables; filled by `arrive`."""

    columns: dict[str, tuple[ColumnPlan, ...]] = field(default_factory=dict)  # by table
    losses: list[Loss] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def of(self, table: PgTable) -> tuple[ColumnPlan, ...]:
        return self.columns[str(table.name)]

    def named(self, table: PgTable) -> Columns:
        return {one.source: (one.target, one.carried) for one in self.of(table)}


def arrive(
    tables: Sequence[PgTable],
    names: Mapping[Name, Name],
    answers: Mapping[str, str],
    target: Destination,
    counts: Counts | None,
) -> Arriving:
    """`names` are the target's by the source's; `answers` are types by column, as the user wrote
    them. Without `counts`, no rows are counted."""
    found = Arriving()
    given = {name.lower(): type_ for name, type_ in answers.items()}
    known: dict[str, tuple[str, ...]] = {}
    noted: dict[str, list[str]] = defaultdict(list)
    for table in tables:
        plans = []
        for column in table.columns:
            spelled = spellings(table.name, names[table.name], column.name)
            known.update(dict.fromkeys(spelled, spelled))
            answer = next((given[one] for one in spelled if one in given), "")
            carried = target.carry(column, answer)
            if isinstance(carried, str):
                found.problems.append(Problem(f"types: {spelled[1]}", carried))
                carried = target.carry(column, "")
                assert not isinstance(carried, str), "every type has a way without an answer"
            plans.append(column_plan(column, carried))
            if column.type.checks:
                message = f"{column.type.text} is not enforced: {column.type.checks}"
                found.losses.append(Loss(spelled[0], message, LossClass.CONSTRAINTS))
            for loss in carried.losses:
                found.losses.append(Loss(spelled[0], loss, LossClass.CONSTRAINTS))
            for notice in carried.notices:
                noted[notice].append(spelled[1])
        found.columns[str(table.name)] = tuple(plans)
        if counts is not None:
            _count(table, plans, counts, found)
    found.problems += problems_of_unused(answers, known)
    found.notices += [f"{several(names, 3)}: {notice}" for notice, names in noted.items()]
    return found


def column_plan(column: PgColumn, carried: Carried) -> ColumnPlan:
    return ColumnPlan(column.name, column.name, column.type.text, carried, not_null=column.not_null)


def _count(table: PgTable, plans: Sequence[ColumnPlan], counts: Counts, found: Arriving) -> None:
    asked = [(one, doubt) for one in plans for doubt in one.carried.doubts]
    if not asked:
        return
    _, *numbers = counts(table, [(one.source, doubt.when) for one, doubt in asked])
    for (column, doubt), number in zip(asked, numbers, strict=True):
        if not number:
            continue
        name = f"{table.name}.{column.source}"
        values = "1 value" if number == 1 else f"{number:,} values"
        if doubt.kind is None:
            found.notices.append(f"{name}: {values}: {doubt.message}")
        elif doubt.makes_null and column.not_null:
            hint = word("types", f"{table.name.plain}.{column.source}=text")
            message = f"{values}: {doubt.message}, in a column that is NOT NULL"
            found.problems.append(Problem(name, message, hint))
        else:
            found.losses.append(Loss(name, f"{values}: {doubt.message}", doubt.kind))
