"""Relations into chunks, chunks into loads, and both into their order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from types import MappingProxyType

from windlass.model.chunk import BlockRange, Chunk, KeyRange, NullKeys, Range, Whole
from windlass.model.export import Piece
from windlass.model.plan import Load
from windlass.model.relation import Name, Relation
from windlass.spec.choices import ChunkBy
from windlass.spec.migrate import Spec

# Smaller relations share a transaction: 2,000 of them with a commit each took 2,000 commits, and
# twice as many round trips.
SMALL_BYTES = 1 << 20
BATCH_RELATIONS = 50
_SHARED = "small relations "

# A relation in one piece is frozen as it is written, and needs no second session that extends it:
# two relations of 300 MB took 5.3 s that way, and 5.9 s in chunks of 64 MB (two cores, all
# included). The price is paid after a kill: such a piece is copied again as a whole.
WHOLE_CHUNKS = 8
WHOLE_FROM_BYTES = 16 << 20  # smaller chunks were requested, to lose less in a kill
CUT_FROM_BYTES = 8 << 20  # between engines: a smaller table is read by one session


def is_better_whole(size_bytes: int, total_bytes: int, jobs: int, chunk_size_bytes: int) -> bool:
    """Whether a large relation is copied in one piece although it could be cut: if the other
    relations keep all jobs busy, and it has at most `WHOLE_CHUNKS` chunks."""
    keeps_busy = size_bytes * jobs <= 1.25 * total_bytes
    small = size_bytes <= WHOLE_CHUNKS * chunk_size_bytes
    return keeps_busy and small and chunk_size_bytes >= WHOLE_FROM_BYTES


Bounds = Callable[[Relation, int], Sequence[tuple[str, ...]]]
"""Asks for at most n - 1 sorted, distinct key tuples that cut a relation into about n parts."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the user has specified about the chunks of a relation, apart from their size. 0 means
    nothing."""

    threshold_rows: int = 0  # relations with at least this many are cut, others are not
    most_chunks: int = 0
    least_rows: int = 0  # of a chunk

    def apply(self, count: int, rows: int) -> int:
        """`count` is the number of chunks that the size suggests; `rows` is -1 for a relation that
        was never analysed."""
        if rows >= 0 and self.threshold_rows:
            count = 1 if rows < self.threshold_rows else max(count, 2)
        if rows >= 0 and self.least_rows:
            count = min(count, max(rows // self.least_rows, 1))
        return min(count, self.most_chunks) if self.most_chunks else count


def count_between_engines(spec: Spec, size_bytes: int, rows: int, *, at_once: int = 0) -> int:
    """How many chunks a table is cut into that another engine reads or writes: each job has some of
    a large table, or as many jobs as `at_once` says. If that is one, the table is copied in one
    piece, unless this is more than `WHOLE_CHUNKS` chunks."""
    if spec.chunk_by is ChunkBy.WHOLE:
        return 1
    by_size, at_once = max(1, ceil(size_bytes / spec.chunk_size)), at_once or spec.jobs
    chooses = spec.chunk_by is ChunkBy.AUTO and spec.chunk_size >= WHOLE_FROM_BYTES
    if at_once == 1 and by_size <= WHOLE_CHUNKS and chooses:
        by_size = 1
    limits = Limits(spec.chunk_threshold, spec.max_chunks, spec.min_chunk_rows)
    return limits.apply(max(by_size, at_once if size_bytes >= CUT_FROM_BYTES else 1), rows)


def streams_at_once(jobs: int, cores: int) -> int:
    """How many chunks of one table are copied at once into a server that has so many cores on this
    machine; 0 if it is on another one.

    Reading rows and storing them takes a core each. Two streams on two cores take as long as one,
    but store rows in no order: then keys and indexes of columns that ascend with the rows' order
    take up to twice the time, as there is something to sort (1M rows of SQLite: 1.12 s instead of
    0.47 s for a column of texts; 15.18).
    """
    return max(1, min(jobs, cores // 2)) if cores else jobs


def split(
    relation: Relation,
    chunk_by: ChunkBy,
    chunk_size_bytes: int,
    bounds: Bounds,
    limits: Limits | None = None,
    *,
    blocks: int = 0,
) -> tuple[Chunk, ...]:
    """Cut a relation so that every row is in exactly one chunk of about the given size.

    `blocks` is the number of blocks that ranges can divide; 0 if the engine would read all blocks
    for any range.
    """
    by_size = max(1, ceil(relation.size_bytes / chunk_size_bytes))
    count = (limits or Limits()).apply(by_size, relation.rows)
    ranges = _ranges(relation, _method(relation, chunk_by, count, blocks), count, bounds, blocks)
    size = relation.size_bytes // len(ranges)
    return tuple(Chunk(relation.name, number, range_, size) for number, range_ in enumerate(ranges))


def _method(relation: Relation, chunk_by: ChunkBy, count: int, blocks: int) -> ChunkBy:
    """How to cut this relation."""
    if count == 1 or chunk_by is ChunkBy.WHOLE:
        return ChunkBy.WHOLE
    if chunk_by is not ChunkBy.KEYSET and blocks > 1:
        return ChunkBy.CTID
    return ChunkBy.KEYSET if relation.key else ChunkBy.WHOLE


def _ranges(
    relation: Relation, method: ChunkBy, count: int, bounds: Bounds, blocks: int
) -> tuple[Range, ...]:
    if method is ChunkBy.CTID:
        return block_ranges(blocks, count)
    if method is ChunkBy.KEYSET:
        nullable = {column.name for column in relation.columns if not column.not_null}
        cuts = bounds(relation, count)
        return key_ranges(relation.key, cuts, nullable=bool(nullable & set(relation.key)))
    return (Whole(),)


def block_ranges(blocks: int, count: int) -> tuple[BlockRange, ...]:
    """Near-equal block ranges that cover 0 to the end; the last is open, as a relation grows."""
    count = max(min(count, blocks), 1)
    edges = [blocks * number // count for number in range(count)]
    highs: list[int | None] = [*edges[1:], None]
    return tuple(BlockRange(low, high) for low, high in zip(edges, highs, strict=True))


def slices(pieces: Sequence[Piece], slice_bytes: int) -> list[str]:
    """The queries that read pieces by ranges of blocks of about the given size."""
    return [
        piece.query(range_)
        for piece in pieces
        for range_ in block_ranges(piece.blocks, ceil(piece.size_bytes / slice_bytes))
    ]


def key_ranges(
    key: tuple[str, ...], bounds: Sequence[tuple[str, ...]], *, nullable: bool
) -> tuple[Range, ...]:
    """n bounds give n + 1 ranges, the outer two open, and one more for NULL keys if there can be.

    Bounds may cut by the first columns of the key only: a range holds as many columns as they do.
    """
    if not bounds:
        return (Whole(),)
    columns = key[: len(bounds[0])]
    edges: list[tuple[str, ...] | None] = [None, *bounds, None]
    ranges: list[Range] = [KeyRange(columns, low, high) for low, high in pairwise(edges)]
    return (*ranges, NullKeys(columns)) if nullable else tuple(ranges)


def batch_of(relation: Relation, root: Name | None, number: int, most: int) -> str:
    """The group in which a relation's items are pipelined. `number` counts the small relations.

    Partitions whose rows enter at their root wait for each other.
    """
    if root:
        return str(root)
    if relation.size_bytes < SMALL_BYTES:
        return f"{_SHARED}{number // most + 1}"
    return str(relation.name)


def is_shared(batch: str) -> bool:
    """Whether the batch is one of small relations."""
    return batch.startswith(_SHARED)


def batches(
    relations: Iterable[Relation],
    roots: Mapping[Name, Name] = MappingProxyType({}),
    most: int = BATCH_RELATIONS,
) -> list[str]:
    """The batch of each relation, in the same order. At most `most` small relations share one.
    `roots` maps partitions to the roots through which their rows enter."""
    found, small = [], 0
    for relation in relations:
        root = roots.get(relation.name)
        found.append(batch_of(relation, root, small, most))
        small += relation.size_bytes < SMALL_BYTES and root is None
    return found


def plan_loads(chunks: Iterable[tuple[str, Sequence[Chunk]]]) -> tuple[Load, ...]:
    """One load per chunk of a large relation; one for all chunks of a batch of small relations.

    `chunks` pairs a relation's batch with its chunks. Largest first, so that the long ones do not
    come last.
    """
    shared: dict[str, list[Chunk]] = {}
    loads: list[Load] = []
    for batch, some in chunks:
        if is_shared(batch):
            shared.setdefault(batch, []).extend(some)
        else:
            loads.extend(Load(chunk.id, batch, (chunk,)) for chunk in some)
    loads.extend(Load(batch, batch, tuple(some)) for batch, some in shared.items())
    totals: dict[str, int] = {}
    for load in loads:
        totals[load.batch] = totals.get(load.batch, 0) + load.size_bytes
    return tuple(sorted(loads, key=lambda load: -totals[load.batch]))
