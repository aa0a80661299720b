"""A table of Snowflake, as a load needs to know it. Reads only."""

from __future__ import annotations

import re

from windlass.engines.snowflake.landing.naming import RESERVED, table_of
from windlass.engines.snowflake.names import shown, stored
from windlass.engines.snowflake.session import Session
from windlass.engines.statements import statement
from windlass.model.export import Kind
from windlass.model.load import Table, TableColumn
from windlass.model.relation import Name
from windlass.model.report import Problem

_FORM = re.compile(r"([A-Z_]+)(?:\((\d+)(?:, ?(\d+))?\))?")
_KINDS = {
    "NUMBER": Kind.DECIMAL, "FLOAT": Kind.FLOAT64, "BOOLEAN": Kind.BOOLEAN, "VARCHAR": Kind.TEXT,
    "BINARY": Kind.BYTES, "DATE": Kind.DATE, "TIME": Kind.TIME,
    "TIMESTAMP_NTZ": Kind.TIMESTAMP, "TIMESTAMP_TZ": Kind.INSTANT, "TIMESTAMP_LTZ": Kind.INSTANT,
}  # fmt: skip
# what a spec may call them: https://docs.snowflake.com/en/sql-reference/intro-summary-data-types
_SYNONYMS = {
    "DECIMAL": "NUMBER", "NUMERIC": "NUMBER", "INT": "NUMBER", "INTEGER": "NUMBER",
    "BIGINT": "NUMBER", "SMALLINT": "NUMBER", "TINYINT": "NUMBER", "DOUBLE": "FLOAT",
    "REAL": "FLOAT", "STRING": "VARCHAR", "TEXT": "VARCHAR", "VARBINARY": "BINARY",
    "DATETIME": "TIMESTAMP_NTZ", "TIMESTAMP": "TIMESTAMP_NTZ",
}  # fmt: skip
_MOST_DIGITS = 38
_MOST_TEXT, _MOST_BYTES = 16_777_216, 8_388_608
_SECONDS = 9  # digits, unless the type says
_TABLES = ("BASE TABLE", "TABLE")
_COUNTED = ("IDENTITY", "AUTOINCREMENT")


def column(
    name: str, type_: str, *, not_null: bool = False, fills: bool = False, generated: bool = False
) -> TableColumn:
    found = _FORM.fullmatch(type_.upper())
    word = found[1] if found else ""
    kind = _KINDS.get(_SYNONYMS.get(word, word))
    first = int(found[2]) if found and found[2] else 0
    second = int(found[3]) if found and found[3] else 0
    longest = precision = 0
    if kind is Kind.DECIMAL:
        precision = first or _MOST_DIGITS
    elif kind in (Kind.TEXT, Kind.BYTES):
        longest = first or (_MOST_TEXT if kind is Kind.TEXT else _MOST_BYTES)
    elif kind in (Kind.TIME, Kind.TIMESTAMP, Kind.INSTANT):
        precision = first if found and found[2] else _SECONDS
    return TableColumn(
        name, type_, kind, not_null, fills, generated, longest, precision, second
    )  # fmt: skip


def canonical(type_: str) -> str:
    """A type as DESCRIBE TABLE writes it, so that two of them can be compared."""
    one = column("", type_)
    word = type_.upper().partition("(")[0]
    word = _SYNONYMS.get(word, word)
    match one.kind:
        case Kind.DECIMAL:
            return f"{word}({one.precision},{one.scale})"
        case Kind.TEXT | Kind.BYTES:
            return f"{word}({one.longest})"
        case Kind.TIME | Kind.TIMESTAMP | Kind.INSTANT:
            return f"{word}({one.precision})"
    return word


def read_table(session: Session, name: Name) -> Table | None:
    text = statement("describe table {table}", table=table_of(name))
    rows = session.run_if_there(text, doing=f"looking at {name}")
    if not rows:
        return None
    query = (
        "select table_type, row_count from information_schema.tables"
        " where table_schema = ? and table_name = ?"
    )
    about = session.run(query, [stored(name.schema), stored(name.name)], doing=f"looking at {name}")
    kind, count = about[0] if about else ("BASE TABLE", None)
    if kind not in _TABLES:
        return Table(name, (), problems=(Problem(str(name), f"is a {str(kind).lower()}"),))
    columns = tuple(_column(row) for row in rows)
    primary = _primary(session, name)
    problems = [
        *(_fault(name, str(row[0])) for row in rows if _is_hidden(str(row[0]))),
        *(_reserved(name, one.name) for one in columns if one.name in RESERVED),
    ]
    keys = (primary,) if primary else ()
    rows_there = -1 if count is None else int(count)
    return Table(name, columns, keys, primary, rows_there, tuple(problems))


def _column(row: tuple[object, ...]) -> TableColumn:
    name, type_, kind, null, default = (str(one or "") for one in row[:5])
    return column(
        shown(name),
        type_,
        not_null=null == "N",
        fills=bool(default),
        generated=kind != "COLUMN",
    )


def _is_hidden(stored_name: str) -> bool:
    """Whether no name that people write is this one."""
    return stored(shown(stored_name)) != stored_name


def _fault(name: Name, hidden: str) -> Problem:
    message = f'column "{hidden}" is stored in lower case, and a load has no name for it'
    return Problem(str(name), message, "rename it, or load into another table")


def _reserved(name: Name, column_: str) -> Problem:
    return Problem(str(name), f"column {column_} has a name that windlass uses itself")


def _primary(session: Session, name: Name) -> tuple[str, ...]:
    text = statement("show primary keys in table {table}", table=table_of(name))
    rows = session.run(text, doing=f"reading the key of {name}")
    found = sorted((int(row[5]), shown(str(row[4]))) for row in rows)
    return tuple(one for _, one in found)


def defaults_of(session: Session, name: Name) -> dict[str, str]:
    """The expressions that fill columns. Of a column that counts up, none."""
    text = statement("describe table {table}", table=table_of(name))
    rows = session.run(text, doing=f"looking at {name}")
    return {
        shown(str(row[0])): str(row[4])
        for row in rows
        if row[4] is not None and not str(row[4]).upper().startswith(_COUNTED)
    }


def counted_of(session: Session, name: Name) -> list[str]:
    """Columns that count up."""
    text = statement("describe table {table}", table=table_of(name))
    rows = session.run(text, doing=f"looking at {name}")
    return [shown(str(row[0])) for row in rows if str(row[4] or "").upper().startswith(_COUNTED)]
