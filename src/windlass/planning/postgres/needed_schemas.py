"""Schemas that the archive needs but does not create."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import sql

from windlass.engines.postgres.archive import Entry
from windlass.planning.postgres.surroundings import Surroundings


def with_schemas(entries: Sequence[Entry], around: Surroundings) -> Sequence[Entry]:
    """The entries, with one for each schema that they need and do not create themselves.

    pg_dump assumes that `public` exists: it has no entry, or one that is only a comment.
    """
    made = {entry.tag for entry in entries if makes_schema(entry)}
    needed = {entry.schema for entry in entries if entry.schema} - made
    owners = {entry.tag: entry.owner for entry in entries if entry.kind == "SCHEMA"}
    first = min((entry.id for entry in entries), default=1)
    ours = [
        schema_entry(first - number, name, owners.get(name, ""))
        for number, name in enumerate(sorted(needed & {"public", *around.schemas}), start=1)
        if around.schemas.get(name, name) not in around.existing.schemas
    ]
    return (*ours, *entries) if ours else entries


def makes_schema(entry: Entry) -> bool:
    return entry.kind == "SCHEMA" and not entry.definition.startswith("--")


def schema_entry(id_: int, name: str, owner: str) -> Entry:
    """What pg_dump would write of a schema."""
    quoted = sql.Identifier(name).as_string(None)
    return Entry(
        id=id_,
        kind="SCHEMA",
        schema="",
        tag=name,
        owner=owner,
        definition=f"CREATE SCHEMA {quoted};\n",
        drop=f"DROP SCHEMA {quoted};\n",
        tablespace="",
        access_method="",
        catalog=0,
        oid=0,
        depends_on=(),
    )
