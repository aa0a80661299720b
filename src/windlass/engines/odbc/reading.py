"""Reads rows through a driver, and converts the values to the texts of their columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from psycopg import sql

from windlass.engines import canonical
from windlass.engines.odbc.catalog import Found
from windlass.engines.odbc.quoting import Quoted
from windlass.engines.odbc.selecting import Shape, adding, rows_of, shape_of
from windlass.engines.odbc.session import SIDE, Session
from windlass.engines.odbc.types import AS_DOUBLE, AS_TEXT
from windlass.engines.odbc.values import Misfit, Notes, reader
from windlass.engines.statements import listed, statement
from windlass.errors import WindlassError
from windlass.model.chunk import KeyRange, Range, Whole
from windlass.model.translation import Reading, SourceTable

_FORMS = {
    # every database has CHAR, and some pad it with blanks; no date or time is that long
    AS_TEXT: sql.SQL("rtrim(cast({0} as char(64)))"),
    AS_DOUBLE: sql.SQL("{0} + 0e0"),
}


def read_raw(
    session: Session, found: Found, reading: Reading, range_: Range, shape: Shape
) -> Iterator[Sequence[Any]]:
    """Values as the driver gives them, and those that a mapping adds."""
    selected = []
    for one in reading.fields:
        if one.name in shape.fixed:
            continue
        column = Quoted(session.quote, one.name)
        form = _FORMS.get(one.form)
        selected.append(form.format(column) if form else column)
    given: list[int] = []
    where: sql.Composable = sql.SQL("")
    if isinstance(range_, KeyRange):
        key = Quoted(session.quote, *range_.key)
        ends = []
        for than, bound in ((">= ?", range_.low), ("< ?", range_.high)):
            if bound is not None:
                ends.append(sql.SQL("{} {}").format(key, sql.SQL(than)))
                given.append(int(bound[0]))
        where = sql.SQL(" where {}").format(listed(ends, " and "))
    query = statement(
        "select {columns} from {table}{where}",
        columns=listed(selected or [sql.SQL("1")]),
        table=rows_of(session, found, reading.table, reading.selected),
        where=where,
    )
    rows = session.rows(query, given, f"reading {reading.table}")
    add = adding(shape, [one.name for one in reading.fields])
    yield from map(add, rows) if add else rows


def read_values(
    session: Session, found: Found, reading: Reading, range_: Range
) -> Iterator[canonical.Values]:
    """The values as texts.

    Raises:
        WindlassError: a value does not fit the type that all had when they were counted.
    """
    readers = [reader(one.type) for one in reading.fields]
    notes = Notes()
    shape = shape_of(session, found, reading.table, reading.selected)
    try:
        for row in read_raw(session, found, reading, range_, shape):
            yield [
                None if value is None else read(value, notes)
                for read, value in zip(readers, row, strict=True)
            ]
    except Misfit as error:
        raise WindlassError(
            f"{reading.table}: a value has come that the plan's columns cannot hold: {error}",
            hint="roll the run back, and migrate again",
            side=SIDE,
        ) from error


def cut(session: Session, found: Found, table: SourceTable, count: int) -> Sequence[Range]:
    """About `count` ranges of equal width of a key that is a whole number."""
    if count < 2 or not table.pages_by:
        return [Whole()]
    key = Quoted(session.quote, *table.pages_by)
    query = statement(
        "select min({key}), max({key}) from {table}",
        key=key,
        table=rows_of(session, found, table.name, table.selected),
    )
    ((low, high),) = list(session.rows(query, (), f"reading {table.name}"))
    if low is None or high is None:
        return [Whole()]
    width = int(high) - int(low) + 1
    bounds = sorted({int(low) + width * at // count for at in range(1, count)} - {int(low)})
    edges = [None, *((str(one),) for one in bounds), None]
    return [KeyRange(table.pages_by, *pair) for pair in pairwise(edges)]
