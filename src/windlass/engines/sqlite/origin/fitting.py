"""Finds types that hold all values of a table, and what the user must decide if there are none."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field

from windlass.engines.sqlite.origin.choosing import Choice, choose
from windlass.engines.sqlite.origin.counted import SHORT_BYTES, Counted
from windlass.engines.sqlite.origin.counting import count_forms
from windlass.engines.sqlite.origin.forms import FORMS, merges
from windlass.engines.sqlite.origin.functions import is_printed
from windlass.engines.sqlite.origin.keys import look_at_keys
from windlass.engines.sqlite.origin.naming import LONGEST_KEY, Namer
from windlass.engines.sqlite.origin.ranges import read_order
from windlass.engines.sqlite.origin.seen import Seen
from windlass.engines.sqlite.origin.selecting import check_rows
from windlass.model.report import Loss, LossClass, Problem
from windlass.model.translation import Answers, Field, Fit, Index, IndexPart, Sort, SourceTable


@dataclass(frozen=True, slots=True)
class Found:
    fit: Fit
    seen: Seen


@dataclass(slots=True)
class _Indexes:
    problems: list[Problem] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def add(self, table: SourceTable, one: Index, too_long: str, *, is_key: bool) -> None:
        """A key is needed, an index is left out."""
        if is_key:
            hint = "shorten them on the source, or exclude the table"
            self.problems.append(Problem(str(table.name), f"key {too_long}", hint))
            return
        kind = LossClass.CONSTRAINTS if one.is_unique else LossClass.STORAGE
        message = f"index {too_long}: it is not made"
        self.losses.append(Loss(str(table.name), message, kind))
        self.left_out.append(one.name)


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
    fields, fine = [], {}  # fine: how many bytes they have
    for choice, one in zip(choices, counted, strict=True):
        field, fits = _fitting(choice, one)
        fields.append(field)
        if not fits:
            problems.append(namer.misfit(choice, one))
            continue
        if FORMS[field.type.sort, field.form].is_text and not one.is_text_fine:
            problems.append(namer.bad_text(choice))
        else:
            fine[field.name] = one.bytes
        problems += namer.too_large(choice, one)
        losses += namer.noticed(choice, field)
    by_name = {choice.column.name: one for choice, one in zip(choices, counted, strict=True)}
    keys = look_at_keys(session, table, fields, rows, by_name)
    short = {name for name, one in by_name.items() if one.is_short}
    indexes = _look_at_indexes(namer, table, fields, fine, short)
    return Found(
        Fit(
            tuple(fields),
            rows,
            sum(one.bytes for one in counted),
            (*problems, *keys.problems, *indexes.problems),
            (*losses, *keys.losses, *indexes.losses),
            keys.orphaned,
            tuple(indexes.left_out),
        ),
        _seen(rows, by_name, fields),
    )


def _look_at_indexes(
    namer: Namer,
    table: SourceTable,
    fields: Sequence[Field],
    sizes: Mapping[str, int],
    short: Set[str],
) -> _Indexes:
    """Whether the target can have the keys and indexes of the rows. `sizes` are those of columns
    whose values all fit; `short` are columns with short texts only."""
    by_name = {one.name: one for one in fields}
    keys = [*([table.primary_key] if table.primary_key else []), *table.uniques]
    found = _Indexes()
    needed = [Index(key.name, tuple(map(IndexPart, key.columns)), is_unique=True) for key in keys]
    for one in (*needed, *table.indexes):
        if not all(part.column in sizes for part in one.parts) or (one.where and table.selected):
            continue  # a condition of a mapped table has its old names
        columns = [by_name[part.column] for part in one.parts]
        if one.is_unique and any(map(merges, columns)):
            found.problems += namer.merged(one, columns)
        if sum(sizes[column.name] for column in columns) < LONGEST_KEY:
            continue
        texts = [one.name for one in columns if one.type.sort in (Sort.TEXT, Sort.BYTES)]
        if len(texts) * SHORT_BYTES <= LONGEST_KEY and short >= set(texts):
            continue
        if too_long := namer.too_long(one, columns):
            found.add(table, one, too_long, is_key=one in needed)
    return found


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
    for one, fitting in zip(choice.fields, counted.fitting, strict=True):
        if fitting == counted.values:
            return one, True
    return choice.fields[-1], False
