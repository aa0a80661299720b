"""The way back of a run: each flow's own. Here that of `migrate`: what a run made goes, what it set
aside returns."""

from __future__ import annotations

from collections.abc import Sequence
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
from windlass.engines.postgres.session import Connection
from windlass.engines.postgres.since import Held, read_held
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
from windlass.journal import journal
from windlass.model.flow import resolve
from windlass.model.outcome import State
from windlass.model.plan import Arrival, Plan
from windlass.model.relation import Name
from windlass.model.report import Problem
from windlass.model.statement import Phase
from windlass.model.units import bytes_text, count_text, plural

MOST_PORTIONS = 5  # at once
SET_STEP = IN_ORDER[Phase.SCHEMA]
_RUNS = Name("windlass", "run")
UNFINISHED = (State.RUNNING, State.STOPPED, State.INTERRUPTED)


@dataclass(frozen=True, slots=True)
class Undone:
    """What a rollback has done. `stayed` says what is not as it was before the run, and why."""

    message: str
    stayed: Sequence[str] = ()
    already: bool = False  # by an earlier command; this one wrote nothing


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a rollback would do: ``drops 13 tables (5.9 M rows, 1.2 GB) and restores 3 objects``.
    `written` names what has been written since the run, and would be lost."""

    summary: str
    written: Sequence[Problem] = ()


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
        return Undone(f"already rolled back at {found.finished_at[:19]}", already=True)
    undone: Undone = resolve(JOURNALLED[found.flow].undo)(connection, found, force=force)
    return undone


def foresee_migration(connection: Connection, found: journal.Run) -> Foreseen:
    """What undoing it would do, and what was written to its tables since its end."""
    plan = journal.read_plan(connection, found.run)
    copied = _copied(connection, found.run)
    held = read_held(connection, [one.target for one in plan.relations], _RUNS, "run", found.run)
    by_name = {one.name: one for one in held}
    made = [one for one in plan.relations if one.arrival is not Arrival.FILL]
    dropped = [by_name[one.target] for one in made if one.target in by_name]
    emptied = [one for one in plan.relations if one.arrival is Arrival.FILL]
    parts = [f"drops {_tables(dropped)}"]
    if emptied:
        parts.append(f"empties {plural(len(emptied), 'table')} that it filled")
    if plan.set_aside:
        parts.append(f"restores {plural(len(plan.set_aside), 'object')} that it had set aside")
    written = []
    for item in plan.relations if found.state not in UNFINISHED else ():
        one = by_name.get(item.target)
        kept = sum(copied.get(chunk.id, 0) for chunk in item.chunks)
        if one is None:
            continue
        gone = max(kept - (one.rows - one.newer), 0) if item.enters == item.target else 0
        if one.newer or gone:
            written.append(written_since(str(item.target), max(one.newer, gone)))
    return Foreseen(", ".join(parts), written)


def _tables(held: Sequence[Held]) -> str:
    rows, size = sum(one.rows for one in held), sum(one.size_bytes for one in held)
    return f"{plural(len(held), 'table')} ({count_text(rows)} rows, {bytes_text(size)})"


def written_since(name: str, rows: int) -> Problem:
    """Why a rollback asks for `force`."""
    return Problem(
        name,
        f"{plural(rows, 'row')} written or deleted since the run ended would be lost",
        "save them, or roll back with --force",
    )


def _copied(connection: Connection, run: str) -> dict[str, int]:
    """Rows by chunk."""
    lines = journal.read_lines(connection, run)
    return {line.item: line.rows for line in lines if line.step in TRANSFERS}


def undo_migration(connection: Connection, found: journal.Run, *, force: bool = False) -> Undone:
    """`undo` of a run, as the only windlass that moves something into this target.

    Raises:
        Refused: another is at work, later runs have taken over what this one made, or rows were
            written since and `force` is not given.
    """
    run = found.run
    if not try_lock(connection):
        message = f"another run is in progress: {read_holder(connection)}"
        raise Refused([Problem("target", message, "wait for it")])
    plan = journal.read_plan(connection, run)
    runs = journal.read_runs(connection, flow=found.flow)
    problems = [
        Problem(f"run {one.run}", f"came after {run} and took over what it made", "undo it first")
        for one in runs
        if one.started_at > found.started_at
        and one.state is not State.ROLLED_BACK
        and _took_over(journal.read_plan(connection, one.run), plan)
    ]
    if problems:
        raise Refused(problems)
    foreseen = foresee_migration(connection, found)
    if foreseen.written and not force:
        raise Refused(foreseen.written)
    stayed = undo(connection, run)
    return Undone(_past(foreseen.summary), stayed)


def _past(summary: str) -> str:
    """What was to be done, as done."""
    for word, past in (("drops", "Dropped"), ("empties", "emptied"), ("restores", "restored")):
        summary = summary.replace(f"{word} ", f"{past} ", 1)
    return summary


def _took_over(later: Plan, plan: Plan) -> bool:
    """Whether the later run touches a relation that this one has made."""
    made = {item.target for item in plan.relations} | {target for _, _, target in plan.others}
    if later.large_objects.count and plan.large_objects.count:
        return True
    return any(item.name in made for item in later.set_aside) or any(
        item.target in made for item in later.relations
    )


def _portion(plan: Plan) -> int:
    return plan.portion


def undo(connection: Connection, run: str) -> list[str]:
    """Drop what a run made and put back what it set aside.

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
    if len(made) > most and UNDOING not in ran:  # else it could be resumed half undone
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
        _undo_large_objects(connection, of_objects, plan)
        stayed += map(
            _in_use, drop_made(connection, made)
        )  # first what may refer to filled relations
        if any(line.step in TRANSFERS for line in lines):
            filled = [one.target for one in plan.relations if one.arrival is Arrival.FILL]
            empty_filled(connection, filled)
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
