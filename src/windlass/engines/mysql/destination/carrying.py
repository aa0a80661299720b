"""Chooses the type of MySQL or MariaDB that holds the values of a PostgreSQL type exactly, and how
they are written. Pure."""

from __future__ import annotations

import re
from dataclasses import replace

from windlass.engines.mysql.destination.server import Facts
from windlass.model.conversion import Carried, Doubt, PgColumn
from windlass.model.report import LossClass
from windlass.model.translation import Sort
from windlass.model.wording import word

KEY_BYTES = 3072  # of an InnoDB index with DYNAMIC rows
_CHARACTER = 4  # bytes of a character, at most
_LONGEST = 1_000  # characters of a VARCHAR: a row's columns have 65,535 bytes together
_DIGITS, _DECIMALS = 65, 30
_ENUM = 255  # characters of a label
_PADDED = "utf8mb4_bin"
_DEPTH = 31  # levels of arrays and objects that MariaDB's json_valid accepts
_ASCII = "character set ascii collate ascii_bin"

_INTEGERS = {"int2": "smallint", "int4": "int", "int8": "bigint", "oid": "int unsigned"}
_YEARS = "{0} >= '0001-01-01' and {0} < '10000-01-01'"
_STAMPS = "{0} >= '1970-01-01 00:00:01+00' and {0} < '2038-01-19 03:14:08+00'"
_MOMENT = "to_char({0}, 'YYYY-MM-DD HH24:MI:SS.US')"
# as the type prints it: a cast of a user-defined type could call a function of its owner
_PRINTED = "case when {0} is distinct from null then format('%s', {0}) end"
_DEEP = (
    f"jsonb_path_exists({{0}}, 'strict $.**{{{{{_DEPTH} to last}}}} ?"
    ' (@.type() == "array" || @.type() == "object")\')'
)
_EQUAL = {"interval": "1 day and 24:00:00", "jsonb": "1.0 and 1.00"}
# the most characters that a value has as text
_WIDTHS = {"timetz": 32, "interval": 128, "inet": 50, "cidr": 50, "macaddr": 32, "macaddr8": 32,
           "name": 64, "char": 4, "pg_lsn": 32, "xid": 16, "cid": 16, "tid": 32}  # fmt: skip
_NUMBERS = (*_INTEGERS, "numeric", "float4", "float8", "money", "bool")
CHOICES = (
    "bigint", "double", "decimal(p,s)", "varchar(n)", "longtext", "text", "json", "timestamp",
)  # fmt: skip
_CHOICE = re.compile(r"([a-z]+)(?:\((\d+)(?:,\s*(\d+))?\))?")


def carry(column: PgColumn, answer: str, facts: Facts) -> Carried | str:
    """How a column arrives, or why the decision made for it is not possible."""
    if answer:
        found = _answered(column, answer.strip().lower(), facts)
    elif column.type.is_array:
        found = _array(column, facts)
    elif column.type.kind == "e":
        found = _enum(column, facts)
    else:
        found = _scalar(column, facts)
    return found


def _is_users(column: PgColumn) -> bool:
    return "." in column.type.base or column.type.kind in ("c", "r", "m")


def _printed(column: PgColumn) -> str:
    return _PRINTED if _is_users(column) else "{0}::text"


def _scalar(column: PgColumn, facts: Facts) -> Carried:
    match column.type.base:
        case "bool":
            return Carried("tinyint(1)", Sort.INTEGER, "{0}::int4", check="{0} in (0, 1)")
        case base if base in _INTEGERS:
            return Carried(_INTEGERS[base], Sort.INTEGER, "{0}::int8")
        case "float4":
            return _float("float", "{0}::float8")
        case "float8":
            return _float("double", "{0}")
        case "numeric":
            return _numeric(column)
        case "money":
            return Carried("decimal(23,4)", Sort.TEXT, "{0}::numeric(23,4)::text")
        case "bytea":
            return _bytes(column)
        case "date":
            return _within("date", "{0}::text", _YEARS, "1 to 9999")
        case "time":
            return Carried("time(6)", Sort.TEXT, "to_char({0}, 'HH24:MI:SS.US')")
        case "timestamp":
            return _within("datetime(6)", _MOMENT, _YEARS, "1 to 9999")
        case "timestamptz":
            found = _within("datetime(6)", _MOMENT, _YEARS, "1 to 9999")
            return replace(found, notices=("moments are in UTC, as DATETIME has no time zone",))
        case "uuid":
            return Carried(f"char(36) {_ASCII}", Sort.TEXT, "{0}::text")
        case "json":
            loss = "is not checked to be JSON, as the server takes other texts for it:"
            loss += f" {word('types')} can say json"
            return replace(_text(column, facts), losses=(loss,))
        case "jsonb":
            return _jsonb(column, facts)
    return _text(column, facts)


def _float(type_: str, number: str) -> Carried:
    """The target has no NaN, no infinity and no negative zero."""
    finite = f"nullif(nullif(nullif({number}, 'NaN'), 'Infinity'), '-Infinity')"
    text = f"case when {number} = 0 then 0::float8 else {finite} end"
    nothing = Doubt(
        f"{number} in ('NaN', 'Infinity', '-Infinity')",
        "NaN or infinite, which becomes NULL",
        makes_null=True,
    )
    minus = Doubt(
        "{0} = 0 and {0}::text like '-%'", "negative zero, which becomes 0: no sign of it is kept"
    )
    return Carried(type_, Sort.FLOAT, text, doubts=(nothing, minus))


def _numeric(column: PgColumn) -> Carried:
    precision, scale = column.type.precision, column.type.scale
    if not precision:
        found = _decimal(_DIGITS, _DECIMALS, column)
        return replace(found, notices=("has 30 digits after the point in each value",))
    if scale < 0:
        precision, scale = precision - scale, 0
    precision = max(precision, scale)
    if precision > _DIGITS or scale > _DECIMALS:
        return _decimal(_DIGITS, min(scale, _DECIMALS), column)
    nan = Doubt("{0} = 'NaN'", "NaN, which becomes NULL", makes_null=True)
    text = f"nullif({{0}}, 'NaN')::numeric({precision},{scale})::text"
    return Carried(f"decimal({precision},{scale})", Sort.TEXT, text, doubts=(nan,))


def _decimal(precision: int, scale: int, column: PgColumn) -> Carried:
    """A decimal for numbers, some of which may not fit."""
    base = column.type.base
    number = {"bool": "{0}::int4", "money": "{0}::numeric"}.get(base, "{0}")
    if base in ("float4", "float8"):
        number = "case when {0}::text not in ('NaN', 'Infinity', '-Infinity')"
        number = f"({number} then {{0}}::text::numeric end)"
    else:
        number = f"{number}::numeric"
    whole = precision - scale
    finite = f"{number}::text not in ('NaN', 'Infinity', '-Infinity')"
    fits = f"case when {finite} then abs(round({number}, {scale})) < 1e{whole} end"
    beyond = Doubt(
        f"{{0}} is distinct from null and ({fits}) is not true",
        f"no number of {whole} digits before the point, which becomes NULL",
        makes_null=True,
    )
    rounded = Doubt(
        f"({fits}) and round({number}, {scale}) <> {number}",
        f"more than {scale} digits after the point: rounded",
    )
    text = f"case when ({fits}) then round({number}, {scale})::numeric({precision},{scale})::text"
    return Carried(
        f"decimal({precision},{scale})", Sort.TEXT, f"{text} end", doubts=(beyond, rounded)
    )


def _within(type_: str, text: str, range_: str, years: str) -> Carried:
    doubt = Doubt(
        f"not ({range_})", f"infinite, or not of the years {years}: becomes NULL", makes_null=True
    )
    return Carried(type_, Sort.TEXT, f"case when {range_} then {text} end", doubts=(doubt,))


def _share(column: PgColumn) -> int:
    """The bytes that a column may use of its widest key."""
    return KEY_BYTES // column.in_keys


def _bytes(column: PgColumn) -> Carried:
    if not column.in_keys:
        return Carried("longblob", Sort.BYTES, "{0}")
    most = _share(column)
    doubt = Doubt(
        f"length({{0}}) > {most}",
        f"more than {most} bytes, which a key cannot have: becomes NULL",
        makes_null=True,
    )
    text = f"case when length({{0}}) <= {most} then {{0}} end"
    limit = f"takes {most} bytes, as more are in no key"
    return Carried(f"varbinary({most})", Sort.BYTES, text, doubts=(doubt,), notices=(limit,))


def _jsonb(column: PgColumn, facts: Facts) -> Carried:
    found = _text(column, facts)
    if not facts.is_mariadb or found.type.startswith("varchar"):
        return replace(found, check="" if column.in_keys else "json_valid({0})")
    doubt = Doubt(
        _DEEP, f"more than {_DEPTH} levels, which is no JSON to MariaDB: becomes NULL",
        makes_null=True,
    )  # fmt: skip
    text = f"case when not {_DEEP} then {{0}}::text end"
    return replace(found, text=text, check="json_valid({0})", doubts=(doubt,))


def _array(column: PgColumn, facts: Facts) -> Carried:
    values = f"({_PRINTED})::text[]" if _is_users(column) else "{0}"
    shifted = "array_lower({0}, 1) <> 1 or array_lower({0}, 2) <> 1 or array_lower({0}, 3) <> 1"
    first = Doubt(shifted, "an array whose first index is not 1, which is left out")
    found = _texts(column, facts, f"array_to_json({values})::text")
    has_documents = column.type.base in ("json", "jsonb")
    check = "" if has_documents or column.in_keys else "json_valid({0})"
    return replace(found, check=check, doubts=(*found.doubts, first))


def _enum(column: PgColumn, facts: Facts) -> Carried:
    """Labels sort in their order on both sides. MySQL strips trailing blanks from them, and uses
    the empty label for an invalid value."""
    labels = column.type.labels
    fits = labels and all(one and one == one.rstrip(" ") and len(one) <= _ENUM for one in labels)
    enum = column.type.text
    listed = ", ".join(_quoted(one) for one in labels)
    if fits:
        return Carried(f"enum({listed})", Sort.TEXT, _PRINTED, enum=enum,
                       collation=facts.collation)  # fmt: skip
    # braces in a label are not the placeholder of the column
    within = f"{{0}} in ({listed.replace('{', '{{').replace('}', '}}')})"
    found = _limited(column, facts, max(map(len, labels), default=1), _PRINTED)
    return replace(found, check=within if labels else "", enum=enum)


def _quoted(text: str) -> str:
    return "'{}'".format(text.replace("'", "''"))


def _text(column: PgColumn, facts: Facts) -> Carried:
    """A text as it is, or a value as PostgreSQL prints it."""
    base, length = column.type.base, column.type.length
    if base == "bpchar":
        return _blank_padded(column, length)
    if base == "varchar" and length:
        return _limited(column, facts, length, "{0}::text")
    if base in ("bit", "varbit") and 0 < length <= _LONGEST:
        return Carried(f"varchar({length}) {_ASCII}", Sort.TEXT, "{0}::text")
    if base in _WIDTHS:
        # a cast to text adds a prefix length to an address that has none
        text = _PRINTED if base == "inet" else "{0}::text"
        found = _limited(column, facts, _WIDTHS[base], text)
        return replace(found, distinct=_EQUAL.get(base, ""))
    found = _texts(column, facts, "{0}" if base == "text" else _printed(column))
    if base.endswith(".citext"):
        return replace(found, losses=("does not ignore case",))
    if not column.is_deterministic:
        loss = f"collation {column.collation} is lost: texts are equal only byte by byte"
        return replace(found, losses=(loss,))
    return replace(found, distinct=_EQUAL.get(base, ""))


def _blank_padded(column: PgColumn, length: int) -> Carried:
    """Trailing blanks do not count on either side."""
    notice = "is read without the blanks at its end"
    kind = f"char({length})" if 0 < length <= 255 else f"varchar({length})"
    if not 0 < length <= _LONGEST:
        kind = "longtext"
    return Carried(kind, Sort.TEXT, "{0}::text", collation=_PADDED, notices=(notice,))


def _limited(column: PgColumn, facts: Facts, length: int, text: str) -> Carried:
    """A text of at most so many characters."""
    if column.in_keys and length > _share(column) // _CHARACTER:
        return _texts(column, facts, text)
    if length > _LONGEST:
        found = _texts(column, facts, text)
        return replace(found, check=f"char_length({{0}}) <= {length}")
    return replace(_plain(f"varchar({length})", text, facts), doubts=_padded(column, facts))


def _plain(type_: str, text: str, facts: Facts) -> Carried:
    return Carried(type_, Sort.TEXT, text, collation=facts.collation)


def _texts(column: PgColumn, facts: Facts, text: str) -> Carried:
    """A text without a limit; in a key it gets one."""
    if not column.in_keys:
        return _plain("longtext", text, facts)
    most = _share(column) // _CHARACTER
    given = "{0}" if text == "{0}" else f"({text})"
    doubt = Doubt(
        f"char_length({given}) > {most}",
        f"more than {most} characters, which a key cannot have: becomes NULL",
        makes_null=True,
    )
    limited = f"case when char_length({given}) <= {most} then {given} end"
    notice = f"takes {most} characters, as more are in no key"
    return replace(
        _plain(f"varchar({most})", limited, facts),
        doubts=(doubt, *_padded(column, facts)),
        notices=(notice,),
    )


def _padded(column: PgColumn, facts: Facts) -> tuple[Doubt, ...]:
    if not facts.pads or not column.in_keys or _is_users(column):
        return ()
    message = "blanks at the end, which do not count in keys of this version of MySQL"
    return (Doubt("{0}::text like '% '", message, LossClass.CONSTRAINTS),)


def _answered(column: PgColumn, answer: str, facts: Facts) -> Carried | str:
    found = _CHOICE.fullmatch(answer)
    name, first, second = (found[1], found[2], found[3]) if found else ("", None, None)
    is_scalar = not column.type.is_array
    is_number = column.type.base in _NUMBERS and is_scalar
    if column.type.base == "bytea" and is_scalar and name in ("text", "longtext", "varchar"):
        return "bytes are no text"
    text = _printed(column)
    match name:
        case "text" | "longtext" if not first:
            return _plain("longtext", text, facts)
        case "varchar" if first and not second and 0 < int(first) <= 16_383:
            return _given_length(int(first), text, facts)
        case "json" if is_scalar and column.type.base in ("json", "jsonb") and not first:
            return replace(_plain("longtext", text, facts), check="json_valid({0})")
        case "timestamp" if is_scalar and column.type.base == "timestamptz" and not first:
            if not facts.is_explicit:
                return "a server without explicit_defaults_for_timestamp would set it by itself"
            return _within("timestamp(6)", _MOMENT, _STAMPS, "1970 to 2038")
        case "decimal" if is_number and first and 0 < int(first) <= _DIGITS:
            scale = int(second or 0)
            if scale <= min(int(first), _DECIMALS):
                return _decimal(int(first), scale, column)
        case "double" if is_number and not first:
            return _as_double(column)
        case "bigint" if is_number and not first:
            return _as_bigint(column)
    return (
        f"{answer!r} is none of the types of {facts.engine} that can be chosen here:"
        f" {', '.join(CHOICES)}"
    )


def _given_length(length: int, text: str, facts: Facts) -> Carried:
    doubt = Doubt(
        f"char_length({text}) > {length}",
        f"more than {length} characters: becomes NULL",
        makes_null=True,
    )
    limited = f"case when char_length({text}) <= {length} then {text} end"
    return replace(_plain(f"varchar({length})", limited, facts), doubts=(doubt,))


def _as_double(column: PgColumn) -> Carried:
    base = column.type.base
    number = {"bool": "{0}::int4::float8", "money": "{0}::numeric::float8"}.get(base)
    found = _float("double", number or "{0}::float8")
    if base in ("float4", "float8", "bool"):
        return found
    exact = "{0}::numeric"
    finite = f"{exact}::text not in ('NaN', 'Infinity', '-Infinity')"
    lossy = f"case when {finite} then {exact}::float8::text::numeric <> {exact} end"
    return replace(
        found, doubts=(*found.doubts[:1], Doubt(lossy, "more digits than a DOUBLE keeps: rounded"))
    )


def _as_bigint(column: PgColumn) -> Carried:
    if column.type.base in (*_INTEGERS, "bool"):
        return Carried("bigint", Sort.INTEGER, "{0}::int4::int8" if column.type.base == "bool"
                       else "{0}::int8")  # fmt: skip
    number = "{0}::text::numeric" if column.type.base != "money" else "{0}::numeric"
    finite = "{0}::text not in ('NaN', 'Infinity', '-Infinity')"
    fits = (
        f"case when {finite} then {number} = trunc({number})"
        f" and {number} between -9223372036854775808 and 9223372036854775807 end"
    )
    doubt = Doubt(
        f"{{0}} is distinct from null and ({fits}) is not true",
        "no integer of 64 bits: becomes NULL",
        makes_null=True,
    )
    text = f"case when ({fits}) then {number}::int8 end"
    return Carried("bigint", Sort.INTEGER, text, doubts=(doubt,))
