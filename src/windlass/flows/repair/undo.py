"""Undoes a repair: restores what it changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from psycopg import sql

from windlass.engines.postgres.catalog import read_existing
from windlass.engines.postgres.errors import explaining
from windlass.engines.postgres.fingerprint import Pair, pair, root_pair
from windlass.engines.postgres.foreign.staged import staged_pair
from windlass.engines.postgres.largeobjects import (
    apply_metadata,
    unlink_large_objects,
)
from windlass.engines.postgres.lock import end_sessions, take_lock
from windlass.engines.postgres.rowmend import Aside, give_back, undisturbed
from windlass.engines.postgres.sequences import set_sequences
from windlass.engines.postgres.session import Connection
from windlass.errors import Refused
from windlass.flows.migrate.written import written_since
from windlass.flows.repair.repaired import (
    broken_keys,
    changed_object,
    changed_sequences,
    read_oid,
)
from windlass.flows.repair.steps import DESCRIBED, FLOW, ROWS, SEQUENCES, schema_of
from windlass.flows.rollback import already_undone, find_run
from windlass.journal import records
from windlass.journal.following import read_phase, undoing
from windlass.journal.records import Line
from windlass.model.flow import Result
from windlass.model.outcome import State
from windlass.model.past import Foreseen, Undone
from windlass.model.plan import Plan, RelationPlan
from windlass.model.relation import Name, Sequence
from windlass.model.report import Problem
from windlass.model.units import plural
from windlass.trust.planted import Room, read_planted


def foresee_repair(connection: Connection, found: records.Run) -> Foreseen:
    """What undoing a repair would do."""
    notes = _notes(connection, found.run)
    deleted = sum(note.get("deleted", 0) for _, note in notes)
    copied = sum(note.get("copied", 0) for _, note in notes)
    others = sum(line.step != ROWS for line, _ in notes)
    also = f", and puts back {plural(others, 'sequence or large object')}" if others else ""
    return Foreseen(
        f"takes out {plural(copied, 'row')} that it copied, and puts back"
        f" {plural(deleted, 'row')} that it deleted or changed{also}",
        blocked=[
            *_followed(connection, records.read_plan(connection, found.run)),
            *_repaired_later(connection, found, [line for line, _ in notes]),
        ],
    )


def undo_repair(connection: Connection, found: records.Run, *, force: bool = False) -> Undone:
    """Rows, sequences and large objects as they were before the repair; all or nothing.

    Raises:
        Refused: another run is at work, a later repair has changed the same tables, or rows were
        changed since, and `force` is not given.
    """
    take_lock(connection)
    found = find_run(connection, found.run)
    if found.state is State.ROLLED_BACK:
        return already_undone(found)
    end_sessions(connection, f"windlass {found.run}")
    schema = schema_of(found.run)
    if problems := read_planted(connection, Room(schema, tables="^.*$")):
        raise Refused(problems)
    plan = records.read_plan(connection, found.run)
    lines = records.read_lines(connection, found.run)
    _refuse([*_followed(connection, plan), *_repaired_later(connection, found, lines)])
    removed = restored = 0
    tables: set[int] = set()
    changed: list[Problem] = []
    states: list[Sequence] = []  # set last: a rollback does not revert sequences
    doing = f"undoing run {found.run}"
    with explaining(doing, side="target"), connection.transaction():
        connection.execute("set local synchronous_commit = on")
        for line, note in reversed(_notes(connection, found.run)):
            if line.step == ROWS:
                side = _pair(plan, line.relation, note).target
                tables.add(_same_table(connection, found.run, side.name, note))
                aside = Aside(schema, int(line.item))
                with undisturbed(connection, side):
                    wanted, out, back = give_back(connection, side, aside)
                if out < wanted:
                    changed.append(written_since(line.relation, wanted - out))
                removed, restored = removed + out, restored + back
            elif line.step == SEQUENCES:
                changed += changed_sequences(connection, note, but={one.name for one in states})
                states += [Sequence(Name(*one[:2]), *one[2:]) for one in note["sequences"]]
            else:
                changed += changed_object(connection, note)
                _put_object_back(connection, schema, line, note)
        _refuse([] if force else [*changed, *broken_keys(connection, tables)])
        _drop_aside(connection, schema)
        set_sequences(connection, states)
        records.set_state(connection, found.run, State.ROLLED_BACK)
    return Undone(
        f"took out {plural(removed, 'row')} that it had copied, put back"
        f" {plural(restored, 'row')} as they were"
    )


def _refuse(problems: Iterable[Problem]) -> None:
    if some := list(problems):
        raise Refused(some)


def _followed(connection: Connection, plan: Plan) -> Iterator[Problem]:
    """A run that follows changes these tables from what the repair has left."""
    for run in records.read_runs(connection, flow="follow"):
        found = read_phase(connection, run.run)
        if found is None or found[0].is_over:
            continue
        there = {one.target for one in records.read_plan(connection, run.run).relations}
        if not there.isdisjoint(one.target for one in plan.relations):
            message = "follows its source into the same tables, from what the repair has left"
            yield Problem(f"run {run.run}", message, undoing(connection, run, " first"))


def _repaired_later(
    connection: Connection, found: records.Run, lines: Iterable[Line]
) -> Iterator[Problem]:
    """Later repairs found what this one has left: rows that they set aside are not put back over
    those of this one."""
    changed = {line.relation for line in lines if line.step == ROWS}
    for run in records.read_runs(connection, flow=FLOW, in_brief=True):
        if run.started_at <= found.started_at or run.state is State.ROLLED_BACK:
            continue
        later = records.read_lines(connection, run.run)
        if any(line.step == ROWS and line.relation in changed for line in later):
            message = "has repaired the same tables later"
            yield Problem(f"run {run.run}", message, undoing(connection, run, " first"))


def _same_table(connection: Connection, run: str, name: Name, note: Result) -> int:
    """The repaired table's oid.

    Raises:
        Refused: another table has its name now.
    """
    oid = read_oid(connection, name)
    if not oid or oid != note.get("table", oid):
        hint = f"to forget the repair, with the rows that it has set aside: windlass clean {run}"
        _refuse([Problem(str(name), "is gone, or another table than the one repaired", hint)])
    return oid


def _drop_aside(connection: Connection, schema: str) -> None:
    """Drop the schema's tables, then the schema; never objects of others in it."""
    rows: list[Any] = connection.execute(
        "select relname::text from pg_class where relnamespace = to_regnamespace(%s::text)"
        " and relkind = 'r'",
        (sql.Identifier(schema).as_string(connection),),
    ).fetchall()
    for (name,) in rows:
        connection.execute(sql.SQL("drop table {}").format(sql.Identifier(schema, name)))
    connection.execute(sql.SQL("drop schema {}").format(sql.Identifier(schema)))


def _put_object_back(connection: Connection, schema: str, line: Line, note: Result) -> None:
    unlink_large_objects(connection, [note["oid"]])
    if note["old"] is None:
        return
    kept = sql.Identifier(schema, f"object_{line.item}")
    connection.execute(sql.SQL("select pg_catalog.lo_from_bytea(oid, data) from {}").format(kept))
    old = DESCRIBED.validate_python(note["old"])
    apply_metadata(connection, old, read_existing(connection).roles, connection.info.user)


def _pair(plan: Plan, name: str, note: Result) -> Pair:
    item: RelationPlan = next(one for one in plan.relations if str(one.enters) == name)
    if item.reading is not None:  # from another engine; what was staged is gone
        return staged_pair(item, plan.target, item.target)
    if item.enters != item.target:
        return root_pair(item, plan.source, plan.target)
    found = pair(item, plan.source, plan.target)
    partitions = bool(note.get("with_partitions"))
    return replace(found, target=replace(found.target, with_partitions=partitions))


def _notes(connection: Connection, run: str) -> list[tuple[Line, Result]]:
    lines = records.read_lines(connection, run)
    return [(line, line.note or {}) for line in sorted(lines, key=lambda one: int(one.item))]
