"""What a computed value would lose in its column. PostgreSQL assigns 1.5 to an integer column as 2,
and a timestamp to a date column without its time of day. Such values keep their own type until they
have been compared with what the column would keep.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
from psycopg import sql

from windlass.engines.postgres.landing.checks import Check
from windlass.engines.postgres.landing.columns import Column
from windlass.engines.postgres.landing.staged_columns import (
    Staging,
    is_temporal,
    kept_in,
    text_checks,
)
from windlass.engines.postgres.session import Connection
from windlass.model.load import Load

_INTEGERS, _FLOATS = ("int2", "int4", "int8"), ("float4", "float8")
_TEXTS = ("text", "varchar", "bpchar")
# pairs of which the second keeps every value of the first, or fails. A float keeps what is nearest
# to a numeric, as it does for a text.
_KEPT = {
    *((one, other) for one in _INTEGERS for other in (*_INTEGERS, "numeric")), ("int8", "oid"),
    ("int2", "float4"), ("int2", "float8"), ("int4", "float8"), ("float4", "float8"),
    ("numeric", "float4"), ("numeric", "float8"), ("date", "timestamp"),
}  # fmt: skip
# pairs that always lose something
_LOST = {
    ("timestamptz", "timestamp"): "a time zone",
    ("timetz", "time"): "a time zone",
    ("timestamp", "time"): "a date",
    ("timestamptz", "time"): "a date",
    ("timestamptz", "timetz"): "a date",
}


@dataclass(frozen=True, slots=True)
class Own:
    """The type that an expression has: `plain` is its bare name."""

    oid: int
    plain: str
    type: str


@dataclass(frozen=True, slots=True)
class Unassigned:
    """A column whose values are kept as `type` until they have passed the checks."""

    column: Column
    type: str
    checks: tuple[Check, ...]


def read_unassigned(
    connection: Connection, load: Load, staging: Staging, query: sql.Composed
) -> tuple[Unassigned, ...]:
    """The columns whose values have to be compared. `query` makes the rows."""
    pairs = list(zip(load.assigned, staging.given, strict=True))
    texts = [
        _of_text(column)
        for one, column in pairs
        if one.field and not one.sql and one.mask is None and is_temporal(column)
        if staging.by_field[one.field].valid_for == "text"
    ]
    if not any(one.sql for one in load.assigned):
        return tuple(texts)
    cursor = connection.execute(sql.SQL("{} limit 0").format(query))
    oids = [one.type_code for one in cursor.description or ()]
    computed = [(oid, column) for (one, column), oid in zip(pairs, oids, strict=False) if one.sql]
    types = _read_types(connection, [oid for oid, _ in computed])
    found = [_unassigned(connection, types[oid], column) for oid, column in computed]
    return (*texts, *(one for one in found if one))


def certain_loss(connection: Connection, query: sql.Composed, column: Column) -> str:
    """What the column loses of every value that an expression computes, known from its type alone;
    empty if nothing. `query` computes it."""
    cursor = connection.execute(sql.SQL("{} limit 0").format(query))
    assert cursor.description is not None
    oid = cursor.description[0].type_code
    own = _read_types(connection, [oid])[oid]
    return _lost_by_type(own, column)


def _lost_by_type(own: Own, column: Column) -> str:
    lost = _LOST.get((own.plain.removeprefix("_"), column.plain.removeprefix("_")))
    return f"{lost}, which {column.type} does not keep" if lost else ""


def _read_types(connection: Connection, oids: list[int]) -> dict[int, Own]:
    rows = connection.execute(
        "select oid::bigint, typname::text, pg_catalog.format_type(oid, -1)"
        " from pg_catalog.pg_type where oid = any (%s::oid[])",
        (oids,),
    ).fetchall()
    return {int(str(oid)): Own(int(str(oid)), str(plain), str(type_)) for oid, plain, type_ in rows}


def _unassigned(connection: Connection, own: Own, column: Column) -> Unassigned | None:
    if own.plain == "text":  # a constant, which the server reads as a value of the column
        return _of_text(column) if is_temporal(column) else None
    found = [one for one in _checks(own, column) if _is_possible(connection, one, own)]
    return Unassigned(column, own.type, tuple(found)) if found else None


def _of_text(column: Column) -> Unassigned:
    checks = kept_in(column, is_text=True)[2] if column.is_domain else text_checks(column)
    return Unassigned(column, "text", tuple(checks))


def _checks(own: Own, column: Column) -> Iterator[Check]:
    wide, _, checks = kept_in(column, is_text=False)
    of, to = own.plain.removeprefix("_"), column.plain.removeprefix("_")
    is_list = own.plain.startswith("_")
    if of == "json" and own.type == wide:  # named together with the values of other columns
        yield from checks
        return
    is_same = own.oid == column.oid and not (column.is_domain and column.modifier >= 0)
    if is_same or wide == "text" or to in _TEXTS or (of, to) in _KEPT:
        return
    if lost := _lost_by_type(own, column):
        condition = "pg_catalog.cardinality({0}) > 0" if is_list else "{0} is not null"
        yield Check(condition, lost)
        return
    if to == "oid" and of in _INTEGERS and not is_list:
        yield Check("{0} < 0", "a negative number, which oid does not keep")
        return
    back = (sql.SQL(wide), sql.SQL(own.type))
    yield Check("{0} is distinct from {0}::{1}::{2}", _reason(of, to, column), back)


def _reason(of: str, to: str, column: Column) -> str:
    if to == "date":
        return "a time of day, which a date does not keep"
    if to in _INTEGERS:
        return f"a fraction, which {column.type} does not keep"
    if to in (*_FLOATS, "numeric") and of in (*_FLOATS, *_INTEGERS):
        return f"more digits than {column.type} keeps"
    return f"a value that {column.type} would change"


def _is_possible(connection: Connection, check: Check, own: Own) -> bool:
    """Whether its types can be cast back and compared."""
    query = sql.SQL("select {}").format(check.of(sql.SQL("(null::{})").format(sql.SQL(own.type))))
    try:
        with connection.transaction():
            connection.execute(query)
    except psycopg.ProgrammingError:
        return False
    return True
