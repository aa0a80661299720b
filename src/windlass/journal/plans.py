"""Plans of a journal of version 1, in the form that version 2 gives them."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

from psycopg import Connection

Json = dict[str, Any]
PAGE_BYTES = 8192
_STEPS = {
    "transfer_table_data": "copy_tables",
    "transfer_partition": "copy_chunks",
    "transfer_large_objects": "copy_large_objects",
}
_KINDS = {
    "r": "table",
    "p": "partitioned",
    "v": "view",
    "m": "materialized view",
    "f": "foreign",
}
# the parts of a new plan: their fields, with the names that these had in the old one
_OBJECTS = {
    name: name
    for name in ("others", "materialized_views", "partition_roots", "large_objects", "owners")
}
_FINDINGS = {name: name for name in ("losses", "problems", "notices")}
_HOW = {
    "jobs": "jobs",
    "verify": "verify",
    "copies_rows": "copies_rows",
    "silences_triggers": "silences_triggers",
    "most_statements": "portion",
    "notes_sums": "notes_sums",
}
_MADE = {"at": "made_at", "version": "version", "options": "options"}
_WHERE = {"place": "place", "database": "database"}
_KEPT = {"level": "backup", "schema": "backup_schema"}
_SELECTION = {"condition": "condition"}
_CALL = {name: name for name in ("function", "frame", "batch_rows")}


def convert_plans(connection: Connection[Any]) -> None:
    """Convert every plan in the journal, in the caller's transaction. What cannot be read as a plan
    stays as it is, and is refused when a command reads it."""
    for run, flow in connection.execute("select run, flow from windlass.run").fetchall():
        query = "select plan from windlass.run where run = %s"
        ((packed,),) = connection.execute(query, (run,)).fetchall()
        try:
            plan = json.loads(zlib.decompress(packed))
        except (zlib.error, ValueError):
            continue
        convert = _rewrite if flow == "rewrite" else _migration
        converted = zlib.compress(json.dumps(convert(plan)).encode(), level=1)
        connection.execute("update windlass.run set plan = %s where run = %s", (converted, run))


def _migration(old: Json) -> Json:
    if "pg_dump" not in old:
        return old
    new = {key: value for key, value in old.items() if key not in _gone(_MIGRATION) | {"pg_dump"}}
    new |= _parts(old, _MIGRATION)
    new["made"]["tools"] = {"pg_dump": old["pg_dump"]}
    new["relations"] = [_relation(one) for one in old["relations"]]
    new["statements"] = [_statement(one) for one in old["statements"]]
    steps = old["estimate"].get("steps", {})
    renamed = {_STEPS.get(step, step): seconds for step, seconds in steps.items()}
    new["estimate"] = {**old["estimate"], "steps": renamed}
    return new


def _rewrite(old: Json) -> Json:
    if "place" not in old:
        return old
    kept = {key: value for key, value in old.items() if key not in _gone(_REWRITE) | {"oid"}}
    return kept | _parts(old, _REWRITE) | {"number": old["oid"]}


Parts = Mapping[str, Mapping[str, str]]
_MIGRATION: Parts = {"objects": _OBJECTS, "findings": _FINDINGS, "how": _HOW, "made": _MADE}
_REWRITE: Parts = {"where": _WHERE, "selection": _SELECTION, "kept": _KEPT, "call": _CALL}


def _gone(parts: Parts) -> set[str]:
    return {name for fields in parts.values() for name in fields.values()}


def _parts(old: Json, parts: Parts) -> Json:
    return {
        part: {new: old[name] for new, name in fields.items() if name in old}
        for part, fields in parts.items()
    }


def _relation(planned: Json) -> Json:
    old = planned["relation"]
    relation = {
        **old,
        "kind": _KINDS[old["kind"]],
        "identity": str(old["oid"]),
        "scan_bytes": old["blocks"] * PAGE_BYTES,
    }
    root, reordered = old.get("route"), old.get("reordered", False)
    return {**planned, "relation": relation, "root": root, "reordered": reordered}


def _statement(old: Json) -> Json:
    return {**old, "component": old.get("island", 0)}
