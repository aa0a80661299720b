"""What the steps of `cutover` do."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import psycopg

from windlass.engines.postgres.errors import explain, explaining
from windlass.errors import CannotResume, Refused, WindlassError
from windlass.flows.cutover import unfollowed
from windlass.flows.cutover.context import CuttingOver
from windlass.flows.cutover.finding import find_run, order_of, read_detail
from windlass.flows.cutover.leading import lead_applications
from windlass.flows.cutover.recopying import PATIENCE_SECONDS, Recopying
from windlass.flows.cutover.taking_back import after_failure
from windlass.flows.cutover.unstreamed import read_unstreamed
from windlass.flows.follow.source_side import why_lost
from windlass.following.blocking import LAG_UNKNOWN, Limits, read_blockers, stray_problems
from windlass.following.freezing import Freeze
from windlass.following.limit import Limit
from windlass.following.rehearsing import rehearse as measure
from windlass.following.reopening import FORTH, cutting_over
from windlass.journal.following import ask, listen, note_detail, read_answer
from windlass.model.cutover import Foreseen
from windlass.model.event import Asked, Noticed
from windlass.model.flow import Item, Result
from windlass.model.outcome import Cutover, State
from windlass.model.report import Problem
from windlass.model.wording import word

REVERSE_SECONDS = 120.0
REHEARSAL = "rehearsal"
MARKER_SECONDS = 10.0  # in which the first marker arrives
CUTOVER = "cutover"
COMPARED_BY = f"windlass verify {word('follow')} {word('repair')}"


def find_blockers(run: CuttingOver, _: Item) -> Result:
    """All that would keep the cutover from succeeding.

    Raises:
        Refused: with every blocker, each with its remedy.
    """
    with explaining("looking at both sides", side="windlass"):
        find_run(run)
        run.announce()
        detail, found = _blockers(run)
    if found:
        raise Refused(found)
    for text in unfollowed.told(run, detail):
        run.emit(Noticed(text))
    if run.way is FORTH:
        _say_what_was_compared(run, detail)
    else:
        with explaining("looking at the slot of the source", side="source"):
            _say_what_is_lost(run, detail)
    return {}


def _say_what_was_compared(run: CuttingOver, detail: Mapping[str, Any]) -> None:
    verified = detail.get("verified")
    text = f"last comparison while it followed: {verified}"
    run.emit(Noticed(text if verified else "both sides were not compared since the copy"))


def _say_what_is_lost(run: CuttingOver, detail: Mapping[str, Any]) -> None:
    """A flip back needs no slot of the source, but what follows it does."""
    pair = run.pair
    if lost := why_lost(pair.opened, pair.journal, run.run_id, detail):
        run.is_forward_lost = True
        run.emit(
            Noticed(
                f"{lost}. After this flip back, the source is followed again only once"
                f" {COMPARED_BY} has compared both sides and repaired the target"
            )
        )


def _blockers(run: CuttingOver) -> tuple[Mapping[str, Any], list[Problem]]:
    """All blockers, with what is known about the run. If there are none, wait for a first
    marker."""
    limits = Limits(run.spec.max_lag_seconds, run.spec.max_freeze_seconds)
    until = time.monotonic() + MARKER_SECONDS
    present = unfollowed.read_now(run, read_detail(run))
    while True:
        detail = {**read_detail(run), **present}
        found = list(read_blockers(order_of(run), run.pair, limits, detail))
        if found != [LAG_UNKNOWN] or time.monotonic() > until:
            return detail, found
        for _ in run.pair.journal.notifies(timeout=0.2, stop_after=1):
            pass


def prove_way_back(run: CuttingOver, _: Item) -> Result:
    """Ask the process that follows to open the stream in the other direction. It answers once a
    marker has come through. A flip back needs none: the changes came by that stream.

    Raises:
        Refused: there can be no way back.
    """
    if run.spec.no_reverse or run.way is not FORTH:
        return {}
    limit = Limit(REVERSE_SECONDS, run.stop)
    started = time.monotonic()
    journal = run.pair.journal
    listen(journal, run.run_id)
    request = ask(journal, run.run_id, "reverse", {})
    while (answer := read_answer(journal, request)) is None:
        limit.check("proving the way back")
        if strays := list(stray_problems(order_of(run), run.pair)):  # behind which the proof waits
            raise Refused(strays)
        for _one in journal.notifies(timeout=min(0.5, limit.left_seconds), stop_after=1):
            pass
    if error := answer.get("error"):
        hint = str(answer.get("hint") or f"or go without a way back: {word('no-reverse')}")
        raise Refused([Problem("the way back", str(error), hint)])
    return {"seconds": time.monotonic() - started}


def copy_unstreamed(run: CuttingOver, _: Item) -> Result:
    """Bring what no stream carries to the other side a first time, to see how long it takes.

    Raises:
        Refused: it does not fit into a freeze.
    """
    assert run.plan is not None, "it was found"
    freeze_seconds = run.spec.max_freeze_seconds
    with explaining("looking for what no stream carries", side="windlass"):
        found = read_unstreamed(run.plan, run.pair, run.way, read_detail(run))
        recopying = Recopying(run.run_id, run.way, run.pair, found)
        if run.spec.no_recopy and (text := recopying.leave_out()):
            run.emit(Noticed(text))
        limit = Limit(max(PATIENCE_SECONDS, 10 * freeze_seconds), run.stop)
        for text in recopying.rehearse(limit, freeze_seconds):
            run.emit(Noticed(text))
    run.recopying = recopying
    return {"seconds": recopying.seconds}


def confirm(run: CuttingOver, _: Item) -> Result:
    """Let a person decide, after showing what is about to happen."""
    if run.ask is None:
        return {}
    order, last = order_of(run), read_detail(run).get(REHEARSAL)
    if last and last["direction"] != order.way.direction:
        last = None
    names = run.names if run.way is FORTH else run.names[::-1]
    foreseen = Foreseen(
        order.way.direction,
        *names,
        sessions=len(run.pair.fence(order).foreign()) if order.closes else 0,
        sequences=len(order.sequences),
        freeze_ms=last.get("freeze_ms") if last else None,
        max_freeze_seconds=run.spec.max_freeze_seconds,
        notices=tuple(run.notices),
    )
    run.emit(Asked())
    try:
        run.ask(foreseen)
    finally:
        run.emit(Asked(is_over=True))
    return {}


def rehearse(run: CuttingOver, _: Item) -> Result:
    """Measure everything but the fence, and note the prediction in the journal."""
    order = order_of(run)
    with explaining("rehearsing", side="windlass"):
        parts = measure(order, run.pair, Limit(run.spec.max_freeze_seconds * 10, run.stop))
        if run.recopying is not None and run.recopying.seconds:
            parts["recopy"] = round(run.recopying.seconds * 1000, 3)
        sessions = len(run.pair.fence(order).foreign()) if order.closes else 0
        run.done = Cutover(
            str(order.way.direction),
            str(order.way.begins),
            is_rehearsal=True,
            freeze_ms=round(sum(parts.values()), 1),
            parts_ms=parts,
            sequences=len(order.sequences),
            sessions=sessions,
            at=_now(),
            next_steps=(_command(back=run.way is not FORTH),),
        )
        note_detail(run.pair.journal, run.run_id, {REHEARSAL: run.done.to_json()})
    return {"freeze_ms": run.done.freeze_ms}


def switch(run: CuttingOver, _: Item) -> Result:
    """The freeze, all of it in this process.

    Raises:
        TakenBack: writers continue where they were.
        CannotResume: it is decided, and the other side could not be opened.
    """
    order = order_of(run)
    with explaining("beginning the freeze", side="target"), cutting_over(run.pair.journal):
        freeze = Freeze(
            order,
            run.pair,
            Limit(run.spec.max_freeze_seconds, run.stop),
            lambda: run.connections.open(order.way.closes.name.lower(), "lock"),
            run.recopying,
            lambda: unfollowed.check_again(run),
        )
        unfollowed.note_target(run)
        _bound(run, run.spec.max_freeze_seconds)
        try:
            freeze.until_decided()
        except BaseException as error:
            after_failure(run, freeze, error)
        run.ended = State.DONE
        _bound(run, 0)
        _open(run, freeze)
    return {}


def _bound(run: CuttingOver, seconds: float) -> None:
    """Limit how long our statements may take; 0: no limit."""
    for session in (run.pair.closed, run.pair.opened):
        session.execute("select set_config('statement_timeout', %s, false)", (f"{seconds:g}s",))


def _open(run: CuttingOver, freeze: Freeze) -> None:
    """Open the other side, and redirect applications to it."""
    try:
        freeze.open()
        with freeze.part("on_switch"):
            lead_applications(run, freeze.pair.opened)
        freeze.let_clients_continue()
    except (psycopg.Error, WindlassError) as error:
        found = error if isinstance(error, WindlassError) else explain(error, "opening", side="")
        raise CannotResume(
            f"the cutover is decided, but not all is open yet: {found}",
            hint="run the same command again: it opens the rest",
        ) from error
    finally:
        run.done = _done(run, freeze)
    note_detail(run.pair.journal, run.run_id, {CUTOVER: run.done.to_json()})


def _done(run: CuttingOver, freeze: Freeze) -> Cutover:
    way = freeze.order.way
    back = (_command(back=True), "windlass finish")
    forth = COMPARED_BY if run.is_forward_lost else _command(back=False)
    return Cutover(
        str(way.direction),
        str(way.ends),
        freeze_ms=round(freeze.limit.passed_seconds * 1000, 1),
        parts_ms=freeze.parts_ms,
        sequences=freeze.sequences,
        sessions=freeze.sessions,
        at=_now(),
        next_steps=back if way is FORTH else (forth, "windlass abandon"),
    )


def _command(*, back: bool) -> str:
    return f"windlass cutover {word('back')}" if back else "windlass cutover"


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
