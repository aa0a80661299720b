"""Protobuf's encoding of parse trees: a tag, then a number, or a length and that many bytes.

It is decoded here, not by protobuf itself, which stops at 100 levels: a view with 50 concatenations
has more. The caller decides what a decoded message becomes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor, FieldDescriptor

_NUMBER, _BYTES = 0, 2
Build = Callable[[str, dict[str, object]], object]  # makes a value of a message's kind and fields


@dataclass(frozen=True, slots=True)
class Field:
    """`kind` is the message in it, if any; otherwise `read` and `write` convert its value."""

    number: int
    name: str
    many: bool
    kind: Kind | None
    read: Callable[[Any], object]
    write: Callable[[Any], int | bytes]
    absent: object


class Kind:
    """A kind of node: its fields by their numbers."""

    def __init__(self, descriptor: Descriptor) -> None:
        self.tag = descriptor.name
        self._descriptor = descriptor

    @cached_property
    def fields(self) -> dict[int, Field]:
        return {field.number: _field(field) for field in self._descriptor.fields}

    @cached_property
    def absent(self) -> dict[str, object]:
        """The default values, which are not sent."""
        return {field.name: field.absent for field in self.fields.values()}

    @cached_property
    def compared(self) -> tuple[str, ...]:
        return tuple(name for name in self.absent if not _is_place(name))

    def parts(self, value: Any) -> Iterator[tuple[Field, Any]]:
        """The fields to send, each with its value."""
        if self.tag == "Node":
            if value is not None:
                yield self._of_union("node", value), value
            return
        values = {"items": value} if self.tag == "List" else vars(value)
        for name, field in self._by_name.items():
            part = values.get(name)
            if field.many:
                yield from ((field, one) for one in part or ())
            elif part is not None and (field.kind is not None or part != field.absent):
                yield self._of_union(name, part) if name in self._unions else field, part

    @cached_property
    def _by_name(self) -> dict[str, Field]:
        return {field.name: field for field in self.fields.values()}

    @cached_property
    def _unions(self) -> set[str]:
        return {union.name for union in self._descriptor.oneofs}

    def _of_union(self, name: str, value: Any) -> Field:
        tag = "List" if isinstance(value, tuple) else value.tag
        return next(
            field
            for field in self.fields.values()
            if field.name == name and field.kind is not None and field.kind.tag == tag
        )


def _is_place(name: str) -> bool:
    return name.endswith("location") or name in _PLACES


_PLACES = ("stmt_len", "list_start", "list_end", "rexpr_list_start", "rexpr_list_end")


@cache
def kind_of(tag: str) -> Kind:
    from postgast.pg_query_pb2 import DESCRIPTOR

    return Kind(DESCRIPTOR.message_types_by_name[tag])


def _field(field: FieldDescriptor) -> Field:
    union = field.containing_oneof
    name = union.name if union else field.json_name
    many = field.is_repeated
    kind = kind_of(field.message_type.name) if field.message_type else None
    read: Callable[[Any], object] = _signed
    write: Callable[[Any], int | bytes] = _unsigned
    absent: object = 0
    if kind is not None or many:
        absent = None
    elif field.type == field.TYPE_STRING:
        read, write, absent = bytes.decode, str.encode, ""
    elif field.type == field.TYPE_BOOL:
        read, write, absent = bool, int, False
    elif field.enum_type:
        names = {number: value.name for number, value in field.enum_type.values_by_number.items()}
        numbers = {name: number for number, name in names.items()}
        read, write, absent = names.__getitem__, numbers.__getitem__, names[0]
    name = "def_" if name == "def" else name
    return Field(field.number, name, many, kind, read, write, absent)


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


def _unsigned(number: int) -> int:
    return number + (1 << 64) if number < 0 else number


@dataclass(slots=True)
class _Open:
    """A message that is being read, and its place in the enclosing message."""

    kind: Kind
    end: int
    place: Field | None
    values: dict[str, object]


def decode(data: bytes, kind: Kind, build: Build) -> Any:
    """A message, made by `build` from its fields.

    Without recursion: a tree may be deeper than Python's stack.
    """
    around: list[_Open] = []
    inner = _Open(kind, len(data), None, {})
    at = 0
    while True:
        if at == inner.end:
            value = build(inner.kind.tag, inner.values)
            if inner.place is None:
                return value
            place, inner = inner.place, around.pop()
            _put(inner.values, place, value)
            continue
        tag, at = _number(data, at)
        field = inner.kind.fields[tag >> 3]
        number, at = _number(data, at)
        if tag & 7 == _NUMBER:
            _put(inner.values, field, field.read(number))
        elif tag & 7 != _BYTES:
            raise AssertionError(f"{inner.kind.tag}.{field.name} is encoded in an unknown way")
        elif field.kind is not None:
            around.append(inner)
            inner = _Open(field.kind, at + number, field, {})
        else:
            _put(inner.values, field, field.read(data[at : at + number]))
            at += number


def _put(values: dict[str, Any], field: Field, value: object) -> None:
    if field.many:
        values.setdefault(field.name, []).append(value)
    else:
        values[field.name] = value


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A varint: seven bits per byte, lowest first; returns it and the next position."""
    number = data[at] & 0x7F
    shift = 7
    while data[at] & 0x80:
        at += 1
        number |= (data[at] & 0x7F) << shift
        shift += 7
    return number, at + 1


@dataclass(slots=True)
class _Begun:
    """A message that is being written, and its place in the enclosing message."""

    place: Field | None
    parts: Iterator[tuple[Field, Any]]
    data: bytearray


def write(root: Any) -> bytes:
    """Encode a message, also without recursion. `root` has a `tag` and its fields as attributes."""
    around: list[_Begun] = []
    inner = _Begun(None, kind_of(root.tag).parts(root), bytearray())
    while True:
        for field, value in inner.parts:
            if field.kind is not None:
                around.append(inner)
                inner = _Begun(field, field.kind.parts(value), bytearray())
                break
            _append(inner.data, field, field.write(value))
        else:
            if inner.place is None:
                return bytes(inner.data)
            place, data, inner = inner.place, inner.data, around.pop()
            _append(inner.data, place, data)


def _append(data: bytearray, field: Field, value: int | bytes | bytearray) -> None:
    if isinstance(value, int):
        data += _varint(field.number << 3 | _NUMBER) + _varint(value)
    else:
        data += _varint(field.number << 3 | _BYTES) + _varint(len(value)) + value


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)
