"""Ranges of a table's rows in SQLite's own order: by the row's number, or by the primary key of a
table WITHOUT ROWID."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise

from psycopg import sql

from windlass.engines.sqlite.origin.selecting import NUMBER, rows_of
from windlass.engines.statements import each, listed, names, statement, verbatim
from windlass.errors import WindlassError
from windlass.model.chunk import KeyRange, Range, Whole
from windlass.model.translation import Selected

_NUMBERS = ("rowid", "_rowid_", "oid")  # names of the row's number, where no column has them
_LEAST_NUMBERS = 50_000  # fewer are not worth several sessions
LEAST, MOST = -(1 << 63), (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Order:
    """`number` is the name of the row's number, which may be a column; empty if there is none that
    can be named. `key` are the columns of the key that rows are ordered by instead."""

    table: str
    number: str = ""
    key: tuple[str, ...] = ()
    selected: Selected | None = None
    inner: str = ""  # the name of the row's number in the table itself, if a mapping is read

    @property
    def rows(self) -> sql.Composable:
        """The FROM item."""
        return rows_of(self.table, self.selected, self.inner)

    @property
    def named(self) -> tuple[str, ...]:
        return (self.number,) if self.number else self.key


def read_order(session: sqlite3.Connection, table: str, selected: Selected | None = None) -> Order:
    """The order of a table. A mapped table without row numbers is read as one range."""
    found = _read_order(session, table)
    if selected is None:
        return found
    number = NUMBER if found.number else ""
    return Order(table, number=number, selected=selected, inner=found.number)


def _read_order(session: sqlite3.Connection, table: str) -> Order:
    without_rowid, type_ = session.execute(
        "select wr, type from pragma_table_list where schema = 'main' and name = ?", (table,)
    ).fetchone()
    if type_ == b"view":
        return Order(table)
    query = "select name, pk, type from pragma_table_xinfo(?)"
    columns = [
        (name.decode(), pk, declared.decode())
        for name, pk, declared in session.execute(query, (table,)).fetchall()
    ]
    if without_rowid:
        ordered = sorted((pk, name) for name, pk, _ in columns if pk)
        return Order(table, key=tuple(name for _, name in ordered))
    if alias := _alias(session, table, columns):
        return Order(table, number=alias)
    taken = {name.lower() for name, _, _ in columns}
    free = [name for name in _NUMBERS if name not in taken]
    return Order(table, number=free[0] if free else "")


def _alias(session: sqlite3.Connection, table: str, columns: Sequence[tuple[str, int, str]]) -> str:
    """The column that is the row's number: INTEGER PRIMARY KEY, unless that has an index."""
    key = [(name, type_) for name, pk, type_ in columns if pk]
    if len(key) != 1 or key[0][1].upper() != "INTEGER":
        return ""
    query = "select 1 from pragma_index_list(?) where origin = 'pk'"
    return "" if session.execute(query, (table,)).fetchone() else key[0][0]


def cut(session: sqlite3.Connection, order: Order, count: int) -> Sequence[Range]:
    """About `count` ranges with about as many rows each."""
    if count < 2 or not order.named:
        return [Whole()]
    bounds = _numbers(session, order, count) if order.number else _keys(session, order, count)
    edges = [None, *bounds, None]
    if len(edges) == 2:
        return [Whole()]
    return [KeyRange(order.named, *pair) for pair in pairwise(edges)]


def parts(session: sqlite3.Connection, order: Order, count: int) -> Sequence[Range]:
    """At most `count` ranges of row numbers, all equally wide. This takes no scan, but the ranges
    have equally many rows only if numbers have no gaps."""
    query = statement(
        "select (select min({number}) from {table}), (select max({number}) from {table})",
        number=names(order.number),
        table=order.rows,
    )
    low, high = session.execute(query).fetchone()
    if low is None or high - low < _LEAST_NUMBERS or count < 2:
        return [Whole()]
    bounds = [(str(low + (high - low) * at // count),) for at in range(1, count)]
    return [KeyRange(order.named, *pair) for pair in pairwise([None, *bounds, None])]


def in_parts(
    sessions: Sequence[sqlite3.Connection],
    order: Order,
    work: Callable[[sqlite3.Connection, Range], None],
) -> None:
    """Read all rows; of a table with row numbers, each session reads a part in its thread."""
    ranges = parts(sessions[0], order, len(sessions)) if order.number else [Whole()]
    if len(ranges) == 1:
        work(sessions[0], ranges[0])
        return
    with ThreadPoolExecutor(len(ranges), "windlass-scan") as pool:
        list(pool.map(work, sessions, ranges))


def _numbers(session: sqlite3.Connection, order: Order, count: int) -> list[tuple[str, ...]]:
    query = statement(
        "select min({number}), max({number}), count(*) from {table}",
        number=names(order.number),
        table=order.rows,
    )
    low, high, rows = session.execute(query).fetchone()
    if not rows or rows < count:
        return []
    span = high - low + 1
    if span <= 2 * rows:  # without large gaps
        return [(str(low + span * at // count),) for at in range(1, count)]
    return _keys(session, order, count)


def _keys(session: sqlite3.Connection, order: Order, count: int) -> list[tuple[str, ...]]:
    """Every so many rows, the key; from one scan in the order of the table."""
    table = order.rows
    (rows,) = session.execute(statement("select count(*) from {table}", table=table)).fetchone()
    if rows < count:
        return []
    columns = [names(one) for one in order.named]
    query = statement(
        "select {classes}, {key} from (select {key}, row_number() over (order by {key})"
        " as windlass_row from {table}) where windlass_row > 1 and windlass_row % {every} = 1",
        classes=each("typeof({})", columns),
        key=listed(columns),
        table=table,
        every=verbatim(str(-(-rows // count))),
    )
    many = len(columns)
    return [
        tuple(map(_written, row[:many], row[many:])) for row in session.execute(query).fetchall()
    ]


def _written(class_: bytes, value: int | float | bytes) -> str:
    """A value of any storage class, exactly. A row's number is written without its class."""
    if class_ == b"integer":
        return str(value)
    if isinstance(value, float):
        return repr(value)
    assert isinstance(value, bytes)
    if class_ == b"text":
        with suppress(UnicodeDecodeError):
            return f"'{value.decode()}'"
        return f"t{value.hex()}"
    return f"x{value.hex()}"


def _read(text: str) -> tuple[sql.Composable, int | float | bytes]:
    """The value that `_written` wrote, as a parameter with its placeholder; text is passed as
    bytes."""
    if text[0] == "'":
        return sql.SQL("cast(? as text)"), text[1:-1].encode()
    if text[0] in "tx":
        mark = "cast(? as text)" if text[0] == "t" else "?"
        return sql.SQL(mark), bytes.fromhex(text[1:])
    return sql.SQL("?"), int(text) if text.lstrip("-").isdigit() else float(text)


def condition(order: Order, range_: Range) -> tuple[sql.Composable, list[object]]:
    """A WHERE clause with its parameters; empty for all rows.

    Raises:
        WindlassError: it is no range of this table's.
    """
    if isinstance(range_, Whole):
        return sql.SQL(""), []
    if not isinstance(range_, KeyRange) or range_.key != order.named:
        raise WindlassError(f"main.{order.table}: {range_} is no range of its rows", side="source")
    key = listed([names(one) for one in order.named])
    parts: list[sql.Composable] = []
    given: list[object] = []
    for sign, bound in ((">=", range_.low), ("<", range_.high)):
        if bound is not None:
            marks, values = zip(*map(_read, bound), strict=True)
            parts.append(sql.SQL("({}) {} ({})").format(key, sql.SQL(sign), listed(marks)))
            given += values
    if not parts:
        return sql.SQL(""), []
    return sql.SQL(" where {}").format(sql.SQL(" and ").join(parts)), given
