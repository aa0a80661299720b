"""How fields of an input are staged, and what is checked before their values count as values of the
table's columns. Pure.

COPY silently changes some texts: in a numeric(10,2), 1.005 becomes 1.01; a date drops the time of
day, a timestamp the time zone, and both what is less than a microsecond; a long text loses trailing
blanks; 01.02.2024 is in January or in February by a setting; 24:00 is in the next day, and a second
60 in the next minute; jsonb has one value for each key. Such columns are staged in a type that
keeps the value, and checked there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from psycopg import sql

from windlass.engines.postgres.landing import documents
from windlass.engines.postgres.landing.checks import Check
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
# what a text of a date or a time has: a time of day other than midnight, a time zone, more digits
# of a second than PostgreSQL keeps, or numbers of which a setting says which one is the day
_TIME = r"(\d:\d|\d[tT]\d\d|\d[-/.]\d+\s+\d{4,6}\M|\d{8}\s+\d{4,6}\M|\d\s*[aApP][mM])"
_MIDNIGHT = r"[\sT]0{1,2}:00(:00(\.0+)?)?\s*$"
_WORDS = (
    "jan(uary)?|feb(ruary)?|mar(ch)?|apr(il)?|may|june?|july?|aug(ust)?|sept?(ember)?|oct(ober)?"
    "|nov(ember)?|dec(ember)?|mon(day)?|tue(s|sday)?|wed(s|nesday)?|thu(r|rs|rsday)?|fri(day)?"
    "|sat(urday)?|sun(day)?|[ap]m|bc|ad|t|j|at|on|infinity|epoch|now|today|tomorrow|yesterday"
    "|allballs|null|empty"
)
_ZONE = (
    r"(?i)((:\d+(\.\d+)?|t\d{4,6}(\.\d+)?)\s*[+-]\d"
    rf"|(^|[^a-z])(?!({_WORDS})([^a-z]|$))[a-z])"
)
_TOO_FINE = r"\.\d{6}\d*[1-9]"
_UNCERTAIN = r'(^|[\s,a-zA-Z{\[("])\d{1,2}[-/.,\s]+\d{1,2}[-/.,\s]+\d'
# with or without colons; 12:34.5 has no hours
_HOUR_24 = (
    r"((^|[^\d:.])0*24:0|(^|[\d\s])[tT]24\d\d"
    r"|(\d[-/.]\d+|\d{8})\s+24(00|0000)(\.0*)?(\s|[a-zA-Z+-]|$))"
)
# 100060 is a year if more of a date follows
_SECOND_60 = (
    r"(:\d+:0*60(\D|$)"
    r"|(^|[^\d.:+jJ/-])\d{4}60([^\d./-]|$|\.\d*([^\d.]|$)|-\d+([^\d-]|$)))"
)
_NO_HOURS = r"(^|[^\d:])\d+:\d+\.\d"
_MONTH = (
    "(jan(uary)?|feb(ruary)?|mar(ch)?|apr(il)?|may|june?|july?|aug(ust)?|sept?(ember)?"
    "|oct(ober)?|nov(ember)?|dec(ember)?)"
)
_HAS_DAY = (
    r"(?i)(\d-\d+-\d|\d/\d|\d\.\d+\.\d|(^|[^.\d])\d{8}|j\d"
    rf"|(^|[^a-z]){_MONTH}([^a-z]|$))"
)
# after a day, a month and a year, a number is a time of day, unless it begins another date; only
# texts with so many numbers are matched with the rest, which takes five times as long
_MANY_NUMBERS = r"(\d\D+\d+|\d{6})\D*[\s,]\d{4}"
_AFTER_DATE = (
    r"(\d[-/.]\d+|(^|[^\d.:])\d{6,}"
    rf"|(^|[^a-z]){_MONTH}[\s,/.-]*\d+[\s,/.-]+\d+|(^|[^\d.:])\d+[\s/.-]*{_MONTH}[\s,/.-]*\d+)"
    r"([\s,]+[a-z]+)*[\s,]+"
)
_NO_DATE = rf"(?!\d|:|-\d+-\d|/\d+/\d|\.\d+\.\d|[\s/.-]*{_MONTH})"
_BARE_TIME = rf"(?i){_AFTER_DATE}\d{{4}}(\d\d)?{_NO_DATE}"
_BARE_ZONE = rf"{_BARE_TIME}(\.\d+)?\s*[+-]\d"
_BARE_24 = rf"(?i){_AFTER_DATE}24(00|0000){_NO_DATE}"
# types of one value, of lists and of ranges, by the values
_TEMPORAL = {
    **dict.fromkeys(("date", "_date", "daterange", "datemultirange"), "date"),
    **dict.fromkeys(("timestamp", "_timestamp", "tsrange", "tsmultirange"), "timestamp"),
    **dict.fromkeys(("timestamptz", "_timestamptz", "tstzrange", "tstzmultirange"), "timestamptz"),
    **dict.fromkeys(("time", "_time"), "time"),
    **dict.fromkeys(("timetz", "_timetz"), "timetz"),
    **dict.fromkeys(("interval", "_interval"), "interval"),
}
_CLOCKS = ("timestamp", "timestamptz", "time", "timetz")
_FRACTIONS = (*_CLOCKS, "interval")
# types of documents and of lists of them: what keeps every key that a document has twice
_DOCUMENTS = {
    "jsonb": ("json", documents.DOUBLED),
    "_jsonb": ("json[]", documents.DOUBLED_IN_LIST),
}
_LISTS = ("_numeric", "_varchar", *(f"_{one}" for one in _FRACTIONS))
# texts that COPY keeps in a timestamptz, which need not be looked at
_DAY, _HOURS = r"\d{4}-\d\d-\d\d", r"([01]\d|2[0-3]):[0-5]\d"
_CLOCK = _HOURS + r"(:[0-5]\d(\.\d{{1,{}}}0*)?)?"
_OFFSET = r"(\s*[zZ]|\s*[+-]\d\d(:?\d\d)?)?"


@dataclass(frozen=True, slots=True)
class StagedColumn:
    """A field in the staging table. It is staged as `type`. If `cast` is set, its values must be
    valid for that type, which is checked after COPY. If `certain` is set, COPY keeps the texts that
    it matches; others must be staged as they are, to be seen by `text_checks`."""

    field: str
    name: str  # in the staging table
    type: str
    collation: str = ""
    cast: str = ""
    checks: tuple[Check, ...] = ()
    certain: str = ""
    text_checks: tuple[Check, ...] = ()

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
        """The type that its values must be valid for."""
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
    of_texts = of.column is None or (of.column.kind in (None, Kind.TEXT) and not of.column.is_list)
    wide, cast, found = kept_in(column, is_text=of_texts)
    is_seen = of_texts and not cast and not column.is_domain and column.plain in _TEMPORAL
    return StagedColumn(
        of.name,
        name,
        wide,
        column.collation,
        cast,
        (*checks, *found),
        certain_texts(column) if is_seen else "",
        tuple(text_checks(column)) if is_seen else (),
    )


def kept_in(column: Column, *, is_text: bool) -> tuple[str, str, tuple[Check, ...]]:
    """A type that keeps every text which the column's type accepts, the type for which the text
    must be valid later, and what is checked then. The texts of a timestamptz are looked at as they
    are sent (`certain_texts`), which costs less."""
    if column.plain in _DOCUMENTS:
        wide, doubled = _DOCUMENTS[column.plain]
        return wide, column.type, (doubled,)
    if column.is_domain:
        return _kept_in_domain(column, is_text=is_text)
    if column.longest:
        return "text", "", (_too_long(column),)
    if column.digits:
        return "numeric", "", tuple(_lost_digits(column, *column.digits))
    wide = _without_modifier(column)
    changed = tuple(_changed(column, wide))
    if not is_text or column.plain == "timestamptz":
        return wide, "", changed
    seen = [*(_cast_first(one, wide) for one in changed), *text_checks(column)]
    return ("text", wide, tuple(seen)) if seen else (wide, "", ())


def _kept_in_domain(column: Column, *, is_text: bool) -> tuple[str, str, tuple[Check, ...]]:
    lost = _lost_digits(column, *column.digits) if column.digits else ()
    checks = [_cast_first(one, "pg_catalog.numeric") for one in lost]
    if column.longest:
        checks.append(_too_long(column))
    if is_text and column.plain in _TEMPORAL:
        wide = _without_modifier(replace(column, type=column.base))
        checks += [_cast_first(one, wide) for one in _changed(column, wide)]
        checks += text_checks(column)
    return ("text", column.type, tuple(checks)) if checks else (column.type, "", ())


def _changed(column: Column, wide: str) -> Iterator[Check]:
    """Of values of the type without its modifier."""
    to = column.base
    if wide == to:
        return
    if column.plain in _FRACTIONS:
        reason = f"more digits of seconds than {column.type} keeps"
    elif column.plain in _LISTS:
        reason = f"a value that {column.type} would change"
    else:
        return
    yield Check("{0} <> {0}::{1}", reason, (sql.SQL(to),))


def is_temporal(column: Column) -> bool:
    """Whether it has dates or times, or lists or ranges of these."""
    return column.plain in _TEMPORAL


def text_checks(column: Column) -> Iterator[Check]:
    """Of a text that would be a date or a time, or several."""
    of = _TEMPORAL.get(column.plain, "")
    matches = "{0} operator(pg_catalog.~) {1}"
    found = (
        f"({matches} or {{0}} operator(pg_catalog.~) {{2}} and {{0}} operator(pg_catalog.~) {{3}})"
    )
    if of == "date":
        has_time = f"({found} and not {{0}} operator(pg_catalog.~) {{4}})"
        patterns: tuple[str, ...] = (_TIME, _MANY_NUMBERS, _BARE_TIME, _MIDNIGHT)
        reason = "a time of day, which a date does not keep"
        yield Check(has_time, reason, tuple(map(sql.Literal, patterns)))
    if of in ("timestamp", "time"):
        kept = f"a time zone, which {of} without time zone does not keep"
        patterns = (_ZONE, _MANY_NUMBERS, _BARE_ZONE)
        yield Check(found, kept, tuple(map(sql.Literal, patterns)))
    if of and of != "date":
        yield Check(matches, "more than 6 digits of a second", (sql.Literal(_TOO_FINE),))
    if of in ("timestamp", "timestamptz"):
        patterns = (_HOUR_24, "2400", _BARE_24)
        yield Check(found, "24:00, which becomes the next day", tuple(map(sql.Literal, patterns)))
    if of in ("time", "timetz"):
        yield Check(matches, f"a day, which {of} does not keep", (sql.Literal(_HAS_DAY),))
    if of in _CLOCKS:
        yield Check(
            matches, "a second 60, which becomes the next minute", (sql.Literal(_SECOND_60),)
        )
        reason = "a time without hours; it has to be written like 00:12:34.5"
        yield Check(matches, reason, (sql.Literal(_NO_HOURS),))
    if of in ("date", "timestamp", "timestamptz"):
        reason = "day and month could be exchanged; it has to be written like 2024-12-31"
        yield Check(matches, reason, (sql.Literal(_UNCERTAIN),))


def certain_texts(column: Column) -> str:
    """A regular expression for texts that COPY keeps in a date or a time, as programs write them;
    empty for other types."""
    if column.is_domain:
        return ""
    clock = _CLOCK.format(column.modifier if 0 < column.modifier < 6 else 6)
    if column.modifier == 0:
        clock = _HOURS + r"(:[0-5]\d)?"
    of = {
        "date": _DAY,
        "time": clock,
        "timestamp": f"{_DAY}([T ]{clock})?",
        "timestamptz": f"{_DAY}([T ]{clock}{_OFFSET})?",
    }
    return of.get(column.plain, "")


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
    if column.plain in _LISTS:
        return re.sub(r"\(\d+(,-?\d+)?\)", "", column.type)
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
