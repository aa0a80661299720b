"""SQL that converts a value to a column's type, or says why it does not fit. Pure.

DuckDB's own casts round (1.5 becomes the integer 2, 1.005 the decimal 1.01), cut off digits of
seconds, read 1e999 as infinity and ' 1_000 ' as a number. So a text must first match a pattern, and
a value of another type must stay the same when it is cast back.
"""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from windlass.engines.statements import verbatim
from windlass.model.export import Kind
from windlass.model.load import TableColumn

_INTEGERS = (Kind.INT16, Kind.INT32, Kind.INT64)
_TIME = r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?"
_NUMBER = r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?"
_DIGITS = "more than 6 digits of a second"


@dataclass(frozen=True, slots=True)
class Converted:
    """A value as it will be stored, and why it cannot be: a text, or NULL."""

    value: sql.Composable
    fault: sql.Composable


@dataclass(frozen=True, slots=True)
class _Rule:
    """A rule by which a value is bad if `holds` is true; {v} stands for the text and {c} for the
    value."""

    holds: sql.Composed
    reason: str


def from_text(text: sql.Composable, column: TableColumn) -> Converted:
    """Of a text of the input."""
    value = _value(text, column)
    return Converted(value, _fault(text, _rules(text, value, column)))


def from_value(given: sql.Composable, type_: str, column: TableColumn) -> Converted:
    """Of a value that has DuckDB's `type_`."""
    if type_ == column.type and column.kind is not Kind.TEXT:
        return Converted(given, sql.SQL("null"))
    value = sql.SQL("try_cast({} as {})").format(given, verbatim(column.type))
    back = sql.SQL("try_cast({} as {})").format(value, verbatim(type_))
    rules = [
        _Rule(sql.SQL("{} is null").format(value), f"does not fit {column.type}"),
        _Rule(
            sql.SQL("{} is distinct from {}").format(back, given),
            f"does not fit {column.type} exactly",
        ),
    ]
    if column.kind is Kind.TEXT:
        rules.append(_has_nul(value))
    return Converted(value, _fault(given, rules))


def not_null(given: Converted, source: sql.Composable) -> Converted:
    """For a column that is NOT NULL."""
    fault = sql.SQL("case when {} is null then {} else {} end").format(
        source, sql.Literal("is NULL, and the column is NOT NULL"), given.fault
    )
    return Converted(given.value, fault)


def _fault(text: sql.Composable, rules: list[_Rule]) -> sql.Composable:
    whens = [sql.SQL("when {} then {}").format(one.holds, sql.Literal(one.reason)) for one in rules]
    return sql.SQL("case when {} is null then null {} end").format(text, sql.SQL(" ").join(whens))


def _value(text: sql.Composable, column: TableColumn) -> sql.Composable:
    match column.kind:
        case Kind.BOOLEAN:
            return sql.SQL("lower({}) in ('true', 't', '1')").format(text)
        case Kind.BYTES:
            return sql.SQL("case when {0} then unhex(substr({1}, 3)) end").format(
                _matches(text, r"\\x([0-9a-fA-F]{2})*"), text
            )
        case Kind.TEXT:
            return text
    return sql.SQL("try_cast({} as {})").format(text, verbatim(column.type))


def _matches(text: sql.Composable, pattern: str) -> sql.Composed:
    return sql.SQL("regexp_full_match({}, {})").format(text, sql.Literal(pattern))


def _unlike(text: sql.Composable, pattern: str, reason: str) -> _Rule:
    return _Rule(sql.SQL("not {}").format(_matches(text, pattern)), reason)


def _contains(text: sql.Composable, pattern: str, reason: str) -> _Rule:
    holds = sql.SQL("regexp_matches({}, {})").format(text, sql.Literal(pattern))
    return _Rule(holds, reason)


def _has_nul(text: sql.Composable) -> _Rule:
    return _Rule(sql.SQL("contains({}, chr(0))").format(text), "NUL in text")


def _no_value(value: sql.Composable, reason: str) -> _Rule:
    return _Rule(sql.SQL("{} is null").format(value), reason)


def _rules(text: sql.Composable, value: sql.Composable, column: TableColumn) -> list[_Rule]:
    kind = column.kind
    if kind in _INTEGERS:
        return [_unlike(text, r"[+-]?\d+", "not an integer"),
                _no_value(value, f"out of range for {column.type}")]  # fmt: skip
    if kind in (Kind.FLOAT32, Kind.FLOAT64):
        return _float_rules(text, value, column)
    match kind:
        case Kind.DECIMAL:
            return _decimal_rules(text, value, column)
        case Kind.BOOLEAN:
            return [_unlike(text, "(?i)(true|t|1|false|f|0)", "not true or false")]
        case Kind.TEXT:
            return [_has_nul(text)]
        case Kind.BYTES:
            return [_no_value(value, "not bytes in hexadecimal digits after \\x")]
        case Kind.JSON:
            return [_Rule(sql.SQL("not json_valid({})").format(text), "not JSON")]
        case Kind.UUID:
            pattern = "[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){4}[0-9a-fA-F]{8}"
            return [_unlike(text, pattern, "not a UUID"), _no_value(value, "not a UUID")]
        case Kind.DATE:
            return [_unlike(text, r"\d{4}-\d\d-\d\d", "not a date such as 2024-12-31"),
                    _no_value(value, "there is no such date")]  # fmt: skip
        case Kind.TIME | Kind.TIMESTAMP | Kind.INSTANT:
            return _moment_rules(text, value, column)
    same = sql.SQL("cast({} as VARCHAR) is distinct from {}").format(value, text)
    return [_no_value(value, f"not of type {column.type}"),
            _Rule(same, f"not as {column.type} is written")]  # fmt: skip


def _float_rules(text: sql.Composable, value: sql.Composable, column: TableColumn) -> list[_Rule]:
    named = "(?i)([+-]?inf(inity)?|nan)"
    too_large = sql.SQL("isinf({}) and not {}").format(value, _matches(text, named))
    too_small = sql.SQL("{} = 0 and regexp_matches(split_part(lower({}), 'e', 1), '[1-9]')").format(
        value, text
    )
    return [
        _unlike(text, f"{_NUMBER}|{named}", "not a number"),
        _no_value(value, f"out of range for {column.type}"),
        _Rule(too_large, f"out of range for {column.type}"),
        _Rule(too_small, f"out of range for {column.type}"),
    ]


def _decimal_rules(text: sql.Composable, value: sql.Composable, column: TableColumn) -> list[_Rule]:
    """Rules for a decimal. A number with an exponent must be the same with 18 more digits."""
    scale = column.scale
    digits = f"more than {scale} digits after the point"
    rules = [
        _unlike(text, _NUMBER, "not a number"),
        _contains(text, rf"^[^eE]*\.\d{{{scale}}}\d*[1-9]\d*$", digits),
        _no_value(value, f"too large for {column.type}"),
    ]
    wide = sql.SQL("decimal(38, {})").format(sql.Literal(scale + 18))
    if column.precision > 20:
        return [*rules, _contains(text, "[eE]", "a number with an exponent")]
    exact = sql.SQL(
        "contains(lower({t}), 'e') and (length({t}) > 18 or {v} is distinct from"
        " try_cast({t} as {wide}) or ({v} = 0 and regexp_matches(split_part(lower({t}), 'e', 1),"
        " '[1-9]')))"
    ).format(t=text, v=value, wide=wide)
    return [*rules, _Rule(exact, digits)]


def _moment_rules(text: sql.Composable, value: sql.Composable, column: TableColumn) -> list[_Rule]:
    day = r"\d{4}-\d\d-\d\d"
    pattern, reason = {
        Kind.TIME: (_TIME, "not a time such as 23:59:59"),
        Kind.TIMESTAMP: (f"{day}([T ]{_TIME})?", "not a timestamp such as 2024-12-31 23:59:59"),
        Kind.INSTANT: (
            rf"{day}([T ]{_TIME}(Z|[+-]\d\d(:?\d\d)?)?)?",
            "not a moment such as 2024-12-31 23:59:59+00",
        ),
    }[column.kind or Kind.TIME]
    rules = [
        _unlike(text, pattern, reason),
        _contains(text, r"\.\d{7}", _DIGITS),
        _no_value(value, "there is no such time"),
    ]
    if column.type in ("TIMESTAMP_S", "TIMESTAMP_MS"):
        lost = sql.SQL("cast({} as timestamp) is distinct from try_cast({} as timestamp)")
        rules.append(_Rule(lost.format(value, text), f"more digits than {column.type} keeps"))
    return rules
