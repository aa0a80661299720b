"""Chooses the type of SQLite that holds the values of a PostgreSQL type exactly, and how they are
written. Pure.

Texts that are made of values have a fixed width, so that they compare as the values do. Where no
such text exists (infinity, years before Christ), it is what PostgreSQL prints, and is counted.
"""

from __future__ import annotations

from windlass.model.conversion import Carried, Doubt, PgColumn
from windlass.model.report import LossClass
from windlass.model.translation import Sort
from windlass.model.wording import word

CHOICES = ("integer", "real", "text")  # for `types`
_EXACT_DIGITS = 18  # of an integer with 64 bits
_NAN = Doubt("{0} = 'NaN'", "NaN, which SQLite takes for NULL", makes_null=True)
_MINUS_ZERO = Doubt(
    "{0} = 0 and {0}::text like '-%'", "negative zero, which becomes 0: SQLite keeps no sign of it"
)
_NOT_DATES = "not for SQLite's functions of dates, and kept as PostgreSQL prints it"
_YEARS = "{0} >= '0001-01-01' and {0} < '10000-01-01'"
_ENDLESS = Doubt(f"not ({_YEARS})", _NOT_DATES, kind=None)
_NOT_ENFORCED = "precision and scale of numbers in TEXT are not enforced"
_AS_TEXT = (
    f"numbers in TEXT are exact, but compare as texts: {word('types')} can say real or integer"
    " instead"
)

# as the type prints it. A cast of a user-defined type could call a function of its owner, with the
# rights of whoever migrates
_PRINTED = "case when {0} is distinct from null then format('%s', {0}) end"
# types with equal values that have different texts
_EQUAL = {"interval": "1 day and 24:00:00", "jsonb": "1.0 and 1.00"}
_INTEGERS = ("int2", "int4", "int8", "oid")


def carry(column: PgColumn, answer: str = "") -> Carried | str:
    """How a column arrives, or why the decision made for it is not possible."""
    if answer:
        return _answered(column, answer.strip().lower())
    if column.type.is_array:
        return _array(column)
    if column.type.kind == "e":
        check = _one_of(column.type.labels)
        return Carried("TEXT", Sort.TEXT, _PRINTED, check=check, enum=column.type.text)
    return _scalar(column)


def _is_users(column: PgColumn) -> bool:
    return "." in column.type.base or column.type.kind in ("c", "r", "m")


def _scalar(column: PgColumn) -> Carried:
    match column.type.base:
        case "bool":
            return Carried("INTEGER", Sort.INTEGER, "{0}::int4", check="{0} in (0, 1)")
        case base if base in _INTEGERS:
            return Carried("INTEGER", Sort.INTEGER, "{0}::int8")
        case "float4" | "float8":
            return _real("{0}")
        case "numeric" if 0 < column.type.precision <= _EXACT_DIGITS and not column.type.scale:
            return Carried("INTEGER", Sort.INTEGER, "nullif({0}, 'NaN')::int8", doubts=(_NAN,))
        case "numeric":
            return _decimal(column)
        case "money":
            return Carried("TEXT", Sort.TEXT, "{0}::numeric::text", number=_NUMBER)
        case "bytea":
            return Carried("BLOB", Sort.BYTES, "{0}")
        case "date":
            return Carried("TEXT", Sort.TEXT, "{0}::text", doubts=(_ENDLESS,))
        case "time":
            return Carried("TEXT", Sort.TEXT, "to_char({0}, 'HH24:MI:SS.US')")
        case "timestamp":
            return _moment("")
        case "timestamptz":
            return _moment(" || '+00:00'")
    return _text(column)


_NUMBER = "cast({0} as numeric)"


def _real(number: str) -> Carried:
    """A double holds all digits of a float4, too."""
    text = f"nullif({number}::float8, 'NaN')"
    # the file has no negative zero, so none is compared
    text = f"case when {number} = 0 then 0::float8 else {text} end"
    return Carried("REAL", Sort.FLOAT, text, doubts=(_NAN, _MINUS_ZERO))


def _decimal(column: PgColumn) -> Carried:
    notices = (_AS_TEXT, *([_NOT_ENFORCED] if column.type.precision else []))
    distinct = "" if column.type.precision else "1.0 and 1.00"
    return Carried(
        "TEXT", Sort.TEXT, "{0}::text", number=_NUMBER, distinct=distinct, notices=notices
    )


def _moment(zone: str) -> Carried:
    text = f"to_char({{0}}, 'YYYY-MM-DD HH24:MI:SS.US'){zone}"
    return Carried(
        "TEXT",
        Sort.TEXT,
        f"case when {_YEARS} then {text} else {{0}}::text end",
        doubts=(_ENDLESS,),
    )


def _array(column: PgColumn) -> Carried:
    values = f"({_PRINTED})::text[]" if _is_users(column) else "{0}"
    shifted = "array_lower({0}, 1) <> 1 or array_lower({0}, 2) <> 1 or array_lower({0}, 3) <> 1"
    return Carried(
        "TEXT",
        Sort.TEXT,
        f"array_to_json({values})::text",
        doubts=(Doubt(shifted, "an array whose first index is not 1, which is left out"),),
    )


def _text(column: PgColumn) -> Carried:
    """A text as it is, or a value as PostgreSQL prints it."""
    if column.type.base == "bpchar":
        text = "textin(bpcharout({0}))"  # with the trailing blanks that applications read
        limit = column.type.length
        return Carried("TEXT", Sort.TEXT, text, check=_at_most(limit), collation=_blanks(limit))
    if column.type.base.endswith(".citext"):
        loss = "ignores case for ASCII letters only"
        return Carried("TEXT", Sort.TEXT, _PRINTED, collation="nocase", losses=(loss,))
    if _is_users(column):
        return Carried("TEXT", Sort.TEXT, _PRINTED)
    if column.type.base in _EQUAL:
        return Carried("TEXT", Sort.TEXT, "{0}::text", distinct=_EQUAL[column.type.base])
    if not column.is_deterministic:
        loss = f"collation {column.collation} is lost: texts are equal only byte by byte"
        return Carried("TEXT", Sort.TEXT, "{0}::text", losses=(loss,))
    limit = column.type.length if column.type.base == "varchar" else 0
    text = "{0}" if column.type.base == "text" else "{0}::text"
    return Carried("TEXT", Sort.TEXT, text, check=_at_most(limit))


def _blanks(length: int) -> str:
    """Trailing blanks of character(n) do not count."""
    return "rtrim" if length else ""


def _at_most(length: int) -> str:
    return f"length({{0}}) <= {length}" if length > 0 else ""


def _one_of(labels: tuple[str, ...]) -> str:
    quoted = ", ".join("'{}'".format(one.replace("'", "''")) for one in labels)
    # braces in a label are not the placeholder of the column
    return f"{{0}} in ({quoted.replace('{', '{{').replace('}', '}}')})" if labels else ""


def _answered(column: PgColumn, answer: str) -> Carried | str:
    if answer not in CHOICES:
        return f"{answer!r} is none of the types of SQLite that can be chosen: {', '.join(CHOICES)}"
    is_number = (
        column.type.base in (*_INTEGERS, "numeric", "float4", "float8", "money", "bool")
        and not column.type.is_array
    )
    if answer == "text":
        if column.type.base == "bytea" and not column.type.is_array:
            return "bytes are no text"
        text = _PRINTED if _is_users(column) else "{0}::text"
        return Carried("TEXT", Sort.TEXT, text, number=_NUMBER if is_number else "")
    if not is_number:
        return f"{column.type.text} is no number"
    number = {"bool": "{0}::int4", "money": "{0}::numeric"}.get(column.type.base, "{0}")
    if answer == "real":
        return _as_real(column, number)
    return _as_integer(column, number)


def _as_real(column: PgColumn, number: str) -> Carried:
    found = _real(number)
    if column.type.base in ("float4", "float8", "bool"):
        return found
    finite = f"{number}::text not in ('NaN', 'Infinity', '-Infinity')"
    lossy = f"{finite} and {number}::float8::text::numeric <> {number}::numeric"
    rounded = Doubt(lossy, "more digits than a REAL keeps: rounded")
    doubts = (rounded, _NAN) if column.type.base == "numeric" else (rounded,)
    text = f"nullif({number}::float8, 'NaN')"
    return Carried("REAL", Sort.FLOAT, text, doubts=doubts)


def _as_integer(column: PgColumn, number: str) -> Carried:
    if column.type.base in (*_INTEGERS, "bool"):
        return Carried("INTEGER", Sort.INTEGER, f"{number}::int8")
    exact = f"{number}::text ~ '^-?[0-9]+(\\.0*)?$'"
    fits = f"{exact} and {number}::numeric between -9223372036854775808 and 9223372036854775807"
    whole = "{0}::numeric" if column.type.base != "numeric" else "{0}"
    fits = fits.replace(f"{number}::text", f"{number}::numeric::text")
    return Carried(
        "INTEGER",
        Sort.INTEGER,
        f"case when {fits} then {whole}::int8 end",
        doubts=(Doubt(f"not ({fits})", "no integer of 64 bits: becomes NULL",
                      LossClass.VALUES, makes_null=True),),
    )  # fmt: skip
