"""The steps that prove the copy: both servers hash the same text of the same rows. Of a table whose
rows were hashed as they were copied (`windlass.flows.translate.noted`), only the target does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Protocol

from windlass.engines.origin import Origin
from windlass.engines.postgres.foreign.blocks import column_of, has_index, read_block_digest
from windlass.engines.postgres.foreign.digests import (
    Part,
    Proven,
    read_buckets,
    read_count,
    read_digest,
    read_rows,
)
from windlass.engines.postgres.foreign.sent import read_sent
from windlass.engines.postgres.ranges import RANGES_SINCE
from windlass.engines.postgres.session import Address
from windlass.engines.postgres.sessions import Sessions
from windlass.errors import WindlassError
from windlass.flows.differing_rows import Compared, differing_rows, named
from windlass.flows.mapped.calling import is_late
from windlass.flows.mapped.proving import unsteady
from windlass.flows.translate.made import MadeAgain
from windlass.flows.translate.noted import NOTHING, Noted
from windlass.flows.validate.steps import SIDES, reported
from windlass.model.chunk import Range
from windlass.model.flow import Item, Result
from windlass.model.plan import Load, Plan, RelationPlan
from windlass.model.relation import Name
from windlass.model.report import Difference, DifferenceKind
from windlass.model.translation import Digest, Reading, Row
from windlass.model.units import several
from windlass.spec.choices import Verify
from windlass.spec.migrate import Spec

_PART_BYTES = 32 << 20


class Holds(Protocol):
    @property
    def target(self) -> Address: ...


class Reads(Protocol):
    """What these steps use of their context."""

    show_values: bool
    on_difference: Callable[[Difference], None] | None

    @property
    def spec(self) -> Spec: ...

    @property
    def plan(self) -> Plan: ...

    @property
    def origin(self) -> Origin: ...

    @property
    def hold(self) -> Holds: ...

    @property
    def results(self) -> Mapping[str, Mapping[str, Result]]: ...

    def result(self, step: str) -> Result: ...

    def load(self, id_: str) -> Load: ...

    def relation(self, name: Name) -> RelationPlan: ...

    def sessions(self) -> Sessions: ...

    def noted(self, relation: RelationPlan) -> Noted: ...


def content_items(run: Reads) -> list[Item]:
    """One item for each load of the source, and one for each relation, or part of one, of the
    target."""
    if run.spec.verify_ is Verify.NONE or not run.plan.how.copies_rows:
        return []
    without_rows = run.result("read_both_sides").get("without_rows", ())
    source = [_item("source", load) for load in run.plan.loads]
    target = [
        Item(
            id_,
            one.batch,
            one.relation.size_bytes // part.of,
            {"name": f"{one.target} on the target" + _numbered(part)},
        )
        for id_, (one, part) in _on_target(run).items()
        if str(one.target) not in without_rows
    ]
    return [*source, *target]


def _on_target(run: Reads) -> Mapping[str, tuple[RelationPlan, Part]]:
    """What is read of the target, by item. Jobs share large tables by ranges of blocks, except on
    servers before 14, which would read the whole table for each range."""
    found: dict[str, tuple[RelationPlan, Part]] = {}
    for one in run.plan.relations:
        of = 1
        if run.plan.target.version >= RANGES_SINCE:
            of = max(1, min(run.spec.jobs, one.relation.size_bytes // _PART_BYTES))
        for number in range(of):
            part = Part(number, of)
            found[f"target {one.relation.name}{_numbered(part)}"] = one, part
    return found


def _numbered(part: Part) -> str:
    return f" ({part.number + 1} of {part.of})" if part.of > 1 else ""


def _item(side: str, load: Load) -> Item:
    names = list(dict.fromkeys(str(chunk.relation) for chunk in load.chunks))
    part = f" {load.chunks[0].range}" if len(load.chunks) == 1 else ""
    name = f"{several(names)}{part} on the {side}"
    return Item(f"{side} {load.id}", load.batch, load.size_bytes, {"name": name})


def validate_content(run: Reads, item: Item) -> Result:
    """Digests of a load's rows on the source, or of a relation's on the target."""
    side, _, id_ = item.id.partition(" ")
    found: dict[str, Digest] = {}
    if side == "source":
        for chunk in run.load(id_).chunks:
            relation = run.relation(chunk.relation)
            name = str(relation.target)
            noted = _noted(run, relation).digests.get(chunk.id)
            digest = noted or _source_digest(run, relation, chunk.range)
            found[name] = found.get(name, Digest()) + digest
    else:
        relation, part = _on_target(run)[item.id]
        found[str(relation.target)] = _target_digest(run, relation, part)
    return {"plan": run.plan.run, "digests": {name: asdict(one) for name, one in found.items()}}


def _noted(run: Reads, item: RelationPlan) -> Noted:
    """What can be compared with the target: blocks only if it can read them by an index."""
    noted = run.noted(item)
    if noted.blocks is None:
        return noted
    there = proven(run, item)
    column = column_of(there, noted.blocks)
    return noted if has_index(run.sessions().target(), there, column) else NOTHING


def _target_digest(run: Reads, item: RelationPlan, part: Part) -> Digest:
    """Only the number of rows, if only that is compared. A digest of blocks does not count all rows
    if there are too many."""
    there, sessions = proven(run, item), run.sessions()
    if run.spec.verify_ is not Verify.FULL:
        return read_count(sessions.target(), there, part)
    noted = _noted(run, item)
    if noted.blocks is not None:
        return read_block_digest(sessions.target(), there, noted.blocks, part)
    if noted.digests:
        return read_sent(sessions, there, part)
    return read_digest(sessions.target(), there, part)


def _source_digest(run: Reads, item: RelationPlan, range_: Range) -> Digest:
    if is_late(item) and run.spec.verify_ is Verify.FULL:
        return _made_again(run, item).digest(range_)
    return run.origin.digest(_reading(item), range_)


def _made_again(run: Reads, item: RelationPlan) -> MadeAgain:
    return MadeAgain(run.origin, run.hold.target, item, proven(run, item))


def proven(run: Reads, item: RelationPlan) -> Proven:
    reading = _reading(item)
    columns = tuple(one.target for one in item.columns)
    return Proven(item.target, columns, reading.fields, reading.key, run.origin.floats)


def _reading(item: RelationPlan) -> Reading:
    assert item.reading is not None, "planned by another flow"
    return item.reading


def find_differences(run: Reads, _: Item) -> Result:
    """Compare the digests, and find the rows that differ.

    Raises:
        WindlassError: not everything was compared.
    """
    level = run.spec.verify_
    if level is Verify.NONE or not run.plan.how.copies_rows:
        return {}
    results = run.results["validate_content"]
    lacking = {one.id for one in content_items(run)} ^ {
        id_ for id_, one in results.items() if one.get("plan") == run.plan.run
    }
    if lacking:
        raise WindlassError(
            f"not all of the plan has been compared: {several(sorted(lacking))}",
            hint="clear prepare_validation and all after it",
        )
    sums = {side: dict[str, Digest]() for side in SIDES}
    for id_, result in results.items():
        of = sums[id_.partition(" ")[0]]
        for name, one in result["digests"].items():
            of[name] = of.get(name, Digest()) + Digest(**one)
    differing = [
        one
        for one in run.plan.relations
        if str(one.target) in sums["target"] and _is_different(run, level, one, sums)
    ]
    counted = {name: one.rows for name, one in sums["target"].items()}
    found = [
        difference
        for one in differing
        for difference in _explained(run, one, *(sums[s][str(one.target)] for s in SIDES))
    ]
    return {
        "relations": len(run.plan.relations),
        "verified": level.value,
        "counted": counted,
        "differing": [str(one.enters) for one in differing],
        **reported(found),
    }


def _is_different(
    run: Reads, level: Verify, item: RelationPlan, sums: Mapping[str, dict[str, Digest]]
) -> bool:
    """Rows that were hashed in blocks, and differ, are hashed again one by one on both sides: their
    number is exact then, and their order no matter. `sums` get these digests."""
    name = str(item.target)
    if not _differs(level, *(sums[side].get(name, Digest()) for side in SIDES)):
        return False
    if level is not Verify.FULL or run.noted(item).blocks is None:
        return True
    ranges = [chunk.range for chunk in item.chunks]
    sums["source"][name] = sum((_source_digest(run, item, one) for one in ranges), Digest())
    sums["target"][name] = read_digest(run.sessions().target(), proven(run, item))
    return _differs(level, sums["source"][name], sums["target"][name])


def _differs(level: Verify, source: Digest, target: Digest) -> bool:
    return source != target if level is Verify.FULL else source.rows != target.rows


def _explained(
    run: Reads, item: RelationPlan, source: Digest, target: Digest
) -> Iterator[Difference]:
    name = str(item.target)
    if source.rows != target.rows:
        message = f"has {source.rows:,} rows on the source and {target.rows:,} on the target"
        yield Difference(DifferenceKind.COUNT, name, message)
    if run.spec.verify_ is Verify.FULL:
        is_found = False
        for one in named(_rows(run, item, source), name, run.on_difference):
            is_found = True
            yield one
        if not is_found:
            message = "does not have the rows that were copied, though both sides have the same now"
            yield Difference(DifferenceKind.CHANGED, name, message)


def _rows(run: Reads, item: RelationPlan, source: Digest) -> Iterator[Difference]:
    """The rows that differ: by key, or by all their values where there is none. Of columns that are
    made again: also whether they are what was made before."""
    if not is_late(item):
        reading = _reading(item)
        here = run.origin.buckets(reading)
        yield from _different(run, item, here, lambda some: run.origin.rows(reading, some))
        return
    with _made_again(run, item).rows() as made:
        if made.digest() != source:
            yield unsteady(item)
        yield from _different(run, item, made.buckets(), made.of)


def _different(
    run: Reads,
    item: RelationPlan,
    here: Mapping[int, Digest],
    rows: Callable[[Sequence[int]], Iterator[Row]],
) -> Iterator[Difference]:
    reading, there, session = _reading(item), proven(run, item), run.sessions().target()
    others = read_buckets(session, there)
    numbers = sorted(one for one in {*here, *others} if here.get(one) != others.get(one))
    for some in _portions(numbers):
        ours = list(rows(some))
        theirs = list(read_rows(session, there, some))
        targets = [one.target for one in item.columns]
        compared = Compared(str(item.target), targets, reading.fields, reading.key)
        yield from differing_rows(compared, ours, theirs, show_values=run.show_values)


def _portions(numbers: Sequence[int], size: int = 64) -> Iterator[Sequence[int]]:
    for start in range(0, len(numbers), size):
        yield numbers[start : start + size]
