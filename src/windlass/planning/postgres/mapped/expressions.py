"""SQL of a user's mapping: whether it is one expression, and gives the same value each time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from windlass.engines.postgres.syntax import Node, SyntaxProblem, nodes, parse, tree_of

Volatile = Callable[[set[str]], set[str]]

# their results differ between transactions, or are not meant for the target
_UNSTEADY = {"now", "transaction_timestamp", "statement_timestamp", "current_setting"}


def fault_of(text: str, volatile: Volatile) -> str:
    """Why this cannot be an expression of a mapping; nothing if it can."""
    try:
        tree = parsed(text)
    except (SyntaxProblem, ValueError) as error:
        return f"is not one expression of SQL: {error}"
    called = set(_functions(tree))
    if unsteady := sorted((called & _UNSTEADY) | volatile(called)):
        return f"calls {unsteady[0]}(), which may give another value each time it is read"
    if any(one.tag == "SQLValueFunction" for one in nodes(tree)):
        return "depends on the moment or the user, and would give another value each time"
    return ""


def parsed(text: str) -> Node:
    """The tree of an expression.

    Raises:
        SyntaxProblem: the text is not SQL.
        ValueError: it is more than one expression.
    """
    trees = [one.tree for one in parse(f"select ({text}\n)")]
    empty = tree_of("select 1")
    if len(trees) == 1 and trees[0].tag == "SelectStmt":
        targets = list(trees[0].targetList or ())
        if len(targets) == 1 and targets[0].val.tag != "RowExpr":
            expression: Node = targets[0].val
            empty.targetList[0].val = expression
            if trees[0] == empty:
                return expression
    raise ValueError("there is more than that")


def type_fault(text: str) -> str:
    """Why this is not the name of a type."""
    try:
        tree = parsed(f"null::{text}")
    except (SyntaxProblem, ValueError):
        return "is not a type"
    is_type = tree.tag == "TypeCast" and tree.arg.tag == "A_Const"
    return "" if is_type else "is not a type"


def type_node(text: str) -> Node:
    """The tree of a type's name."""
    found: Node = parsed(f"null::{text}").typeName
    return found


def _functions(tree: Node) -> Iterator[str]:
    for one in nodes(tree):
        if one.tag == "FuncCall":
            yield one.funcname[-1].sval
