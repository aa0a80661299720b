"""Where two texts of a definition differ, by their parse trees, ignoring spelling.

A server that restores an expression may print it differently than the server it was dumped from. So
the server decides whether two expressions are the same (`printing`); this module finds the
expressions to compare, and checks that everything around them is equal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from windlass.engines.postgres.qualifiers import strip_qualifiers
from windlass.engines.postgres.syntax import (
    Node,
    SyntaxProblem,
    expression_to_text,
    fields_of,
    nodes,
    parse,
    shape,
    tree_of,
)


class Printed(Enum):
    """The kinds of text that a server prints as a unit."""

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
            case Node("ViewStmt" | "CreateTableAsStmt"):
                return Printed.QUERY
            case Node("RuleStmt"):
                return Printed.RULE
            case Node("CreateFunctionStmt"):
                return Printed.ROUTINE
            case Node("DefineStmt"):
                return Printed.COLLATION
            case _:
                return Printed.EXPRESSIONS


@dataclass(frozen=True, slots=True)
class Doubt:
    """Two statements that are equal except for parts that only a server can compare."""

    left: Statement
    right: Statement
    expressions: tuple[tuple[Any, Any], ...]


@dataclass(frozen=True, slots=True)
class Since:
    """Features that both servers print; before these versions a text lacks them."""

    names_not_null: bool = True  # 18
    multiranges: bool = True  # 14
    maintain: bool = True  # 17

    @classmethod
    def of(cls, *majors: int) -> Since:
        oldest = min(majors)
        return cls(oldest >= 18, oldest >= 14, oldest >= 17)


def doubts(one: str, other: str, since: Since, *, in_any_order: bool = False) -> list[Doubt] | None:
    """The parts for a server to compare: empty if the texts mean the same, None if they do not.

    `in_any_order` ignores the order of a table's columns, and of the statements about each.
    """
    try:
        left, right = (_statements(text, since, in_any_order) for text in (one, other))
    except SyntaxProblem:
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
    for parsed in parse(text):
        tree = parsed.tree
        _level(tree, since)
        if unordered := _UNORDERED.get(tree.tag):
            members = getattr(tree, unordered) or ()
            setattr(tree, unordered, tuple(sorted(members, key=_order)))
        strip_qualifiers(tree)
        if in_any_order and tree.tag == "CreateStmt":
            tree.tableElts = tuple(sorted(tree.tableElts or (), key=_order))
        found.append(Statement(text[parsed.start : parsed.end].strip(), tree))
    if in_any_order:  # the table itself stays first
        found[1:] = sorted(found[1:], key=lambda one: _order(one.tree))
    return found


# lists whose order is kept and dumped, although it has no effect
_UNORDERED = {
    "CreateFdwStmt": "options",
    "CreateForeignServerStmt": "options",
    "CreateForeignTableStmt": "options",
    "CreatePolicyStmt": "roles",
    "CreateStmt": "options",
    "CreateUserMappingStmt": "options",
    "IndexStmt": "options",
    "ViewStmt": "options",
}


def _order(tree: Node) -> str:
    """A sort key that is the same for equal trees."""
    return repr(shape(tree))


def _level(tree: Node, since: Since) -> None:
    """Remove what only one of the two versions can express."""
    if not since.names_not_null and tree.tag in ("CreateStmt", "CreateForeignTableStmt"):
        _take_names(tree)
    if not since.multiranges and tree.tag == "CreateRangeStmt":
        tree.params = tuple(
            one for one in tree.params or () if one.defname != "multirange_type_name"
        )
    _take_modes(tree)


def _take_modes(tree: Node) -> None:
    """IN is the default mode; for procedures it is printed since version 14."""
    match tree:
        case Node("CreateFunctionStmt", parameters=tuple(arguments)):
            pass
        case Node("CommentStmt" | "SecLabelStmt", object=Node("ObjectWithArgs") as routine):
            arguments = routine.objfuncargs or ()
        case _:
            return
    for argument in arguments:
        if argument.mode == "FUNC_PARAM_IN":
            argument.mode = "FUNC_PARAM_DEFAULT"


def _take_names(table: Node) -> None:
    """pg_dump omits names that equal the default, but computes other defaults for long names."""
    for node in nodes(table):
        match node:
            case Node("Constraint", contype="CONSTR_NOTNULL", keys=None):
                node.conname = ""


# attributes that hold an expression as it was written
_EXPRESSIONS: dict[str, tuple[str, ...]] = {
    "AlterTableCmd": ("def_",),  # of ALTER COLUMN ... SET DEFAULT
    "Constraint": ("raw_expr", "where_clause"),
    "CreatePolicyStmt": ("qual", "with_check"),
    "CreateTrigStmt": ("whenClause",),
    "IndexElem": ("expr",),
    "IndexStmt": ("whereClause",),
    "PartitionElem": ("expr",),
    "PublicationTable": ("whereClause",),
    "StatsElem": ("expr",),
    # printed as a whole
    "CreateFunctionStmt": ("sql_body",),
    "CreateTableAsStmt": ("query",),
    "FunctionParameter": ("defexpr",),
    "RuleStmt": ("actions", "whereClause"),
    "ViewStmt": ("query",),
}
_NO_EXPRESSION = ("Constraint", "ColumnDef")  # one of these, or nothing


def _pairs(left: Any, right: Any) -> Iterator[tuple[Any, Any] | None]:
    """The expressions that differ; None for a difference outside expressions."""
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
    elif isinstance(left, Node) and left.tag == right.tag:
        yield from _pairs_in_node(left, right)
    else:
        yield None


def _pairs_in_node(left: Node, right: Node) -> Iterator[tuple[Any, Any] | None]:
    for name in fields_of(left):
        mine, theirs = getattr(left, name), getattr(right, name)
        if mine == theirs:
            continue
        if _is_written(left, name) and _is_expression(mine) and _is_expression(theirs):
            yield mine, theirs
        else:
            yield from _pairs(mine, theirs)


def _is_written(node: Node, name: str) -> bool:
    if node.tag == "DefElem":  # of a collation
        return name == "arg" and node.defname == "locale"
    return name in _EXPRESSIONS.get(node.tag, ())


def _is_expression(value: object) -> bool:
    return value is not None and not (isinstance(value, Node) and value.tag in _NO_EXPRESSION)


def expression_text(tree: Node) -> str | None:
    """The expression as text with the same tree; None if it cannot be written."""
    try:
        text = expression_to_text(tree)
        again = tree_of(f"select {text}")
    except SyntaxProblem:
        return None
    (target,) = again.targetList or (None,)
    return text if target is not None and target.val == tree else None
