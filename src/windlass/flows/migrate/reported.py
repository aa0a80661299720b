"""What is shown of loads: their chunks, and the bytes as they are copied."""

from __future__ import annotations

from collections.abc import Callable

from windlass.model.chunk import Chunk
from windlass.model.event import BytesCopied, Emit
from windlass.model.flow import Result
from windlass.model.plan import Load, RelationPlan

_REPORT_BYTES = 1 << 20  # how often a copy reports its progress


def chunk_result(chunk: Chunk, relation: RelationPlan, where: str) -> Result:
    """What a scheduler shows of a chunk of a large relation."""
    name = f"{chunk.relation} {chunk.range}"
    return {
        "name": name,
        "table_name": str(chunk.relation),
        "partition_name": name,
        "where_clause": where,
        "estimated_rows": max(relation.relation.rows, 0) // len(relation.chunks),
    }


def reporting(emit: Emit, load: Load) -> Callable[[int], None]:
    """Takes the bytes of a load as they are copied, and emits an event for many at once."""
    unreported = 0

    def report(size_bytes: int) -> None:
        nonlocal unreported
        unreported += size_bytes
        if unreported >= _REPORT_BYTES:
            emit(BytesCopied(load.id, load.batch, unreported))
            unreported = 0

    return report
