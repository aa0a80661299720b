"""Where two texts of one definition differ: by their parse trees, in order, however they are spelt.

A server that restores an expression may print it otherwise than the one it was dumped from. Whether
two expressions are the same is therefore left to the server (`printing`); this module says which
parts of two statements are left to it, and that all around them is equal.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from pglast import ast, parse_sql
from pglast.enums import ConstrType
from pglast.parser import ParseError
from pglast.stream import RawStream
from pglast.visitors import Visitor

from windlass.engines.postgres.qualifiers import strip_qualifiers


class Printed(Enum):
    """What a server prints as one thing."""

    QUERY = "query"  # of a view
    RULE = "rule"
    ROUTINE = "routine"
    COLLATION = "collation"
    EXPRESSIONS = "expressions"


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a definition, with its own text."""

    text: str
    tree: Any

    @property
    def printed_as(self) -> Printed:
        match self.tree:
            case ast.ViewStmt() | ast.CreateTableAsStmt():
                return Printed.QUERY
            case ast.RuleStmt():
                return Printed.RULE
            case ast.CreateFunctionStmt():
                return Printed.ROUTINE
            case ast.DefineStmt():
                return Printed.COLLATION
            case _:
                return Printed.EXPRESSIONS


@dataclass(frozen=True, slots=True)
class Doubt:
    """Two statements that are equal but for what only a server can compare."""

    left: Statement
    right: Statement
    expressions: tuple[tuple[Any, Any], ...]


@dataclass(frozen=True, slots=True)
class Since:
    """What both servers know: before these versions, a text lacks what the newer one prints."""

    names_not_null: bool = True  # 18
    multiranges: bool = True  # 14
    maintain: bool = True  # 17

    @classmethod
    def of(cls, *majors: int) -> Since:
        oldest = min(majors)
        return cls(oldest >= 18, oldest >= 14, oldest >= 17)


def doubts(one: str, other: str, since: Since, *, in_any_order: bool = False) -> list[Doubt] | None:
    """What is to be compared by a server; nothing if the texts say the same, None if they do not.

    `in_any_order` forgives the order of a table's columns, and of what is said of each after it.
    """
    try:
        left, right = (_statements(text, since, in_any_order) for text in (one, other))
    except ParseError:
        return None
    if len(left) != len(right):
        return None
    found = []
    for mine, theirs in zip(left, right, strict=True):
        pairs = list(_pairs(mine.tree, theirs.tree))
        if None in pairs:
            return None
        if pairs:
            found.append(Doubt(mine, theirs, tuple(pair for pair in pairs if pair is not None)))
    return found


def _statements(text: str, since: Since, in_any_order: bool) -> list[Statement]:
    found = []
    for raw in parse_sql(text):
        start = raw.stmt_location or 0
        end = start + raw.stmt_len if raw.stmt_len else len(text)
        tree: Any = raw.stmt
        _level(tree, since)
        strip_qualifiers(tree)
        if in_any_order and isinstance(tree, ast.CreateStmt):
            tree.tableElts = tuple(sorted(tree.tableElts or (), key=repr))
        found.append(Statement(text[start:end].strip(), tree))
    if in_any_order:  # the table itself stays first
        found[1:] = sorted(found[1:], key=lambda one: repr(one.tree))
    return found


def _level(tree: Any, since: Since) -> None:
    """Take away what only one of the two versions has a word for."""
    if not since.names_not_null and isinstance(tree, ast.CreateStmt | ast.CreateForeignTableStmt):
        _Unnaming()(tree)
    if not since.multiranges and isinstance(tree, ast.CreateRangeStmt):
        tree.params = tuple(
            one for one in tree.params or () if one.defname != "multirange_type_name"
        )


class _Unnaming(Visitor):
    """pg_dump leaves out the names that it would expect, but expects others for long names."""

    def visit_Constraint(self, _ancestors: object, node: ast.Constraint) -> None:
        if node.contype == ConstrType.CONSTR_NOTNULL and node.keys is None:
            node.conname = None


# attributes that hold an expression as it was written
_EXPRESSIONS: dict[type, tuple[str, ...]] = {
    ast.AlterTableCmd: ("def_",),  # of ALTER COLUMN ... SET DEFAULT
    ast.Constraint: ("raw_expr", "where_clause"),
    ast.CreatePolicyStmt: ("qual", "with_check"),
    ast.CreateTrigStmt: ("whenClause",),
    ast.IndexElem: ("expr",),
    ast.IndexStmt: ("whereClause",),
    ast.PartitionElem: ("expr",),
    ast.PublicationTable: ("whereClause",),
    ast.StatsElem: ("expr",),
    # printed as a whole
    ast.CreateFunctionStmt: ("sql_body",),
    ast.CreateTableAsStmt: ("query",),
    ast.FunctionParameter: ("defexpr",),
    ast.RuleStmt: ("actions", "whereClause"),
    ast.ViewStmt: ("query",),
}
_NO_EXPRESSION = (type(None), ast.Constraint, ast.ColumnDef)  # what may be there instead


def _pairs(left: Any, right: Any) -> Iterator[tuple[Any, Any] | None]:
    """The expressions that differ; None for a difference outside of any."""
    if left == right:
        return
    if type(left) is not type(right):
        yield None
    elif isinstance(left, tuple):
        if len(left) != len(right):
            yield None
            return
        for mine, theirs in zip(left, right, strict=True):
            yield from _pairs(mine, theirs)
    elif isinstance(left, ast.Node):
        yield from _pairs_in_node(left, right)
    else:
        yield None


def _pairs_in_node(left: ast.Node, right: ast.Node) -> Iterator[tuple[Any, Any] | None]:
    ignored: Collection[str] = left._ATTRS_TO_IGNORE_IN_COMPARISON  # as its own `==` does
    for name in left:
        mine, theirs = getattr(left, name), getattr(right, name)
        if mine == theirs or name in ignored:
            continue
        if _is_written(left, name) and not any(
            isinstance(x, _NO_EXPRESSION) for x in (mine, theirs)
        ):
            yield mine, theirs
        else:
            yield from _pairs(mine, theirs)


def _is_written(node: ast.Node, name: str) -> bool:
    if isinstance(node, ast.DefElem):  # of a collation
        return name == "arg" and node.defname == "locale"
    return name in _EXPRESSIONS.get(type(node), ())


def expression_text(tree: Any) -> str | None:
    """The expression as text that means the same tree; None if it cannot be written."""
    text = str(RawStream()(tree))
    try:
        (again,) = parse_sql(f"select {text}")
    except (ParseError, ValueError):
        return None
    found: Any = again.stmt
    (target,) = found.targetList or (None,)
    return text if target is not None and target.val == tree else None
