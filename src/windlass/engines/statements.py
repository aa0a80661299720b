"""SQL for other engines, composed with psycopg: names are always quoted.

DuckDB quotes names as PostgreSQL does; BigQuery has backticks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, LiteralString

from psycopg import sql

from windlass.model.export import Request, Span


def from_item(request: Request, *, only: bool = False) -> str:
    """The FROM item, for engines that quote names as PostgreSQL does. `only`: without the children
    of the relation, which are relations themselves."""
    if request.relation is None:
        query = verbatim(request.query.rstrip("; \n"))
        text = statement("({query}\n) as windlass_query", query=query)
    else:
        name = request.relation.name
        text = statement("only {table}" if only else "{table}", table=names(name.schema, name.name))
    if not request.where:
        return text
    return statement(
        "(select * from {item} where {where}\n) as windlass_some",
        item=verbatim(text),
        where=verbatim(request.where),
    )


def where_within(
    span: Span, mark: sql.Composable, value: Callable[[str], sql.Composable]
) -> sql.Composable:
    """The WHERE clause for the rows of a span, with its ends written by `value`; empty for all
    rows.

    The last value is included, because other rows may have it too; merging makes that harmless. If
    each row must be read once, the last value is excluded, and the range ends at a value that is
    complete.
    """
    if not span.once:
        if not span.since:
            return sql.SQL("")
        return sql.SQL(" where {0} >= {1} or {0} is null").format(mark, value(span.since))
    if not span.upto:
        return sql.SQL(" where 1 = 0")
    if not span.since:
        return sql.SQL(" where {} <= {}").format(mark, value(span.upto))
    ends = value(span.since), value(span.upto)
    return sql.SQL(" where {0} > {1} and {0} <= {2}").format(mark, *ends)


class Backticks(sql.Composable):
    """A name as BigQuery quotes it: ``project.dataset.table`` as a whole."""

    def __init__(self, *names: str) -> None:
        super().__init__(names)
        self._names = names

    def as_bytes(self, context: Any = None) -> bytes:
        whole = ".".join(self._names).replace("\\", "\\\\").replace("`", "\\`")
        return f"`{whole}`".encode()


def statement(template: LiteralString, **parts: sql.Composable) -> str:
    """The template with its parts filled in; values are parameters, never parts."""
    return sql.SQL(template).format(**parts).as_string(None)


def names(*path: str) -> sql.Identifier:
    return sql.Identifier(*path)


def verbatim(text: str) -> sql.SQL:
    """A type's name, or another constant word."""
    return sql.SQL(text)


def listed(parts: Iterable[sql.Composable], between: LiteralString = ", ") -> sql.Composed:
    return sql.SQL(between).join(parts)


def each(
    template: LiteralString, parts: Iterable[sql.Composable], between: LiteralString = ", "
) -> sql.Composed:
    """The template once per part, which replaces its ``{}``."""
    return listed([sql.SQL(template).format(part) for part in parts], between)
