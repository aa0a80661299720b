"""Begins a run's stream on its source, or finds the one that it has: journal, publication, slot.

Each part is made once and found by its name again, whenever a process is killed. Before this,
nothing is written to the source.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from windlass.engines.postgres.replication import lsn, publications, slots
from windlass.engines.postgres.replication.ddl_trigger import make_triggers
from windlass.engines.postgres.replication.trees import read_leaves
from windlass.errors import WindlassError
from windlass.flows.follow.definitions import TRIGGERS
from windlass.flows.follow.identities import (
    IDENTITIES,
    chosen,
    put_back,
    set_identities,
    to_set,
)
from windlass.flows.follow.published import logged, published
from windlass.flows.follow.removal import (
    REMOVED,
    Session,
    drop_slot,
    remove_rows,
    remove_source_side,
    writing,
)
from windlass.flows.follow.watching import check_timeline, slot_lost
from windlass.flows.migrate.context import Migration
from windlass.journal import door, records
from windlass.journal.following import (
    begin_applied,
    change_phase,
    note_detail,
    read_applied,
    read_phase,
)
from windlass.model.event import Noticed
from windlass.model.following import Direction, Phase, stream_name

TIMELINE = "timeline"  # in the details of a run: that of its source when its stream began


def begin_stream(run: Migration) -> None:
    """Let the run read rows in a snapshot whose exact position in the log is known: that of the new
    stream's slot or, if the stream exists already, that of a temporary slot. A snapshot that this
    process kept through a lost connection is reused.

    Raises:
        WindlassError: the slot of a stream that has begun is gone.
    """
    hold, control, name = run.hold, run.control, run.plan.run
    if hold.snapshot_id in {one.id for one, _ in records.read_snapshots(control, name)}:
        return
    slot = stream_name(name, Direction.FORWARD)
    has_begun = read_applied(control, name, Direction.FORWARD) is not None
    with writing(hold.source, "windlass begin") as source:
        if has_begun:
            check_slot(source, slot, side="source")
        else:
            _make_journal(run, source)
            timeline = check_timeline(source, None, side="source")
            note_detail(control, name, {TIMELINE: timeline})
            _identify(run, source)
            _publish(run, source, slot)
            _watch_definitions(run, source, slot)
            # left by a process that was killed at this point
            drop_slot(source, slot, side="source")
        held = slots.create(
            hold.source,
            source,
            f"windlass {name} slot",
            f"{slot}_copy" if has_begun else slot,
            is_temporary=has_begun,
        )
        try:
            hold.read_within(held.snapshot, lsn.text(held.consistent_point))
        finally:
            held.release()
    if not has_begun:
        begin_applied(control, name, Direction.FORWARD, held.consistent_point)


def check_slot(session: Session, name: str, position: int | None = None, *, side: str) -> None:
    """Raises:
    SlotLost: the slot is not there, the server has removed the log that it needs, or it begins
        after `position`: it is another one of that name.
    """
    state = slots.read_slot(session, name, side=side)
    if state is None or state.is_lost:
        raise slot_lost(
            name, "is gone" if state is None else "has lost the log that it needs", side
        )
    if position is not None and (state.confirmed_lsn or 0) > position:
        begins, wanted = lsn.text(lsn.Lsn(state.confirmed_lsn or 0)), lsn.text(lsn.Lsn(position))
        raise slot_lost(name, f"begins at {begins}, and {wanted} is needed", side)


def why_lost(source: Session, journal: Session, run: str, detail: Mapping[str, Any]) -> str:
    """Why changes of the source can no longer be read from where they are applied; empty if they
    can, or if nothing is read."""
    applied = read_applied(journal, run, Direction.FORWARD)
    if applied is None:
        return ""
    try:
        check_timeline(source, detail.get(TIMELINE), side="source")
        check_slot(source, stream_name(run, Direction.FORWARD), applied.end_lsn, side="source")
    except WindlassError as error:
        if "stopped_by" not in error.where:
            raise
        return str(error)
    return ""


def _make_journal(run: Migration, source: Session) -> None:
    with source.transaction():
        if not door.exists(source):  # journalled first, so that it is removed even after a kill
            note_detail(run.control, run.plan.run, {"made_journal": True})
        door.create(source)


def _identify(run: Migration, source: Session) -> None:
    """Set missing replica identities, if the spec asks for that."""
    if not run.spec.set_identity:
        return
    found = read_phase(run.control, run.plan.run)
    known = found[1].get(IDENTITIES, {}) if found else {}
    if "source" not in known:
        names = logged(source, run.plan, Direction.FORWARD)
        known = {**known, "source": to_set(source, chosen(source, names))}
        note_detail(run.control, run.plan.run, {IDENTITIES: known})
    set_identities(source, known["source"], side="source")


def identify_target(run: Migration) -> None:
    """Give the target's tables the identities that the source's tables got, once their indexes
    exist."""
    target = run.sessions().target()
    found = read_phase(target, run.plan.run)
    known = found[1].get(IDENTITIES, {}) if found else {}
    if not known.get("source"):
        return
    if "target" not in known:
        given = {one for _, one, *_ in known["source"]}
        names = [one.target for one in run.plan.relations if str(one.relation.name) in given]
        known = {**known, "target": to_set(target, chosen(target, names))}
        note_detail(target, run.plan.run, {IDENTITIES: known})
    set_identities(target, known["target"], side="target")


def _publish(run: Migration, source: Session, name: str) -> None:
    if publications.read(source, name.replace("_", "\\_"), side="source"):
        return
    leaves = read_leaves(source, side="source")
    version = source.info.server_version
    relations = published(logged(source, run.plan, Direction.FORWARD), leaves, version)
    publications.create(source, name, relations, side="source", via_root=False)


def _watch_definitions(run: Migration, source: Session, slot: str) -> None:
    """Make event triggers that note changes of definitions, before the slot exists; only if this
    role may."""
    noted = make_triggers(source, run.plan.run, slot, side="source")
    if run.spec.apply_ddl and not noted:
        run.emit(
            Noticed(
                f"{run.plan.source.user} may not create event triggers on the source: statements"
                " that change definitions are not applied, but stop the run"
            )
        )
    note_detail(run.control, run.plan.run, {TRIGGERS: noted})


def end_stream(run: Migration) -> None:
    """Remove it: nothing is followed, and the run can be rolled back."""
    with run.sessions().target().transaction():
        found = read_phase(run.sessions().target(), run.plan.run)
    detail = found[1] if found else {}
    remove_source_side(run.hold.source, run.plan.run, detail)
    target = run.sessions().target()
    put_back(target, detail.get(IDENTITIES, {}).get("target", ()), side="target")
    remove_rows(target, run.plan.run)
    with target.transaction():
        change_phase(target, run.plan.run, Phase.COPYING, Phase.ABANDONED, {REMOVED: True})
