"""A JSON file as an input. Every value is the exact text that the file has: of a string what it
means, of a number its digits, of a list or an object its JSON.

The fields are the keys of all objects: of the whole file, not of its beginning. NULL is `null`, and
a key that an object lacks.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from windlass.engines.files.json_blocks import Block, lines_of, objects_of
from windlass.engines.files.stored import Stored
from windlass.engines.files.text_blocks import as_utf8
from windlass.errors import BadRecord
from windlass.model.load import BadValue, Field, Identity

if TYPE_CHECKING:
    from windlass.engines.landing import RawCsv

MOST_BAD = 20  # of which one error tells
_NULL = msgspec.Raw(b"null")
_OBJECTS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_STRING = msgspec.json.Decoder(str)

Object = dict[str, msgspec.Raw]


class JsonInput:
    """See `windlass.engines.landing.Input`."""

    def __init__(self, stored: Stored, keys: Sequence[str] = (), *, lines: bool) -> None:
        """Reads the whole file, unless the `keys` are known.

        Raises:
            WindlassError: the file cannot be read.
            BadRecord: it is not JSON.
        """
        self._stored, self._lines = stored, lines
        self.place = stored.place
        self._known: frozenset[str] | None = None
        names = list(keys) if keys else self._names()
        self.fields: Sequence[Field] = [Field(name) for name in names]
        self._known = frozenset(names)

    def with_fields(self, names: Iterable[str]) -> JsonInput:
        """The same with these fields, of which a file may lack some."""
        return JsonInput(self._stored, list(names), lines=self._lines)

    @cached_property
    def identity(self) -> Identity:
        return self._stored.identity()

    def batches(self) -> Iterator[pa.RecordBatch]:
        names = [field.name for field in self.fields]
        record = 1
        for block in self._blocks():
            rows = self._objects(block, record)
            columns = [[bytes(row.get(name, _NULL)) for row in rows] for name in names]
            if not self._is_right(block, rows, columns):
                self._explain(block, record)
            if rows and names:
                yield pa.RecordBatch.from_arrays([_texts(one) for one in columns], names=names)
            record += len(rows)

    def raw(self) -> RawCsv | None:
        return None

    def line_of(self, record: int) -> int:
        first = 1
        for block in self._blocks():
            lines = [line for _, line in _numbered(block)]
            if record < first + len(lines):
                return lines[record - first]
            first += len(lines)
        return 0

    def _blocks(self) -> Iterator[Block]:
        read = lines_of if self._lines else objects_of
        return read(as_utf8(self._stored.blocks(), "utf-8", self.place), self.place)

    def _names(self) -> list[str]:
        names: dict[str, None] = {}
        record = 1
        for block in self._blocks():
            rows = self._objects(block, record)
            for row in rows:
                if not row.keys() <= names.keys():
                    names.update(dict.fromkeys(row))
            record += len(rows)
        return list(names)

    def _objects(self, block: Block, record: int) -> list[Object]:
        try:
            rows: list[Object] = _OBJECTS.decode_lines(block.data)
        except (msgspec.DecodeError, RecursionError):
            self._explain(block, record)
            raise
        lines = block.data.count(b"\n") + (not block.data.endswith(b"\n"))
        if len(rows) != lines and len(rows) != sum(1 for _ in _numbered(block)):
            self._explain(block, record)  # two objects on a line
        return rows

    def _is_right(
        self, block: Block, rows: Sequence[Object], columns: Sequence[Sequence[bytes]]
    ) -> bool:
        """Whether no object has a key twice or one that is no field, and all is text.

        Outside of keys and values, each key of an object is followed by one colon.
        """
        data = block.data
        if rb"\u0000" in data or not _is_utf8(data):
            return False
        known = self._known or frozenset()
        if any(":" in name for name in known) or not all(row.keys() <= known for row in rows):
            return False
        colons = sum(b"".join(column).count(b":") for column in columns)
        return data.count(b":") == colons + sum(map(len, rows)) and _have_text(columns)

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


def _numbered(block: Block) -> Iterator[tuple[bytes, int]]:
    """The lines with objects, and their numbers in the file."""
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


def _have_text(columns: Iterable[Sequence[bytes]]) -> bool:
    """Whether every string with an escape in it can be decoded."""
    try:
        for column in columns:
            if b"\\u" in b"".join(column):
                for value in column:
                    if b"\\u" in value:
                        _meant(value)
    except msgspec.DecodeError:
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
    for key in pairs[-1]:  # the outermost is the last to be complete
        if key in seen:
            return str(key)
        seen.add(key)
    return None


def _texts(values: Sequence[bytes]) -> pa.Array:
    found = pa.array(values, pa.binary())
    quoted = pc.starts_with(found, b'"')
    if b"\\" in b"".join(values):
        texts = [
            _STRING.decode(value).encode() if value[:1] == b'"' and b"\\" in value else None
            for value in values
        ]
        escaped = pa.array(texts, pa.binary())
    else:
        escaped = pa.nulls(len(values), pa.binary())
    inner = pc.coalesce(escaped, pc.binary_slice(found, 1, -1))
    meant = pc.if_else(quoted, inner, found)
    return pc.if_else(pc.equal(found, b"null"), None, meant).cast(pa.string())
