"""A relation in PostgreSQL's catalog: what planning needs beyond the common model."""

from __future__ import annotations

from dataclasses import dataclass, fields

from windlass.model.relation import Kind, Name, Relation

# pg_class.relkind
KINDS = {
    "r": Kind.TABLE,
    "p": Kind.PARTITIONED,
    "v": Kind.VIEW,
    "m": Kind.MATERIALIZED_VIEW,
    "f": Kind.FOREIGN,
}
PAGE_BYTES = 8192


@dataclass(frozen=True, slots=True)
class CatalogRelation(Relation):
    """`plain` is the part that a plan keeps."""

    oid: int = 0
    blocks: int = 0  # of the main fork: what ctid ranges divide
    has_children: bool = False  # COPY needs ONLY
    route: Name | None = None  # rows must enter here: each server divides them differently
    text_route: Name | None = None  # they must where the encodings differ
    populated: bool = True  # of a materialised view
    has_triggers: bool = False  # its own, or of a foreign key from or to it
    reordered: bool = False  # an inherited column comes after one that is not
    loosened: tuple[str, ...] = ()  # inherited columns that may be NULL, though not the parent's
    tid_range_scan: bool = True  # heap, on a server of version 14 or later
    unique: tuple[tuple[str, ...], ...] = ()  # columns that a foreign key can refer to

    @property
    def divisible_blocks(self) -> int:
        """The blocks that ranges can divide; 0 if every range would scan everything, as before
        version 14."""
        return self.blocks if self.tid_range_scan else 0

    @property
    def plain(self) -> Relation:
        return Relation(**{field.name: getattr(self, field.name) for field in fields(Relation)})


def block_count(relation: Relation) -> int:
    """The number of blocks of a planned relation."""
    return relation.scan_bytes // PAGE_BYTES
