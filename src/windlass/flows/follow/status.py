"""Reports a run that follows: a migration's report, and how far behind it is."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from windlass.engines.postgres.session import Connection
from windlass.flows.follow.advice import AFTER_FLIP_BACK
from windlass.flows.follow.definitions import SEEN
from windlass.flows.migrate.status import migration_detail, migration_status
from windlass.following.blocking import change_hint, new_hint
from windlass.following.definitions import APART, NEW
from windlass.following.reopening import LOST, OPENING, UNLED
from windlass.following.routes import BY_REPAIR
from windlass.journal import records
from windlass.journal.following import read_applied, read_phase
from windlass.model.following import (
    Direction,
    FollowingStatus,
    Phase,
    StreamStatus,
    late_where,
)
from windlass.model.outcome import NO_REASON, RunDetail, RunStatus, State
from windlass.model.units import bytes_text, milliseconds_text, seconds_text
from windlass.model.wording import word

SOON_SECONDS = 10.0  # if it is behind by less, a cutover waits for the rest
FRESH_SECONDS = 10.0  # how old measurements may be


def following_status(connection: Connection, run: records.Run) -> RunStatus:
    return _with_following(connection, run, migration_status(connection, run))


def following_detail(connection: Connection, run: records.Run) -> RunDetail:
    detail = migration_detail(connection, run)
    return replace(detail, status=_with_following(connection, run, detail.status))


def _with_following(connection: Connection, run: records.Run, status: RunStatus) -> RunStatus:
    found = read_phase(connection, status.run)
    if found is None:
        return status
    phase, detail = found
    since = _since(connection, status.run)
    streams = tuple(map(StreamStatus.from_dict, detail.get("streams", {}).values()))
    measured = detail.get("reported_at")
    is_stopped = run.state is State.STOPPED and not status.active and not phase.is_over
    reason = run.outcome.reason if run.outcome and is_stopped else NO_REASON
    known = FollowingStatus(
        phase,
        since,
        () if phase.is_over else streams,
        max(time.time() - measured, 0.0) if measured else None,
        verified=detail.get("verified", ""),
        rehearsed=_freeze(detail, "rehearsal", "predicts that writers are stopped for"),
        cut_over=_freeze(detail, "cutover", "writers were stopped for"),
        strays=tuple(_strays(connection, status.run, phase, detail)),
        lost=_lost(phase, detail),
        stopped=reason.message,
        remedy=reason.hint,
        changed=tuple(detail.get(SEEN, ())),
        next_steps=tuple(
            one.replace("{run}", status.run)
            for one in _next_steps(phase, detail, is_followed=status.active)
        ),
    )
    blockers = tuple(_blockers(status, known, detail))
    return replace(status, following=replace(known, blockers=blockers))


NEXT = {
    Phase.COPYING: (f"windlass status {word('watch')}", "windlass abandon"),
    Phase.FOLLOWING: (
        f"windlass cutover {word('rehearse')}",
        "windlass cutover",
        "windlass abandon",
    ),
    Phase.FREEZING: (f"windlass status {word('watch')}",),
    Phase.SWITCHED: (f"windlass cutover {word('back')}", "windlass finish"),
    Phase.FREEZING_BACK: (f"windlass status {word('watch')}",),
    Phase.FINISHED: (),
    Phase.ABANDONED: ("windlass rollback {run}",),
}


# while no process follows; what is not here does not need one
NEXT_IF_STOPPED = {
    Phase.COPYING: (f"windlass migrate {word('follow')}", "windlass abandon"),
    Phase.FOLLOWING: (f"windlass migrate {word('follow')}", "windlass abandon"),
    Phase.SWITCHED: (f"windlass migrate {word('follow')}", "windlass finish"),
}


# after a flip back, if the slot of the source was lost before
NEXT_IF_LOST = (f"windlass verify {word('follow')} {word('repair')}", "windlass abandon")


def _next_steps(phase: Phase, detail: Mapping[str, Any], *, is_followed: bool) -> tuple[str, ...]:
    steps = NEXT[phase] if is_followed else NEXT_IF_STOPPED.get(phase, NEXT[phase])
    if phase is Phase.FOLLOWING and detail.get(LOST):
        steps = NEXT_IF_LOST
    if detail.get(OPENING) is not None:
        return (_opening_command(phase),)
    if detail.get(UNLED):
        return (f"{_opening_command(phase)} {word('on-switch', 'CMD')}", *steps)
    return steps


def _opening_command(phase: Phase) -> str:
    """The command that completes a cutover which was decided and whose process died."""
    return "windlass cutover" if phase.target_is_open else f"windlass cutover {word('back')}"


def _lost(phase: Phase, detail: Mapping[str, Any]) -> str:
    if phase.is_over or not (lost := detail.get(LOST)):
        return ""
    if phase is Phase.FOLLOWING:
        return str(lost)
    return f"{lost}; {AFTER_FLIP_BACK}"


def _freeze(detail: Mapping[str, Any], what: str, words: str) -> str:
    """The last cutover or rehearsal in the journal, for people."""
    if not (found := detail.get(what)):
        return ""
    way = "to the target" if found["direction"] == Direction.FORWARD else "back"
    return f"{way}, {words} {milliseconds_text(found['freeze_ms'])}, at {found['at']} UTC"


def _since(connection: Connection, run: str) -> float:
    row: Any = connection.execute(
        "select extract(epoch from clock_timestamp() - at)::float8"
        " from windlass.following where run = %s",
        (run,),
    ).fetchone()
    return float(row[0])


def _strays(
    connection: Connection, run: str, phase: Phase, detail: Mapping[str, Any]
) -> Iterator[str]:
    """What others wrote to a side that is only followed, as the streams have found it."""
    found = read_applied(connection, run, Direction.FORWARD)
    if found and found.late and phase.target_is_open:
        yield f"the source, after the cutover: {late_where(found.late)}"
    elif detail.get("strays") and not phase.is_over:
        yield f"the target: {detail['strays']}"


def _blockers(
    status: RunStatus, known: FollowingStatus, detail: Mapping[str, Any]
) -> Iterator[str]:
    """Why a cutover would be refused or would take long; or why applications cannot write."""
    if detail.get(OPENING) is not None:
        side = "target" if known.phase.target_is_open else "source"
        yield (
            f"the cutover was decided, but its process died: the {side} may still be closed to"
            f" applications; run {_opening_command(known.phase)}"
        )
    if known.phase is Phase.COPYING:
        yield "rows are still copied: wait"
    if known.phase not in (Phase.FOLLOWING, Phase.SWITCHED):
        return
    if known.phase is Phase.FOLLOWING and known.lost:
        yield f"{known.lost}: {BY_REPAIR}"
    elif not status.active:
        yield f"no process follows: run windlass migrate {word('follow')}"
    elif known.measured_seconds_ago is None or known.measured_seconds_ago > FRESH_SECONDS:
        yield "the process that follows has not reported for a while: look at its log"
    if known.phase is Phase.FOLLOWING:
        for one in detail.get(APART, ()):
            yield f"{one}; {change_hint(one, 'target')}"
        for one in detail.get(NEW, ()):
            yield f"{one}: is new on the source and not followed; {new_hint('target')}"
    for one in known.streams:
        if not one.applies:
            continue
        if one.catch_up_seconds is None:
            yield f"{bytes_text(one.behind_bytes)} behind, and never caught up at this rate: wait"
        elif one.catch_up_seconds > SOON_SECONDS:
            yield f"behind: caught up in {seconds_text(one.catch_up_seconds)}"
    for stray in known.strays:
        yield (
            f"others have written to {stray}; undo that, then windlass verify {word('follow')}"
            " has to find both sides equal"
        )
