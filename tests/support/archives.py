"""Made-up archives: entries as pg_dump writes them, for what is decided without a server.

What an entry depends on is taken from real archives of pg_dump 16; an owner, a definition and a
drop are filled in where a test does not care.
"""

from __future__ import annotations

from typing import Any

from windlass.engines.postgres.archive import Entry

# those whose DROP names them as ALTER does; the others get none here
_DROPPED = {
    "DOMAIN", "FUNCTION", "MATERIALIZED VIEW", "SCHEMA", "SEQUENCE", "TABLE", "TYPE", "VIEW"
}  # fmt: skip


class Archive:
    """Entries in the order in which they were added, each after what it needs."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def add(
        self, kind: str, tag: str, *needs: Entry, schema: str | None = None, **facts: Any
    ) -> Entry:
        """`schema` is that of the first need with one, or shop, unless it is given."""
        if schema is None:
            schema = next((need.schema for need in needs if need.schema), "shop")
        full = f"{schema}.{tag}" if schema else tag
        defaults: dict[str, Any] = {
            "id": len(self.entries) + 1,
            "kind": kind,
            "schema": schema,
            "tag": tag,
            "owner": "app",
            "definition": f"-- {kind} {full}\n",
            "drop": f"DROP {kind} {full};\n" if kind in _DROPPED else "",
            "tablespace": "",
            "access_method": "heap" if kind == "TABLE" else "",
            "catalog": 0,
            "oid": 0,
            "depends_on": tuple(need.id for need in needs),
        }
        self.entries.append(Entry(**defaults | facts))
        return self.entries[-1]

    def schema(self, name: str) -> Entry:
        return self.add("SCHEMA", name, schema="", definition=f"CREATE SCHEMA {name};\n")


def words(entries: tuple[Entry, ...]) -> list[str]:
    """Entries as a test names them: ``TABLE orders``."""
    return [f"{entry.kind} {entry.tag}" for entry in entries]
