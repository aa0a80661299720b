"""After `validate`: make the target's rows and sequences equal to the source's, as a separate run
that can be resumed and undone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import Any

from psycopg import sql
from pydantic import TypeAdapter

from windlass.engines.postgres.catalog import read_existing
from windlass.engines.postgres.errors import explaining
from windlass.engines.postgres.largeobjects import (
    Described,
    apply_metadata,
    copy_large_object,
    describe,
    read_digests,
    unlink_large_objects,
)
from windlass.engines.postgres.lock import end_sessions, name_session, take_lock
from windlass.engines.postgres.own_schemas import make_schema_aside
from windlass.engines.postgres.rowmend import Aside
from windlass.engines.postgres.sequences import read_sequences, set_sequences
from windlass.engines.postgres.session import Connection
from windlass.engines.postgres.transaction import working_on_target
from windlass.errors import Different, Refused
from windlass.flows.repair.repaired import (
    check_keys,
    read_oid,
)
from windlass.flows.sides import reading_journal
from windlass.flows.validate.context import Comparison
from windlass.journal import door, records
from windlass.journal.journal import Journal
from windlass.journal.records import Line
from windlass.model.event import Noticed
from windlass.model.flow import Item, Result
from windlass.model.outcome import UNFINISHED, State
from windlass.model.relation import Name, Sequence
from windlass.model.repair import Change, Forecast, Repairing
from windlass.model.report import DifferenceKind
from windlass.model.run_id import new_run_id
from windlass.model.units import plural
from windlass.trust.planted import Room, read_planted
from windlass.verifying.postgres.repair import Changes, read_changes, repair

FLOW = "repair"
ROWS, LARGE_OBJECTS, SEQUENCES = "repair_rows", "repair_large_objects", "repair_sequences"
DESCRIBED = TypeAdapter(Described)


def repair_differences(run: Comparison, _: Item) -> Result:
    """The last step of a comparison that may repair. Either repairs, as a separate run, or reports
    how the run ended that it checks. Definitions are reported, never repaired.

    Each relation and each large object is repaired in a separate target transaction.

    Raises:
        Different: the sides are not equal, and nothing was repaired.
        Refused: another run is at work in the target, or the journal is not ours.
    """
    if run.repair is not None:
        repair_all(run, run.repair)
        if run.repair_run:
            return {}
    if run.repaired:
        check_keys(run, run.repaired)
        state = State.DIFFERENT if run.differences else State.DONE
        run.end(state, run.outcome(state))
    if run.differences:
        raise Different(run.differences)
    return {}


def repair_all(run: Comparison, how: Repairing) -> None:
    """Set the comparison's `repair_run` to the run that changed something or was resumed; leave ""
    if there was nothing to do."""
    forecast = _forecast(run, how.allowed)
    unfinished = _unfinished(run, how)
    if not forecast and unfinished is None:
        return
    if forecast:
        how.confirm(forecast)
    with explaining("repairing", side="target"):
        repairs = _Repairs(run, how, unfinished)
        for item in run.differing:
            if forecast.relations.get(str(item.enters)):
                digest = forecast.digests[str(item.enters)]
                repair_rows(repairs, Item(str(item.enters)), digest)
        if forecast.large_objects:
            repair_large_objects(repairs, Item(""))
        if forecast.sequences:
            repair_sequences(repairs, Item(""))


def _forecast(run: Comparison, allowed: Collection[Change]) -> Forecast:
    target = run.sessions().target()
    found: dict[str, Changes] = {}
    for item in run.differing:
        source, sides = run.compared(item)
        found[str(item.enters)] = read_changes(source, target, sides, allowed)
    updates = Change.UPDATE in allowed
    return Forecast(
        str(run.plan.source),
        str(run.plan.target),
        {name: one.counts for name, one in found.items()},
        {name: one.digest for name, one in found.items()},
        len(_sequences(run)) if updates else 0,
        len(_large_objects(run)) if updates else 0,
        tuple(str(one) for one in run.differences if one.kind is DifferenceKind.SCHEMA),
    )


def _sequences(run: Comparison) -> list[tuple[Name, Name]]:
    counted = {one.object for one in run.differences if one.kind is DifferenceKind.SEQUENCE}
    return [(name, to) for name, to in run.plan.sequences if str(to) in counted]


def _large_objects(run: Comparison) -> list[int]:
    return list(run.result("validate_large_objects").get("differing", []))


def _config(run: Comparison, how: Repairing) -> dict[str, Any]:
    return {**run.spec.config(), "repair": sorted(how.allowed)}


def _unfinished(run: Comparison, how: Repairing) -> records.Run | None:
    with reading_journal():
        found = records.read_runs(run.control, flow=FLOW) if door.exists(run.control) else []
    wanted = _config(run, how)
    return next(
        (
            one
            for one in found
            if one.state in UNFINISHED
            and one.source == run.plan.source.identity
            and one.config == wanted
        ),
        None,
    )


def schema_of(run: str) -> str:
    return f"windlass_{run}_repair"


class _Repairs:
    """A run of repairs: in the journal, with a schema for what it sets aside."""

    def __init__(self, run: Comparison, how: Repairing, found: records.Run | None) -> None:
        self.run, self.how = run, how
        self.run_id = found.run if found else new_run_id()
        self.schema = schema_of(self.run_id)
        take_lock(run.control)
        # outside a transaction: inside one, the server would keep showing the same sessions
        if found:
            end_sessions(run.control, f"windlass {found.run}")
        self.journal = Journal(self.run_id, working_on_target)
        with run.control.transaction():
            door.create(run.control)
            if found:
                self.journal.epoch = records.take_over(run.control, found.run, how.started_by)
                self._check_schema()
            else:
                self._begin()
        run.repair_run = self.run_id
        name_session(run.control, f"windlass control {self.run_id}")
        self.journal.read(run.control)

    def _begin(self) -> None:
        plan = self.run.plan
        records.insert_any_run(
            self.run.control,
            FLOW,
            self.run_id,
            (plan.source.identity, str(plan.source)),
            _config(self.run, self.how),
            records.plan_of(plan),
            self.how.started_by,
        )
        # never an existing one, whose owner could drop what is set aside
        make_schema_aside(self.run.control, self.schema)

    def _check_schema(self) -> None:
        if problems := read_planted(self.run.control, Room(self.schema, tables="^.*$")):
            raise Refused(problems)

    def once(self, step: str, name: str, work: Callable[[Connection, int], Result]) -> Result:
        """In one transaction with its line. A relation that differs again is repaired again.

        Raises:
            RunLost: another process has taken the run over.
        """
        target = self.run.sessions().target()
        name_session(target, f"windlass {self.run_id}")  # so that a later process can end it
        number = len(self.journal) + 1
        item = str(number)
        like = Line(step, item, name)
        return self.journal.once(target, step, item, lambda one: work(one, number), like=like)


def repair_rows(repairs: _Repairs, item: Item, digest: str) -> Result:
    """Repair one relation's rows, those of `digest`; deleted and changed ones are set aside."""
    run = repairs.run
    planned = next(one for one in run.differing if str(one.enters) == item.id)
    source, sides = run.compared(planned)

    def work(target: Connection, number: int) -> Result:
        aside = Aside(repairs.schema, number)
        done = repair(
            source, target, sides, allowed=repairs.how.allowed, aside=aside, digest=digest
        )
        return {
            "table": read_oid(target, planned.enters),
            "deleted": done.deleted_rows,
            "copied": done.copied_rows,
            "with_partitions": sides.target.with_partitions,
        }

    note = repairs.once(ROWS, item.id, work)
    deleted = plural(note["deleted"], "row")
    run.emit(Noticed(f"repaired {item.id}: {deleted} deleted, {note['copied']:,} copied"))
    return note


def repair_large_objects(repairs: _Repairs, _: Item) -> Result:
    """One at a time, with the old bytes set aside."""
    run = repairs.run
    source = run.sessions().source(run.snapshot.id)

    def work(new: Described, target: Connection, number: int) -> Result:
        old = describe(target, [new.oid])
        kept = sql.Identifier(repairs.schema, f"object_{number}")
        target.execute(
            sql.SQL(
                "create table {} as select oid, pg_catalog.lo_get(oid) as data"
                " from pg_catalog.pg_largeobject_metadata where oid = {}::oid"
            ).format(kept, sql.Literal(new.oid))
        )
        unlink_large_objects(target, [new.oid])
        copy_large_object(source, target, new)
        apply_metadata(target, new, read_existing(target).roles, run.plan.target.user)
        digest = read_digests(target, [new.oid])[new.oid]
        was = DESCRIBED.dump_python(old[0], mode="json") if old else None
        return {"oid": new.oid, "digest": digest, "old": was}

    for described in describe(source, _large_objects(run)):
        repairs.once(
            LARGE_OBJECTS,
            f"large object {described.oid}",
            partial(work, described),
        )
    return {}


def repair_sequences(repairs: _Repairs, _: Item) -> Result:
    """Set all of them together; the journal line has the old values."""
    run = repairs.run
    pairs = _sequences(run)
    states = read_sequences(
        run.sessions().source(run.snapshot.id), [name for name, _ in pairs], side="source"
    )

    def work(target: Connection, _: int) -> Result:
        before = read_sequences(target, [to for _, to in pairs], side="target")
        now = [
            Sequence(to, state.last_value, state.is_called)
            for (_, to), state in zip(pairs, states, strict=True)
        ]
        set_sequences(target, now)
        return {"sequences": _noted(before), "set": _noted(now)}

    repairs.once(SEQUENCES, plural(len(pairs), "sequence"), work)
    return {}


def _noted(states: Iterable[Sequence]) -> list[list[Any]]:
    return [[one.name.schema, one.name.name, one.last_value, one.is_called] for one in states]
