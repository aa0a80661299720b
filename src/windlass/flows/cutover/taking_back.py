"""A freeze that failed: undone at once; or found to be decided, if only the answer was lost."""

from __future__ import annotations

from typing import NoReturn

import psycopg

from windlass.engines.postgres.errors import explain
from windlass.errors import CannotResume, TakenBack, WindlassError
from windlass.flows.cutover.context import CuttingOver
from windlass.following.freezing import Freeze
from windlass.following.reopening import cutting_over, reopen
from windlass.model.event import Noticed
from windlass.model.outcome import State
from windlass.run.failures import reason_of
from windlass.run.hints import SAME

AGAIN = f"{SAME}: it opens what is still closed"


def after_failure(run: CuttingOver, freeze: Freeze, error: BaseException) -> None:
    """Undo the freeze. Returns only if it turns out to be decided.

    Raises:
        TakenBack: writers continue where they were.
        CannotResume: it is not known, or not everything could be undone.
    """
    try:
        freeze.pair.journal.execute("select 1")
        freeze.pair.closed.execute("select set_config('statement_timeout', '0', false)")
        freeze.pair.opened.execute("select set_config('statement_timeout', '0', false)")
        freeze.undo()
    except (psycopg.Error, WindlassError):
        if _is_decided_after_all(run, freeze):
            return
    _taken_back(run, freeze, error)


def _is_decided_after_all(run: CuttingOver, freeze: Freeze) -> bool:
    """With new sessions: the journal says whether it was decided; the rest is as after a crash."""
    freeze.release()
    for old in (freeze.pair.closed, freeze.pair.opened):
        old.close()  # the lock of cutovers goes with it
    try:
        target = run.connections.open("target")
        with cutting_over(target):
            phase = reopen(
                run.run_id,
                target,
                lambda: run.connections.open("source"),
                lambda text: run.emit(Noticed(text)),
                pool=run.pool,
            )
        run.use(run.connections.open("source"), target)
    except (psycopg.Error, WindlassError) as error:
        raise CannotResume(
            f"whether it was decided is not known: {_ours(error)}", hint=AGAIN
        ) from error
    freeze.pair = run.pair
    return phase is run.way.ends


def _taken_back(run: CuttingOver, freeze: Freeze, error: BaseException) -> NoReturn:
    side = freeze.order.way.closes.name.lower()
    found = _ours(error)
    message = f"taken back, the {side} is written to again: {found}"
    hint = found.hint or f"remove the cause, then {SAME}"
    taken = TakenBack(message, hint=hint, **{"stopped_by": "time", **found.where})
    run.ended, run.reason = State.TAKEN_BACK, reason_of(taken, message, hint)
    raise taken from error


def _ours(error: BaseException) -> WindlassError:
    if isinstance(error, WindlassError):
        return error
    if isinstance(error, psycopg.Error):
        return explain(error, "in the freeze", side="")
    return WindlassError(str(error) or type(error).__name__)
