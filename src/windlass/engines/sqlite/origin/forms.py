"""How values are written in an SQLite file: conditions for values that have a form, and expressions
that make the text of their sort. Pure, except for the functions that sessions provide.

A form is chosen by all values of a column (`windlass.engines.sqlite.origin.choosing`), so its
expression need not handle other values.
"""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from windlass.engines.sqlite.origin.functions import FLOAT_FORMAT, float_text
from windlass.engines.statements import names, verbatim
from windlass.model.translation import Field, Sort, Type

EXACT = str(1 << 53)  # integers up to this have a double each
_IN_YEARS = "{0} between -62135596800 and 253402300799"  # seconds since 1970: the years 1 to 9999
_IN_DAYS = "{0} >= 1721425.5 and {0} < 5373484.5"  # Julian days: the same years
_INTEGER = "typeof({0}) = 'integer'"
_REAL = "typeof({0}) = 'real'"
_NUMBER = "typeof({0}) in ('integer', 'real')"
_TEXT = "typeof({0}) = 'text'"
# abs() of the smallest integer is an error, even if another condition excludes integers
_FINITE = " and {0} > -9e999 and {0} < 9e999"
# only ASCII, and without NUL, at which SQLite's text functions stop
_ASCII = _TEXT + " and length({0}) = length(cast({0} as blob))"
# date('2026-02-31') is '2026-02-31' until something is added to it; compared with expressions, as a
# numeric column would turn '0001' into 1
_IN_ERA = "substr({0}, 1, 4) >= '0001'"
_DAY = _ASCII + " and length({0}) = 10 and date({0}, '+0 days') = {0} and " + _IN_ERA
_MOMENT = _ASCII + (
    " and datetime(substr({0}, 1, 19), '+0 days') = substr({0}, 1, 10) || ' ' || substr({0}, 12, 8)"
    " and substr({0}, 11, 1) in (' ', 'T') and " + _IN_ERA
)
_HOUR = _ASCII + " and time(substr({0}, 1, 8), '+0 days') = substr({0}, 1, 8)"
_MINUTE = _ASCII + (
    " and length({0}) = 16 and datetime({0}, '+0 days') = substr({0}, 1, 10) || ' '"
    " || substr({0}, 12, 5) || ':00' and substr({0}, 11, 1) in (' ', 'T') and " + _IN_ERA
)


def _fraction(rest: str) -> str:
    """A condition: nothing follows, or a point and one to six digits."""
    return (
        f" and ({rest} = '' or (length({rest}) between 2 and 7 and substr({rest}, 1, 1) = '.'"
        f" and substr({rest}, 2) not glob '*[^0-9]*'))"
    )


def _six(rest: str) -> str:
    return f"'.' || substr(substr({rest}, 2) || '000000', 1, 6)"


_AFTER_HOUR, _AFTER_MOMENT = "substr({0}, 9)", "substr({0}, 20)"


def _tested(function: str, limits: str) -> str:
    """A condition for a number or the text of one. A text is passed as bytes, because it may not be
    UTF-8."""
    return (
        "case typeof({0}) when 'blob' then 0 when 'text'"
        f" then windlass_fits_{function}(cast({{0}} as blob), {limits})"
        f" else windlass_fits_{function}({{0}}, {limits}) end"
    )


@dataclass(frozen=True, slots=True)
class Form:
    """`fits` is a condition, `value` the text of a value that fits. `{0}` stands for the column;
    other words in braces are filled in from the type."""

    fits: str
    value: str = "{0}"
    hashed: str = ""  # the same as `value` if empty
    printed: str = ""  # a part of a format that gives the same for a column without NULL
    is_text: bool = False  # the file's own text: characters are escaped, and bytes may not be UTF-8


_HEX = "lower(hex({0}))"
_BOOLEANS = {
    "": Form(_INTEGER + " and {0} in (0, 1)", "case {0} when 1 then 't' else 'f' end"),
    "letters": Form(_TEXT + " and {0} in ('t', 'f')"),
    "words": Form(_TEXT + " and lower({0}) in ('true', 'false')", "substr(lower({0}), 1, 1)"),
}
_INTEGERS = {
    "": Form(_INTEGER + "{range}", printed="%d"),
    "any": Form(_tested("integer", "{bits}"), "windlass_integer({0})"),
}
_DECIMALS = {
    "": Form(
        _NUMBER + _FINITE,
        "case typeof({0}) when 'integer' then {0} else windlass_decimal({0}, {scale}) end",
    ),
    # n / 100.0 is correctly rounded, and so is reading the digits of n with two of them after the
    # point. So if it is the same double, it was written with these digits.
    "scaled": Form(
        _NUMBER + " and {0} > -{whole} and {0} < {whole}"
        " and cast(round({0} * {power}) as integer) / {power} = {0}",
        "printf('%.{scale}f', {0} + 0.0)",
        printed="%.{scale}f",
    ),
    "any": Form(_tested("decimal", "{precision}, {scale}"), "windlass_decimal({0}, {scale})"),
}
_FLOATS = {
    "": Form(
        f"{_REAL} or ({_INTEGER} and {{0}} between -{EXACT} and {EXACT})",
        "{float}",
        "windlass_bits({0})",
        FLOAT_FORMAT,
    ),
    "any": Form(_tested("float", "{bits}"), "windlass_float({0})", "windlass_bits({0})"),
}
_TEXTS = {
    "": Form(_TEXT + "{limit}", is_text=True),
    "any": Form(
        "{0} is not null{limit}",
        "case typeof({0}) when 'real' then windlass_float({0})"
        f" when 'blob' then '\\x' || {_HEX} else cast({{0}} as text) end",
        is_text=True,
    ),
}
_BLOBS = {
    "": Form("typeof({0}) = 'blob'", f"'\\x' || {_HEX}", _HEX),
    "texts": Form("typeof({0}) in ('blob', 'text')", f"'\\x' || {_HEX}", _HEX),
}
_DATES = {
    "": Form(_DAY),
    "midnight": Form(
        _MOMENT
        + " and substr({0}, 12, 8) = '00:00:00' and rtrim(substr({0}, 20), '0') in ('', '.')",
        "substr({0}, 1, 10)",
    ),
    "unix": Form(f"{_INTEGER} and {_IN_YEARS} and {{0}} % 86400 = 0", "date({0}, 'unixepoch')"),
    "julian": Form(f"{_REAL} and {_IN_DAYS} and {{0}} - 0.5 = cast({{0}} as integer)", "date({0})"),
}
_TIMES = {
    "": Form(_HOUR + _fraction(_AFTER_HOUR), "substr({0}, 1, 8) || " + _six(_AFTER_HOUR)),
    "minutes": Form(
        _ASCII + " and length({0}) = 5 and time({0}, '+0 days') = {0} || ':00'",
        "{0} || ':00.000000'",
    ),
}
_TIMESTAMPS = {
    "": Form(
        _MOMENT + _fraction(_AFTER_MOMENT),
        "substr({0}, 1, 10) || ' ' || substr({0}, 12, 8) || " + _six(_AFTER_MOMENT),
    ),
    "minutes": Form(_MINUTE, "substr({0}, 1, 10) || ' ' || substr({0}, 12, 5) || ':00.000000'"),
    "days": Form(_DAY, "{0} || ' 00:00:00.000000'"),
    "unix": Form(f"{_INTEGER} and {_IN_YEARS}", "datetime({0}, 'unixepoch') || '.000000'"),
    "julian": Form(f"{_REAL} and {_IN_DAYS}", "strftime('%Y-%m-%d %H:%M:%f', {0}) || '000'"),
    "unix-real": Form(f"{_REAL} and not ({_IN_DAYS}) and {_IN_YEARS}", "windlass_unix({0})"),
}
_INSTANTS = {
    "": Form(_TEXT + " and windlass_fits_instant(cast({0} as blob))", "windlass_instant({0})"),
    **{  # read as UTC, as SQLite's own functions do
        f"utc-{name}": Form(form.fits, f"{form.value} || '+00'")
        for name, form in _TIMESTAMPS.items()
    },
}
_LOCALS = {
    "local": Form(
        _TEXT + " and windlass_fits_local(cast({0} as blob), {zone})", "windlass_local({0}, {zone})"
    ),
}
_INTERVALS = {  # in microseconds
    "": Form(
        # the smallest integer has no positive counterpart
        _INTEGER + " and {0} >= -9223372036854775807",
        "printf('%s%d:%02d:%02d.%06d', case when {0} < 0 then '-' else '' end,"
        " abs({0}) / 3600000000, abs({0}) / 60000000 % 60, abs({0}) / 1000000 % 60,"
        " abs({0}) % 1000000)",
        "cast({0} as text)",
    ),
}
_ADDRESSES = {
    "": Form(_TEXT + " and windlass_fits_address(cast({0} as blob))", "windlass_address({0})"),
}
_UUIDS = {
    "": Form(
        _ASCII + " and length({0}) = 36 and {0} like '________-____-____-____-____________'"
        " and length(replace({0}, '-', '')) = 32"
        " and replace({0}, '-', '') not glob '*[^0-9a-fA-F]*'",
        "lower({0})",
    ),
    "digits": Form(
        _ASCII + " and length({0}) = 32 and {0} not glob '*[^0-9a-fA-F]*'",
        "windlass_uuid(lower({0}))",
    ),
    "bytes": Form("typeof({0}) = 'blob' and length({0}) = 16", f"windlass_uuid({_HEX})"),
}
_DOCUMENTS = {
    # SQLite stores a text that is a number as a number in a numeric column
    "": Form(
        "case typeof({0}) when 'text' then windlass_fits_json(cast({0} as blob))"
        " when 'blob' then 0 else {0} > -9e999 and {0} < 9e999 end",
        "case typeof({0}) when 'real' then windlass_float({0}) else {0} end",
        "windlass_jsonb(case typeof({0}) when 'real' then windlass_float({0})"
        " else cast({0} as text) end)",
        is_text=True,
    ),
}
_OF_SORTS = {
    Sort.BOOLEAN: _BOOLEANS, Sort.INTEGER: _INTEGERS, Sort.DECIMAL: _DECIMALS, Sort.FLOAT: _FLOATS,
    Sort.TEXT: _TEXTS, Sort.BYTES: _BLOBS, Sort.DATE: _DATES, Sort.TIME: _TIMES,
    Sort.TIMESTAMP: _TIMESTAMPS, Sort.INSTANT: {**_INSTANTS, **_LOCALS}, Sort.UUID: _UUIDS,
    Sort.JSON: _DOCUMENTS, Sort.INTERVAL: _INTERVALS, Sort.ADDRESS: _ADDRESSES,
}  # fmt: skip
FORMS = {(sort, name): form for sort, forms in _OF_SORTS.items() for name, form in forms.items()}
# In these, values that SQLite takes for different ones have different texts. In the others a key
# can lose its uniqueness: of a timestamp the blank or T, of a UUID the case of its digits.
_DISTINCT = {
    (Sort.BOOLEAN, ""), (Sort.BOOLEAN, "letters"), (Sort.INTEGER, ""), (Sort.DECIMAL, "scaled"),
    (Sort.FLOAT, ""), (Sort.TEXT, ""), (Sort.BYTES, ""), (Sort.DATE, ""), (Sort.DATE, "unix"),
    (Sort.DATE, "julian"), (Sort.TIME, "minutes"), (Sort.TIMESTAMP, "days"),
    (Sort.TIMESTAMP, "unix"), (Sort.INSTANT, "utc-days"), (Sort.INSTANT, "utc-unix"),
    (Sort.INTERVAL, ""), (Sort.UUID, "bytes"),
}  # fmt: skip


def form_of(field: Field) -> Form:
    return FORMS[field.type.sort, field.form]


def merges(field: Field) -> bool:
    """Whether different values can become the same one."""
    return (field.type.sort, field.form) not in _DISTINCT


def _filled(template: str, column: str, type_: Type) -> sql.Composable:
    limit = ""
    if type_.length:
        limit = f" and length({{0}}) <= {type_.length}"
    bits = type_.bits or 64
    least, most = -(1 << bits - 1), (1 << bits - 1) - 1
    words = {
        "{float}": float_text(),
        "{range}": "" if bits == 64 else f" and {{0}} between {least} and {most}",
        "{bits}": str(bits),
        "{limit}": limit,
        "{whole}": f"1e{type_.precision - type_.scale}",
        "{power}": f"1e{type_.scale}",
        "{precision}": str(type_.precision),
        "{scale}": str(type_.scale),
        "{zone}": "'{}'".format(type_.zone.replace("'", "''")),
    }
    for word, text in words.items():
        template = template.replace(word, text)
    return verbatim(template).format(names(column))


def fits(column: str, type_: Type, form: str) -> sql.Composable:
    """A condition: the value has this form. Not true for NULL."""
    return _filled(FORMS[type_.sort, form].fits, column, type_)


def value(field: Field) -> sql.Composable:
    """The text that is copied, without escapes. NULL for NULL only if it is tested before."""
    return _filled(form_of(field).value, field.name, field.type)


def hashed(field: Field) -> sql.Composable:
    """The text that is hashed, without a length."""
    form = form_of(field)
    return _filled(form.hashed or form.value, field.name, field.type)


def has_length(field: Field) -> bool:
    """Whether its hashed text has its length before it."""
    return field.type.sort is Sort.TEXT
