"""Finds types that hold all values of a table, and what the user must decide if there are none."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from windlass.engines.sqlite.origin.choosing import Choice, choose
from windlass.engines.sqlite.origin.counting import Counted, count_forms
from windlass.engines.sqlite.origin.forms import FORMS
from windlass.engines.sqlite.origin.functions import is_printed
from windlass.engines.sqlite.origin.keys import look_at_keys
from windlass.engines.sqlite.origin.naming import Namer
from windlass.engines.sqlite.origin.ranges import read_order
from windlass.engines.sqlite.origin.seen import Seen
from windlass.engines.sqlite.origin.selecting import check_rows
from windlass.model.report import Loss, Problem
from windlass.model.translation import Answers, Field, Fit, Sort, SourceTable


@dataclass(frozen=True, slots=True)
class Found:
    fit: Fit
    seen: Seen


def fit_table(
    sessions: Sequence[sqlite3.Connection], table: SourceTable, answers: Answers
) -> Found:
    """Fit a table, with one session or several.

    Raises:
        BadSpec: an answer is no type.
        WindlassError: the mapping makes one row of all.
    """
    session = sessions[0]
    check_rows(session, table)
    order = read_order(session, table.name.name, table.selected)
    choices = [choose(one, f"{table.name}.{one.name}", answers) for one in table.columns]
    rows, counted = count_forms(sessions, order, choices)
    namer = Namer(session, table, order)
    problems: list[Problem] = []
    losses: list[Loss] = []
    fields = []
    for choice, one in zip(choices, counted, strict=True):
        field, fits = _fitting(choice, one)
        fields.append(field)
        if not fits:
            problems.append(namer.misfit(choice, one))
            continue
        if FORMS[field.type.sort, field.form].is_text and not one.is_text_fine:
            problems.append(namer.bad_text(choice))
        problems += namer.too_large(choice, one)
        losses += namer.noticed(choice, field)
    by_name = {choice.column.name: one for choice, one in zip(choices, counted, strict=True)}
    keys = look_at_keys(session, table, fields, rows, by_name)
    return Found(
        Fit(
            tuple(fields),
            rows,
            sum(one.bytes for one in counted),
            (*problems, *keys.problems),
            (*losses, *keys.losses),
            keys.orphaned,
        ),
        _seen(rows, by_name, fields),
    )


def _seen(rows: int, counted: Mapping[str, Counted], fields: Sequence[Field]) -> Seen:
    return Seen(
        special=frozenset(name for name, one in counted.items() if one.has_special),
        nullable=frozenset(name for name, one in counted.items() if one.values < rows),
        odd=frozenset(
            field.name
            for field in fields
            if field.type.sort is Sort.FLOAT and (counted[field.name].odd or not is_printed())
        ),
        fractional=frozenset(
            field.name
            for field in fields
            if field.type.sort is Sort.FLOAT
            and (counted[field.name].fractional or field.form == "any")
        ),
        small=frozenset(name for name, one in counted.items() if one.small),
        negative=frozenset(name for name, one in counted.items() if one.negative),
    )


def _fitting(choice: Choice, counted: Counted) -> tuple[Field, bool]:
    """The first field that all values fit; otherwise the last one."""
    for field, fitting in zip(choice.fields, counted.fitting, strict=True):
        if fitting == counted.values:
            return field, True
    return choice.fields[-1], False
