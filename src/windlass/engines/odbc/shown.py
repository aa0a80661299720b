"""What SQLite's ODBC driver shows of values: it writes floating-point numbers with 15 digits, and
gives NULL for a value of another kind than its column's. So every value is compared with the
literal that SQLite writes of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from psycopg import sql

from windlass.engines.odbc.catalog import Found
from windlass.engines.odbc.quoting import Quoted
from windlass.engines.odbc.selecting import rows_of
from windlass.engines.odbc.session import Session
from windlass.engines.odbc.types import PLAIN
from windlass.engines.statements import listed, statement
from windlass.model.report import Problem
from windlass.model.translation import Field, SourceTable
from windlass.model.units import plural

SQLITE = "SQLite"
_HINT = "read the file as sqlite:///, which shows all of them, or exclude the table"


def hidden(
    session: Session, found: Found, table: SourceTable, fields: Sequence[Field]
) -> Iterator[Problem]:
    """Columns with values that the driver does not show as they are."""
    fixed = {name for name, _ in table.selected.fixed} if table.selected else set()
    names = [one.name for one in fields if one.form == PLAIN and one.name not in fixed]
    if session.server != SQLITE or not names:
        return
    quoted = [Quoted(session.quote, one) for one in names]
    query = statement(
        "select {columns}, {texts} from {table}",
        columns=listed(quoted),
        texts=listed(sql.SQL("quote({})").format(one) for one in quoted),
        table=rows_of(session, found, table.name, table.selected),
    )
    many = [0] * len(names)
    for row in session.rows(query, (), f"reading {table.name}"):
        for at, (given, text) in enumerate(zip(row[: len(names)], row[len(names) :], strict=True)):
            many[at] += not _is_shown(given, text)
    for name, count in zip(names, many, strict=True):
        if count:
            message = f"{plural(count, 'value')} that the driver changes, or shows as NULL"
            yield Problem(f"{table.name}.{name}", message, _HINT)


def _is_shown(given: Any, text: str) -> bool:
    """Whether a value is the one that SQLite writes as this literal."""
    if given is None or text == "NULL":
        return given is None and text == "NULL"
    if text.startswith(("X'", "x'")):
        return isinstance(given, bytes | bytearray) and given.hex() == text[2:-1].lower()
    if text.startswith("'"):
        return bool(given == text[1:-1].replace("''", "'"))
    try:
        if isinstance(given, float):
            return given == float(text)
        return Decimal(given) == Decimal(text)
    except (ArithmeticError, TypeError, ValueError):
        return False
