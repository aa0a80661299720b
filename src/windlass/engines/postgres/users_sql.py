"""The settings in which a user's SQL runs: names, times and dates mean what they mean in psql.

Everything else in Windlass runs with an empty search_path and in UTC. If an extension's schema is
not in the path, its operators are not found, and PostgreSQL uses others: citext would be compared
as text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import psycopg
from psycopg import sql

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.queries import load
from windlass.engines.postgres.session import Connection
from windlass.engines.postgres.syntax import SyntaxProblem, nodes, tree_of
from windlass.model.export import Export
from windlass.model.relation import Name

# settings of a database or a role that change the meaning of a condition
_NAMES = ("search_path", "TimeZone", "DateStyle", "transform_null_equals")


def read_settings(connection: Connection, schema: str) -> dict[str, str]:
    """The role's own settings, as a session has them before Windlass changes any. The schema of the
    relation and `public` are at the end of the search_path, so it is never empty.

    Dates are read in the role's order of day and month, and written in ISO format.
    """
    rows = connection.execute(
        "select name, reset_val from pg_catalog.pg_settings where name = any(%s)", (list(_NAMES),)
    ).fetchall()
    found = {str(name): str(value or "") for name, value in rows}
    last = [sql.Identifier(name).as_string(connection) for name in (schema, "public") if name]
    order = found["DateStyle"].rpartition(", ")[2]
    path = ", ".join(filter(None, [found["search_path"], *last]))
    return {**found, "search_path": path, "DateStyle": f"ISO, {order}"}


@contextmanager
def as_in_psql(connection: Connection, schema: str) -> Iterator[None]:
    """Inside, the session has the settings of `read_settings`. Afterwards it has its own again, and
    everything written inside is rolled back."""
    with connection.transaction(force_rollback=True):
        set_local(connection, read_settings(connection, schema))
        yield


def read_path(connection: Connection, schema: str) -> list[str]:
    """The schemas that the search_path of `read_settings` resolves to, in order. PostgreSQL's own
    schema comes first, wherever the role's path has it."""
    with as_in_psql(connection, schema):
        row = connection.execute(
            "select pg_catalog.current_schemas(false)::pg_catalog.text[]"
        ).fetchone()
    assert row is not None
    names = row[0] if isinstance(row[0], list) else []
    return [str(name) for name in names if name != "pg_catalog"]


def keep_settings(connection: Connection, schema: str, path: Sequence[str]) -> None:
    """Use the settings of `read_settings` for the rest of the session, with this path."""
    named = ", ".join(sql.Identifier(name).as_string(connection) for name in path)
    settings = {**read_settings(connection, schema), "search_path": named}
    connection.execute(setting(settings, is_local=False))


def current_settings(connection: Connection) -> dict[str, str]:
    """The settings of a session, so that another one can have the same."""
    rows = connection.execute(
        "select name, setting from pg_catalog.pg_settings where name = any(%s)", (list(_NAMES),)
    ).fetchall()
    return {str(name): str(value) for name, value in rows}


def set_local(connection: Connection, settings: Mapping[str, str]) -> None:
    """Set them for the rest of the transaction."""
    connection.execute(setting(settings))


def setting(settings: Mapping[str, str], *, is_local: bool = True) -> sql.Composed:
    """The statement that sets them, for the transaction or for the session."""
    calls = sql.SQL(", ").join(
        sql.SQL("pg_catalog.set_config({}, {}, {})").format(
            sql.Literal(name), sql.Literal(value), sql.Literal(is_local)
        )
        for name, value in settings.items()
    )
    return sql.SQL("select {}").format(calls)


def named_tables(item: str) -> Sequence[Name]:
    """The tables that a FROM item names with their schemas; empty if it cannot be read."""
    try:
        found = nodes(tree_of(" ".join(("select from", item))))
    except SyntaxProblem:
        return []
    tables = {Name(one.schemaname, one.relname) for one in found if one.tag == "RangeVar"}
    return sorted(one for one in tables if one.schema)


def planned_tables(connection: Connection, export: Export) -> list[Name]:
    """The tables that an export reads by its plan, and that the role may lock. What functions read
    is not in a plan.

    Raises:
        WindlassError: the server does not accept the query.
    """
    try:
        connection.execute(sql.SQL("explain select from {}").format(sql.SQL(export.query)))
        rows = connection.execute(load("read_tables")).fetchall()
    except psycopg.Error as error:
        raise explain(error, f"planning the query of {export.name}", side="source") from error
    return [Name(str(schema), str(name)) for schema, name in rows]
