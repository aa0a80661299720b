"""Finds statements of tables without dependencies on each other, which can run in parallel."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from windlass.engines.postgres.archive import Entry
from windlass.model.statement import Phase

# relations and their parts: what such a component may consist of
_TABLE_KINDS = {"TABLE", "SEQUENCE", "SEQUENCE OWNED BY", "DEFAULT", "COMMENT", "SECURITY LABEL"}


def components(entries: Sequence[Entry], when: Mapping[int, Phase]) -> dict[int, int]:
    """The component of each entry of the phase TABLES: dependencies connect the entries of one.

    The relations of different components are created in parallel, which pays off for thousands of
    them. A component that has more than relations (a view, a function) stays in archive order.
    """
    parent = {entry.id: entry.id for entry in entries if when.get(entry.id) is Phase.TABLES}

    def root(id_: int) -> int:
        while parent[id_] != id_:
            parent[id_] = parent[parent[id_]]
            id_ = parent[id_]
        return id_

    for entry in entries:
        for need in entry.depends_on:
            if entry.id in parent and need in parent:
                parent[root(entry.id)] = root(need)
    others = {root(e.id) for e in entries if e.id in parent and e.kind not in _TABLE_KINDS}
    others |= {root(id_) for id_ in _contested(entries) if id_ in parent}
    return {id_: root(id_) for id_ in parent if root(id_) not in others}


# since version 18, where pg_dump leaves out names that the server would choose
_NAMED_NOT_NULL = re.compile(r' CONSTRAINT ("(?:[^"]|"")+"|[\w$]+) NOT NULL')


def _contested(entries: Sequence[Entry]) -> set[int]:
    """Tables that compete for a constraint's name: one names a constraint as the server would name
    another's. The table created first gets the name, so they stay in archive order."""
    tables = {(entry.schema, entry.tag): entry.id for entry in entries if entry.kind == "TABLE"}
    found: set[int] = set()
    for entry in entries:
        if entry.kind != "TABLE":
            continue
        for quoted in _NAMED_NOT_NULL.findall(entry.definition):
            name = quoted.strip('"')
            beginnings = (name[:at] for at, letter in enumerate(name) if letter == "_")
            others = {tables.get((entry.schema, one), entry.id) for one in beginnings} - {entry.id}
            if others:
                found |= {entry.id, *others}
    return found
