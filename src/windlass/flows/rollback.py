"""The way back of a run: each flow's own. Here that of `migrate`: what a run made goes, what it set
aside returns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from windlass.backup.aside import drop_made, empty_filled, moves_of, put_back
from windlass.backup.defaults import restore_defaults
from windlass.backup.dependents import restore
from windlass.backup.large_objects import bring_back, kept_of
from windlass.backup.privileges import take_back
from windlass.backup.sequences import restore_states
from windlass.engines.postgres.largeobjects import unlink_large_objects
from windlass.engines.postgres.lock import end_sessions, read_holder, try_lock
from windlass.engines.postgres.rowmend import act_as_replica
from windlass.engines.postgres.session import Connection
from windlass.engines.postgres.since import keep_out_writers
from windlass.errors import Refused
from windlass.flows.ddl import (
    BEFORE,
    IN_ORDER,
    LARGE_OBJECTS_AT_ONCE,
    REPOINT,
    REPOINTED,
    SET_ASIDE,
    TRANSFERS,
    UNDOING,
    divide,
)
from windlass.flows.outline import JOURNALLED
from windlass.flows.succession import later_problems
from windlass.flows.written import Foreseen, foresee_migration
from windlass.journal import journal
from windlass.model.flow import resolve
from windlass.model.outcome import State
from windlass.model.plan import Arrival, Plan
from windlass.model.report import Problem
from windlass.model.statement import Phase

MOST_PORTIONS = 5  # at once
SET_STEP = IN_ORDER[Phase.SCHEMA]


@dataclass(frozen=True, slots=True)
class Undone:
    """What a rollback has done. `stayed` says what is not as it was before the run, and why."""

    message: str
    stayed: Sequence[str] = ()
    already: bool = False  # by an earlier command; this one wrote nothing


def find_run(connection: Connection, run: str) -> journal.Run:
    """Raises:
    Refused: there is no such run.
    """
    runs = journal.read_runs(connection) if journal.exists(connection) else []
    found = next((one for one in runs if one.run == run), None)
    if found is None:
        known = ", ".join(one.run for one in runs[:5]) or "none"
        raise Refused([Problem(f"run {run}", f"is not in the journal; known: {known}")])
    return found


def foresee(connection: Connection, run: str) -> Foreseen | None:
    """What undoing a run would do; None if it is rolled back already. Changes nothing.

    Raises:
        Refused: there is no such run.
    """
    found = find_run(connection, run)
    if found.state is State.ROLLED_BACK:
        return None
    foreseen: Foreseen = resolve(JOURNALLED[found.flow].foresee)(connection, found)
    return foreseen


def roll_back(connection: Connection, run: str, *, force: bool = False) -> Undone:
    """Undo a run by its name, in the way of the flow that made it. `force` also what was written
    since.

    Raises:
        Refused: there is no such run, or it cannot be undone; nothing was changed.
    """
    found = find_run(connection, run)
    if found.state is State.ROLLED_BACK:
        return already_undone(found)
    undone: Undone = resolve(JOURNALLED[found.flow].undo)(connection, found, force=force)
    return undone


def already_undone(found: journal.Run) -> Undone:
    """By an earlier command, or by one that was faster: a run is read again under its lock."""
    return Undone(f"already rolled back at {found.finished_at[:19]}", already=True)


def undo_migration(connection: Connection, found: journal.Run, *, force: bool = False) -> Undone:
    """`undo` of a run, as the only windlass that moves something into this target.

    Raises:
        Refused: another is at work, later runs have taken over what this one made, or rows were
            written since and `force` is not given.
    """
    if not try_lock(connection):
        message = f"another run is in progress: {read_holder(connection)}"
        raise Refused([Problem("target", message, "wait for it")])
    found = find_run(connection, found.run)  # as it is now: another rollback may have been faster
    if found.state is State.ROLLED_BACK:
        return already_undone(found)
    if problems := later_problems(connection, found):
        raise Refused(problems)
    done: list[str] = []

    def check() -> None:
        foreseen = foresee_migration(connection, found)
        done.append(_past(foreseen.summary))
        refuse_loss(foreseen, force=force)

    stayed = undo(connection, found.run, check)
    return Undone(done[0], stayed)


def refuse_loss(foreseen: Foreseen, *, force: bool) -> None:
    """Raises:
    Refused: what was written since would be lost, and may not be.
    """
    problems = [*foreseen.blocked, *(() if force else foreseen.written)]
    if problems:
        raise Refused(problems)


def _past(summary: str) -> str:
    """What was to be done, as done."""
    for word, past in (("drops", "Dropped"), ("empties", "emptied"), ("restores", "restored")):
        summary = summary.replace(f"{word} ", f"{past} ", 1)
    return summary


def _portion(plan: Plan) -> int:
    return plan.portion


def undo(connection: Connection, run: str, check: Callable[[], None]) -> list[str]:
    """Drop what a run made and put back what it set aside. `check` raises where others have written
    what would be lost; while it looks, and until all is done, nobody writes.

    Relations that were there before, and empty, are emptied. What stays, mostly because others have
    come to use it, is returned with the reason. One transaction, but for a run of very many
    objects: those would not find room in the server's lock table. Undone in several, it resumes
    where it stopped.
    """
    end_sessions(connection, f"windlass {run}")
    plan = journal.read_plan(connection, run)
    lines = journal.read_lines(connection, run)
    ran = {(line.step, line.item): line.note or {} for line in lines}
    repointed = ran.get((REPOINT, REPOINTED), {})
    objects = repointed.get("objects", ())
    place = {id(statement): at for at, statement in enumerate(plan.statements)}
    made = [
        statement
        for step, portions in divide(plan).items()
        for portion in portions
        if (step, portion.item.id) in ran
        for statement in portion.statements
    ]
    made.sort(key=lambda one: -place[id(one)])
    again = [one for each in plan.dependents if each.object in objects for one in each.statements]
    made = [*reversed(again), *made]
    stayed: list[str] = []
    portion = _portion(plan)
    most = MOST_PORTIONS * portion
    is_whole = len(made) <= most
    if not is_whole:
        check()
    if not is_whole and UNDOING not in ran:  # else it could be resumed half undone
        connection.execute(journal.line_statement(run, journal.Line(*UNDOING)).encode())
    while len(made) > most:
        with connection.transaction():
            stayed += map(_in_use, drop_made(connection, made[:portion]))
        del made[:portion]
    of_objects = [line for line in lines if (line.note or {}).get("large_objects")]
    while len(of_objects) * LARGE_OBJECTS_AT_ONCE > most:
        line = of_objects.pop()
        with connection.transaction():
            _undo_large_objects(connection, [line], plan)
            journal.delete_lines(connection, run, line.step, [line.item])
    with connection.transaction():
        connection.execute("set local synchronous_commit = on")
        if is_whole:
            keep_out_writers(connection, [one.target for one in plan.relations])
            check()
        _undo_large_objects(connection, of_objects, plan)
        stayed += map(
            _in_use, drop_made(connection, made)
        )  # first what may refer to filled relations
        if any(line.step in TRANSFERS for line in lines):
            _empty(connection, plan)
        before = ran.get((SET_STEP, BEFORE), {})
        restore_defaults(connection, before)
        if (SET_STEP, SET_ASIDE) in ran:
            moves = moves_of(ran[SET_STEP, SET_ASIDE], plan.set_aside)
            put_back(connection, [*moves, *moves_of({"moves": (), **repointed})])
            stayed += restore(connection, plan.dependents, objects)
        restore_states(connection, before.get("sequences", ()))
        stayed += take_back(connection, _granted(lines))
        journal.set_state(connection, run, State.ROLLED_BACK)
    return stayed


def _empty(connection: Connection, plan: Plan) -> None:
    filled = [one.target for one in plan.relations if one.arrival is Arrival.FILL]
    if filled and act_as_replica(connection):  # else triggers fire, as for whoever deletes rows
        empty_filled(connection, filled)
        connection.execute("set local session_replication_role = origin")
    else:
        empty_filled(connection, filled)


def _in_use(name: str) -> str:
    return f"{name} stays, as others use it"


def _granted(lines: Sequence[journal.Line]) -> list[Sequence[Any]]:
    """What the run has granted and revoked on what it has not made, in its order."""
    return [change for line in lines for change in (line.note or {}).get("privileges", ())]


def _undo_large_objects(connection: Connection, lines: Sequence[journal.Line], plan: Plan) -> None:
    """Remove what came, and give what was there its ids again, inside the caller's transaction."""
    notes = [line.note or {} for line in lines]
    unlink_large_objects(connection, [oid for note in notes for oid in note["large_objects"]])
    if kept := kept_of(notes):
        bring_back(connection, kept, plan.target.user)
