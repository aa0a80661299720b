"""Archives to select from."""

from __future__ import annotations

from collections.abc import Iterable

from archives import Archive
from windlass.engines.postgres.archive import Entry
from windlass.engines.postgres.catalog import Catalog, SequenceOwner, Standing
from windlass.engines.postgres.relation import CatalogRelation
from windlass.model.plan import Server
from windlass.model.relation import Kind, Name
from windlass.planning.postgres.select import (
    Selection,
    Wanted,
    select_entries,
    select_relations,
)

KINDS = {
    "TABLE": Kind.TABLE, "VIEW": Kind.VIEW, "MATERIALIZED VIEW": Kind.MATERIALIZED_VIEW,
    "FOREIGN TABLE": Kind.FOREIGN,
}  # fmt: skip


def catalog_of(entries: Iterable[Entry], owned_by: dict[Name, Name] | None = None) -> Catalog:
    """The catalog that an archive was made from."""
    return Catalog(
        Server("here:5432", "shop", "app", 160000, "16.0", "UTF8", "one"),
        Standing("one", may_create=True, standby=False),
        tuple(
            CatalogRelation(Name(one.schema, one.tag), KINDS[one.kind])
            for one in entries
            if one.kind in KINDS
        ),
        tuple(SequenceOwner(name, owner, True) for name, owner in (owned_by or {}).items()),
    )


def select(archive: Archive, wanted: Wanted, owned_by: dict[Name, Name] | None = None) -> Selection:
    """As the planner asks for it."""
    chosen = select_relations(catalog_of(archive.entries), wanted)
    names = {relation.name for relation in chosen}
    return select_entries(archive.entries, names, wanted, owned_by or {})
