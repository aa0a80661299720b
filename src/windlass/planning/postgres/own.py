"""What earlier runs have left in the source. It is not migrated, nor is anything that belongs to
it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from windlass.engines.postgres.archive import ATTRIBUTES, PARTS, Entry
from windlass.engines.postgres.catalog import Catalog
from windlass.engines.postgres.own_schemas import JOURNAL, OwnSchemas
from windlass.model.report import Loss, LossClass
from windlass.model.units import plural, several
from windlass.planning.naming import is_backup
from windlass.planning.postgres.select import is_called_after, left_out


@dataclass(frozen=True, slots=True)
class Others:
    """The user's entries. `stranded` are losses for those that need something of ours."""

    entries: tuple[Entry, ...]
    stranded: tuple[Loss, ...] = ()


def others_relations(catalog: Catalog, own: OwnSchemas) -> Catalog:
    """The catalog without our own relations and sequences."""
    return replace(
        catalog,
        relations=tuple(one for one in catalog.relations if one.name.schema not in own.names),
        sequences=tuple(one for one in catalog.sequences if one.name.schema not in own.names),
    )


def others_entries(entries: Sequence[Entry], own: OwnSchemas) -> Others:
    """The archive without our own objects: those in our schemas, and those that a run has
    renamed."""
    gone: dict[int, Entry] = {}
    kept: list[Entry] = []
    stranded: list[Loss] = []
    servers = {one.tag for one in entries if one.kind == "SERVER" and _is_own(one, own)}
    for entry in entries:
        missing = [gone[id_] for id_ in entry.depends_on if id_ in gone]
        of_server = entry.kind == "USER MAPPING" and entry.tag.rpartition(" SERVER ")[2] in servers
        # what a run that follows has published
        of_stream = entry.kind == "PUBLICATION TABLE" and bool(missing)
        if _is_own(entry, own) or of_server or of_stream or _belongs(entry, missing):
            gone[entry.id] = entry
        elif missing:
            gone[entry.id] = entry
            stranded.append(left_out(entry, missing))
        else:
            kept.append(entry)
    return Others(tuple(kept), tuple(stranded))


def _is_own(entry: Entry, own: OwnSchemas) -> bool:
    if entry.schema in own.names or (entry.kind == "SCHEMA" and entry.tag in own.names):
        return True
    return not entry.schema and is_backup(entry.tag) and entry.owner in own.owners


def _belongs(entry: Entry, gone: Sequence[Entry]) -> bool:
    """Whether it belongs to something that is left out, rather than just needing it."""
    if entry.kind in ATTRIBUTES:
        return bool(gone)
    return entry.kind in PARTS and any(is_called_after(entry, one) for one in gone)


def own_notices(own: OwnSchemas) -> list[str]:
    if not own.names:
        return []
    names = sorted(own.names)
    return [
        f"left out, as windlass has made them: schema"
        f"{'s' if len(names) > 1 else ''} {several(names, 10)}"
    ]


def kept_notices(kept: Mapping[str, int]) -> list[str]:
    """Copies of large objects: without names, they cannot be left out safely."""
    return [
        f"{plural(count, 'large object')} that run {run} has set aside on the source: migrated like"
        f" all others, unless windlass clean {run} removes what was set aside there first"
        for run, count in sorted(kept.items())
    ]


def own_losses(own: OwnSchemas) -> list[Loss]:
    """A user's schema under the journal's name: its contents are never read."""
    if not own.has_usurper:
        return []
    message = "is left out: windlass keeps its journal under that name; rename it on the source"
    return [Loss(f"schema {JOURNAL}", message, LossClass.OBJECTS)]
