"""A hash of a materialised view's content, and of what its query would return now."""

from __future__ import annotations

import psycopg
from psycopg import sql

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.queries import load
from windlass.engines.postgres.session import Connection
from windlass.model.relation import Name

Content = tuple[int, int]  # rows, and the sum of their hashes
EMPTY: Content = (-1, 0)  # nothing can be read of it

_HASHED = sql.SQL(
    # held.* is the row even if a column is called held; converted to one encoding on both sides
    "select count(*), coalesce(sum(('x' || left("
    "  md5(convert_to((held.*)::text, 'UTF8')), 15))::bit(60)::bigint), 0)"
    " from {} as held"
)
_DEFINITION = sql.SQL(
    "select rtrim(pg_get_viewdef(c.oid), ';') from pg_class c"
    " join pg_namespace n on n.oid = c.relnamespace where n.nspname = {} and c.relname = {}"
)


def read_content(connection: Connection, name: Name, *, side: str) -> Content | None:
    """Its content; `EMPTY` if it is missing or not populated, None if it may not be read."""
    try:
        with connection.transaction():
            return _content(connection, sql.Identifier(name.schema, name.name))
    except psycopg.errors.InsufficientPrivilege:
        return None
    except (psycopg.errors.ObjectNotInPrerequisiteState, psycopg.errors.UndefinedTable):
        return EMPTY
    except psycopg.Error as error:
        raise explain(error, f"reading materialized view {name}", side=side) from error


def read_foreign_code(source: Connection) -> dict[Name, str]:
    """By materialised view, other roles' code that its query would run: with the privileges of this
    session, where REFRESH uses the owner's."""
    try:
        rows = source.execute(load("view_code")).fetchall()
    except psycopg.Error as error:
        raise explain(error, "reading what views run", side="source") from error
    return {Name(str(schema), str(name)): f"{what} of {role}" for schema, name, what, role in rows}


def read_fresh_content(source: Connection, name: Name) -> Content | None:
    """What it would hold if refreshed now; None if its query cannot be run. Only for views that run
    no other role's code.

    Raises:
        WindlassError: the server is gone.
    """
    try:
        with source.transaction():
            ((text,),) = source.execute(
                _DEFINITION.format(sql.Literal(name.schema), sql.Literal(name.name))
            ).fetchall()
            query = sql.SQL("({})").format(sql.SQL(str(text)))  # the server's definition
            return _content(source, query)
    except psycopg.Error as error:
        if source.closed:
            raise explain(error, f"reading {name}", side="source") from error
        return None


def read_changing(source: Connection) -> frozenset[Name]:
    """Views whose queries return other rows on another server or at another time."""
    try:
        rows = source.execute(load("changing_views")).fetchall()
    except psycopg.Error as error:
        raise explain(error, "reading the catalog (changing views)", side="source") from error
    return frozenset(Name(str(schema), str(name)) for schema, name in rows)


def _content(connection: Connection, held: sql.Composable) -> Content:
    ((rows, total),) = connection.execute(_HASHED.format(held)).fetchall()
    return int(str(rows)), int(str(total))
