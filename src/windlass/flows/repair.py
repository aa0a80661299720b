"""After `validate`: make the target's rows and sequences those of the source again."""

from __future__ import annotations

from windlass.engines.postgres.catalog import read_existing
from windlass.engines.postgres.largeobjects import (
    copy_large_object,
    describe,
    dress,
    unlink_large_objects,
)
from windlass.engines.postgres.sequences import read_sequences, set_sequences
from windlass.flows.migration import Migration
from windlass.flows.validate import row_pair
from windlass.model.event import Noticed
from windlass.model.relation import Sequence
from windlass.model.report import DifferenceKind
from windlass.verify.repair import repair


def repair_differences(run: Migration) -> bool:
    """Whether something was changed. Definitions are reported, never repaired.

    Each relation, and each large object, in a target transaction of its own.
    """
    source, target = run.sessions().source(run.snapshot.id), run.sessions().target()
    for item in run.differing:
        done = repair(source, target, row_pair(run, item))
        run.emit(
            Noticed(
                f"repaired {item.enters}: {done.deleted_rows:,} rows deleted,"
                f" {done.copied_rows:,} copied"
            )
        )
    differing_large_objects = run.result("validate_large_objects").get("differing", [])
    for described in describe(source, differing_large_objects):
        with target.transaction():
            unlink_large_objects(target, [described.oid])
            copy_large_object(source, target, described)
            dress(target, described, read_existing(target).roles, run.plan.target.user)
    counted = {one.object for one in run.differences if one.kind is DifferenceKind.SEQUENCE}
    pairs = [(name, to) for name, to in run.plan.sequences if str(to) in counted]
    if pairs:
        states = read_sequences(source, [name for name, _ in pairs], side="source")
        with target.transaction():
            set_sequences(
                target,
                [
                    Sequence(to, state.last_value, state.is_called)
                    for (_, to), state in zip(pairs, states, strict=True)
                ],
            )
    return bool(run.differing or pairs or differing_large_objects)
