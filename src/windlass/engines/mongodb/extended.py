"""Documents as canonical Extended JSON, in the text that PostgreSQL's `jsonb` prints: keys sorted
by length, and the last one of doubled keys. So what is copied is what is hashed.

The form: MongoDB's specification "Extended JSON", version 2.1.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from json.encoder import encode_basestring
from struct import Struct
from typing import TYPE_CHECKING

from windlass.engines.mongodb.elements import Unfit, elements, end_of, int32, int64

if TYPE_CHECKING:
    from bson.decimal128 import Decimal128

_double, _timestamp = Struct("<d"), Struct("<II")
# keys with which Extended JSON marks types; `$ref`, `$id` and `$db` belong to documents in BSON too
_RESERVED = {
    b"$oid", b"$symbol", b"$numberInt", b"$numberLong", b"$numberDouble", b"$numberDecimal",
    b"$binary", b"$uuid", b"$code", b"$scope", b"$timestamp", b"$regularExpression", b"$dbPointer",
    b"$date", b"$minKey", b"$maxKey", b"$undefined",
}  # fmt: skip


@dataclass(slots=True)
class Notes:
    """What was found while documents were written."""

    doubled: int = 0  # objects with a key twice
    ambiguous: int = 0  # objects that look like one of Extended JSON's types
    keeps_order: bool = False  # of keys, as they are stored


def extended(data: bytes, kind: int, at: int, notes: Notes) -> str:
    """A value.

    Raises:
        Unfit: `jsonb` cannot hold it.
    """
    try:
        return _READERS[kind](data, at, notes)
    except KeyError as error:
        raise Unfit(f"a value of the unknown kind {error.args[0]:#x}") from None
    except UnicodeDecodeError:
        raise Unfit("a text that is not UTF-8") from None
    except RecursionError:
        raise Unfit("nested too deep") from None


def string_at(data: bytes, at: int) -> str:
    (size,) = int32.unpack_from(data, at)
    return data[at + 4 : at + 3 + size].decode()


def decimal_at(data: bytes, at: int) -> Decimal128:
    from bson.decimal128 import Decimal128

    return Decimal128.from_bid(data[at : at + 16])


def binary_at(data: bytes, at: int) -> tuple[int, bytes]:
    """The subtype and the bytes. Those of subtype 2 start with their length once more."""
    (size,) = int32.unpack_from(data, at)
    subtype, found = data[at + 4], data[at + 5 : at + 5 + size]
    return subtype, found[4:] if subtype == 2 else found


def double_at(data: bytes, at: int) -> float:
    return float(_double.unpack_from(data, at)[0])


def double_text(number: float) -> str:
    """The shortest text of the same number."""
    if number != number:
        return "NaN"
    if number in (float("inf"), float("-inf")):
        return "Infinity" if number > 0 else "-Infinity"
    return repr(number)


def _quoted(text: str) -> str:
    if "\0" in text:
        raise Unfit("a text with U+0000")
    return encode_basestring(text)


@lru_cache(4096)
def _order(keys: tuple[bytes, ...]) -> tuple[tuple[tuple[bytes, str], ...], bool]:
    """Keys in the order in which `jsonb` prints them, each with the text that starts its value; and
    whether Extended JSON could take the object for one of its types."""
    ordered = sorted(keys, key=lambda key: (len(key), key))
    pairs = tuple((key, f"{_quoted(key.decode())}: ") for key in ordered)
    return pairs, not _RESERVED.isdisjoint(keys)


def _object(data: bytes, at: int, notes: Notes) -> str:
    found: dict[bytes, str] = {}
    count = 0
    for key, kind, place in elements(data, at):
        found[key] = _READERS[kind](data, place, notes)
        count += 1
    pairs, is_ambiguous = _order(tuple(found))
    notes.ambiguous += is_ambiguous
    notes.doubled += count > len(found)
    if notes.keeps_order:
        begun = dict(pairs)
        return f"{{{', '.join([begun[key] + text for key, text in found.items()])}}}"
    return f"{{{', '.join([begin + found[key] for key, begin in pairs])}}}"


def _array(data: bytes, at: int, notes: Notes) -> str:
    found = [_READERS[kind](data, place, notes) for _, kind, place in elements(data, at)]
    return f"[{', '.join(found)}]"


def _string(data: bytes, at: int, notes: Notes) -> str:
    (size,) = int32.unpack_from(data, at)
    return _quoted(data[at + 4 : at + 3 + size].decode())


def _binary(data: bytes, at: int, notes: Notes) -> str:
    subtype, found = binary_at(data, at)
    text = b64encode(found).decode()
    return f'{{"$binary": {{"base64": "{text}", "subType": "{subtype:02x}"}}}}'


def _boolean(data: bytes, at: int, notes: Notes) -> str:
    return "true" if data[at] else "false"


def _date(data: bytes, at: int, notes: Notes) -> str:
    return f'{{"$date": {{"$numberLong": "{int64.unpack_from(data, at)[0]}"}}}}'


def _regex(data: bytes, at: int, notes: Notes) -> str:
    middle = data.index(b"\0", at)
    end = data.index(b"\0", middle + 1)
    pattern, options = _quoted(data[at:middle].decode()), data[middle + 1 : end].decode()
    words = _quoted("".join(sorted(options)))
    return f'{{"$regularExpression": {{"options": {words}, "pattern": {pattern}}}}}'


def _pointer(data: bytes, at: int, notes: Notes) -> str:
    end = end_of(data, 0x0C, at)
    oid = data[end - 12 : end].hex()
    name = _string(data, at, notes)
    return f'{{"$dbPointer": {{"$id": {{"$oid": "{oid}"}}, "$ref": {name}}}}}'


def _scoped(data: bytes, at: int, notes: Notes) -> str:
    (size,) = int32.unpack_from(data, at + 4)
    code, scope = _string(data, at + 4, notes), _object(data, at + 8 + size, notes)
    return f'{{"$code": {code}, "$scope": {scope}}}'


def _moment(data: bytes, at: int, notes: Notes) -> str:
    increment, seconds = _timestamp.unpack_from(data, at)
    return f'{{"$timestamp": {{"i": {increment}, "t": {seconds}}}}}'


_READERS: dict[int, Callable[[bytes, int, Notes], str]] = {
    0x01: lambda d, at, n: f'{{"$numberDouble": "{double_text(double_at(d, at))}"}}',
    0x02: _string,
    0x03: _object,
    0x04: _array,
    0x05: _binary,
    0x06: lambda d, at, n: '{"$undefined": true}',
    0x07: lambda d, at, n: f'{{"$oid": "{d[at : at + 12].hex()}"}}',
    0x08: _boolean,
    0x09: _date,
    0x0A: lambda d, at, n: "null",
    0x0B: _regex,
    0x0C: _pointer,
    0x0D: lambda d, at, n: f'{{"$code": {_string(d, at, n)}}}',
    0x0E: lambda d, at, n: f'{{"$symbol": {_string(d, at, n)}}}',
    0x0F: _scoped,
    0x10: lambda d, at, n: f'{{"$numberInt": "{int32.unpack_from(d, at)[0]}"}}',
    0x11: _moment,
    0x12: lambda d, at, n: f'{{"$numberLong": "{int64.unpack_from(d, at)[0]}"}}',
    0x13: lambda d, at, n: f'{{"$numberDecimal": "{decimal_at(d, at)}"}}',
    0x7F: lambda d, at, n: '{"$maxKey": 1}',
    0xFF: lambda d, at, n: '{"$minKey": 1}',
}


def path_of(text: str) -> Sequence[bytes]:
    """A path as users write it: names separated by dots."""
    return [name.encode() for name in text.split(".")]
