"""Qualifiers of a view's columns that say nothing.

Before version 16 the query of a view had two relations more than its FROM (OLD and NEW), so the
server wrote ``SELECT base.id ... FROM base`` where a newer one writes ``SELECT id``. Below the top
level, and where FROM has several relations, all versions qualify.
"""

from __future__ import annotations

from typing import Any

from pglast import ast
from pglast.visitors import Skip, Visitor


def strip_qualifiers(statement: ast.Node) -> None:
    """Take them out of a statement that makes a view; others are left as they are."""
    for query in _queries(statement):
        _strip(query)


def _queries(statement: ast.Node | None) -> list[ast.SelectStmt]:
    """The queries at the top level of a view, a materialised view, or the rule that is a view's."""
    match statement:
        case ast.ViewStmt(query=query) | ast.CreateTableAsStmt(query=query):
            found = [query]
        case ast.RuleStmt(actions=actions, rulename="_RETURN"):
            found = list(actions or ())
        case _:
            found = []
    return [query for query in found if isinstance(query, ast.SelectStmt)]


def _strip(query: ast.SelectStmt) -> None:
    name = _only_name(query)
    if name is not None:
        _Stripping(name)(query)


def _only_name(query: ast.SelectStmt) -> str | None:
    """What the only relation of FROM is called in the query; None where there are several."""
    if query.fromClause is None or len(query.fromClause) != 1:
        return None
    relation: Any = query.fromClause[0]
    if isinstance(relation, ast.RangeTableSample):
        relation = relation.relation
    if isinstance(relation, ast.JoinExpr):
        return None
    if relation.alias is not None:
        return str(relation.alias.aliasname)
    return str(relation.relname) if isinstance(relation, ast.RangeVar) else None


class _Stripping(Visitor):
    def __init__(self, name: str) -> None:
        self._name = name
        self._inside = False

    def visit_SelectStmt(self, ancestors: Any, node: ast.SelectStmt) -> type[Skip] | None:
        """Into the query itself, but not into those inside it."""
        inside, self._inside = self._inside, True
        return Skip if inside else None

    def visit_ColumnRef(self, ancestors: Any, node: ast.ColumnRef) -> None:
        first, *rest = node.fields or ()
        if len(rest) == 1 and isinstance(rest[0], ast.String) and first.sval == self._name:
            node.fields = tuple(rest)
