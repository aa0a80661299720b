"""Which types a column of an ODBC database can have on the target, according to its driver; all its
values then decide among them. Pure.

Types of SQL Server: Microsoft, "Data types (Transact-SQL)" and the ODBC driver's "Data type
support". Of Oracle: "Database SQL Language Reference", and the ODBC driver's types.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from windlass.model.translation import Sort, Type

# forms: how a value is selected
PLAIN = "plain"
AS_TEXT = "as text"  # the server converts it to text, which has all digits
AS_DOUBLE = "as double"  # for a float, of which MySQL would show six digits
_MOST_CHARACTERS = 10_485_760  # of a varchar
_TEXT, _NUMERIC, _BYTES = Type(Sort.TEXT), Type(Sort.DECIMAL), Type(Sort.BYTES)
_INTEGERS = {-6: 16, 5: 16, 4: 32, -5: 64}  # by ODBC's number of the type
_FIXED, _VARYING, _LONG = {1, -8}, {12, -9}, {-1, -10}
_TIMES, _MOMENTS = {92, 10, -154}, {93, 11}
_WITH_ZONE = -155  # SQL Server's datetimeoffset
# databases that write dates and times as in ISO 8601
ISO = {"MariaDB", "MySQL", "PostgreSQL", "SQLite"}
ORACLE, SQL_SERVER = "Oracle", "Microsoft SQL Server"
_SHIFTED = "times of the session's time zone, which the target does not know"
_MOMENT, _INSTANT = Type(Sort.TIMESTAMP), Type(Sort.INSTANT)


@dataclass(frozen=True, slots=True)
class Described:
    """A column as the driver describes it. Numbers that it does not give are -1."""

    code: int
    word: str  # its type in the server's own words, in lower case
    size: int
    digits: int


@dataclass(frozen=True, slots=True)
class Choice:
    """The first type that holds all values is used. `lossy` is what is lost regardless of the
    values, as nobody would notice."""

    types: tuple[Type, ...]
    form: str = PLAIN
    lossy: str = ""
    kept: str = ""  # a notice about what changes


def choose(one: Described, server: str) -> Choice | None:
    """The choice of types; None if nobody knows what such values are."""
    if one.word == "money" and server != SQL_SERVER:  # its driver makes a float of it
        return None
    if found := _of_word(one, server):
        return found
    code = one.code
    if code in _INTEGERS:
        return Choice(_integers(_INTEGERS[code], is_unsigned="unsigned" in one.word))
    if code == -7:
        return Choice((Type(Sort.BOOLEAN), *_integers(16)))
    if code in (2, 3):
        return Choice(_decimals(one))
    if code == 7:
        both = (Type(Sort.FLOAT, bits=32), Type(Sort.FLOAT, bits=64))
        return Choice(both, AS_DOUBLE if server in ("MariaDB", "MySQL") else PLAIN)
    if code in (6, 8):
        return Choice((Type(Sort.FLOAT, bits=64),))
    if code in _FIXED | _VARYING | _LONG:
        return Choice(_texts(one))
    if code in (-2, -3, -4):
        return Choice((_BYTES,))
    if code == -11:
        return Choice((Type(Sort.UUID),))
    if code == -152:
        return Choice((_TEXT,))
    return _of_time(one, server)


def _of_word(one: Described, server: str) -> Choice | None:
    """The choice by the server's own type name, where ODBC's number is less precise."""
    word = one.word
    if word in ("bool", "boolean"):
        return Choice((Type(Sort.BOOLEAN), *_integers(16)))
    if word in ("json", "jsonb"):
        return Choice((Type(Sort.JSON), _TEXT))
    if word == "uuid":
        return Choice((Type(Sort.UUID),))
    if server == SQL_SERVER:
        if word in ("timestamp", "rowversion"):
            return Choice((_BYTES,), kept="a rowversion: the target's no longer changes")
        if word in ("money", "smallmoney"):
            return Choice((Type(Sort.DECIMAL, precision=19 if word == "money" else 10, scale=4),))
    if server == ORACLE and word == "number" and (one.size <= 0 or not 0 <= one.digits <= 1000):
        return Choice((_NUMERIC,))
    if server == ORACLE and word == "number" and one.digits == 0 and one.size <= 18:
        bits = 16 if one.size <= 4 else 32 if one.size <= 9 else 64
        return Choice(_integers(bits))
    return None


def _integers(bits: int, *, is_unsigned: bool = False) -> tuple[Type, ...]:
    least = 0 if is_unsigned else None
    wider = [some for some in (16, 32, 64) if some >= (bits * 2 if is_unsigned else bits)]
    return (*(Type(Sort.INTEGER, bits=some, least=least) for some in wider), _NUMERIC)


def _decimals(one: Described) -> tuple[Type, ...]:
    if 0 < one.size <= 1000 and 0 <= one.digits <= one.size:
        return (Type(Sort.DECIMAL, precision=one.size, scale=one.digits), _NUMERIC)
    return (_NUMERIC,)


def _texts(one: Described) -> tuple[Type, ...]:
    if one.code in _LONG or not 0 < one.size <= _MOST_CHARACTERS or "text" in one.word:
        return (_TEXT,)
    is_fixed = one.code in _FIXED and one.word in ("char", "nchar", "character", "bpchar")
    return (Type(Sort.TEXT, length=one.size, is_fixed=is_fixed), _TEXT)


def _of_time(one: Described, server: str) -> Choice | None:
    has_zone = one.code == _WITH_ZONE or re.search(r"timestamptz|with (local )?time zone", one.word)
    is_exact = server in ISO or (
        server == SQL_SERVER and one.word not in ("datetime", "smalldatetime")
    )
    if has_zone:
        return Choice((_INSTANT,), AS_TEXT) if is_exact else None
    if one.code in (91, 9) and one.word != "datetime":
        return Choice((Type(Sort.DATE), _MOMENT), AS_TEXT if server in ISO else PLAIN)
    if one.code in _TIMES:
        return Choice((Type(Sort.TIME), Type(Sort.INTERVAL)), AS_TEXT)
    if one.code in _MOMENTS or one.word == "datetime":
        if is_exact:
            kept = _SHIFTED if one.word == "timestamp" and server in ("MariaDB", "MySQL") else ""
            return Choice((_MOMENT,), AS_TEXT, kept=kept)
        lossy = "digits after the sixth of a second are left out" if one.digits > 6 else ""
        return Choice((_MOMENT,), PLAIN, lossy)
    return None
