"""How fields of an input are staged, and what is checked before their values count as values of the
table's columns. Pure.

COPY silently changes some texts: in a numeric(10,2), 1.005 becomes 1.01; a date drops the time of
day, a timestamp the time zone; a long text loses trailing blanks. Such columns are staged in a type
that keeps the value, and checked there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from psycopg import sql

from windlass.engines.postgres.landing.columns import Column
from windlass.model.export import Kind
from windlass.model.load import Field, Load

_OF_KINDS = {
    Kind.BOOLEAN: "boolean", Kind.INT16: "smallint", Kind.INT32: "integer", Kind.INT64: "bigint",
    Kind.FLOAT32: "real", Kind.FLOAT64: "double precision", Kind.DECIMAL: "numeric",
    Kind.TEXT: "text", Kind.JSON: "text", Kind.UUID: "uuid", Kind.BYTES: "bytea",
    Kind.DATE: "date", Kind.TIME: "time without time zone",
    Kind.TIMESTAMP: "timestamp without time zone", Kind.INSTANT: "timestamp with time zone",
}  # fmt: skip
# of a text: whether it has a time zone, or a time of day other than midnight
_ZONE = r"(:\d+(\.\d+)?\s*([+-]\d|[zZ])|[a-zA-Z]{2,}/[a-zA-Z])"
_TIME = r"\d:\d"
_MIDNIGHT = r"[\sT]0{1,2}:00(:00(\.0+)?)?\s*$"
_TEMPORAL = {"timestamp": _ZONE, "time": _ZONE}
_FRACTIONS = ("timestamp", "timestamptz", "time", "timetz", "interval")


@dataclass(frozen=True, slots=True)
class Check:
    """A value is bad if `condition` holds; {0} stands for the value."""

    condition: str
    reason: str
    values: Sequence[sql.Composable] = ()

    def of(self, value: sql.Composable) -> sql.Composed:
        return sql.SQL(self.condition).format(value, *self.values)


@dataclass(frozen=True, slots=True)
class StagedColumn:
    """A field in the staging table. It is staged as `type`. If `cast` is set, its texts must be
    values of that type, which is checked after COPY."""

    field: str
    name: str  # in the staging table
    type: str
    collation: str = ""
    cast: str = ""
    checks: tuple[Check, ...] = ()

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.name)

    @property
    def value(self) -> sql.Composable:
        """Cast to the type that it is meant to have."""
        if not self.cast:
            return self.identifier
        return sql.SQL("{}::{}").format(self.identifier, sql.SQL(self.cast))

    @property
    def defined(self) -> sql.Composed:
        collated = sql.SQL(" collate {}" if self.collation else "").format(sql.SQL(self.collation))
        return sql.SQL("{} {}{}").format(self.identifier, sql.SQL(self.type), collated)

    @property
    def valid_for(self) -> str:
        """The type that its texts must be values of."""
        return self.cast or self.type


def plan_staged(
    load: Load, given: Sequence[Column], known: Mapping[str, Column]
) -> tuple[StagedColumn, ...]:
    """One column for each field. `given` are the columns that get values, `known` all columns of
    the table."""
    by_name = {one.name: one for one in given}
    return tuple(
        _staged(load, field, at, by_name, known) for at, field in enumerate(load.fields, start=1)
    )


def _staged(
    load: Load, of: Field, at: int, given: Mapping[str, Column], known: Mapping[str, Column]
) -> StagedColumn:
    name = f"f{at}"
    direct = [one for one in load.assigned if one.field == of.name and not one.sql]
    columns = [given[one.column] for one in direct if one.mask is None]
    types = {one.type for one in columns}
    if len(types) > 1:
        return StagedColumn(of.name, name, "text", checks=_absent(columns))
    if columns:
        return _as_column(of, name, columns[0], _absent(columns))
    if of.column is None and (same := known.get(of.name)):
        return _as_column(of, name, same, ())
    kind = of.column.kind if of.column and not of.column.is_list else None
    return StagedColumn(of.name, name, _OF_KINDS.get(kind, "text") if kind else "text")


def _absent(columns: Sequence[Column]) -> tuple[Check, ...]:
    needed = any(one.not_null for one in columns)
    return (Check("{0} is null", "is NULL, and the column is NOT NULL"),) if needed else ()


def _as_column(of: Field, name: str, column: Column, checks: tuple[Check, ...]) -> StagedColumn:
    """Staged for one column of the table."""
    wide, cast, found = kept_in(column, is_text=of.column is None)
    return StagedColumn(of.name, name, wide, column.collation, cast, (*checks, *found))


def kept_in(column: Column, *, is_text: bool) -> tuple[str, str, tuple[Check, ...]]:
    """A type that keeps every text which the column's type accepts, the type for which the text
    must be valid later, and what is checked then."""
    if column.is_domain:
        lost = _lost_digits(column, *column.digits) if column.digits else ()
        checks = [_cast_first(one, "pg_catalog.numeric") for one in lost]
        if column.longest:
            checks.append(_too_long(column))
        return ("text", column.type, tuple(checks)) if checks else (column.type, "", ())
    if column.longest:
        return "text", "", (_too_long(column),)
    if column.digits:
        return "numeric", "", tuple(_lost_digits(column, *column.digits))
    plain = column.plain
    checks = []
    if plain in _FRACTIONS and column.type != _without_modifier(column):
        rounded = sql.SQL(column.type)
        checks.append(
            Check("{0} <> {0}::{1}", f"more digits of seconds than {column.type} keeps", (rounded,))
        )
    wide = _without_modifier(column)
    if not is_text:
        return wide, "", tuple(checks)
    if plain == "date":
        has_time = "({0} operator(pg_catalog.~) {1} and not {0} operator(pg_catalog.~) {2})"
        patterns = (sql.Literal(_TIME), sql.Literal(_MIDNIGHT))
        checks.append(Check(has_time, "a time of day, which a date does not keep", patterns))
        return "text", wide, tuple(checks)
    if plain in _TEMPORAL:
        checks = [_cast_first(one, wide) for one in checks]
        zone = "{0} operator(pg_catalog.~) {1}"
        reason = f"a time zone, which {wide} does not keep"
        checks.append(Check(zone, reason, (sql.Literal(_TEMPORAL[plain]),)))
        return "text", wide, tuple(checks)
    return wide, "", tuple(checks)


def _cast_first(check: Check, type_: str) -> Check:
    return Check(check.condition.replace("{0}", "{0}::" + type_), check.reason, check.values)


def _without_modifier(column: Column) -> str:
    words = {
        "timestamp": "timestamp without time zone",
        "timestamptz": "timestamp with time zone",
        "time": "time without time zone",
        "timetz": "time with time zone",
        "interval": "interval",
    }
    return words.get(column.plain, column.type)


def _too_long(column: Column) -> Check:
    """A check of the length. Trailing blanks do not count in a character(n)."""
    value = "{0}" if column.plain == "varchar" else "pg_catalog.rtrim({0}, ' ')"
    condition = f"pg_catalog.char_length({value}) > {column.longest}"
    return Check(condition, f"too long for {column.type}")


def _lost_digits(column: Column, precision: int, scale: int) -> list[Check]:
    return [
        Check(
            "{0} <> pg_catalog.round({0}, {1})",
            f"more digits after the point than {column.type} keeps",
            (sql.Literal(scale),),
        ),
        Check(
            "pg_catalog.abs({0}) >= {1}::pg_catalog.numeric and {0} <> 'NaN'",
            f"out of range for {column.type}",
            (sql.Literal(f"1e{precision - scale}"),),
        ),
    ]


def ordered_mark(load: Load, staging: Staging) -> sql.Composable:
    """The watermark in a staging table. It has the type that the source declares; a text has the
    type of its column, and is compared as bytes if that is text as well."""
    staged = staging.by_field[load.watermark]
    own = next(
        (one.column for one in load.fields if one.name == load.watermark and one.column), None
    )
    column = next(
        column
        for one, column in zip(load.assigned, staging.given, strict=True)
        if one.field == load.watermark and not one.sql and not one.mask
    )
    if not column.collation:
        return sql.SQL("{}::{}").format(staged.value, column.cast)
    if own is not None and own.kind in _OF_KINDS and not own.is_list and own.kind is not Kind.TEXT:
        return sql.SQL("{}::text::{}").format(staged.value, sql.SQL(_OF_KINDS[own.kind]))
    return sql.SQL('{}::text collate "C"').format(staged.value)


@dataclass(frozen=True, slots=True)
class Staging:
    """How one input of a load is staged."""

    columns: tuple[StagedColumn, ...]
    given: tuple[Column, ...]  # of the table, in the order of what is assigned
    known: tuple[Column, ...] = field(default=())

    @property
    def by_field(self) -> dict[str, StagedColumn]:
        return {one.field: one for one in self.columns}
