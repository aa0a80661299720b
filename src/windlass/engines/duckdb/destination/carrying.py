"""Chooses the type of DuckDB that holds the values of a PostgreSQL type exactly, and the text in
which they travel. That text is also hashed: DuckDB casts it to the type, and prints it again
(`windlass.engines.duckdb.destination.forms`). Pure."""

from __future__ import annotations

import re

from windlass.model.conversion import Carried, Doubt, PgColumn, PgType
from windlass.model.report import LossClass
from windlass.model.translation import Sort
from windlass.model.wording import word

CHOICES = (
    "boolean, smallint, integer, bigint, hugeint, decimal(p,s), double, varchar, json (of an array)"
)
MOST_DIGITS = 38  # of a DECIMAL
_NAN = Doubt("{0} = 'NaN'", "NaN, which no DECIMAL has: becomes NULL", makes_null=True)
# as the type prints it. A cast of a user-defined type could call a function of its owner, with the
# rights of whoever migrates
_PRINTED = "case when {0} is distinct from null then format('%s', {0}) end"
_INTEGERS = {"int2": "SMALLINT", "int4": "INTEGER", "int8": "BIGINT", "oid": "UINTEGER"}
_NUMBERS = (*_INTEGERS, "numeric", "float4", "float8", "money", "bool")
_DIGITS = {"SMALLINT": 4, "INTEGER": 9, "BIGINT": 18, "HUGEINT": 38}  # digits that always fit
# DuckDB writes the era after the day
_ERA = "regexp_replace({0}::text, '^(\\S+)(.*) BC$', '\\1 (BC)\\2')"
_LAST = "294247-01-10 04:00:54.775807"  # the next microsecond would be infinity
_FAR = f"isfinite({{0}}) and {{0}} >= '{_LAST}'"
_FAR_DOUBT = "later than DuckDB's last moment, in the year 294247: becomes NULL"
# a document with an unpaired surrogate as an escape: one that remains without escaped backslashes
# and without surrogate pairs
_HALVES = (
    "regexp_replace(regexp_replace({0}::text, '\\\\\\\\', '', 'g'),"
    " '\\\\ud[89ab][0-9a-f]{{2}}\\\\ud[c-f][0-9a-f]{{2}}', '', 'gi')"
    " ~* '\\\\ud[89a-f][0-9a-f]{{2}}'"
)
_LONG_AGO = "({0} < interval '-170000000 years' or {0} > interval '170000000 years')"
_INTERVAL = (
    "(extract(year from {0}) * 12 + extract(month from {0}))::int8 || ' months '"
    " || extract(day from {0})::int8 || ' days ' || (extract(hour from {0}) * 3600000000"
    " + extract(minute from {0}) * 60000000 + extract(microseconds from {0}))::int8"
    " || ' microseconds'"
)
_DEEP = Doubt("array_ndims({0}) > 1", "an array of arrays, which a list is not: becomes NULL;"
              f" {word('types')} can say json", makes_null=True)  # fmt: skip
_FIRST = "an array whose first index is not 1, which is left out"
_SHIFTED = Doubt("array_lower({0}, 1) <> 1", _FIRST)
_LIST = (
    "case when array_ndims({0}) > 1 then null when {0} is not null then array_to_json(array("
    "select [text] from unnest({0}) with ordinality as windlass_e (v, n) order by n))::text end"
)


def carry(column: PgColumn, answer: str = "") -> Carried | str:
    """How a column arrives, or why the decision made for it is not possible."""
    if answer:
        return _answered(column, " ".join(answer.strip().lower().split()))
    if column.type.is_array:
        return _array(column)
    return _scalar(column)


def _scalar(column: PgColumn) -> Carried:
    type_ = column.type
    if type_.kind == "e" and type_.labels:
        return Carried(enum_of(type_.labels), Sort.TEXT, _PRINTED, enum=type_.text)
    if found := _INTEGERS.get(type_.base):
        return Carried(found, Sort.INTEGER, "{0}::int8")
    match type_.base:
        case "bool":
            return Carried("BOOLEAN", Sort.INTEGER, "{0}::int4")
        case "float4" | "float8":
            name = "FLOAT" if type_.base == "float4" else "DOUBLE"
            return Carried(name, Sort.FLOAT, "{0}::float8")
        case "numeric":
            return _decimal(type_)
        case "money":
            return _money()
        case "bytea":
            return Carried("BLOB", Sort.BYTES, "{0}")
        case "date":
            return Carried("DATE", Sort.TEXT, _ERA)
        case "time":
            return Carried("TIME", Sort.TEXT, "{0}::text")
        case "timetz":
            return Carried("TIME WITH TIME ZONE", Sort.TEXT, "{0}::text")
        case "timestamp":
            text = f"case when not ({_FAR}) then {_ERA} end"
            return Carried("TIMESTAMP", Sort.TEXT, text, doubts=(_far("timestamp"),))
        case "timestamptz":
            return _instant()
        case "interval":
            return _interval()
        case "uuid":
            return Carried("UUID", Sort.TEXT, "{0}::text")
        case "json" | "jsonb":
            return _document(type_.base)
        case "bit" | "varbit":
            return _bits(type_.base)
    return _text(column)


def enum_of(labels: tuple[str, ...]) -> str:
    quoted = ", ".join("'{}'".format(one.replace("'", "''")) for one in labels)
    return f"ENUM({quoted})"


def _decimal(type_: PgType) -> Carried:
    """With as many digits as the type can have: a negative scale rounds before the point, and one
    above the precision leaves zeros after it."""
    precision, scale = type_.precision, type_.scale
    if scale < 0:
        notice = f"rounding to {10**-scale:,} is not enforced"
        return _as_decimal(precision - scale, 0, notices=(notice,))
    digits = max(precision, scale)
    if 0 < digits <= MOST_DIGITS:
        return _as_decimal(digits, scale)
    as_texts = "numbers in VARCHAR are exact, but compare as texts"
    notices = [f"{as_texts}: {word('types')} can say decimal(p,s)"]
    if precision:
        notices.append("precision and scale of numbers in VARCHAR are not enforced")
    distinct = "" if precision else "1.0 and 1.00"
    return Carried(
        "VARCHAR",
        Sort.TEXT,
        "{0}::text",
        is_opaque=True,
        distinct=distinct,
        notices=tuple(notices),
    )


def _as_decimal(precision: int, scale: int, notices: tuple[str, ...] = ()) -> Carried:
    if precision > MOST_DIGITS:
        return Carried("VARCHAR", Sort.TEXT, "{0}::text", is_opaque=True, notices=notices)
    text = "nullif({0}, 'NaN')::text"
    type_ = f"DECIMAL({precision},{scale})"
    return Carried(type_, Sort.TEXT, text, doubts=(_NAN,), notices=notices)


def _money() -> Carried:
    """Money. How many digits follow the point depends on the server's locale."""
    rounded = Doubt("{0}::numeric <> round({0}::numeric, 2)", "a third digit: rounded to two")
    text = "round({0}::numeric, 2)::numeric(21,2)::text"
    return Carried("DECIMAL(21,2)", Sort.TEXT, text, doubts=(rounded,))


def _far(base: str) -> Doubt:
    zone = "+00" if base == "timestamptz" else ""
    return Doubt(_FAR.replace(_LAST, _LAST + zone), _FAR_DOUBT, makes_null=True)


def _instant() -> Carried:
    """A point in time, in UTC."""
    here = "{0} at time zone 'UTC'"
    era = _ERA.replace("{0}", f"({here})")
    far = _FAR.replace(_LAST, f"{_LAST}+00")
    text = (
        f"case when not isfinite({{0}}) then {{0}}::text when not ({far}) then {era} || '+00' end"
    )
    return Carried("TIMESTAMP WITH TIME ZONE", Sort.TEXT, text, doubts=(_far("timestamptz"),))


def _interval() -> Carried:
    far = Doubt(_LONG_AGO, "more than 170 million years: becomes NULL", makes_null=True)
    text = f"case when not {_LONG_AGO} then {_INTERVAL} end"
    return Carried("INTERVAL", Sort.TEXT, text, doubts=(far,), is_opaque=True)


def _document(base: str) -> Carried:
    if base == "jsonb":
        distinct = "1.0 and 1.00"
        return Carried("JSON", Sort.TEXT, "{0}::text", is_opaque=True, distinct=distinct)
    halves = Doubt(_HALVES, "half of a character as an escape, which DuckDB's JSON refuses: becomes"
                   f" NULL; {word('types')} can say varchar", makes_null=True)  # fmt: skip
    text = f"case when not ({_HALVES}) then {{0}}::text end"
    return Carried("JSON", Sort.TEXT, text, is_opaque=True, doubts=(halves,))


def _bits(base: str) -> Carried:
    if base == "bit":
        return Carried("BIT", Sort.TEXT, "{0}::text", is_opaque=True)
    empty = Doubt("length({0}) = 0", "no bits at all, which DuckDB does not have: becomes NULL",
                  makes_null=True)  # fmt: skip
    return Carried("BIT", Sort.TEXT, "nullif({0}::text, '')", is_opaque=True, doubts=(empty,))


def _text(column: PgColumn) -> Carried:
    """A text as it is, or a value as PostgreSQL prints it."""
    type_ = column.type
    if type_.base == "bpchar":
        text = "textin(bpcharout({0}))"  # with the trailing blanks that applications read
        without = "rtrim({0}, ' ')"  # without them, as they do not count
        distinct = "" if type_.length else "'a' and 'a '"
        return Carried(
            "VARCHAR", Sort.TEXT, text, check=_at_most(type_.length), number=without,
            distinct=distinct,
        )  # fmt: skip
    if type_.base.endswith(".citext"):
        loss = "does not ignore case any more"
        return Carried("VARCHAR", Sort.TEXT, _PRINTED, is_opaque=True, losses=(loss,),
                       distinct="a and A")  # fmt: skip
    if is_users(type_):
        return Carried("VARCHAR", Sort.TEXT, _PRINTED, is_opaque=True)
    if type_.base not in ("text", "varchar", "name"):
        return Carried("VARCHAR", Sort.TEXT, "{0}::text", is_opaque=True)
    if not column.is_deterministic:
        loss = f"collation {column.collation} is lost: texts are equal only byte by byte"
        return Carried("VARCHAR", Sort.TEXT, "{0}::text", is_opaque=True, losses=(loss,))
    limit = type_.length if type_.base == "varchar" else 0
    text = "{0}" if type_.base == "text" else "{0}::text"
    return Carried("VARCHAR", Sort.TEXT, text, check=_at_most(limit))


def is_users(type_: PgType) -> bool:
    return "." in type_.base or type_.kind in ("c", "r", "m", "e")


def _at_most(length: int) -> str:
    return f"length({{0}}) <= {length}" if length > 0 else ""


# arrays


def _array(column: PgColumn) -> Carried:
    """A list of what its elements become; or JSON, where that is a text of another type."""
    element = _element(column)
    if element is None:
        return _as_json(column)
    text = _LIST.replace("[text]", _as_text(element).replace("{0}", "windlass_e.v"))
    doubts = [_DEEP, _SHIFTED]
    if any(one.makes_null for one in element.doubts):
        when = " or ".join(f"({one.when.replace('{0}', 'windlass_e.v')})" for one in element.doubts)
        inside = f"exists (select from unnest({{0}}) as windlass_e (v) where {when})"
        said = "; ".join(one.message for one in element.doubts)
        doubts.append(Doubt(inside, f"with an element that is {said}"))
    return Carried(f"{element.type}[]", Sort.TEXT, text, is_opaque=True, doubts=tuple(doubts))


def _as_text(element: Carried) -> str:
    if element.sort is Sort.FLOAT:  # its bits, as doubles differ in their decimal texts
        return "encode(float8send({0}::float8), 'hex')"
    if element.type == "BOOLEAN":
        return "case {0} when true then 'true' when false then 'false' end"
    return f"({element.text})::text"


def _element(column: PgColumn) -> Carried | None:
    """How an element arrives; None where its type is not known to be built into PostgreSQL."""
    base = column.type.base
    if not base.startswith("_"):
        return None
    inner = PgType(base[1:], base[1:], "b", modifier=column.type.modifier)
    if inner.base not in LISTED:
        return None
    return _scalar(PgColumn(column.name, inner, is_deterministic=column.is_deterministic))


LISTED = frozenset((
    "bool", "int2", "int4", "int8", "float4", "float8", "numeric", "text", "varchar", "date",
    "time", "timestamp", "timestamptz", "uuid",
))  # fmt: skip


def _as_json(column: PgColumn) -> Carried:
    values = f"({_PRINTED})::text[]" if is_users(column.type) else "{0}"
    shifted = "array_lower({0}, 1) <> 1 or array_lower({0}, 2) <> 1 or array_lower({0}, 3) <> 1"
    return Carried(
        "JSON",
        Sort.TEXT,
        f"array_to_json({values})::text",
        is_opaque=True,
        doubts=(Doubt(shifted, _FIRST),),
    )


# what people have decided

_DECIMAL = re.compile(r"(?:decimal|numeric) ?\( ?(\d+) ?(?:, ?(\d+) ?)?\)")
_WORDS = {
    "text": "varchar", "string": "varchar", "double precision": "double", "float8": "double",
    "int": "integer", "int4": "integer", "int2": "smallint", "int8": "bigint", "bool": "boolean",
}  # fmt: skip


def _answered(column: PgColumn, answer: str) -> Carried | str:
    word, type_ = _WORDS.get(answer, answer), column.type
    if word == "varchar":
        if type_.base == "bytea" and not type_.is_array:
            return "bytes are no text"
        text = _PRINTED if is_users(type_) else "{0}::text"
        return Carried("VARCHAR", Sort.TEXT, text, is_opaque=True)
    if word == "json" and type_.is_array:
        return _as_json(column)
    if word == "json" and type_.base in ("json", "jsonb"):
        return _document(type_.base)
    is_number = type_.base in _NUMBERS and not type_.is_array
    match = _DECIMAL.fullmatch(word)
    if match is None and word.upper() not in (*_DIGITS, "DOUBLE", "BOOLEAN"):
        return f"{answer!r} is none of the types of DuckDB that can be chosen: {CHOICES}"
    if word == "boolean" and type_.base == "bool" and not type_.is_array:
        return _scalar(column)
    if not is_number or word == "boolean":
        return f"{type_.text} cannot become {word}"
    number = {"bool": "{0}::int4", "money": "{0}::numeric"}.get(type_.base, "{0}")
    if match is not None:
        return _chosen_decimal(number, int(match[1]), int(match[2] or 0))
    if word == "double":
        return _chosen_double(type_, number)
    return _chosen_integer(word.upper(), number)


def _chosen_decimal(number: str, precision: int, scale: int) -> Carried | str:
    if not 0 < precision <= MOST_DIGITS or scale > precision:
        return f"a decimal of DuckDB's has 1 to {MOST_DIGITS} digits, and no more after the point"
    exact = f"({number})::text::numeric"
    limit = "1" + "0" * (precision - scale)
    out = (
        f"{number}::text in ('NaN', 'Infinity', '-Infinity') or abs({exact}) >= {limit}"
        f" or abs(round({exact}, {scale})) >= {limit}"
    )
    rounded = f"not ({out}) and {exact} <> round({exact}, {scale})"
    doubts = (
        Doubt(out, f"no decimal({precision},{scale}): becomes NULL", makes_null=True),
        Doubt(rounded, f"more than {scale} digits after the point: rounded"),
    )
    text = f"case when not ({out}) then round({exact}, {scale})::text end"
    return Carried(f"DECIMAL({precision},{scale})", Sort.TEXT, text, doubts=doubts)


def _chosen_double(type_: PgType, number: str) -> Carried:
    if type_.base in ("float4", "float8", "bool"):
        return Carried("DOUBLE", Sort.FLOAT, f"{number}::float8")
    finite = f"{number}::text not in ('NaN', 'Infinity', '-Infinity')"
    lossy = f"{finite} and {number}::float8::text::numeric <> {number}::numeric"
    rounded = Doubt(lossy, "more digits than a DOUBLE keeps: rounded")
    return Carried("DOUBLE", Sort.FLOAT, f"{number}::float8", doubts=(rounded,))


def _chosen_integer(type_: str, number: str) -> Carried:
    bits = {"SMALLINT": 15, "INTEGER": 31, "BIGINT": 63, "HUGEINT": 127}[type_]
    exact = f"({number})::numeric"
    fits = (
        f"{number}::text not in ('NaN', 'Infinity', '-Infinity') and {exact} = trunc({exact})"
        f" and {exact} between {-(1 << bits)} and {(1 << bits) - 1}"
    )
    doubt = Doubt(f"not ({fits})", f"no {type_}: becomes NULL", LossClass.VALUES, makes_null=True)
    text = f"case when {fits} then trunc({exact})::text end"
    return Carried(type_, Sort.TEXT, text, doubts=(doubt,))
