"""SQL as parse trees: decides how a tree looks in Python, and is the one door to the parser.

The parser is the server's own (libpg_query, through postgast). It answers in protobuf's encoding,
which is decoded here, not by protobuf itself: that stops at 100 levels, which a view with 50
concatenations exceeds. Nodes and their fields are called as in PostgreSQL's parsenodes.h.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from postgast import PgQueryError, native
from postgast import scan as _scan
from postgast.errors import check_error
from postgast.pg_query_pb2 import DESCRIPTOR, KeywordKind
from postgast.pg_query_pb2 import Token as TokenKind

from windlass.errors import WindlassError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from google.protobuf.descriptor import Descriptor, FieldDescriptor

Path = tuple[str | int, ...]
"""Fields and positions in lists, from the root of a tree to one of its values."""


class SyntaxProblem(WindlassError):
    """The parser refuses the text; the message is the server's."""


class Node:
    """A node of a parse tree: its `tag`, which is the name of its struct, and its fields.

    A field that the text has nothing for is None where it would hold nodes, else "", 0 or False; a
    list is a tuple, an enum's value its name.
    """

    __match_args__ = ("tag",)

    def __init__(self, tag: str, **fields: object) -> None:
        self.tag = tag
        self.__dict__.update(_kind(tag).absent, **fields)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

        def __setattr__(self, name: str, value: Any) -> None: ...

    def __eq__(self, other: object) -> bool:
        """Whether they say the same, wherever they stand in their texts."""
        return _is_same(self, other)

    __hash__ = None  # type: ignore[assignment]  # it can be changed

    def __repr__(self) -> str:
        return f"<{self.tag}>"


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a text, which is `text[start:end]`, and its tree."""

    start: int
    end: int
    tree: Node


@dataclass(frozen=True, slots=True, order=True)
class Token:
    """A word of a text. `kind` is the grammar's; `keyword` says how far a keyword is reserved."""

    start: int
    end: int
    kind: str
    keyword: str


def parse(text: str) -> tuple[Statement, ...]:
    """The statements of a text.

    Raises:
        SyntaxProblem: the text is no SQL of PostgreSQL 18 or before.
    """
    encoded = _encode(text)
    result = native.lib.pg_query_parse_protobuf(encoded)
    try:
        _check(result)
        data = ctypes.string_at(result.parse_tree.data, result.parse_tree.len)
    finally:
        native.lib.pg_query_free_protobuf_parse_result(result)
    place = _places(text, encoded)
    return tuple(
        Statement(
            place(raw.stmt_location),
            place(raw.stmt_location + raw.stmt_len) if raw.stmt_len else len(text),
            raw.stmt,
        )
        for raw in _decode(data, _kind("ParseResult")).stmts or ()
    )


def tree_of(text: str) -> Node:
    """The tree of a text that is one statement."""
    (statement,) = parse(text)
    return statement.tree


def split(text: str) -> list[str]:
    """The statements of a text, without what separates them."""
    return [text[one.start : one.end].strip() for one in parse(text)]


def scan(text: str) -> list[Token]:
    """The tokens of a text, comments too.

    Raises:
        SyntaxProblem: a string, a name or a comment does not end.
    """
    try:
        found = _scan(text).tokens
    except PgQueryError as error:
        raise SyntaxProblem(error.message) from error
    place = _places(text, _encode(text))
    return [
        Token(
            place(token.start),
            place(token.end),
            TokenKind.Name(token.token),
            KeywordKind.Name(token.keyword_kind),
        )
        for token in found
    ]


def to_text(statement: Node) -> str:
    """A statement as text again, in the printer's own layout.

    Raises:
        SyntaxProblem: the printer does not know such a tree.
    """
    whole = Node("ParseResult", version=_VERSION, stmts=(Node("RawStmt", stmt=statement),))
    data = _write(whole)
    place = ctypes.cast(ctypes.create_string_buffer(data, len(data)), ctypes.c_void_p)
    result = native.lib.pg_query_deparse_protobuf(
        native.PgQueryProtobuf(len=len(data), data=place.value)
    )
    try:
        _check(result)
        return str(result.query.decode())
    finally:
        native.lib.pg_query_free_deparse_result(result)


def expression_to_text(expression: Node) -> str:
    """An expression as text again.

    Raises:
        SyntaxProblem: the printer does not know such a tree.
    """
    select = tree_of("select 1")
    (target,) = select.targetList
    target.val = expression
    return to_text(select).removeprefix("SELECT ")


_VERSION = 180000


@cache
def is_keyword(word: str) -> bool:
    """Whether a name in lower case has to be quoted, as the grammar gives the word a meaning."""
    tokens = scan(word)
    return len(tokens) == 1 and tokens[0].keyword in _QUOTED


_QUOTED = ("COL_NAME_KEYWORD", "TYPE_FUNC_NAME_KEYWORD", "RESERVED_KEYWORD")


def walk(root: object) -> Iterator[tuple[Path, Any]]:
    """Every node, list and leaf, in the order of the text as far as the tree has it.

    Places in the text are left out: they are all that may differ between equal trees.
    """
    todo: list[tuple[Path, Any]] = [((), root)]
    while todo:
        path, value = todo.pop()
        yield path, value
        todo.extend(((*path, step), child) for step, child in reversed(_children(value)))


def fields_of(node: Node) -> tuple[str, ...]:
    """The names of its fields, but for those that are places in the text."""
    return _kind(node.tag).compared


def shape(root: object) -> dict[Path, object]:
    """A tree laid flat, for comparison: its leaves' values, its nodes' kinds."""
    return {path: _outline(value) for path, value in walk(root)}


def nodes(root: object) -> Iterator[Node]:
    """Every node, in any order."""
    todo = [root]
    while todo:
        value = todo.pop()
        if isinstance(value, Node):
            yield value
        todo.extend(_parts(value))


def _is_same(one: object, other: object) -> bool:
    """Whether two trees have one shape; stops at the first difference, and does not recurse."""
    todo = [(one, other)]
    while todo:
        mine, theirs = todo.pop()
        if mine is theirs:
            continue
        if not isinstance(mine, Node | tuple):
            if mine != theirs:
                return False
            continue
        if type(mine) is not type(theirs) or _outline(mine) != _outline(theirs):
            return False
        parts, others = _parts(mine), _parts(theirs)
        if len(parts) != len(others):
            return False
        todo.extend(zip(parts, others, strict=True))
    return True


def _parts(value: object) -> Sequence[object]:
    """What is right under it."""
    if isinstance(value, Node):
        fields = vars(value)
        return [fields[name] for name in _kind(value.tag).compared]
    return value if isinstance(value, tuple) else ()


def _outline(value: object) -> object:
    match value:
        case Node(tag):
            return Node, tag
        case tuple():
            return tuple
        case _:
            return value


def _children(value: object) -> list[tuple[str | int, Any]]:
    match value:
        case Node():
            return [(name, vars(value)[name]) for name in fields_of(value)]
        case tuple():
            return list(enumerate(value))
        case _:
            return []


# Text and bytes: the parser counts bytes of UTF-8


def _encode(text: str) -> bytes:
    if "\0" in text:
        raise SyntaxProblem("the text has a zero byte")
    return text.encode()


def _places(text: str, encoded: bytes) -> Callable[[int], int]:
    if len(text) == len(encoded):
        return lambda place: place
    return lambda place: len(encoded[:place].decode())


def _check(result: ctypes.Structure) -> None:
    try:
        check_error(result)
    except PgQueryError as error:
        raise SyntaxProblem(error.message) from error


# Protobuf's encoding: a tag, then a number, or a length and that many bytes

_NUMBER, _BYTES = 0, 2


@dataclass(frozen=True, slots=True)
class _Field:
    """`kind` is the message in it, if one is; else `read` and `write` turn it into a value."""

    number: int
    name: str
    many: bool
    kind: _Kind | None
    read: Callable[[Any], object]
    write: Callable[[Any], int | bytes]
    absent: object


class _Kind:
    """A kind of node: its fields by their numbers."""

    def __init__(self, descriptor: Descriptor) -> None:
        self.tag = descriptor.name
        self._descriptor = descriptor

    @cached_property
    def fields(self) -> dict[int, _Field]:
        return {field.number: _field(field) for field in self._descriptor.fields}

    @cached_property
    def absent(self) -> dict[str, object]:
        """The values that are not sent."""
        return {field.name: field.absent for field in self.fields.values()}

    @cached_property
    def compared(self) -> tuple[str, ...]:
        return tuple(name for name in self.absent if not _is_place(name))

    def finish(self, values: dict[str, object]) -> object:
        """What the fields that were sent make: a node, unless it only wraps others."""
        for name, value in values.items():
            if isinstance(value, list):
                values[name] = tuple(value)
        if self.tag == "Node":
            return values.get("node")
        if self.tag == "List":
            return values.get("items", ())
        return Node(self.tag, **values)

    def parts(self, value: Any) -> Iterator[tuple[_Field, Any]]:
        """The fields that have to be sent, each with its value."""
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
    def _by_name(self) -> dict[str, _Field]:
        return {field.name: field for field in self.fields.values()}

    @cached_property
    def _unions(self) -> set[str]:
        return {union.name for union in self._descriptor.oneofs}

    def _of_union(self, name: str, value: Any) -> _Field:
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
def _kind(tag: str) -> _Kind:
    return _Kind(DESCRIPTOR.message_types_by_name[tag])


def _field(field: FieldDescriptor) -> _Field:
    union = field.containing_oneof
    name = union.name if union else field.json_name
    many = field.is_repeated
    kind = _kind(field.message_type.name) if field.message_type else None
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
    return _Field(field.number, name, many, kind, read, write, absent)


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


def _unsigned(number: int) -> int:
    return number + (1 << 64) if number < 0 else number


@dataclass(slots=True)
class _Open:
    """A message that is being read, and where it goes in the one around it."""

    kind: _Kind
    end: int
    place: _Field | None
    values: dict[str, object]


def _decode(data: bytes, kind: _Kind) -> Any:
    """A message; without recursion, as a tree may be deeper than Python's stack."""
    around: list[_Open] = []
    inner = _Open(kind, len(data), None, {})
    at = 0
    while True:
        if at == inner.end:
            value = inner.kind.finish(inner.values)
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


def _put(values: dict[str, Any], field: _Field, value: object) -> None:
    if field.many:
        values.setdefault(field.name, []).append(value)
    else:
        values[field.name] = value


def _number(data: bytes, at: int) -> tuple[int, int]:
    """Seven bits a byte, the lowest first, and where the next thing begins."""
    number = data[at] & 0x7F
    shift = 7
    while data[at] & 0x80:
        at += 1
        number |= (data[at] & 0x7F) << shift
        shift += 7
    return number, at + 1


@dataclass(slots=True)
class _Begun:
    """A message that is being written, and where it goes in the one around it."""

    place: _Field | None
    parts: Iterator[tuple[_Field, Any]]
    data: bytearray


def _write(root: Node) -> bytes:
    """A message; without recursion, too."""
    around: list[_Begun] = []
    inner = _Begun(None, _kind(root.tag).parts(root), bytearray())
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


def _append(data: bytearray, field: _Field, value: int | bytes | bytearray) -> None:
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
