"""Writes rows as lines for LOAD DATA LOCAL, or as statements that insert many of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from psycopg import sql

from windlass.engines.destination import Rows
from windlass.engines.mysql.destination.server import Facts
from windlass.engines.mysql.destination.session import TargetSession
from windlass.engines.mysql.forms import escaped
from windlass.engines.mysql.quoting import Quoted, Text, listed, part
from windlass.errors import WindlassError

_BESIDE = 1 << 10  # bytes of a statement besides its rows


def add_rows(
    session: TargetSession, facts: Facts, table: str, columns: Sequence[str], rows: Rows
) -> None:
    """Raises:
    WindlassError: the server cannot store a row unchanged.
    """
    if not rows:
        return
    if facts.loads:
        added = session.load(_loading(table, columns), b"".join(map(_line, rows)))
        if added != len(rows):
            message = f"{session.place}: {added:,} of {len(rows):,} rows were added to {table}"
            raise WindlassError(message, side="target")
        return
    for statement in _inserts(table, columns, rows, facts.packet_bytes):
        session.add(statement)


def _loading(table: str, columns: Sequence[str]) -> sql.Composable:
    """The character set `binary` converts nothing: texts are in UTF-8, as their columns are, and
    the server refuses bytes that are not."""
    return part(
        "load data local infile 'windlass' into table {} character set binary"
        " fields terminated by x'09' escaped by x'5c' lines terminated by x'0a' ({})",
        Quoted(table),
        listed(map(Quoted, columns)),
    )


_FIELDS: dict[type, Callable[[Any], bytes]] = {
    type(None): lambda _: b"\\N",
    bool: lambda value: b"1" if value else b"0",
    int: lambda value: b"%d" % value,
    float: lambda value: repr(value).encode(),
    str: lambda value: escaped(value.encode()),
    bytes: escaped,
}


def _line(row: Sequence[Any]) -> bytes:
    return b"\t".join([_FIELDS[type(one)](one) for one in row]) + b"\n"


def literal(value: Any) -> str:
    """A literal whose meaning does not depend on the server's settings."""
    match value:
        case None:
            return "null"
        case bool():
            return str(int(value))
        case int():
            return str(value)
        case float():
            return repr(value) if "e" in repr(value) else f"{value!r}e0"
        case bytes():
            return f"x'{value.hex()}'"
    return Text(str(value)).as_string(None)


def _inserts(table: str, columns: Sequence[str], rows: Rows, packet_bytes: int) -> Iterator[str]:
    head = part("insert into {} ({}) values ", Quoted(table), listed(map(Quoted, columns)))
    start = head.as_string(None)
    most = packet_bytes - len(start.encode()) - _BESIDE
    some: list[str] = []
    size = 0
    for row in rows:
        text = f"({', '.join(map(literal, row))})"
        if len(text) > most:
            raise _too_long(table, len(text), packet_bytes)
        if size + len(text) + 2 > most:
            yield start + ", ".join(some)
            some, size = [], 0
        some.append(text)
        size += len(text) + 2
    if some:
        yield start + ", ".join(some)


def _too_long(table: str, size: int, packet_bytes: int) -> WindlassError:
    return WindlassError(
        f"{table}: a row takes a statement of {size:,} bytes, and the server's"
        f" max_allowed_packet is {packet_bytes:,}",
        hint="raise max_allowed_packet, or allow LOAD DATA LOCAL by `set global local_infile = 1`",
        side="target",
    )
