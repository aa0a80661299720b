"""Computes digests of the target's rows for the proof, on the server, as for a source."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from windlass.engines.mysql.destination.session import TargetSession
from windlass.engines.mysql.quoting import Quoted, listed, part
from windlass.engines.mysql.reading import read_buckets, read_digest, read_rows
from windlass.model.chunk import Whole
from windlass.model.conversion import ColumnPlan, TableConversion, ViewConversion
from windlass.model.relation import Name
from windlass.model.translation import Digest, Field, Reading, Row, Sort, Type

Item = TableConversion | ViewConversion
_DECIMAL = re.compile(r"decimal\((\d+),(\d+)\)")
_MOMENTS = ("date", "datetime", "timestamp", "time")
_ENDLESS = ("longtext", "longblob")
_BESIDE = 600_000  # bytes of a row's text besides the values without a limit


def count_rows(session: TargetSession, table: str) -> int:
    return int(session.one(part("select count(*) from {}", Quoted(table)))[0] or 0)


def digest(session: TargetSession, item: Item) -> Digest:
    return read_digest(session, _reading(session, item), Whole())


def buckets(session: TargetSession, item: Item) -> Mapping[int, Digest]:
    return read_buckets(session, _reading(session, item))


def rows(session: TargetSession, item: Item, wanted: Sequence[int]) -> Iterator[Row]:
    yield from read_rows(session, _reading(session, item), wanted)


def _reading(session: TargetSession, item: Item) -> Reading:
    is_long = _has_long_rows(session, item)
    fields = tuple(_field(one, is_long=is_long) for one in item.columns)
    key = item.key if isinstance(item, TableConversion) else ()
    return Reading(Name(session.address.database, item.target.name), fields, key)


def _has_long_rows(session: TargetSession, item: Item) -> bool:
    """Whether the server cannot build the text of some row, so that it is built here."""
    endless = [one for one in item.columns if one.type in _ENDLESS]
    if not endless:
        return False
    sizes = [part("coalesce(length({}), 0) * 2", Quoted(one.target)) for one in endless]
    query = part(
        "select coalesce(max({}), 0), @@max_allowed_packet from {}",
        listed(sizes, " + "), Quoted(item.target.name),
    )  # fmt: skip
    longest, most = session.one(query)
    return int(longest or 0) + _BESIDE > int(most or 0)


def _field(column: ColumnPlan, *, is_long: bool) -> Field:
    """Texts are hashed as PostgreSQL writes them."""
    type_, sort = column.type, column.carried.sort
    found = _DECIMAL.match(type_)
    if found:
        digits = Type(sort, precision=int(found[1]), scale=int(found[2]))
        return Field(column.target, digits, form="decimal")
    long = " long" if is_long and type_ in _ENDLESS else ""
    match sort:
        case Sort.INTEGER:
            form = "number"
        case Sort.FLOAT:
            form = "double"
        case Sort.BYTES:
            form = "hex"
        case _ if type_.startswith(_MOMENTS):
            form = "plain"
        case _:
            form = "utf8"
    return Field(column.target, Type(sort, bits=64), form=form + long)
