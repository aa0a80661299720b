"""The tables whose ranges of blocks are the rows of a relation: itself, or its partitions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from psycopg import sql

from windlass.engines.postgres.catalog import Catalog
from windlass.engines.postgres.ranges import condition
from windlass.engines.postgres.relation import CatalogRelation
from windlass.engines.postgres.session import Connection
from windlass.engines.postgres.since import read_attached
from windlass.model.chunk import BlockRange
from windlass.model.relation import Kind, Name


@dataclass(frozen=True, slots=True)
class HeapPiece:
    relation: CatalogRelation

    @property
    def blocks(self) -> int:
        return self.relation.storage.blocks

    @property
    def size_bytes(self) -> int:
        return self.relation.size_bytes

    def query(self, blocks: BlockRange) -> str:
        name = sql.Identifier(self.relation.name.schema, self.relation.name.name)
        item = sql.SQL("(select * from only {} where {}) as windlass_some")
        return item.format(name, condition(blocks, self.relation)).as_string(None)


@dataclass(frozen=True, slots=True)
class Pieces:
    """The pieces of all relations of a catalog."""

    relations: Mapping[Name, CatalogRelation]
    closed: frozenset[Name]  # relations that this role cannot read completely
    partitions: Mapping[Name, Sequence[Name]]  # partitions that have rows, by ancestor

    def of(self, relation: CatalogRelation) -> tuple[HeapPiece, ...]:
        """The tables of a relation. Empty if a part of its rows cannot be read by blocks, or not by
        this role."""
        if relation.kind is not Kind.PARTITIONED:
            return self._pieces([relation.name])
        return self._pieces(self.partitions.get(relation.name, []))

    def _pieces(self, names: Sequence[Name]) -> tuple[HeapPiece, ...]:
        found = [self.relations.get(name) for name in names]
        pieces = [HeapPiece(one) for one in found if one and self._is_divisible(one)]
        return tuple(pieces) if len(pieces) == len(names) else ()

    def _is_divisible(self, relation: CatalogRelation) -> bool:
        has_heap = relation.kind in (Kind.TABLE, Kind.MATERIALIZED_VIEW)
        return has_heap and relation.storage.tid_range_scan and relation.name not in self.closed


def read_pieces(connection: Connection, catalog: Catalog) -> Pieces:
    partitions: dict[Name, list[Name]] = defaultdict(list)
    for partition, ancestor in read_attached(connection):
        partitions[ancestor].append(partition)
    relations = {one.name: one for one in catalog.relations}
    return Pieces(relations, catalog.unreadable | catalog.hiding, partitions)
