"""The settings in which a user's SQL is run: names, times and dates mean what they mean in psql.

Everything else of Windlass runs with an empty search_path and in UTC. Without its schema in the
path, an operator of an extension is not found, and PostgreSQL takes another one: citext would be
compared as text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from psycopg import sql

from windlass.engines.postgres.session import Connection
from windlass.engines.postgres.syntax import SyntaxProblem, nodes, tree_of
from windlass.model.relation import Name

# what changes the meaning of a condition, and that a database or a role can have set
_NAMES = ("search_path", "TimeZone", "DateStyle", "transform_null_equals")


def read_settings(connection: Connection, schema: str) -> dict[str, str]:
    """The role's own settings, as a session has them before Windlass sets any. The schema of the
    relation, and public, come last in the search_path, so that it is never empty.

    Dates are read in the role's order of day and month, and written as ISO.
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
    """Inside, the session has the settings of `read_settings`; afterwards its own again, and what
    was written inside is undone."""
    with connection.transaction(force_rollback=True):
        set_local(connection, read_settings(connection, schema))
        yield


def read_path(connection: Connection, schema: str) -> list[str]:
    """The schemas that the search_path of `read_settings` leads to, in its order. PostgreSQL's own
    comes before them, wherever the role's path has it."""
    with as_in_psql(connection, schema):
        row = connection.execute(
            "select pg_catalog.current_schemas(false)::pg_catalog.text[]"
        ).fetchone()
    assert row is not None
    names = row[0] if isinstance(row[0], list) else []
    return [str(name) for name in names if name != "pg_catalog"]


def keep_settings(connection: Connection, schema: str, path: Sequence[str]) -> None:
    """The settings of `read_settings`, for the rest of the session, with this path."""
    named = ", ".join(sql.Identifier(name).as_string(connection) for name in path)
    settings = {**read_settings(connection, schema), "search_path": named}
    connection.execute(setting(settings, is_local=False))


def current_settings(connection: Connection) -> dict[str, str]:
    """Those that a session has now, so that another one can have the same."""
    rows = connection.execute(
        "select name, setting from pg_catalog.pg_settings where name = any(%s)", (list(_NAMES),)
    ).fetchall()
    return {str(name): str(value) for name, value in rows}


def set_local(connection: Connection, settings: Mapping[str, str]) -> None:
    """For the rest of the transaction."""
    connection.execute(setting(settings))


def setting(settings: Mapping[str, str], *, is_local: bool = True) -> sql.Composed:
    """The statement that does so, or sets them for the session."""
    calls = sql.SQL(", ").join(
        sql.SQL("pg_catalog.set_config({}, {}, {})").format(
            sql.Literal(name), sql.Literal(value), sql.Literal(is_local)
        )
        for name, value in settings.items()
    )
    return sql.SQL("select {}").format(calls)


def named_tables(item: str) -> Sequence[Name]:
    """The tables that a FROM item names with their schemas; none if it cannot be read."""
    try:
        found = nodes(tree_of(" ".join(("select from", item))))
    except SyntaxProblem:
        return []
    tables = {Name(one.schemaname, one.relname) for one in found if one.tag == "RangeVar"}
    return sorted(one for one in tables if one.schema)
