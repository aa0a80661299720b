"""Notes default privileges and comments of schemas before a run, and restores them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.queries import load
from windlass.engines.postgres.session import Connection
from windlass.model.statement import Statement

Row = tuple[str, str, str, str, str, bool]  # role, schema, objects, grantee, privilege, grantable
_COMMENTS: LiteralString = (
    "select nspname::text, obj_description(oid, 'pg_namespace') from pg_namespace"
    " where nspname = any(%s)"
)


def changes_defaults(statements: Iterable[Statement]) -> bool:
    """Whether any of the statements changes default privileges, or the comment of a schema."""
    return any(
        one.kind == "DEFAULT ACL" or (one.kind == "COMMENT" and one.name.name.startswith("SCHEMA "))
        for one in statements
    )


def read_defaults(connection: Connection, statements: Iterable[Statement]) -> dict[str, Any]:
    """For the journal: the state that these statements change and that no rollback drops."""
    some = list(statements)
    schemas = [
        one.name.name.removeprefix("SCHEMA ").strip('"').replace('""', '"')
        for one in some
        if one.kind == "COMMENT" and one.name.name.startswith("SCHEMA ")
    ]
    found: dict[str, Any] = {}
    try:
        if schemas:
            rows = connection.execute(_COMMENTS, (schemas,)).fetchall()
            found["comments"] = [list(row) for row in rows]
        if any(one.kind == "DEFAULT ACL" for one in some):
            found["defaults"] = [list(row[:6]) for row in _rows(connection) if not row[6]]
    except psycopg.Error as error:
        raise explain(error, "reading default privileges", side="target") from error
    return found


def restore_defaults(connection: Connection, noted: Mapping[str, Any]) -> None:
    """Restore it, inside the caller's transaction."""
    try:
        for schema, comment in noted.get("comments", ()):
            connection.execute(
                sql.SQL("comment on schema {} is {}").format(
                    sql.Identifier(schema), sql.Literal(comment)
                )
            )
        if "defaults" in noted:
            _restore(connection, {tuple(row) for row in noted["defaults"]})
    except psycopg.Error as error:
        raise explain(error, "restoring default privileges", side="target") from error


def _restore(connection: Connection, before: Collection[Row]) -> None:
    """The old default privileges; if there were none, those that apply without ALTER DEFAULT
    PRIVILEGES."""
    now: dict[tuple[str, str, str], set[Row]] = defaultdict(set)
    usual: dict[tuple[str, str, str], set[Row]] = defaultdict(set)
    then: dict[tuple[str, str, str], set[Row]] = defaultdict(set)
    for *words, is_usual in _rows(connection):
        row: Row = tuple(words)
        (usual if is_usual else now)[row[:3]].add(row)
    for row in before:
        then[row[:3]].add(row)
    for key in now.keys() | then.keys():
        if now[key] == then[key]:
            continue
        for grantee in sorted({row[3] for row in now[key]}):
            _alter(connection, key, sql.SQL("revoke all on {} from {}"), grantee)
        for *_, grantee, privilege, grantable in sorted(then[key] or usual[key]):
            words_ = sql.SQL("grant {} on {{}} to {{}}").format(sql.SQL(privilege)).as_string(None)
            option = " with grant option" if grantable else ""
            _alter(connection, key, sql.SQL(words_ + option), grantee)


def _alter(connection: Connection, key: tuple[str, str, str], how: sql.SQL, grantee: str) -> None:
    role, schema, objects = key
    where = sql.SQL("in schema {} ").format(sql.Identifier(schema)) if schema else sql.SQL("")
    to = sql.Identifier(grantee) if grantee else sql.SQL("public")
    connection.execute(
        sql.SQL("alter default privileges for role {} {}{}").format(
            sql.Identifier(role), where, how.format(sql.SQL(objects), to)
        )
    )


def _rows(connection: Connection) -> list[Any]:
    return connection.execute(load("default_privileges")).fetchall()
