"""Fingerprints (or counts) of the source, noted during the copy: in the same snapshot, and in the
commit that records the rows.

The target is compared with these, not with the source's present rows: if the snapshot was lost
after the copy, later changes of the source are not reported as differences, and errors of the copy
are still found.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from windlass.engines.postgres.fingerprint import Fingerprint, pair, read_fingerprints
from windlass.errors import RunLost
from windlass.flows.migrate.portions import TRANSFERS
from windlass.flows.sides import Sides
from windlass.journal import records
from windlass.model.chunk import Chunk
from windlass.model.plan import Plan, RelationPlan
from windlass.model.snapshot import Snapshot
from windlass.spec.choices import Verify
from windlass.version import __version__

_SOURCE = "source"  # in the note of a chunk's line
Note = dict[str, Any] | None


def is_noted(run: Sides) -> bool:
    """Whether the copy noted everything that is compared now. Another version may hash differently,
    and a stricter verification may have been requested since the run began."""
    plan, level = run.plan, run.spec.verify_
    if not plan.how.notes_sums or plan.made.version != __version__:
        return False
    return level is Verify.COUNTS or plan.how.verify == level


def read_sums(run: Sides, chunks: Sequence[Chunk]) -> list[tuple[Chunk, Note]]:
    """The chunks, each with its note, read in the snapshot of its rows."""
    if not run.plan.how.notes_sums:
        return [(chunk, None) for chunk in chunks]
    servers = run.plan.source, run.plan.target
    only_count = run.plan.how.verify != Verify.FULL
    known = [one for one in chunks if only_count or not _is_late(run.relation(one.relation))]
    parts = [(pair(run.relation(one.relation), *servers).source, one.range) for one in known]
    # not in the copying session, whose transaction would keep locks on all indexes
    source = run.sessions().source(run.snapshot.id)
    found = read_fingerprints(source, parts, only_count=only_count)
    sums = {one.id: {_SOURCE: sum_.to_json()} for one, sum_ in zip(known, found, strict=True)}
    return [(chunk, sums.get(chunk.id)) for chunk in chunks]


def _is_late(item: RelationPlan) -> bool:
    """Whether the source cannot compute the sums: some values are made after it was read."""
    return item.mapping is not None and item.mapping.is_late


@dataclass(frozen=True, slots=True)
class Noted:
    """What the copy noted, by the relation of the target that the rows go into."""

    sums: Mapping[str, Fingerprint] = field(default_factory=dict)
    snapshots: Mapping[str, frozenset[int]] = field(default_factory=dict)
    taken: Mapping[int, Snapshot] = field(default_factory=dict)
    now: int = 0  # the number of the snapshot that the comparison reads

    def is_older(self, place: str) -> bool:
        """Whether any row was read in an earlier snapshot than the comparison's."""
        return any(number != self.now for number in self.snapshots.get(place, ()))

    def moments(self, place: str) -> str:
        return " and ".join(self.taken[one].moment for one in sorted(self.snapshots[place]))


def read_noted(run: Sides) -> Noted:
    """Read the notes from the journal, whichever process copied.

    Raises:
        RunLost: not every chunk of the run has a line.
    """
    copied = run.copied()
    if copied is None:
        return Noted()
    target = run.sessions().target()
    chunks = {chunk.id: chunk.relation for load in copied.loads for chunk in load.chunks}
    places = {item.relation.name: str(item.enters) for item in run.plan.relations}
    incomplete = set(_uncomparable(run, copied))
    sums: dict[str, Fingerprint] = defaultdict(Fingerprint)
    snapshots: dict[str, set[int]] = defaultdict(set)
    for line in records.read_lines(target, copied.run):
        relation = chunks.pop(line.item, None) if line.step in TRANSFERS else None
        if relation not in places:
            continue
        place = places[relation]
        snapshots[place].add(line.snapshot or 1)
        if _SOURCE not in (line.note or {}):
            incomplete.add(place)
        elif place not in incomplete:
            sums[place] += Fingerprint.from_json((line.note or {})[_SOURCE])
    if chunks and copied is run.plan:
        raise RunLost(f"the target has lost {len(chunks)} pieces of work of the copy")
    incomplete |= {places[relation] for relation in chunks.values() if relation in places}
    before = [one for one, _ in records.read_snapshots(target, copied.run)]
    return Noted(
        {place: one for place, one in sums.items() if place not in incomplete},
        {place: frozenset(some) for place, some in snapshots.items()},
        {one.number: one for one in before},
        _number_now(run, copied, before),
    )


def _number_now(run: Sides, copied: Plan, before: Sequence[Snapshot]) -> int:
    """The snapshot by its number in the copying run, because a restarted source reuses ids."""
    if copied is run.plan:
        return run.snapshot.number
    return max((one.number for one in before if one.id == run.spec.snapshot), default=0)


def _uncomparable(run: Sides, copied: Plan) -> Iterator[str]:
    """Relations for which the copy noted something other than what is compared now."""
    if copied is run.plan:
        yield from () if is_noted(run) else (str(item.enters) for item in run.plan.relations)
        return
    there = {item.relation.name: item for item in copied.relations}
    is_known = copied.how.notes_sums and copied.made.version == __version__
    for item in run.plan.relations:
        if not is_known or not _is_same(run, item, copied, there.get(item.relation.name)):
            yield str(item.enters)


def _is_same(run: Sides, item: RelationPlan, copied: Plan, other: RelationPlan | None) -> bool:
    if other is None or item.mapping != other.mapping:
        return False
    if run.spec.verify_ is Verify.COUNTS:
        return True
    if copied.how.verify != Verify.FULL:
        return False
    one = pair(item, run.plan.source, run.plan.target).source
    return one.row_hash == pair(other, copied.source, copied.target).source.row_hash
