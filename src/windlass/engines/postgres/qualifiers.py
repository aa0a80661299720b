"""Redundant qualifiers of a view's columns.

Before version 16, the query of a view had two more relations than its FROM (OLD and NEW), so the
server wrote ``SELECT base.id ... FROM base`` where a newer one writes ``SELECT id``. In subqueries,
and if FROM has several relations, all versions qualify.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from windlass.engines.postgres.syntax import Node, walk

if TYPE_CHECKING:
    from collections.abc import Iterator


def strip_qualifiers(statement: Node) -> None:
    """Remove them from a statement that creates a view; other statements are unchanged."""
    for query in _queries(statement):
        _strip(query)


def _queries(statement: Node) -> list[Node]:
    """The queries at the top level of a view, a materialised view, or the rule that is a view's."""
    match statement:
        case Node("ViewStmt", query=query) | Node("CreateTableAsStmt", query=query):
            found = [query]
        case Node("RuleStmt", actions=actions, rulename="_RETURN"):
            found = list(actions or ())
        case _:
            found = []
    return [query for query in found if query.tag == "SelectStmt"]


def _strip(query: Node) -> None:
    name = _only_name(query)
    for column in _columns(query) if name else ():
        match column.fields:
            case (Node("String", sval=qualifier), Node("String") as rest) if qualifier == name:
                column.fields = (rest,)


def _only_name(query: Node) -> str | None:
    """The name of the only relation in FROM; None if there are several."""
    if query.fromClause is None or len(query.fromClause) != 1:
        return None
    relation: Any = query.fromClause[0]
    if relation.tag == "RangeTableSample":
        relation = relation.relation
    if relation.tag == "JoinExpr":
        return None
    if relation.alias is not None:
        return str(relation.alias.aliasname)
    return str(relation.relname) if relation.tag == "RangeVar" else None


def _columns(query: Node) -> Iterator[Node]:
    """The columns named in the query itself, not in subqueries."""
    inside: set[object] = set()
    for path, node in walk(query):
        is_query = isinstance(node, Node) and node.tag == "SelectStmt"
        if path and (is_query or path[:-1] in inside):
            inside.add(path)
        elif isinstance(node, Node) and node.tag == "ColumnRef":
            yield node
