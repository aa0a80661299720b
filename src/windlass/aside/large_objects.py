"""Sets large objects of the target aside, as copies under other ids, and puts them back.

Rows refer to a large object by its id alone, so a migrated one needs the id that it has on the
source.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import psycopg

from windlass.engines.postgres.catalog import read_existing
from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.largeobjects import (
    SLICE_BYTES,
    apply_metadata,
    describe,
    unlink_large_objects,
)
from windlass.engines.postgres.session import Connection


def keep_aside(connection: Connection, oids: Collection[int], user: str) -> dict[int, int]:
    """Free the ids that are taken, inside the caller's transaction. Returns each id with the id of
    its copy."""
    roles = read_existing(connection).roles
    kept = {}
    for found in describe(connection, list(oids)):
        kept[found.oid] = _copied(connection, found.oid, 0)
        apply_metadata(connection, replace(found, oid=kept[found.oid]), roles, user)
    unlink_large_objects(connection, kept)
    return kept


def bring_back(connection: Connection, kept: Mapping[int, int], user: str) -> None:
    """Give each copy its old id again, inside the caller's transaction. The ids are free."""
    roles = read_existing(connection).roles
    own = {copy: oid for oid, copy in kept.items()}
    for found in describe(connection, list(own)):
        _copied(connection, found.oid, own[found.oid])
        apply_metadata(connection, replace(found, oid=own[found.oid]), roles, user)
    unlink_large_objects(connection, own)


def kept_of(notes: Sequence[Mapping[str, Any]]) -> dict[int, int]:
    """What was set aside, by the journal's notes."""
    return {int(oid): copy for note in notes for oid, copy in note.get("kept", {}).items()}


def _copied(connection: Connection, oid: int, wanted: int) -> int:
    """Copy it to an id, or to any id. The bytes stay on the server."""
    try:
        row: Any = connection.execute("select lo_create(%s)::bigint", (wanted,)).fetchone()
        copy, at, length = int(row[0]), 0, SLICE_BYTES
        while length == SLICE_BYTES:
            row = connection.execute(
                "select length(data), lo_put(%s, %s, data) from lo_get(%s, %s, %s) data",
                (copy, at, oid, at, SLICE_BYTES),
            ).fetchone()
            length = row[0]
            at += length
    except psycopg.Error as error:
        raise explain(error, f"setting large object {oid} aside", side="target") from error
    return copy
