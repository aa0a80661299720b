"""A JSON file as an input. Every value is exact text: the content of a string, the digits of a
number, the JSON of a list or object.

The fields are the keys of all objects in the file, not only of the first ones. A value is NULL if
it is `null`, or if an object lacks the key.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import replace
from functools import cached_property, partial
from itertools import accumulate
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from windlass.engines.aside import Aside
from windlass.engines.files.json_blocks import Block, lines_of, objects_of
from windlass.engines.files.lines import Block as Numbered
from windlass.engines.files.lines import Lines
from windlass.engines.files.stored import Stored
from windlass.engines.files.text_blocks import as_utf8
from windlass.errors import BadRecord
from windlass.model.load import BadValue, Field, Identity

if TYPE_CHECKING:
    from windlass.engines.landing import RawCsv

MOST_BAD = 20  # how many an error names
_NULL = msgspec.Raw(b"null")
_OBJECTS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_STRING = msgspec.json.Decoder(str)

Object = dict[str, msgspec.Raw]


class JsonInput:
    """See `windlass.engines.landing.Input`."""

    def __init__(
        self, stored: Stored, keys: Sequence[str] = (), *, lines: bool, most_bad: int = 0
    ) -> None:
        """Reads the whole file, unless the `keys` are known. Skips up to `most_bad` records that
        are no objects.

        Raises:
            WindlassError: the file cannot be read.
            BadRecord: it is not JSON.
        """
        self._stored, self._lines, self._most_bad = stored, lines, most_bad
        self._aside = Aside(most_bad) if most_bad else None
        self.place = stored.place
        self._known: frozenset[str] | None = None
        self._places = Lines(self._numbered)
        with stored.damage_first():
            names = list(keys) if keys else self._names()
        self.fields: Sequence[Field] = [Field(name) for name in names]
        self._known = frozenset(names)
        self._aside = None

    def setting_aside(self, aside: Aside) -> JsonInput:
        """See `windlass.engines.aside`."""
        made = copy(self)
        made._aside = aside
        return made

    def with_fields(self, names: Iterable[str]) -> JsonInput:
        """The same input with these fields; the file may lack some of them."""
        keys, most = list(names), self._most_bad
        return JsonInput(self._stored, keys, lines=self._lines, most_bad=most)

    @cached_property
    def identity(self) -> Identity:
        return self._stored.identity()

    def batches(self) -> Iterator[pa.RecordBatch]:
        with self._stored.damage_first():
            yield from self._batches()

    def _batches(self) -> Iterator[pa.RecordBatch]:
        names = [field.name for field in self.fields]
        record = 1
        for block in self._blocks():
            rows, count = self._objects(block, record)
            columns = _columns(rows, names)
            if count == len(rows) and not self._is_right(block, rows, columns):
                rows, count = self._sifted(block, record)
                columns = _columns(rows, names)
            if rows and names:
                arrays = [one.texts() for one in columns]
                yield pa.RecordBatch.from_arrays(arrays, names=names)
            record += count

    def raw(self) -> RawCsv | None:
        return None

    def line_of(self, record: int) -> int:
        return self._places.of(record)

    def _numbered(self) -> Iterator[Numbered]:
        first = 1
        for block in self._blocks():
            lines = [line for _, line in _numbered(block)]
            yield first, len(lines), partial(_line_in, lines, first)
            first += len(lines)

    def _blocks(self) -> Iterator[Block]:
        read = lines_of if self._lines else objects_of
        return read(as_utf8(self._stored.blocks(), "utf-8", self.place), self.place)

    def _names(self) -> list[str]:
        names: dict[str, None] = {}
        record = 1
        for block in self._blocks():
            rows, count = self._objects(block, record)
            for row in rows:
                if not row.keys() <= names.keys():
                    names.update(dict.fromkeys(row))
            record += count
        return list(names)

    def _objects(self, block: Block, record: int) -> tuple[list[Object], int]:
        """The objects of a block, and how many records it has, including those that are set
        aside."""
        try:
            rows: list[Object] = _OBJECTS.decode_lines(block.data)
        except (msgspec.DecodeError, RecursionError):
            return self._sifted(block, record)
        lines = block.data.count(b"\n") + (not block.data.endswith(b"\n"))
        if len(rows) != lines and len(rows) != sum(1 for _ in _numbered(block)):
            return self._sifted(block, record)  # there are two objects on one line
        return rows, len(rows)

    def _sifted(self, block: Block, record: int) -> tuple[list[Object], int]:
        """Like `_objects`, for a block in which something may be wrong.

        Raises:
            BadRecord: something is, and none of it may be set aside.
        """
        if self._aside is None:
            self._explain(block, record)
        good: list[bytes] = []
        count = 0
        for line, number in _numbered(block):
            if found := self._fault(line):
                assert self._aside is not None, "`_explain` has found nothing"
                text = line.decode("utf-8", "surrogateescape")
                self._aside.take(replace(found, record=record + count, line=number), text)
            else:
                good.append(line)
            count += 1
        return _OBJECTS.decode_lines(b"\n".join(good)), count

    def _is_right(self, block: Block, rows: Sequence[Object], columns: Sequence[_Values]) -> bool:
        """Whether no object has a key twice or a key that is not a field, and all of it is text.

        Outside of keys and values, each key of an object is followed by one colon.
        """
        data = block.data
        if rb"\u0000" in data or not _is_utf8(data):
            return False
        known = self._known or frozenset()
        if any(":" in name for name in known):
            return False
        keys = sum(map(len, rows))
        if keys != sum(one.count for one in columns):
            return False  # some keys are not fields
        if data.count(b":") != keys + sum(one.joined.count(b":") for one in columns):
            return False
        return all(one.are_text() for one in columns)

    def _explain(self, block: Block, record: int) -> None:
        """Find out what is wrong with a block; returns if nothing is.

        Raises:
            BadRecord: something is.
        """
        bad: list[BadValue] = []
        for line, number in _numbered(block):
            found = self._fault(line)
            if found:
                bad.append(replace(found, record=record, line=number))
            record += 1
            if len(bad) == MOST_BAD:
                break
        if bad:
            raise BadRecord(bad)

    def _fault(self, line: bytes) -> BadValue | None:
        def wrong(reason: str, column: str = "") -> BadValue:
            return BadValue(self.place, 0, reason, 0, column)

        try:
            text = line.decode()
            row: Object = _OBJECTS.decode(line)
        except UnicodeDecodeError:
            return wrong("not valid utf-8")
        except msgspec.ValidationError:
            return wrong("not an object")
        except (msgspec.DecodeError, RecursionError) as error:
            return wrong(f"not valid JSON: {error}".replace("JSON is malformed: ", ""))
        doubled = _doubled(text)
        if doubled is not None:
            return wrong("the object has this key twice", doubled)
        for name, value in row.items():
            if self._known is not None and name not in self._known:
                return wrong("a key that is not one of the fields", name)
            try:
                if "\0" in _meant(bytes(value)):
                    return wrong("NUL in text", name)
            except msgspec.DecodeError:
                return wrong("half of a surrogate pair in text", name)
        return None


def _line_in(lines: Sequence[int], first: int, record: int) -> int:
    return lines[record - first]


class _Values:
    """The values of one key in the objects of a block, as written; `count` is how many objects have
    the key."""

    def __init__(self, values: list[bytes], count: int) -> None:
        self._values, self.count = values, count
        self.joined = b"".join(values)
        self._has_escapes = b"\\" in self.joined

    def are_text(self) -> bool:
        """Whether every string with an escape has a valid meaning."""
        if not self._has_escapes or b"\\u" not in self.joined:
            return True
        try:
            for value in self._values:
                if b"\\u" in value:
                    _meant(value)
        except msgspec.DecodeError:
            return False
        return True

    def texts(self) -> pa.Array:
        found = _array(self._values, self.joined)
        quoted = pc.starts_with(found, b'"')
        if self._has_escapes:
            meant = [
                _STRING.decode(value).encode()
                if value[:1] == b'"' and b"\\" in value
                else value[1:-1]
                for value in self._values
            ]
            inner = _array(meant, b"".join(meant))
        else:
            inner = pc.binary_slice(found, 1, -1)
        texts = pc.if_else(quoted, inner, found)
        if b"null" in self.joined:
            texts = pc.if_else(pc.equal(found, b"null"), None, texts)
        return texts.cast(pa.string())


def _array(values: Sequence[bytes], joined: bytes) -> pa.Array:
    """The values as an array. `pyarrow.array` takes longer, and would import pandas if it is
    installed, which takes 45 MB."""
    places = array("i", accumulate(map(len, values), initial=0))
    buffers = [None, pa.py_buffer(places), pa.py_buffer(joined)]
    return pa.Array.from_buffers(pa.binary(), len(values), buffers)


def _columns(rows: Sequence[Object], names: Sequence[str]) -> list[_Values]:
    """The values for each name; null where an object lacks it."""
    count = len(rows)
    if len(names) > 1:
        try:  # usually every object has every key; this is twice as fast then
            found = zip(*map(itemgetter(*names), rows), strict=True)
            return [_Values(list(map(bytes, one)), count) for one in found] if rows else []
        except KeyError:
            pass
    columns = []
    for name in names:
        values = [row.get(name, _NULL) for row in rows]
        lacking = sum(value is _NULL for value in values)
        columns.append(_Values(list(map(bytes, values)), count - lacking))
    return columns


def _numbered(block: Block) -> Iterator[tuple[bytes, int]]:
    """The lines that have objects, with their numbers in the file."""
    for at, line in enumerate(block.data.split(b"\n")):
        if line.strip(b" \t\r"):
            yield line, block.lines[at] if block.lines else block.first + at


def _is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _meant(value: bytes) -> str:
    return _STRING.decode(value) if value.startswith(b'"') else value.decode()


def _doubled(text: str) -> str | None:
    """A key that the outermost object has twice."""
    pairs: list[list[Any]] = []

    def kept(found: list[tuple[str, Any]]) -> list[Any]:
        pairs.append([key for key, _ in found])
        return []

    json.loads(text, object_pairs_hook=kept)
    seen: set[str] = set()
    for key in pairs[-1]:  # the outermost object is completed last
        if key in seen:
            return str(key)
        seen.add(key)
    return None
