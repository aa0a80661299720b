"""Rows whose values are texts already, as lines of PostgreSQL's COPY and as digests.

A value is the text that `windlass.model.translation.Sort` describes; of bytes the hexadecimal
digits alone, of an interval its microseconds, of JSON what `jsonb` prints. None is NULL.
"""

from __future__ import annotations

import re
import struct
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from windlass.engines.hashed_lines import HALF, md5
from windlass.engines.origin import Closing
from windlass.model.chunk import Range, Whole
from windlass.model.translation import Digest, Field, Reading, Row, Sort

Values = Sequence[str | None]

BLOCK_CHARACTERS = 256 << 10
_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_ESCAPED = re.compile(r"[\\\t\n\r]")
_NOT_A_NUMBER = "7ff8000000000000"  # the only one that PostgreSQL makes
_WITH_TEXT = {Sort.TEXT, Sort.ENUM}


class ByValues(Closing):
    """An origin that reads values as texts, and makes lines and digests of them here."""

    @abstractmethod
    def values(self, reading: Reading, range_: Range) -> Iterator[Values]:
        """The rows of a range."""

    def lines(self, reading: Reading, range_: Range) -> Iterator[bytes]:
        return lines(self.values(reading, range_), reading.fields)

    def digest(self, reading: Reading, range_: Range) -> Digest:
        return digest(self.values(reading, range_), reading.fields)

    def buckets(self, reading: Reading) -> Mapping[int, Digest]:
        return buckets(self.values(reading, Whole()), reading.fields, reading.key)

    def rows(self, reading: Reading, buckets: Sequence[int]) -> Iterator[Row]:
        return rows_of(self.values(reading, Whole()), reading.fields, reading.key, buckets)


def lines(rows: Iterable[Values], fields: Sequence[Field]) -> Iterator[bytes]:
    """Blocks of whole lines of COPY's text format."""
    writers = [_WRITERS.get(one.type.sort, _same) for one in fields]
    block: list[str] = []
    size = 0
    for values in rows:
        line = "\t".join(
            ["\\N" if one is None else write(one) for write, one in zip(writers, values)]  # noqa: B905
        )
        block.append(line)
        size += len(line)
        if size >= BLOCK_CHARACTERS:
            yield _joined(block)
            block, size = [], 0
    if block:
        yield _joined(block)


def digest(rows: Iterable[Values], fields: Sequence[Field]) -> Digest:
    hashers = _hashers(fields)
    count = first = second = 0
    for values in rows:
        number = int.from_bytes(_hash(hashers, values)[:15], "big")
        first += number >> 60
        second += number & HALF
        count += 1
    return Digest(count, first, second)


def buckets(
    rows: Iterable[Values], fields: Sequence[Field], key: Sequence[str]
) -> Mapping[int, Digest]:
    """Digests by bucket: of the key's text, or of the row's text if there is no key."""
    hashers, places = _hashers(fields), _places(fields, key)
    keyed_by = [hashers[at] for at in places]
    found: dict[int, list[int]] = {}
    for values in rows:
        row = _hash(hashers, values)
        of = _hash(keyed_by, [values[at] for at in places]) if key else row
        number = int.from_bytes(row[:15], "big")
        sums = found.setdefault(_bucket(of), [0, 0, 0])
        sums[0] += 1
        sums[1] += number >> 60
        sums[2] += number & HALF
    return {bucket: Digest(*sums) for bucket, sums in found.items()}


def rows_of(
    rows: Iterable[Values], fields: Sequence[Field], key: Sequence[str], wanted: Collection[int]
) -> Iterator[Row]:
    """The rows of these buckets."""
    hashers, places, chosen = _hashers(fields), _places(fields, key), frozenset(wanted)
    keyed_by = [hashers[at] for at in places]
    for values in rows:
        if _bucket(_hash(keyed_by, [values[at] for at in places])) in chosen:
            texts = tuple(
                None if one is None else text(one)
                for text, one in zip(hashers, values, strict=True)
            )
            yield Row(tuple(texts[at] for at in places), texts)


Write = Callable[[str], str]


def _same(text: str) -> str:
    return text


def _escaped(text: str) -> str:
    return _ESCAPED.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    return _ESCAPES[found[0]]


def _json(text: str) -> str:
    """JSON as COPY writes it. It has no control characters."""
    return text.replace("\\", "\\\\")


def _bytes(text: str) -> str:
    return f"\\\\x{text}"


def _interval(text: str) -> str:
    micros = int(text)
    seconds, rest = divmod(abs(micros), 1_000_000)
    sign = "-" if micros < 0 else ""
    return f"{sign}{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest:06}"


_WRITERS: Mapping[Sort, Write] = {
    Sort.TEXT: _escaped,
    Sort.ENUM: _escaped,
    Sort.JSON: _json,
    Sort.BYTES: _bytes,
    Sort.INTERVAL: _interval,
}


def _joined(block: Sequence[str]) -> bytes:
    return ("\n".join(block) + "\n").encode()


def _with_length(text: str) -> str:
    return f"{len(text.encode())}:{text}"


def _bits(text: str) -> str:
    number = float(text)
    return struct.pack(">d", number).hex() if number == number else _NOT_A_NUMBER


def _short_bits(text: str) -> str:
    number = float(text)
    return struct.pack(">f", number).hex() if number == number else "7fc00000"


def _hashers(fields: Sequence[Field]) -> list[Write]:
    return [_hasher(one) for one in fields]


def _hasher(field: Field) -> Write:
    if field.type.sort is Sort.FLOAT:
        return _short_bits if field.type.bits == 32 else _bits
    return _with_length if field.type.sort in _WITH_TEXT else _same


def _hash(hashers: Sequence[Write], values: Values) -> bytes:
    parts = ["N" if one is None else text(one) for text, one in zip(hashers, values)]  # noqa: B905
    found: bytes = md5(f"|{'|'.join(parts)}".encode()).digest()
    return found


def _places(fields: Sequence[Field], key: Sequence[str]) -> list[int]:
    """The positions of the key's fields; of all fields if there is no key."""
    names = [one.name for one in fields]
    return [names.index(one) for one in key] or list(range(len(names)))


def _bucket(hash_: bytes) -> int:
    return hash_[0] << 4 | hash_[1] >> 4
