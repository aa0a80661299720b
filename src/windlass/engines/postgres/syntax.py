"""SQL as parse trees. Decides how a tree looks in Python; only this module uses the parser.

The parser is the server's own (libpg_query, through postgast). It returns protobuf. Its library
takes 0.1 s to load, so it is loaded with the first text: commands connect sooner. Nodes and fields
are named as in PostgreSQL's parsenodes.h.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from windlass.engines.postgres.parse_protobuf import decode, kind_of, write
from windlass.errors import WindlassError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Path = tuple[str | int, ...]
"""Fields and positions in lists, from the root of a tree to one of its values."""


class SyntaxProblem(WindlassError):
    """The parser refuses the text; the message is the server's."""


class Node:
    """A node of a parse tree: its `tag`, which is the name of its struct, and its fields.

    A missing field is None if it would hold nodes, else "", 0 or False; a list is a tuple, an
    enum's value its name.
    """

    __match_args__ = ("tag",)

    def __init__(self, tag: str, **fields: object) -> None:
        self.tag = tag
        self.__dict__.update(kind_of(tag).absent, **fields)

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

        def __setattr__(self, name: str, value: Any) -> None: ...

    def __eq__(self, other: object) -> bool:
        """Whether they are equal apart from their positions in the text."""
        return _is_same(self, other)

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
    """A token of a text. `kind` is the grammar's; `keyword` is how far a keyword is reserved."""

    start: int
    end: int
    kind: str
    keyword: str


def parse(text: str) -> tuple[Statement, ...]:
    """The statements of a text.

    Raises:
        SyntaxProblem: the text is not SQL of PostgreSQL 18 or before.
    """
    from postgast import native

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
        for raw in decode(data, kind_of("ParseResult"), _build).stmts or ()
    )


def tree_of(text: str) -> Node:
    """The tree of a text that is one statement."""
    (statement,) = parse(text)
    return statement.tree


def split(text: str) -> list[str]:
    """The statements of a text, without separators."""
    return [text[one.start : one.end].strip() for one in parse(text)]


def scan(text: str) -> list[Token]:
    """The tokens of a text, comments too.

    Raises:
        SyntaxProblem: a string, a name or a comment does not end.
    """
    from postgast import PgQueryError
    from postgast import scan as scanned
    from postgast.pg_query_pb2 import KeywordKind
    from postgast.pg_query_pb2 import Token as TokenKind

    try:
        found = scanned(text).tokens
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
    """A statement printed as text, in the printer's layout.

    Raises:
        SyntaxProblem: the printer does not know such a tree.
    """
    from postgast import native

    whole = Node("ParseResult", version=_VERSION, stmts=(Node("RawStmt", stmt=statement),))
    data = write(whole)
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
    """An expression printed as text.

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
    """Whether a lower-case name must be quoted because it is a keyword."""
    tokens = scan(word)
    return len(tokens) == 1 and tokens[0].keyword in _QUOTED


_QUOTED = ("COL_NAME_KEYWORD", "TYPE_FUNC_NAME_KEYWORD", "RESERVED_KEYWORD")


def walk(root: object) -> Iterator[tuple[Path, Any]]:
    """Every node, list and leaf, in text order as far as the tree follows it.

    Positions in the text are left out: only these may differ between equal trees.
    """
    todo: list[tuple[Path, Any]] = [((), root)]
    while todo:
        path, value = todo.pop()
        yield path, value
        todo.extend(((*path, step), child) for step, child in reversed(_children(value)))


def fields_of(node: Node) -> tuple[str, ...]:
    """The names of its fields, except positions in the text."""
    return kind_of(node.tag).compared


def shape(root: object) -> dict[Path, object]:
    """A flattened tree, for comparison: the values of its leaves, the kinds of its nodes."""
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
    """Whether two trees have the same shape; stops at the first difference, without recursion."""
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
    """The direct children."""
    if isinstance(value, Node):
        fields = vars(value)
        return [fields[name] for name in kind_of(value.tag).compared]
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
    from postgast import PgQueryError
    from postgast.errors import check_error

    try:
        check_error(result)
    except PgQueryError as error:
        raise SyntaxProblem(error.message) from error


def _build(tag: str, values: dict[str, object]) -> object:
    """A node made from the received fields, unless it only wraps others."""
    for name, value in values.items():
        if isinstance(value, list):
            values[name] = tuple(value)
    if tag == "Node":
        return values.get("node")
    if tag == "List":
        return values.get("items", ())
    return Node(tag, **values)
