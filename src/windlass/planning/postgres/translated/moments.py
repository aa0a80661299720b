"""Defaults that mean the current time, in the forms that SQLite and MySQL have for it.

Any other expression is left to people: translated word by word it could become a constant time, as
PostgreSQL's `'now'::timestamp` does in a default.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from psycopg import sql

from windlass.model.translation import Sort

NOW = "CURRENT_TIMESTAMP"
UTC = "(CURRENT_TIMESTAMP AT TIME ZONE 'UTC')"
SECONDS = "YYYY-MM-DD HH24:MI:SS"


class Kind(StrEnum):
    MOMENT = "moment"
    DATE = "date"
    TIME = "time"
    EPOCH = "epoch"  # seconds since 1970
    UUID = "uuid"  # a new one each time


@dataclass(frozen=True, slots=True)
class Generated:
    """A value that is new for each row. `format` is for `to_char`, if the source makes a text of
    it."""

    kind: Kind
    format: str = ""

    def of(self, sort: Sort) -> str | None:
        """An expression of PostgreSQL's whose values are of this sort."""
        if sort is Sort.TEXT and self.format:
            return f"to_char(CURRENT_TIMESTAMP AT TIME ZONE 'UTC', {_quoted(self.format)})"
        return _OF.get((self.kind, sort))


_EPOCH = "(EXTRACT(epoch FROM CURRENT_TIMESTAMP)::bigint)"
_OF = {
    (Kind.MOMENT, Sort.TIMESTAMP): UTC,
    (Kind.MOMENT, Sort.INSTANT): NOW,
    (Kind.MOMENT, Sort.DATE): f"({UTC}::date)",
    (Kind.DATE, Sort.DATE): f"({UTC}::date)",
    (Kind.DATE, Sort.TIMESTAMP): f"date_trunc('day', {UTC})",
    (Kind.TIME, Sort.TIME): f"({UTC}::time)",
    (Kind.EPOCH, Sort.INTEGER): _EPOCH,
    (Kind.EPOCH, Sort.TEXT): f"({_EPOCH}::text)",
    (Kind.EPOCH, Sort.TIMESTAMP): UTC,
    (Kind.EPOCH, Sort.INSTANT): NOW,
    (Kind.UUID, Sort.UUID): "gen_random_uuid()",
    (Kind.UUID, Sort.TEXT): "(gen_random_uuid()::text)",
}
_MOMENT, _DATE, _TIME = (
    Generated(Kind.MOMENT, SECONDS),
    Generated(Kind.DATE, "YYYY-MM-DD"),
    Generated(Kind.TIME, "HH24:MI:SS"),
)
_EPOCHS, _UUID = Generated(Kind.EPOCH), Generated(Kind.UUID)
# https://www.sqlite.org/lang_datefunc.html; all of them are in UTC
_SQLITE = {
    "current_timestamp": _MOMENT,
    "datetime()": _MOMENT,
    "datetime('now')": _MOMENT,
    "current_date": _DATE,
    "date()": _DATE,
    "date('now')": _DATE,
    "current_time": _TIME,
    "time()": _TIME,
    "time('now')": _TIME,
    "unixepoch()": _EPOCHS,
    "unixepoch('now')": _EPOCHS,
    "cast(strftime('%s','now')as int)": _EPOCHS,
    "cast(strftime('%s','now')as integer)": _EPOCHS,
    "strftime('%s','now')": _EPOCHS,
}
# https://dev.mysql.com/doc/refman/8.4/en/date-and-time-functions.html
_MYSQL = {
    **dict.fromkeys(
        ("current_timestamp", "now", "localtime", "localtimestamp", "utc_timestamp"), _MOMENT
    ),
    **dict.fromkeys(("current_date", "curdate", "utc_date"), _DATE),
    **dict.fromkeys(("current_time", "curtime", "utc_time"), _TIME),
    "unix_timestamp": _EPOCHS,
    "uuid": _UUID,
}
_CALL = re.compile(r"([a-z_]+)(?:\(\d?\))?")
_STRFTIME = re.compile(r"strftime\('([^']*)','now'\)")
_FORMATS = {
    "Y": "YYYY",
    "m": "MM",
    "d": "DD",
    "H": "HH24",
    "M": "MI",
    "S": "SS",
    "f": "SS.MS",
    "%": '"%"',
}


def generated(text: str, dialect: str) -> Generated | None:
    """The generated value that a default stands for; None if it is another expression."""
    bare = _bare(text)
    if dialect != "sqlite":
        found = _CALL.fullmatch(bare.lower())
        return _MYSQL.get(found[1]) if found else None
    known = _SQLITE.get(bare.lower())
    if known:
        return known
    formatted = _STRFTIME.fullmatch(f"{bare[:8].lower()}{bare[8:]}")
    if formatted is None:
        return None
    format_ = _to_char(formatted[1])
    if format_ is None:
        return None
    days, hours = "DD" in format_, "HH24" in format_
    kind = Kind.MOMENT if days and hours else Kind.DATE if days else Kind.TIME
    return Generated(kind, format_)


def _bare(text: str) -> str:
    """The text without enclosing parentheses and without insignificant blanks."""
    text = text.strip()
    while text.startswith("(") and text.endswith(")"):
        text = text[1:-1].strip()
    parts = re.split(r"('[^']*')", text)
    return "".join(
        one if one.startswith("'") else re.sub(r"\s*([(),])\s*|\s*$|^\s*", r"\1", one)
        for one in parts
    )


def _to_char(text: str) -> str | None:
    """The format of `to_char` for one of `strftime`."""
    made = []
    for code, plain in re.findall(r"%(.)|([^%]+)", text):
        if plain:
            made.append('"{}"'.format(plain.replace("\\", "\\\\").replace('"', '\\"')))
        elif code in _FORMATS:
            made.append(_FORMATS[code])
        else:
            return None
    return "".join(made)


def _quoted(text: str) -> str:
    return sql.Literal(text).as_string(None)
