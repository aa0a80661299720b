"""How much the materialised views of a migration read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from windlass.engines.postgres.archive import RELATION_KINDS, Entry
from windlass.engines.postgres.relation import CatalogRelation
from windlass.model.relation import Name


def refreshed_bytes(entries: Sequence[Entry], relations: Iterable[CatalogRelation]) -> int:
    """For every populated view: the bytes of the relations that its query reads, directly, through
    other views, or as partitions."""
    sizes: dict[Name, int] = defaultdict(int)
    populated = set()
    for relation in relations:
        sizes[relation.name] += relation.size_bytes
        if relation.partition_of:
            sizes[relation.partition_of] += relation.size_bytes
        if relation.is_populated_view:
            populated.add(relation.name)
    by_id = {entry.id: entry for entry in entries if entry.kind in RELATION_KINDS}
    return sum(
        sizes[Name(by_id[read].schema, by_id[read].tag)]
        for entry in by_id.values()
        if Name(entry.schema, entry.tag) in populated
        for read in _read_by(entry, by_id)
    )


def _read_by(entry: Entry, by_id: dict[int, Entry]) -> set[int]:
    """Ids of all relations behind an entry."""
    found: set[int] = set()
    waiting = [entry]
    while waiting:
        new = {id_ for id_ in waiting.pop().depends_on if id_ in by_id} - found
        found |= new
        waiting += [by_id[id_] for id_ in new]
    return found
