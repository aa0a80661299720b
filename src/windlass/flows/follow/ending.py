"""Ends a run that follows: finished after a cutover, or abandoned before one. Nothing is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from psycopg import Connection, sql

from windlass.engines.postgres.fencing import read_default
from windlass.engines.postgres.lock import control_name, end_sessions, try_lock
from windlass.engines.postgres.session import Address
from windlass.errors import Refused, WindlassError
from windlass.flows.follow.begin import settled_phase
from windlass.flows.follow.identities import IDENTITIES, left_of_identities, put_back
from windlass.flows.follow.removal import (
    REMOVED,
    left_of,
    remove_source_side,
    remove_streams,
    writing,
)
from windlass.flows.holding import parse_sides
from windlass.following.fence import CLOSED, Before, Fence
from windlass.following.limit import Limit
from windlass.following.reopening import OPENING_SECONDS, Side
from windlass.journal import door, records
from windlass.journal.following import change_phase, channel, note_detail, read_phase
from windlass.model.event import Emit, Noticed
from windlass.model.following import Ending, Phase
from windlass.model.outcome import Course, Outcome, Reason, State
from windlass.model.report import Problem
from windlass.model.units import several
from windlass.spec.migrate import Spec

Session = Connection[Any]
Notice = Callable[[str], None]
FOLLOWER_SECONDS = 15.0  # how long the process that follows may take to notice and end


@dataclass(frozen=True, slots=True)
class Followed:
    """A run that follows, as the journal has it."""

    run: records.Run
    phase: Phase
    detail: dict[str, Any]

    def identities(self, side: str) -> Sequence[Any]:
        """The replica identities that the run has set on a side."""
        found: Sequence[Any] = self.detail.get(IDENTITIES, {}).get(side, ())
        return found


def find_followed(target: Session, name: str = "") -> Followed:
    """The run of this name. Without a name, the only run that may have left something; if none has,
    the last one.

    Raises:
        Refused: there is none, or there are several.
    """
    found = _followed(target)
    if name:
        for one in found:
            if one.run.run == name:
                return one
        known = several([one.run.run for one in found], 5) or "none"
        raise Refused([Problem(f"run {name}", f"is no run that follows; known: {known}")])
    left = [one for one in found if not one.detail.get(REMOVED)]
    if len(left) == 1:
        return left[0]
    if not left and found:
        return found[0]
    if not left:
        hint = "see windlass status for runs of other kinds, and for those that are over"
        raise Refused([Problem("target", "no run that follows is known there", hint)])
    names = several([one.run.run for one in left], 10)
    raise Refused([Problem("target", f"has several runs that follow: {names}", "name one of them")])


def _followed(target: Session) -> list[Followed]:
    found = []
    for run in records.read_runs(target, flow="follow") if door.exists(target) else ():
        if phase := read_phase(target, run.run):
            found.append(Followed(run, *phase))
    return found


def end_following(
    spec: Spec, name: str, end: Phase, emit: Emit, ask: Callable[[Ending], None]
) -> Outcome:
    """Finish a run after its cutover; or abandon it while applications still write to the source,
    in which case the target keeps its copy. `ask` is called once it is clear that this is possible.

    Raises:
        Refused: it is not in a phase for that, or the source is another one.
    """
    started = time.perf_counter()
    source, target = parse_sides(spec)
    with writing(target, "windlass end") as session:
        followed = find_followed(session, name)
        phase = settled_phase(followed.run.run, session, source, lambda text: emit(Noticed(text)))
        followed = replace(followed, phase=phase)
        already = followed.phase is end and bool(followed.detail.get(REMOVED))
        if not already:
            if problems := problems_of(followed, end):
                raise Refused(problems)
            with writing(source, "windlass end") as there:  # before anything is changed
                _check_source(there, followed)
            ask(Ending(followed.run.run, followed.phase, followed.run.source_name, end))
            _settle(session, followed, end)
            stop_follower(session, followed.run.run)
            _clear(session, source, followed, end)
        nothing_left = _look_for_rest(session, source, followed)
        notices = list(_closed_notice(source)) if end is Phase.FINISHED else []
    for notice in notices:
        emit(Noticed(notice))
    return Outcome(
        followed.run.run,
        _STATES[end],
        seconds=time.perf_counter() - started,
        source=followed.run.source_name,
        notices=tuple(notices),
        reason=Reason(f"{_MESSAGES[end].format(followed.run.run)}; {nothing_left}"),
        course=Course(already=already),
    )


def give_up(session: Session, source: Address, run: records.Run, notice: Notice) -> None:
    """Abandon a run whose process has ended; `session` has the target's lock. Nothing to do if the
    run is over.

    Raises:
        Refused: applications write to the target, or a cutover is in progress.
    """
    found = read_phase(session, run.run)
    if found is None or found[0].is_over:
        return
    followed = Followed(run, settled_phase(run.run, session, source, notice), found[1])
    if problems := problems_of(followed, Phase.ABANDONED):
        raise Refused(problems)
    _settle(session, followed, Phase.ABANDONED)
    end_sessions(session, f"windlass {run.run}")
    _clear(session, source, followed, Phase.ABANDONED)


def _clear(session: Session, source: Address, followed: Followed, end: Phase) -> None:
    """Nothing follows any more: remove what was needed for that."""
    if end is Phase.ABANDONED:
        _open_target(session, followed)
    _remove(session, source, followed)
    records.set_state(session, followed.run.run, _STATES[end])
    note_detail(session, followed.run.run, {REMOVED: True})


_STATES = {Phase.FINISHED: State.DONE, Phase.ABANDONED: State.ABANDONED}
_MESSAGES = {
    Phase.FINISHED: "run {} is finished: the target is the one that is written to",
    Phase.ABANDONED: "run {} is given up: the source is as before, the target keeps its copy",
}


def problems_of(followed: Followed, end: Phase) -> list[Problem]:
    object_, phase = f"run {followed.run.run}", followed.phase
    if phase.is_over and phase is not end:
        return [Problem(object_, f"is {phase} already", f"windlass {_VERBS[phase]} finishes that")]
    if end is Phase.ABANDONED and phase.target_is_open:
        message = "has been cut over: applications write to the target"
        return [Problem(object_, message, "windlass finish ends the run")]
    if phase in (Phase.FREEZING, Phase.FREEZING_BACK):
        return [Problem(object_, "a cutover is in progress", "wait for it")]
    if end is Phase.FINISHED and not phase.is_over and not phase.target_is_open:
        message = "has not been cut over: applications write to the source"
        return [Problem(object_, message, "windlass cutover, or windlass abandon")]
    return []


_VERBS = {Phase.FINISHED: "finish", Phase.ABANDONED: "abandon"}


def _check_source(session: Session, followed: Followed) -> None:
    """Raises:
    Refused: it is another source than the run's.
    """
    from windlass.engines.postgres.catalog import read_server  # slow to load

    server, _ = read_server(session)
    if server.identity != followed.run.source:
        message = f"is not the source of run {followed.run.run}, {followed.run.source_name}"
        raise Refused([Problem("source", message)])


def _settle(session: Session, followed: Followed, end: Phase) -> None:
    """Journal the end: from then on nothing is applied.

    Raises:
        Refused: another command was faster.
    """
    if followed.phase is end:
        return
    with session.transaction():
        if not change_phase(session, followed.run.run, followed.phase, end, {}):
            message = "was changed by another command just now"
            raise Refused([Problem(f"run {followed.run.run}", message, "look at windlass status")])
        session.execute("select pg_catalog.pg_notify(%s, '')", (channel(followed.run.run),))


def stop_follower(session: Session, run: str) -> None:
    """Wait until the process that follows has seen the end; end its sessions if it does not."""
    if not try_lock(session, patience_seconds=FOLLOWER_SECONDS):
        end_sessions(session, control_name(run))
        if not try_lock(session):
            raise WindlassError("another run has taken the target's lock", hint="wait for it")
    end_sessions(session, f"windlass {run}")


def _open_target(session: Session, followed: Followed) -> None:
    """Restore the target's settings: after a flip back it is still closed to everybody but us."""
    if kept := followed.detail.get(Side.TARGET):
        fence = Fence(session, followed.run.run)
        fence.restore(Before.from_json(kept), Limit(OPENING_SECONDS))


def _remove(session: Session, source: Address, followed: Followed) -> None:
    """Slots of both servers first."""
    run = followed.run.run
    remove_streams(session, run, side="target")
    put_back(session, followed.identities("target"), side="target")
    remove_source_side(source, run, followed.detail)
    session.execute("delete from windlass.applied where run = %s", (run,))
    session.execute("delete from windlass.marker where run = %s", (run,))
    session.execute("delete from windlass.request where run = %s", (run,))


def _look_for_rest(session: Session, source: Address, followed: Followed) -> str:
    """Look on both servers.

    Raises:
        WindlassError: something is left.
    """
    run = followed.run.run
    with writing(source, "windlass end") as there:
        kept = left_of_identities(there, followed.identities("source"))
        left = [f"{one} on the source" for one in (*left_of(there, run), *kept)]
    kept = left_of_identities(session, followed.identities("target"))
    left += [f"{one} on the target" for one in (*left_of(session, run), *kept)]
    if left:
        raise WindlassError(f"still there: {', '.join(left)}", hint="run the same command again")
    return "nothing is left: no slot, publication or trigger of the run is on either server"


def _closed_notice(source: Address) -> Iterator[str]:
    """A notice that the source stays as the cutover left it, for whoever still uses its address."""
    with writing(source, "windlass end") as there:
        if read_default(there) == CLOSED:
            name = sql.Identifier(there.info.dbname).as_string(there)
            yield (
                "the source is still read-only: its database has default_transaction_read_only ="
                f" on; to open it: SET default_transaction_read_only = off; ALTER DATABASE {name}"
                " RESET default_transaction_read_only"
            )
