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
class Storage:
    """How the rows of a relation are stored."""

    blocks: int = 0  # of the main fork: what ctid ranges divide
    tid_range_scan: bool = True  # heap, on a server of version 14 or later
    populated: bool = True  # of a materialised view

    @property
    def divisible_blocks(self) -> int:
        """The blocks that ranges can divide; 0 if every range would scan everything, as before
        version 14."""
        return self.blocks if self.tid_range_scan else 0


@dataclass(frozen=True, slots=True)
class Family:
    """What a relation's parents, partition roots and children mean for it."""

    has_children: bool = False  # COPY needs ONLY
    root: Name | None = None  # rows must enter here, because servers divide them differently
    text_root: Name | None = None  # rows must enter here if the encodings differ
    reordered: bool = False  # an inherited column comes after one that is not
    # inherited columns that may be NULL although the parent's may not
    loosened: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CatalogRelation(Relation):
    """`plain` is the part that a plan keeps."""

    storage: Storage = Storage()
    family: Family = Family()
    has_triggers: bool = False  # its own, or of a foreign key from or to it
    unique: tuple[tuple[str, ...], ...] = ()  # columns that a foreign key can refer to

    @property
    def is_populated_view(self) -> bool:
        """Whether it is a materialised view that holds the rows of its query."""
        return self.kind is Kind.MATERIALIZED_VIEW and self.storage.populated

    @property
    def plain(self) -> Relation:
        return Relation(**{field.name: getattr(self, field.name) for field in fields(Relation)})


def block_count(relation: Relation) -> int:
    """The number of blocks of a planned relation."""
    return relation.scan_bytes // PAGE_BYTES
