"""Relations into chunks, chunks into loads: every row in exactly one, the largest first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windlass.engines.postgres.relation import CatalogRelation, Family, Storage
from windlass.model.chunk import BlockRange, Chunk, KeyRange, NullKeys, Range, Whole
from windlass.model.relation import Column, Kind, Name, Relation
from windlass.planning.chunks import (
    BATCH_RELATIONS,
    SMALL_BYTES,
    batches,
    block_ranges,
    count_between_engines,
    key_ranges,
    plan_loads,
    split,
    streams_at_once,
)
from windlass.spec.choices import ChunkBy
from windlass.spec.migrate import Spec

MB = 1 << 20
Key = tuple[int | None, ...]


def relation(
    size_bytes: int = 10 * MB,
    blocks: int = 1280,
    key: tuple[str, ...] = ("id",),
    *,
    name: str = "orders",
    nullable: Sequence[str] = (),
    tid_range_scan: bool = True,
    root: Name | None = None,
) -> CatalogRelation:
    return CatalogRelation(
        Name("shop", name),
        Kind.TABLE,
        tuple(Column(part, "integer", not_null=part not in nullable) for part in key),
        key=key,
        size_bytes=size_bytes,
        storage=Storage(blocks, tid_range_scan),
        family=Family(root=root),
    )


def tens(_: Relation, count: int) -> list[tuple[str, ...]]:
    """Bounds 10, 20 and so on."""
    return [(str(10 * number),) for number in range(1, count)]


def holds_block(range_: Range, block: int) -> bool:
    if isinstance(range_, BlockRange):
        return range_.low <= block and (range_.high is None or block < range_.high)
    return isinstance(range_, Whole)


def holds_key(range_: Range, key: Key) -> bool:
    """As the server compares: NULL in a column that the range looks at is in no key range."""
    if isinstance(range_, NullKeys):
        return None in key[: len(range_.key)]
    if not isinstance(range_, KeyRange):
        return isinstance(range_, Whole)
    seen = tuple(part for part in key[: len(range_.key)] if part is not None)
    if len(seen) < len(range_.key):
        return False
    low = tuple(map(int, range_.low)) if range_.low else None
    high = tuple(map(int, range_.high)) if range_.high else None
    return (low is None or low <= seen) and (high is None or seen < high)


@settings(deadline=None)
@given(blocks=st.integers(0, 300), count=st.integers(1, 400), block=st.integers(0, 400))
def test_every_block_lands_in_exactly_one_range(blocks: int, count: int, block: int) -> None:
    ranges = block_ranges(blocks, count)
    assert sum(holds_block(range_, block) for range_ in ranges) == 1


@settings(deadline=None)
@given(blocks=st.integers(0, 10**9), count=st.integers(1, 500))
def test_block_ranges_are_as_many_as_asked_for_and_near_equal(blocks: int, count: int) -> None:
    ranges = block_ranges(blocks, count)
    lengths = [
        (blocks if range_.high is None else range_.high) - range_.low
        for range_ in ranges
        if isinstance(range_, BlockRange)
    ]
    assert len(lengths) == min(count, max(blocks, 1))
    assert max(lengths) - min(lengths) <= 1


@settings(deadline=None)
@given(blocks=st.integers(0, 1000), count=st.integers(1, 50))
def test_rows_that_come_later_are_in_the_last_block_range(blocks: int, count: int) -> None:
    ranges = block_ranges(blocks, count)
    assert holds_block(ranges[-1], blocks + 1_000_000)


@settings(deadline=None)
@given(
    width=st.integers(1, 2),
    bounds=st.sets(st.tuples(st.integers(-20, 20), st.integers(-20, 20)), max_size=8),
    key=st.tuples(st.none() | st.integers(-25, 25), st.none() | st.integers(-25, 25)),
)
def test_every_key_lands_in_exactly_one_range(
    width: int, bounds: set[tuple[int, int]], key: tuple[int | None, int | None]
) -> None:
    """Bounds may cut by the key's first column only."""
    cuts = sorted({bound[:width] for bound in bounds})
    texts = [tuple(map(str, cut)) for cut in cuts]
    ranges = key_ranges(("a", "b"), texts, nullable=True)
    assert sum(holds_key(range_, key) for range_ in ranges) == 1


@settings(deadline=None)
@given(bounds=st.sets(st.integers(), min_size=1, max_size=20), nullable=st.booleans())
def test_n_bounds_give_n_and_one_ranges_and_one_for_null_keys(
    bounds: set[int], nullable: bool
) -> None:
    ranges = key_ranges(("id",), [(str(bound),) for bound in sorted(bounds)], nullable=nullable)
    assert len(ranges) == len(bounds) + 1 + nullable
    assert [range_ for range_ in ranges if isinstance(range_, NullKeys)] == (
        [NullKeys(("id",))] if nullable else []
    )


def test_a_key_that_nothing_cuts_is_copied_whole() -> None:
    assert key_ranges(("id",), [], nullable=True) == (Whole(),)


METHODS = [
    # asked for, relation, the kind of range that cuts it
    (ChunkBy.AUTO, relation(), BlockRange),
    (ChunkBy.CTID, relation(), BlockRange),
    (ChunkBy.KEYSET, relation(), KeyRange),
    (ChunkBy.WHOLE, relation(), Whole),
    (ChunkBy.AUTO, relation(tid_range_scan=False), KeyRange),
    (ChunkBy.CTID, relation(tid_range_scan=False), KeyRange),
    (ChunkBy.CTID, relation(tid_range_scan=False, key=()), Whole),
    (ChunkBy.AUTO, relation(key=()), BlockRange),
    (ChunkBy.KEYSET, relation(key=()), Whole),
    (ChunkBy.AUTO, relation(size_bytes=MB), Whole),  # one chunk is enough
    (ChunkBy.KEYSET, relation(size_bytes=MB), Whole),
    (ChunkBy.AUTO, relation(size_bytes=0, blocks=0), Whole),
    (ChunkBy.AUTO, relation(blocks=1), KeyRange),  # nearly all of it is TOAST
    (ChunkBy.AUTO, relation(blocks=1, key=()), Whole),
]


@pytest.mark.parametrize(("chunk_by", "cut", "kind"), METHODS)
def test_a_relation_is_cut_by_what_was_asked_for_if_it_can_be(
    chunk_by: ChunkBy, cut: CatalogRelation, kind: type[Range]
) -> None:
    chunks = split(cut, chunk_by, MB, tens, blocks=cut.storage.divisible_blocks)
    assert {type(chunk.range) for chunk in chunks} == {kind}


@settings(deadline=None)
@given(
    chunk_by=st.sampled_from(ChunkBy),
    size_bytes=st.integers(0, 40 * MB),
    blocks=st.integers(0, 60),
    key=st.sampled_from([(), ("id",), ("id", "line")]),
    nullable=st.sampled_from([(), ("id",)]),
    tid_range_scan=st.booleans(),
    row=st.tuples(st.integers(0, 80), st.none() | st.integers(-10, 500)),
)
def test_every_row_lands_in_exactly_one_chunk(
    chunk_by: ChunkBy,
    size_bytes: int,
    blocks: int,
    key: tuple[str, ...],
    nullable: tuple[str, ...],
    tid_range_scan: bool,
    row: tuple[int, int | None],
) -> None:
    cut = relation(size_bytes, blocks, key, nullable=nullable, tid_range_scan=tid_range_scan)
    block, id_ = row
    values: Key = (id_ if nullable else id_ or 0, 1)
    chunks = split(cut, chunk_by, MB, tens, blocks=cut.storage.divisible_blocks)
    found = [
        chunk
        for chunk in chunks
        if (
            holds_block(chunk.range, block)
            if isinstance(chunk.range, BlockRange)
            else holds_key(chunk.range, values)
        )
    ]
    assert len(found) == 1


@settings(deadline=None)
@given(size_bytes=st.integers(0, 500 * MB), chunk_size_bytes=st.integers(1 << 16, 64 * MB))
def test_chunks_are_at_most_of_the_size_asked_for(size_bytes: int, chunk_size_bytes: int) -> None:
    cut = relation(size_bytes, blocks=size_bytes // 8192)
    chunks = split(cut, ChunkBy.AUTO, chunk_size_bytes, tens, blocks=cut.storage.blocks)
    assert all(chunk.size_bytes <= chunk_size_bytes for chunk in chunks)
    assert 0 <= size_bytes - sum(chunk.size_bytes for chunk in chunks) < len(chunks)


@pytest.mark.parametrize(
    ("jobs", "cores", "streams"),
    [(2, 2, 1), (1, 1, 1), (4, 2, 1), (8, 8, 4), (2, 8, 2), (2, 0, 2)],
)
def test_a_stream_into_a_server_on_this_machine_has_two_cores(
    jobs: int, cores: int, streams: int
) -> None:
    assert streams_at_once(jobs, cores) == streams


@pytest.mark.parametrize(
    ("spec", "at_once", "size_bytes", "count"),
    [
        (Spec(jobs=2), 1, 500 * MB, 1),
        (Spec(jobs=2), 1, 520 * MB, 9),
        (Spec(jobs=2), 0, 9 * MB, 2),
        (Spec(jobs=4), 2, 60 * MB, 2),
        (Spec(jobs=4), 2, 7 * MB, 1),
        (Spec(jobs=2, chunk_size=MB), 1, 9 * MB, 9),
        (Spec(jobs=2, chunk_by=ChunkBy.KEYSET), 1, 500 * MB, 8),
        (Spec(jobs=2, chunk_by=ChunkBy.WHOLE), 2, 900 * MB, 1),
    ],
)
def test_a_table_of_another_engine_is_in_one_piece_if_one_stream_copies_it(
    spec: Spec, at_once: int, size_bytes: int, count: int
) -> None:
    assert count_between_engines(spec, size_bytes, -1, at_once=at_once) == count


def test_chunks_are_numbered_and_named_after_their_relation() -> None:
    chunks = split(relation(3 * MB), ChunkBy.AUTO, MB, tens, blocks=384)
    assert [chunk.id for chunk in chunks] == ["shop.orders/0", "shop.orders/1", "shop.orders/2"]


def test_bounds_are_asked_for_only_where_keys_cut() -> None:
    def never(_: Relation, __: int) -> list[tuple[str, ...]]:
        raise AssertionError("the relation was read")

    assert len(split(relation(), ChunkBy.AUTO, MB, never, blocks=1280)) == 10


# loads


def planned(relations: Sequence[CatalogRelation]) -> list[tuple[str, tuple[Chunk, ...]]]:
    """As the planner does it: largest first, each relation's chunks beside its batch."""
    ordered = sorted(relations, key=lambda one: -one.size_bytes)
    chunks = [
        split(one, ChunkBy.AUTO, 4 * MB, tens, blocks=one.storage.divisible_blocks)
        for one in ordered
    ]
    return list(zip(batches(ordered, roots_of(ordered)), chunks, strict=True))


def roots_of(relations: Iterable[CatalogRelation]) -> dict[Name, Name]:
    return {one.name: one.family.root for one in relations if one.family.root}


def of_sizes(sizes: Sequence[tuple[int, int]]) -> list[CatalogRelation]:
    """Relations by size in bytes and number of the root that their rows enter at; 0: none."""
    return [
        relation(
            size,
            blocks=size // 8192,
            name=f"t{number}",
            root=Name("shop", f"root {root}") if root else None,
        )
        for number, (size, root) in enumerate(sizes)
    ]


many_relations = st.lists(
    st.tuples(
        st.sampled_from([0, 8192, SMALL_BYTES - 1, SMALL_BYTES, 9 * MB, 100 * MB]),
        st.integers(0, 2),
    ),
    max_size=150,
).map(of_sizes)


@settings(deadline=None)
@given(many_relations)
def test_every_chunk_is_in_exactly_one_load(relations: list[CatalogRelation]) -> None:
    pairs = planned(relations)
    loaded = [chunk for load in plan_loads(pairs) for chunk in load.chunks]
    planned_chunks = [chunk for _, chunks in pairs for chunk in chunks]
    assert len(loaded) == len(planned_chunks)
    assert set(loaded) == set(planned_chunks)


@settings(deadline=None)
@given(many_relations)
def test_loads_have_names_of_their_own(relations: list[CatalogRelation]) -> None:
    ids = [load.id for load in plan_loads(planned(relations))]
    assert len(ids) == len(set(ids))


@settings(deadline=None)
@given(many_relations)
def test_the_largest_batch_is_copied_first(relations: list[CatalogRelation]) -> None:
    loads = plan_loads(planned(relations))
    totals: dict[str, int] = {}
    for load in loads:
        totals[load.batch] = totals.get(load.batch, 0) + load.size_bytes
    order = [totals[load.batch] for load in loads]
    assert order == sorted(order, reverse=True)


@settings(deadline=None)
@given(many_relations)
def test_the_chunks_of_a_relation_stay_in_their_order(relations: list[CatalogRelation]) -> None:
    seen: dict[Name, list[int]] = {}
    for load in plan_loads(planned(relations)):
        for chunk in load.chunks:
            seen.setdefault(chunk.relation, []).append(chunk.number)
    assert all(numbers == sorted(numbers) for numbers in seen.values())


@settings(deadline=None)
@given(many_relations)
def test_a_load_holds_one_chunk_of_a_large_relation_or_some_small_relations(
    relations: list[CatalogRelation],
) -> None:
    sizes = {one.name: one.size_bytes for one in relations}
    for load in plan_loads(planned(relations)):
        inside = {chunk.relation for chunk in load.chunks}
        if len(load.chunks) > 1:
            assert len(inside) <= BATCH_RELATIONS
            assert all(sizes[name] < SMALL_BYTES for name in inside)


def test_small_relations_share_loads() -> None:
    loads = plan_loads(planned(of_sizes([(8192, 0)] * (2 * BATCH_RELATIONS + 1))))
    assert [len(load.chunks) for load in loads] == [BATCH_RELATIONS, BATCH_RELATIONS, 1]


def test_small_relations_do_not_wait_for_a_large_one() -> None:
    small, large = "small relations 1", "shop.t0"
    assert batches(of_sizes([(SMALL_BYTES, 0), (SMALL_BYTES - 1, 0), (0, 0)])) == [
        large, small, small
    ]  # fmt: skip


@settings(deadline=None)
@given(many_relations)
def test_partitions_that_enter_at_one_root_are_one_batch(relations: list[CatalogRelation]) -> None:
    found = zip(relations, batches(relations, roots_of(relations)), strict=True)
    assert all(
        (batch == str(one.family.root)) if one.family.root else not batch.startswith('shop."root')
        for one, batch in found
    )
