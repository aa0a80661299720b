"""The schemas in which everybody may create objects, because PUBLIC has CREATE there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.session import Connection


def read_open_schemas(connection: Connection, *, side: str) -> Mapping[str, bool]:
    """Every schema, and whether PUBLIC effectively has CREATE on it."""
    try:
        rows: list[Any] = connection.execute(
            "select nspname::text, has_schema_privilege('public', oid, 'create') from pg_namespace"
        ).fetchall()
    except psycopg.Error as error:
        raise explain(error, "reading privileges on schemas", side=side) from error
    return dict(rows)
