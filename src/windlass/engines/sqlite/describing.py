"""The types of a relation's or query's columns: as declared, as counted, or as the user
specified."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from psycopg import sql

from windlass.engines.sqlite.catalog import read_declared
from windlass.engines.sqlite.census import Counts, take_census
from windlass.engines.sqlite.types import Unclear, column_of, said_column
from windlass.engines.sqlite.values import converter
from windlass.engines.statements import names, statement, verbatim
from windlass.model.export import Column, Described, Kind, Request

_OVERHEAD_BYTES = 8  # of a value, in addition to its content


@dataclass(frozen=True, slots=True)
class Known:
    """What the reader needs to know about a relation, apart from its columns."""

    said: Mapping[str, str]  # types that the user has specified
    row_bytes: int  # the most that a row can have


def describe(session: sqlite3.Connection, item: str, request: Request) -> tuple[Described, Known]:
    """One scan of all rows, and one per column whose type the user specified."""
    every = statement("select * from {item} limit 0", item=verbatim(item))
    columns = [one[0] for one in session.execute(every).description]
    declared = read_declared(session, request.relation.name.name) if request.relation else {}
    rows, counts = take_census(session, item, columns)
    found, unclear = [], {}
    for name, counted in zip(columns, counts, strict=True):
        type_ = declared.get(name, "").lower() or "any"
        try:
            found.append(_column(session, item, name, type_, request, counted))
        except Unclear as error:
            found.append(Column(name, type_, Kind.TEXT))
            unclear[name] = str(error)
    row_bytes = sum(one.longest_bytes + _OVERHEAD_BYTES for one in counts)
    size_bytes = sum(one.bytes for one in counts)
    return Described(tuple(found), rows, size_bytes, unclear), Known(request.types, row_bytes)


def _column(
    session: sqlite3.Connection,
    item: str,
    name: str,
    type_: str,
    request: Request,
    counts: Counts,
) -> Column:
    """Raises:
    Unclear: there are values of another type.
    """
    if name in request.text:
        return Column(name, type_, Kind.TEXT, is_cast=True)
    if name not in request.types:
        return column_of(name, type_, counts)
    column = said_column(name, type_, request.types[name])
    _check_said(session, item, column, counts)
    return column


def _check_said(session: sqlite3.Connection, item: str, column: Column, counts: Counts) -> None:
    """Check that all values have the type that the user specified.

    Raises:
        Unclear: there are values that are not of this type, and how many.
    """
    texts_only = column.kind not in (Kind.UUID, Kind.BYTES)
    wrong = counts.blobs if texts_only else counts.texts if column.kind is Kind.BYTES else 0
    if not wrong:
        query = statement(
            "select {value} from {item} where {name} is not null",
            value=value_of(column),
            name=names(column.name),
            item=verbatim(item),
        )
        wrong = _misfits(session.execute(query), column)
    if wrong:
        is_ = "value is" if wrong == 1 else "values are"
        raise Unclear(f"types: {column.name}: {wrong:,} {is_} not {column.described}")


def value_of(column: Column) -> sql.Composable:
    """The expression for a column. Python gets texts as bytes, and could not distinguish the
    sixteen bytes of a UUID from a text of that length."""
    name = names(column.origin)
    if column.kind is Kind.UUID:
        return sql.SQL("case typeof({0}) when 'blob' then hex({0}) else {0} end").format(name)
    return name


def _misfits(cursor: sqlite3.Cursor, column: Column) -> int:
    convert, wrong = converter(column), 0
    for (value,) in cursor:
        try:
            convert(value)
        except ValueError:
            wrong += 1
    return wrong
