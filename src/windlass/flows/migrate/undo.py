"""Undoes a migration: drops what a run made, and restores what it set aside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from windlass.aside.defaults import restore_defaults
from windlass.aside.dependents import restore
from windlass.aside.large_objects import bring_back, kept_of
from windlass.aside.objects import drop_made, empty_filled, moves_of, put_back
from windlass.aside.privileges import take_back
from windlass.aside.refilled import ROWS, put_rows_back
from windlass.aside.sequences import restore_states
from windlass.engines.postgres.errors import explaining
from windlass.engines.postgres.largeobjects import unlink_large_objects
from windlass.engines.postgres.lock import end_sessions, take_lock
from windlass.engines.postgres.rowmend import act_as_replica
from windlass.engines.postgres.session import Connection
from windlass.engines.postgres.since import keep_out_writers, read_attached
from windlass.errors import CannotResume, Refused, WindlassError
from windlass.flows.migrate.portions import (
    BEFORE,
    CREATE_TABLES,
    LARGE_OBJECTS_AT_ONCE,
    REPOINT,
    REPOINTED,
    SET_ASIDE,
    SET_STEP,
    TRANSFERS,
    UNDOING,
    divide,
)
from windlass.flows.migrate.succession import later_problems
from windlass.flows.migrate.written import foresee_undo, written_in
from windlass.flows.rollback import already_undone, find_run
from windlass.journal import records
from windlass.model.outcome import State
from windlass.model.past import Undone
from windlass.model.plan import Arrival, Plan
from windlass.model.relation import Name
from windlass.model.statement import Statement

MOST_PORTIONS = 5  # at once


def undo_migration(connection: Connection, found: records.Run, *, force: bool = False) -> Undone:
    """`undo` a run, under the target's lock.

    Raises:
        Refused: another run is at work, later runs have taken over what this one made, or rows were
        written since and `force` is not given. CannotResume: it is partly undone, and something
        prevents finishing it.
    """
    take_lock(connection)
    found = find_run(connection, found.run)  # read again: another rollback may have been faster
    if found.state is State.ROLLED_BACK:
        return already_undone(found)
    if problems := later_problems(connection, found):
        raise Refused(problems)
    return undo(connection, found, force=force)


def _past(summary: str) -> str:
    """Turns what would be done into what was done."""
    for word, past in (("drops", "Dropped"), ("empties", "emptied"), ("removes", "removed"),
                       ("restores", "restored")):  # fmt: skip
        summary = summary.replace(f"{word} ", f"{past} ", 1)
    return summary


def _portion(plan: Plan) -> int:
    return plan.how.most_statements


def undo(connection: Connection, found: records.Run, *, force: bool = False) -> Undone:
    """Drop what a run made and restore what it set aside. Refuses if that would lose rows of
    others, unless `force` is given. Writers are locked out from the check to the end.

    Relations that existed before, and were empty, are emptied. Objects that stay, mostly because
    others use them now, are returned with the reason. One transaction, except for a run with very
    many objects, which would not fit into the server's lock table. Each of several transactions
    checks again what it is going to drop, and the next command resumes where one stopped.
    """
    end_sessions(connection, f"windlass {found.run}")
    undoing = _Undoing(connection, found, force)
    if undoing.is_whole:
        return undoing.finish()
    undoing.begin()
    with _in_part(found.run):
        undoing.drop_some()
        return undoing.finish()


@contextmanager
def _in_part(run: str) -> Iterator[None]:
    """Raises:
    CannotResume: a part is already dropped, and the rest cannot be undone yet.
    """
    hint = f"then finish it: windlass rollback {run}"
    try:
        with explaining(f"rolling back run {run}", side="target"):
            yield
    except Refused as error:
        reasons = "; ".join(f"{one.object}: {one.message}" for one in error.problems)
        ways = ", ".join(dict.fromkeys(one.hint for one in error.problems if one.hint))
        way = f"{ways}; {hint}" if ways else hint
        raise CannotResume(f"run {run} is rolled back in part: {reasons}", hint=way) from error
    except WindlassError as error:
        if error.retryable:
            raise
        way = f"{error.hint or 'remove the cause'}; {hint}"
        raise CannotResume(f"run {run} is rolled back in part: {error}", hint=way) from error


class _Undoing:
    """A run that this command undoes."""

    def __init__(self, connection: Connection, found: records.Run, force: bool) -> None:
        self._connection, self._found, self._force = connection, found, force
        self._plan = records.read_plan(connection, found.run)
        self._lines = records.read_lines(connection, found.run)
        self._ran = {(line.step, line.item): line.note or {} for line in self._lines}
        self._repointed = self._ran.get((REPOINT, REPOINTED), {})
        self._portion = _portion(self._plan)
        self._made = self._read_made()
        self._objects = [line for line in self._lines if (line.note or {}).get("large_objects")]
        self._stayed: list[str] = []
        self._summary = ""

    @property
    def is_whole(self) -> bool:
        """Whether one transaction can undo all of it, and no part is undone yet."""
        most = max(len(self._made), len(self._objects) * LARGE_OBJECTS_AT_ONCE)
        return most <= self._most and UNDOING not in self._ran

    @property
    def _most(self) -> int:
        return MOST_PORTIONS * self._portion

    def _read_made(self) -> list[Statement]:
        """What the run made, last first: recreated dependents come before the rest."""
        plan, objects = self._plan, self._repointed.get("objects", ())
        place = {id(statement): at for at, statement in enumerate(plan.statements)}
        made = [
            statement
            for step, portions in divide(plan).items()
            for portion in portions
            if (step, portion.item.id) in self._ran
            for statement in portion.statements
        ]
        made.sort(key=lambda one: -place[id(one)])
        made = _partitions_first(made, read_attached(self._connection))
        again = [one for each in plan.dependents if each.object in objects
                 for one in each.statements]  # fmt: skip
        return [*reversed(again), *made]

    def begin(self) -> None:
        """Journal that the run is partly undone. From now on nothing resumes it."""
        self._check()
        if UNDOING in self._ran:  # by an earlier command
            return
        run, connection = self._found.run, self._connection
        with connection.transaction():
            connection.execute(records.line_statement(run, records.Line(*UNDOING)).encode())
            records.set_state(connection, run, State.STOPPED)
        self._found = find_run(connection, run)

    def drop_some(self) -> None:
        """Drop objects, in transactions as large as the lock table allows, until the rest fits into
        the last one."""
        connection = self._connection
        while len(self._made) > self._most:
            some = self._made[: self._portion]
            with connection.transaction():
                self._keep([one.name for one in some if one.kind == "TABLE"])
                self._stayed += map(_in_use, drop_made(connection, some))
            del self._made[: self._portion]
        while len(self._objects) * LARGE_OBJECTS_AT_ONCE > self._most:
            line = self._objects.pop()
            with connection.transaction():
                self._undo_large_objects([line])
                records.delete_lines(connection, self._found.run, line.step, [line.item])

    def _keep(self, tables: Sequence[Name]) -> None:
        """Refuse to drop tables that others have written to since the first check."""
        keep_out_writers(self._connection, tables)
        found = () if self._force else written_in(self._connection, self._plan, tables)
        if found:
            raise Refused(found)

    def finish(self) -> Undone:
        """Undo the rest, in one transaction."""
        connection, plan, run = self._connection, self._plan, self._found.run
        objects = self._repointed.get("objects", ())
        with connection.transaction():
            connection.execute("set local synchronous_commit = on")
            keep_out_writers(connection, plan.targets)  # skips what is no table
            self._check()
            self._undo_large_objects(self._objects)
            self._stayed += map(
                _in_use, drop_made(connection, self._made)
            )  # first what may refer to filled relations
            if any(line.step in TRANSFERS for line in self._lines):
                _empty(connection, plan)
            put_rows_back(connection, self._ran.get((CREATE_TABLES, ROWS), {}).get("rows", {}))
            before = self._ran.get((SET_STEP, BEFORE), {})
            restore_defaults(connection, before)
            if (SET_STEP, SET_ASIDE) in self._ran:
                moves = moves_of(self._ran[SET_STEP, SET_ASIDE], plan.set_aside)
                put_back(connection, [*moves, *moves_of({"moves": (), **self._repointed})])
                self._stayed += restore(connection, plan.dependents, objects)
            self._stayed += take_back(connection, _granted(self._lines))
            restore_states(connection, before.get("sequences", ()))  # which stay set, come what may
            records.set_state(connection, run, State.ROLLED_BACK)
        return Undone(self._summary, self._stayed)

    def _undo_large_objects(self, lines: Sequence[records.Line]) -> None:
        """Remove the copied large objects, and give the old ones their ids back."""
        connection, notes = self._connection, [line.note or {} for line in lines]
        unlink_large_objects(connection, [oid for note in notes for oid in note["large_objects"]])
        if kept := kept_of(notes):
            bring_back(connection, kept, self._plan.target.user)
            line = records.Line(records.ROLLBACK, f"large objects {lines[0].item}")
            connection.execute(records.line_statement(self._found.run, line).encode())

    def _check(self) -> None:
        """Check that no rows of others would be lost. The first check covers everything."""
        foreseen = foresee_undo(self._connection, self._found)
        self._summary = self._summary or _past(foreseen.summary)
        foreseen.refuse(force=self._force)


def _partitions_first(
    made: Sequence[Statement], attached: Sequence[tuple[Name, Name]]
) -> list[Statement]:
    """Partitions first: dropping a partitioned relation drops its remaining partitions, and locks
    them all at once."""
    place = {one.name: at for at, one in enumerate(made) if one.kind in ("TABLE", "FOREIGN TABLE")}
    last: dict[Name, int] = {}
    for partition, root in attached:
        if root in place:
            last[root] = max(last.get(root, place[root]), place.get(partition, 0))

    def key(numbered: tuple[int, Statement]) -> tuple[int, bool]:
        at, one = numbered
        moves = one.kind == "TABLE" and one.name in last
        return (last[one.name], True) if moves else (at, False)

    return [one for _, one in sorted(enumerate(made), key=key)]


def _empty(connection: Connection, plan: Plan) -> None:
    filled = [one.target for one in plan.relations if one.arrival is Arrival.FILL]
    if filled and act_as_replica(connection):  # else triggers fire, as for any DELETE
        empty_filled(connection, filled)
        connection.execute("set local session_replication_role = origin")
    else:
        empty_filled(connection, filled)


def _in_use(name: str) -> str:
    return f"{name} stays, as others use it"


def _granted(lines: Sequence[records.Line]) -> list[Sequence[Any]]:
    """Grants and revokes of the run on objects that it did not make, in order."""
    return [change for line in lines for change in (line.note or {}).get("privileges", ())]
