"""From which position of the log each relation's changes count: that of its copy's snapshot."""

from __future__ import annotations

from collections.abc import Mapping

from windlass.flows.migrate.context import Migration
from windlass.flows.migrate.ending import copied_lines
from windlass.journal import records
from windlass.model.relation import Name
from windlass.model.snapshot import Lsn


def read_starts(run: Migration) -> Mapping[Name, int]:
    """For each relation of the source, the position from which its changes count: the copy has
    everything that was committed before. For a relation in several chunks it is the latest of their
    snapshots, which is safe: a partly copied relation is resumed only if nobody has written to it
    since."""
    control = run.sessions().target()
    taken = {
        one.number: Lsn.parse(one.lsn) for one, _ in records.read_snapshots(control, run.plan.run)
    }
    lines = copied_lines(run.journal)
    return {
        item.relation.name: max(taken[lines[chunk.id].snapshot or 1] for chunk in item.chunks)
        for item in run.plan.relations
    }
