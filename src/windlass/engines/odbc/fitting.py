"""Finds the type that holds all values of a column, by a scan of all rows; and what the user must
decide, with counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from windlass.engines.answers import read_type
from windlass.engines.odbc.catalog import Found, unlisted
from windlass.engines.odbc.keys import CASE, about_nulls, equality_of, orphans
from windlass.engines.odbc.reading import read_raw
from windlass.engines.odbc.selecting import shape_of
from windlass.engines.odbc.session import Session
from windlass.engines.odbc.shown import hidden
from windlass.engines.odbc.types import PLAIN, Choice
from windlass.engines.odbc.values import Misfit, Notes, Read, can_be, reader
from windlass.model.chunk import Whole
from windlass.model.report import Loss, LossClass, Problem
from windlass.model.translation import (
    Answers,
    Field,
    Fit,
    Reading,
    Sort,
    SourceColumn,
    SourceTable,
    Type,
)
from windlass.model.units import plural
from windlass.model.wording import word

_VALUE_BYTES = 8  # of a value that is not text
_ACCEPT = word("accept", str(LossClass.VALUES))


@dataclass(slots=True)
class _Try:
    """A type, and how many values it cannot hold."""

    type: Type
    read: Read
    notes: Notes = field(default_factory=Notes)
    misfits: Counter[str] = field(default_factory=Counter)
    first: str = ""


@dataclass(slots=True)
class _Column:
    column: SourceColumn
    tries: list[_Try]
    form: str = PLAIN
    lossy: str = ""
    kept: str = ""
    is_answered: bool = False

    @property
    def best(self) -> _Try:
        """The first type that holds all values; otherwise the one that holds most."""
        return min(self.tries, key=lambda one: one.misfits.total())


@dataclass(frozen=True, slots=True)
class Fitted:
    fit: Fit
    notices: tuple[str, ...]


def fit_table(session: Session, table: SourceTable, found: Found, answers: Answers) -> Fitted:
    """Raises:
    BadSpec: an answer is no type.
    """
    problems: list[Problem] = []
    shape = shape_of(session, found, table.name, table.selected)
    columns = [
        _started(session.server, table, one, shape.choices[one.name], answers, problems)
        for one in table.columns
    ]
    fields = [Field(one.column.name, one.tries[0].type, one.form) for one in columns]
    if unread := tuple(unlisted(session, found, table.name)):
        return Fitted(Fit(tuple(fields), 0, 0, (*problems, *unread)), ())
    rows = size = 0
    key = _places(table)
    reading = Reading(table.name, tuple(fields), selected=table.selected)
    for row in read_raw(session, found, reading, Whole(), shape):
        rows += 1
        for one, value in zip(columns, row, strict=True):
            if value is not None:
                size += len(value) if isinstance(value, str | bytes) else _VALUE_BYTES
                _look(one, value, row, key)
    losses = list(found.losses.get(table.name, ()))
    for one in columns:
        for lossy, becomes in _lossy(one):
            about = f"{table.name}.{one.column.name}"
            if answers.accepts_values:
                losses.append(Loss(about, f"{lossy}: {becomes}", LossClass.VALUES))
            else:
                problems.append(Problem(about, lossy, f"{_ACCEPT}: {becomes}"))
        problems += _misfits(table, one)
        if one.kept:
            losses.append(Loss(f"{table.name}.{one.column.name}", one.kept, LossClass.BEHAVIOUR))
    fitted = {one.column.name: Field(one.column.name, one.best.type, one.form) for one in columns}
    problems += hidden(session, found, table, list(fitted.values()))
    equality = equality_of(session, found, table, fitted)
    for name, ignored in equality.ignores.items():
        if CASE in ignored:
            type_ = replace(fitted[name].type, ignores_case=True)
            fitted[name] = replace(fitted[name], type=type_)
    broken = dict(orphans(session, found, table, fitted))
    losses += broken.values()
    fit = Fit(tuple(fitted.values()), rows, size, tuple(problems), tuple(losses), tuple(broken))
    notices = [*equality.notices(table, session.server), *about_nulls(table, session.server)]
    return Fitted(fit, tuple(notices))


def _started(
    server: str,
    table: SourceTable,
    column: SourceColumn,
    choice: Choice | None,
    answers: Answers,
    problems: list[Problem],
) -> _Column:
    about, words = f"{table.name}.{column.name}", answers.types.get(column.name, "")
    if words:
        wanted = read_type(words, about)
        if can_be(wanted):
            form = choice.form if choice else PLAIN
            return _Column(column, [_Try(wanted, reader(wanted))], form, is_answered=True)
        problems.append(Problem(about, f"no value can become {words}", "choose another type"))
    elif choice is None:
        problems.append(_unknown(table, column, server))
    known = choice or Choice((Type(Sort.TEXT),))
    tries = [_Try(one, reader(one)) for one in known.types]
    return _Column(column, tries, known.form, known.lossy, known.kept)


def _unknown(table: SourceTable, column: SourceColumn, server: str) -> Problem:
    about = f"{table.name}.{column.name}"
    if not column.type:  # it is computed
        message = f"what its sql gives is not known: the driver for {server} may cut its digits"
        return Problem(about, message, "let its sql make a text, and say its type with types")
    message = f"the type {column.type} of {server} is not known"
    hint = f"{_as_text(table, column)} takes what the driver gives"
    return Problem(about, message, hint)


def _as_text(table: SourceTable, column: SourceColumn) -> str:
    """The option that makes the column text."""
    return word("types", f"{table.name.plain}.{column.name}=text")


def _look(one: _Column, value: Any, row: Sequence[Any], key: Sequence[tuple[str, int]]) -> None:
    """Try the types on a value. Types that hold fewer values come first, so the others need not be
    tried while one fits."""
    for attempt in one.tries:
        try:
            attempt.read(value, attempt.notes)
        except Misfit as error:
            attempt.misfits[str(error)] += 1
            if not attempt.first:
                attempt.first = ", ".join(f"{name} = {row[at]}" for name, at in key)


def _places(table: SourceTable) -> list[tuple[str, int]]:
    key = table.primary_key or next(iter(table.uniques), None)
    names = [one.name for one in table.columns]
    return [(name, names.index(name)) for name in key.columns] if key else []


def _misfits(table: SourceTable, one: _Column) -> Iterator[Problem]:
    best = one.best
    if not best.misfits:
        return
    kinds = ", ".join(f"{many:,} {kind}" for kind, many in best.misfits.most_common())
    values = plural(best.misfits.total(), "value")
    verb = "does" if best.misfits.total() == 1 else "do"
    first = f" (first: {best.first})" if best.first else ""
    message = f"{values} {verb} not fit {best.type.described}: {kinds}{first}"
    ways = "" if one.is_answered else f"{_as_text(table, one.column)}, or "
    hint = f"choose another type: {ways}correct them on the source"
    yield Problem(f"{table.name}.{one.column.name}", message, hint)


def _lossy(one: _Column) -> Iterator[tuple[str, str]]:
    notes = one.best.notes
    if notes.digits:
        values = f"{plural(notes.digits, 'value')} with more than six digits of a second"
        yield values, "the digits after the sixth are left out"
    if notes.offsets:
        values = f"{plural(notes.offsets, 'time')} with an offset that is not zero"
        yield values, "the moment is kept, the offset is not"
    if one.lossy:
        yield f"any of its values may have them: {one.lossy}", "they are left out"
