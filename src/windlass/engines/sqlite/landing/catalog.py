"""A table of an SQLite file, as a load needs to know it. Reads only."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Sequence

from windlass.engines.sqlite.types import Affinity, affinity_of
from windlass.model.export import Kind
from windlass.model.load import Table, TableColumn
from windlass.model.relation import Name
from windlass.model.report import Problem

_NUMBERS = re.compile(r"\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)")
_STORED_AS_TEXT = {
    "DATE": Kind.DATE,
    "DATETIME": Kind.TIMESTAMP,
    "TIMESTAMP": Kind.TIMESTAMP,
    "TIMESTAMPTZ": Kind.INSTANT,
    "TIMESTAMP WITH TIME ZONE": Kind.INSTANT,
    "TIME": Kind.TIME,
    "UUID": Kind.UUID,
    "JSON": Kind.JSON,
    "JSONB": Kind.JSON,
}
_OF_AFFINITY = {
    Affinity.INTEGER: Kind.INT64,
    Affinity.REAL: Kind.FLOAT64,
    Affinity.NUMBER: Kind.DECIMAL,
    Affinity.BOOLEAN: Kind.BOOLEAN,
    Affinity.TEXT: Kind.TEXT,
    Affinity.BLOB: Kind.BYTES,
}


def columns(session: sqlite3.Connection, name: Name) -> list[str]:
    """The columns that can be selected; empty if there is no such table."""
    query = "select name from pragma_table_xinfo(?, ?) where hidden <> 1"
    return [one for (one,) in session.execute(query, (name.name, name.schema))]


def column(name: str, type_: str, *, not_null: bool = False, fills: bool = False) -> TableColumn:
    numbers = _NUMBERS.search(type_)
    first, second = (int(numbers[1]), int(numbers[2] or 0)) if numbers else (0, 0)
    kind = kind_of(type_)
    is_text, is_decimal = kind is Kind.TEXT, kind is Kind.DECIMAL
    return TableColumn(
        name, type_, kind, not_null, fills,
        longest=first if is_text else 0,
        precision=first if is_decimal else 0, scale=second if is_decimal else 0,
    )  # fmt: skip


def kind_of(declared: str) -> Kind | None:
    """The kind of a declared type; None if the declaration means nothing."""
    word = " ".join(_NUMBERS.sub("", declared).upper().split())
    return _STORED_AS_TEXT.get(word) or (_OF_AFFINITY.get(affinity_of(declared)) if word else None)


def read_table(session: sqlite3.Connection, name: Name) -> Table | None:
    row = session.execute(
        "select name, type, wr from pragma_table_list where schema = ? and lower(name) = lower(?)",
        (name.schema, name.name),
    ).fetchone()
    if row is None:
        return None
    own, type_, without_rowid = row
    name = Name(name.schema, own)
    if type_ != "table":
        what = {"view": "a view", "virtual": "a virtual table"}.get(type_, f"a {type_} table")
        return Table(name, (), problems=(Problem(str(name), f"is {what}"),))
    found = session.execute(
        'select name, type, "notnull", dflt_value is not null, pk, hidden'
        " from pragma_table_xinfo(?, ?)", (own, name.schema),
    ).fetchall()  # fmt: skip
    primary = tuple(one[0] for one in sorted(found, key=lambda one: one[4]) if one[4])
    alias = _alias_of_rowid(session, name, primary) if not without_rowid else ""
    made = []
    for column_name, declared, not_null, has_default, _, hidden in found:
        fills = bool(has_default) or column_name == alias
        # also if it is an alias of the position: SQLite would turn NULL into a number
        is_needed = bool(not_null) or column_name == alias
        one = column(column_name, declared, not_null=is_needed, fills=fills)
        if hidden in (2, 3):
            one = TableColumn(one.name, one.type, one.kind, one.not_null, generated=True)
        made.append(one)
    return Table(name, tuple(made), _keys(session, name, primary), primary, _rows(session, name))


def _alias_of_rowid(session: sqlite3.Connection, name: Name, primary: Sequence[str]) -> str:
    """The column that is the position: a primary key without a separate index."""
    query = "select 1 from pragma_index_list(?, ?) where origin = 'pk'"
    has_index = session.execute(query, (name.name, name.schema)).fetchone() is not None
    return primary[0] if len(primary) == 1 and not has_index else ""


def _keys(
    session: sqlite3.Connection, name: Name, primary: tuple[str, ...]
) -> tuple[tuple[str, ...], ...]:
    rows = session.execute(
        "select (select json_group_array(name) from pragma_index_info(i.name, ?))"
        ' from pragma_index_list(?, ?) as i where i."unique" and not i.partial order by i.seq desc',
        (name.schema, name.name, name.schema),
    ).fetchall()
    found = [tuple(json.loads(one)) for (one,) in rows]
    keys = [primary, *found] if primary else found
    return tuple(
        dict.fromkeys(key for key in keys if key and all(key))
    )  # an expression has no name


def _rows(session: sqlite3.Connection, name: Name) -> int:
    """The approximate number of rows, as counted by the last `analyze`."""
    try:
        row = session.execute(
            "select max(cast(stat as integer)) from sqlite_stat1 where tbl = ?", (name.name,)
        ).fetchone()
    except sqlite3.OperationalError:  # there is no such table
        return -1
    return int(row[0]) if row[0] is not None else -1


def positions(session: sqlite3.Connection, name: Name) -> tuple[str, ...]:
    """The columns that identify rows: the position, or the key of a table without positions. None
    if columns of the table have all names of the position."""
    (without,) = session.execute(
        "select wr from pragma_table_list where schema = ? and name = ?", (name.schema, name.name)
    ).fetchone()
    if without:
        rows = session.execute(
            "select name from pragma_table_info(?, ?) where pk > 0 order by pk",
            (name.name, name.schema),
        ).fetchall()
        return tuple(one for (one,) in rows)
    taken = {one.lower() for one in columns(session, name)}
    free = [one for one in ("rowid", "_rowid_", "oid") if one not in taken]
    return tuple(free[:1])


def collations(session: sqlite3.Connection, name: Name) -> dict[str, str]:
    """The collations of the columns of unique indexes, if they are not the default one."""
    rows = session.execute(
        "select x.name, x.coll from pragma_index_list(?, ?) as i,"
        " pragma_index_xinfo(i.name, ?) as x"
        " where i.\"unique\" and x.key and x.name is not null and upper(x.coll) <> 'BINARY'",
        (name.name, name.schema, name.schema),
    ).fetchall()
    return dict(rows)
