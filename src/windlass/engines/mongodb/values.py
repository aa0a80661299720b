"""Values of documents as texts of a column's type. A value that does not fit is refused, never
rounded.

Texts: `windlass.engines.canonical`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from struct import Struct
from uuid import UUID

from windlass.engines.mongodb.elements import (
    ARRAY,
    BINARY,
    BOOL,
    DATE,
    DECIMAL,
    DOCUMENT,
    DOUBLE,
    INT,
    LONG,
    NULL,
    OBJECT_ID,
    STRING,
    SYMBOL,
    UNDEFINED,
    NoDocument,
    Unfit,
    find,
    int32,
    int64,
)
from windlass.engines.mongodb.extended import (
    Notes,
    binary_at,
    decimal_at,
    double_at,
    double_text,
    extended,
    path_of,
    string_at,
)
from windlass.model.translation import Field, Sort, Type

ID, DOC = "_id", "doc"
EXTENDED = "extended"  # the form of an `_id` of mixed types: as Extended JSON, in the order stored
MOST_DIGITS = 1000  # of a number with a precision, and of any that is taken
_EPOCH = datetime(1970, 1, 1)
_LEAST_MILLIS, _MOST_MILLIS = -62_135_596_800_000, 253_402_300_799_999  # the years 1 to 9999
_DAY_MILLIS = 86_400_000
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_UUID_SUBTYPE = 4
_single = Struct(">f")
_NUMBERS = {INT, LONG, DOUBLE, DECIMAL}

Read = Callable[[bytes, int, int], str]  # of the document, a value's kind and position


class Misfit(ValueError):
    """A value that does not fit the column's type; `kind` is the value's own type."""

    def __init__(self, kind: int) -> None:
        super().__init__(kind)
        self.kind = kind


def reader(field: Field) -> Callable[[bytes], str | None]:
    """A function that makes a column's text from a document.

    Raises (what is made):
        Misfit: the value has another type.
        Unfit: `jsonb` cannot hold it.
    """
    if not field.form:  # of the column that has all of the document
        return _whole
    read, path = _reading(field), path_of(field.form if field.form != EXTENDED else ID)

    def text(data: bytes) -> str | None:
        try:
            found = find(data, path)
        except NoDocument as error:
            raise Misfit(error.kind) from None
        if found is None or (found[0] in (NULL, UNDEFINED) and field.form != EXTENDED):
            return None
        return read(data, *found)

    return text


def can_be(type_: Type) -> bool:
    """Whether a path can become a column of this type."""
    return type_.sort in _READERS


def _whole(data: bytes) -> str:
    return extended(data, DOCUMENT, 0, Notes())


def _reading(field: Field) -> Read:
    if field.form == EXTENDED:
        return _ordered
    read = _READERS[field.type.sort]
    return lambda data, kind, at: read(field.type, data, kind, at)


def _ordered(data: bytes, kind: int, at: int) -> str:
    return extended(data, kind, at, Notes(keeps_order=True))


def number_at(data: bytes, kind: int, at: int) -> Decimal:
    """A double is the decimal of its shortest text.

    Raises:
        Misfit: it is no number, or not finite.
    """
    if kind == INT:
        return Decimal(int32.unpack_from(data, at)[0])
    if kind == LONG:
        return Decimal(int64.unpack_from(data, at)[0])
    if kind == DOUBLE:
        found = Decimal(double_text(double_at(data, at)))
    elif kind == DECIMAL:
        found = decimal_at(data, at).to_decimal()
    else:
        raise Misfit(kind)
    if not found.is_finite():
        raise Misfit(kind)
    return found


def integer_at(data: bytes, kind: int, at: int) -> int:
    """A whole number of 64 bits.

    Raises:
        Misfit: it is another value.
    """
    found = number_at(data, kind, at)
    if found.adjusted() > 18 or found != found.to_integral_value():
        raise Misfit(kind)
    whole = int(found)
    if not -(1 << 63) <= whole < 1 << 63:
        raise Misfit(kind)
    return whole


def _boolean(type_: Type, data: bytes, kind: int, at: int) -> str:
    if kind != BOOL:
        raise Misfit(kind)
    return "t" if data[at] else "f"


def _integer(type_: Type, data: bytes, kind: int, at: int) -> str:
    found, most = integer_at(data, kind, at), 1 << (type_.bits - 1)
    if not -most <= found < most:
        raise Misfit(kind)
    return str(found)


def _decimal(type_: Type, data: bytes, kind: int, at: int) -> str:
    found = number_at(data, kind, at)
    if not found:
        found = Decimal(0) if not type_.scale else Decimal(0).scaleb(-type_.scale)
    if not type_.precision:
        if abs(found.adjusted()) > MOST_DIGITS:
            raise Misfit(kind)
        return f"{found:f}" if found else "0"
    sign, digits, exponent = found.as_tuple()
    assert isinstance(exponent, int)
    missing = exponent + type_.scale  # zeros to add after the last digit
    text = "".join(map(str, digits))
    if missing < 0:
        if text[missing:].strip("0"):
            raise Misfit(kind)
        text = text[:missing]
    elif missing <= MOST_DIGITS:
        text += "0" * missing
    else:
        raise Misfit(kind)
    text = text.lstrip("0").rjust(type_.scale + 1, "0")
    if len(text.lstrip("0")) > type_.precision:
        raise Misfit(kind)
    shown = f"{text[: -type_.scale]}.{text[-type_.scale :]}" if type_.scale else text
    return f"-{shown}" if sign and found else shown


def _float(type_: Type, data: bytes, kind: int, at: int) -> str:
    if kind == DOUBLE:
        number = double_at(data, at)
    elif kind in (INT, LONG):
        whole = integer_at(data, kind, at)
        number = float(whole)
        if int(number) != whole:
            raise Misfit(kind)
    else:
        raise Misfit(kind)
    if type_.bits == 32 and number == number and abs(number) != float("inf"):
        try:
            if _single.unpack(_single.pack(number))[0] != number:
                raise Misfit(kind)
        except OverflowError:
            raise Misfit(kind) from None
    return double_text(number)


def _text(type_: Type, data: bytes, kind: int, at: int) -> str:
    if kind in (STRING, SYMBOL):
        try:
            text = string_at(data, at)
        except UnicodeDecodeError:
            raise Unfit("a text that is not UTF-8") from None
        if "\0" in text:
            raise Unfit("a text with U+0000")
    elif kind == OBJECT_ID:
        text = data[at : at + 12].hex()
    elif kind in (INT, LONG):
        text = str(integer_at(data, kind, at))
    elif kind == DOUBLE:
        text = double_text(double_at(data, at))
    elif kind == DECIMAL:
        text = str(decimal_at(data, at))
    elif kind == BINARY:
        text = _uuid(type_, data, kind, at)
    else:
        raise Misfit(kind)
    if type_.length and len(text) > type_.length:
        raise Misfit(kind)
    return text


def _bytes(type_: Type, data: bytes, kind: int, at: int) -> str:
    if kind == OBJECT_ID:
        return data[at : at + 12].hex()
    if kind != BINARY:
        raise Misfit(kind)
    return binary_at(data, at)[1].hex()


def _millis(data: bytes, kind: int, at: int) -> int:
    if kind != DATE:
        raise Misfit(kind)
    found = int(int64.unpack_from(data, at)[0])
    if not _LEAST_MILLIS <= found <= _MOST_MILLIS:
        raise Misfit(kind)
    return found


def _date(type_: Type, data: bytes, kind: int, at: int) -> str:
    if kind == STRING:
        text = string_at(data, at)
        try:
            if not _DAY.fullmatch(text):
                raise Misfit(kind)
            datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
        except ValueError:
            raise Misfit(kind) from None
        return text
    millis = _millis(data, kind, at)
    if millis % _DAY_MILLIS:
        raise Misfit(kind)
    return _moment(millis)[:10]


def _timestamp(type_: Type, data: bytes, kind: int, at: int) -> str:
    return _moment(_millis(data, kind, at))


def _instant(type_: Type, data: bytes, kind: int, at: int) -> str:
    return f"{_moment(_millis(data, kind, at))}+00"


def _moment(millis: int) -> str:
    return (_EPOCH + timedelta(milliseconds=millis)).isoformat(" ", "microseconds")


def _json(type_: Type, data: bytes, kind: int, at: int) -> str:
    return extended(data, kind, at, Notes())


def _uuid(type_: Type, data: bytes, kind: int, at: int) -> str:
    if kind == STRING and _UUID.fullmatch(text := string_at(data, at)):
        return text.lower()
    if kind == BINARY:
        subtype, found = binary_at(data, at)
        if subtype == _UUID_SUBTYPE and len(found) == 16:
            return str(UUID(bytes=found))
    raise Misfit(kind)


_READERS: dict[Sort, Callable[[Type, bytes, int, int], str]] = {
    Sort.BOOLEAN: _boolean,
    Sort.INTEGER: _integer,
    Sort.DECIMAL: _decimal,
    Sort.FLOAT: _float,
    Sort.TEXT: _text,
    Sort.BYTES: _bytes,
    Sort.DATE: _date,
    Sort.TIMESTAMP: _timestamp,
    Sort.INSTANT: _instant,
    Sort.JSON: _json,
    Sort.UUID: _uuid,
}


def is_number(kind: int) -> bool:
    return kind in _NUMBERS


def is_nested(kind: int) -> bool:
    return kind in (DOCUMENT, ARRAY)
