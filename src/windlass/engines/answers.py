"""Types in PostgreSQL's words, as users give them for columns whose type they choose."""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from windlass.errors import BadSpec
from windlass.model.translation import Sort, Type

_PLAIN = {
    "boolean": Type(Sort.BOOLEAN),
    "smallint": Type(Sort.INTEGER, bits=16),
    "integer": Type(Sort.INTEGER, bits=32),
    "bigint": Type(Sort.INTEGER, bits=64),
    "numeric": Type(Sort.DECIMAL),
    "real": Type(Sort.FLOAT, bits=32),
    "double precision": Type(Sort.FLOAT, bits=64),
    "text": Type(Sort.TEXT),
    "bytea": Type(Sort.BYTES),
    "date": Type(Sort.DATE),
    "time": Type(Sort.TIME),
    "timestamp": Type(Sort.TIMESTAMP),
    "timestamptz": Type(Sort.INSTANT),
    "interval": Type(Sort.INTERVAL),
    "uuid": Type(Sort.UUID),
    "inet": Type(Sort.ADDRESS),
    "jsonb": Type(Sort.JSON),
}
_ALSO = {
    "bool": "boolean",
    "int": "integer",
    "decimal": "numeric",
    "varchar": "text",
    "time without time zone": "time",
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz",
}
_NUMERIC = re.compile(r"(?:numeric|decimal) ?\( ?(\d{1,4}) ?(?:, ?(\d{1,4}) ?)?\)")
_TEXT = re.compile(r"(?:varchar|character varying) ?\( ?(\d{1,8}) ?\)")
_ZONED = re.compile(r"(?:timestamptz|timestamp with time zone) in (\S+)", re.IGNORECASE)
MOST_DIGITS = 1000  # of a numeric that has a precision
MOST_CHARACTERS = 10_485_760  # of a varchar

WORDS = (*_PLAIN, "numeric(p,s)", "varchar(n)", "timestamptz in ZONE")


def read_type(words: str, about: str) -> Type:
    """The type that these words name. `about` is the column, for the error.

    Raises:
        BadSpec: there is no such type, or none that a column can be given.
    """
    text = " ".join(words.lower().split())
    if found := _PLAIN.get(_ALSO.get(text, text)):
        return found
    if match := _NUMERIC.fullmatch(text):
        precision, scale = int(match[1]), int(match[2] or 0)
        if 1 <= precision <= MOST_DIGITS and scale <= precision:
            return Type(Sort.DECIMAL, precision=precision, scale=scale)
    if (match := _TEXT.fullmatch(text)) and 1 <= int(match[1]) <= MOST_CHARACTERS:
        return Type(Sort.TEXT, length=int(match[1]))
    if (match := _ZONED.fullmatch(" ".join(words.split()))) and is_zone(match[1]):
        return Type(Sort.INSTANT, zone=match[1])
    raise BadSpec([f"types: {about}: {words!r} is not one of {', '.join(WORDS)}"])


def is_zone(name: str) -> bool:
    """Whether a time zone of this name exists, such as Europe/Berlin."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
