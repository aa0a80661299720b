"""Columns of the target that may not hold every value of the source: such values are counted and
named."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from windlass.engines.postgres.census import Answer, Question
from windlass.engines.postgres.conversions import is_widening
from windlass.model.plan import ColumnPlan, RelationPlan
from windlass.model.relation import Column, Name, Relation
from windlass.model.report import Loss, LossClass, Problem
from windlass.model.units import plural

Census = Callable[[Name, Sequence[Question]], Sequence[Answer]]

_HINT = "alter the column on the target, correct the values on the source, or exclude the table"


@dataclass(frozen=True, slots=True)
class Narrowed:
    """The plans of relations, with what a census found in their columns."""

    relations: tuple[RelationPlan, ...]
    losses: tuple[Loss, ...] = ()
    problems: tuple[Problem, ...] = ()


def narrow(
    relations: Iterable[RelationPlan], there: Mapping[Name, Relation], census: Census
) -> Narrowed:
    """Ask the source about every column that may not take all values. `there` has, by name on the
    target, the relations whose columns differ from those that are read."""
    found = [
        _narrow(one, there[one.target], census) if one.target in there else Narrowed((one,))
        for one in relations
    ]
    return Narrowed(
        tuple(plan for one in found for plan in one.relations),
        tuple(loss for one in found for loss in one.losses),
        tuple(problem for one in found for problem in one.problems),
    )


def _narrow(item: RelationPlan, target: Relation, census: Census) -> Narrowed:
    takes = {column.name: column for column in target.columns}
    held = {column.name: column for column in item.relation.columns}
    problems, questions = [], []
    for column in item.columns:
        how = _question(column, held[column.source], takes[column.target])
        if isinstance(how, Problem):
            problems.append(replace(how, object=str(item.target)))
        elif how:
            questions.append(how)
    if not questions:
        return Narrowed((item,), problems=tuple(problems))
    answers = dict(
        zip(
            (question.column for question in questions),
            census(item.relation.name, questions),
            strict=True,
        )
    )
    losses = []
    for column in item.columns:
        if answer := answers.get(column.source):
            losses += [Loss(str(item.target), m, LossClass.VALUES) for m in _lost(column, answer)]
            problems += [Problem(str(item.target), m, _HINT) for m in _unfit(column, answer)]
    columns = tuple(_answered(one, answers.get(one.source)) for one in item.columns)
    return Narrowed((replace(item, columns=columns),), tuple(losses), tuple(problems))


def _question(column: ColumnPlan, held: Column, takes: Column) -> Question | Problem | None:
    """What to ask about a column; None if every value is known to arrive unchanged."""
    if column.generated:
        return None if held.generated else Question(column.source, is_computed=True)
    how, is_not_null = column.conversion, takes.not_null and not held.not_null
    if how is None or (is_widening(how.source, how.target) and _is_named_so(takes)):
        return Question(column.source, is_not_null=True) if is_not_null else None
    if takes.labels:
        return Question(column.source, how, takes.labels, is_not_null=is_not_null)
    if not takes.known_everywhere:
        return Problem(
            "",
            f"column {column.target}: the source cannot tell whether values of"
            f" {column.source_type} would change in {column.target_type}",
            "give the column the source's type, with the same definition, or exclude the table",
        )
    return Question(column.source, how, is_not_null=is_not_null)


def _is_named_so(takes: Column) -> bool:
    """Whether the type takes every text. Of user-defined types only citext is known to."""
    return takes.known_everywhere or takes.definition == "citext"


def _lost(column: ColumnPlan, answer: Answer) -> Iterator[str]:
    if not answer.changed:
        return
    values = plural(answer.changed, "value")
    if column.conversion is None or column.generated:
        yield f"column {column.target}: {values} of the source, which the target computes itself"
    else:
        yield (
            f"column {column.target}: {values} of {column.source_type} would change in"
            f" {column.target_type}"
        )


def _unfit(column: ColumnPlan, answer: Answer) -> Iterator[str]:
    if answer.unfit:
        do = "does" if answer.unfit == 1 else "do"
        yield (
            f"column {column.target}: {plural(answer.unfit, 'value')} {do} not fit"
            f" {column.target_type}"
        )
    if answer.nulls:
        nulls = plural(answer.nulls, "NULL")
        yield f"column {column.target}: {nulls}, and it is NOT NULL on the target"
    if answer.refused:
        yield (
            f"column {column.target}: not every value of {column.source_type} is one of"
            f" {column.target_type}"
        )


def _answered(column: ColumnPlan, answer: Answer | None) -> ColumnPlan:
    """The column as a run copies it if the user has accepted that values change."""
    if answer is None or not answer.changed:
        return column
    if column.generated or column.conversion is None:
        return replace(column, dropped=True)
    return replace(column, conversion=replace(column.conversion, accepted=True))
