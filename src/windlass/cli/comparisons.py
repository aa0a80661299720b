"""What `verify` calls: joins the flow and the runner."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial

from windlass.cli.differing import Differing
from windlass.cli.hints import RESUME, SAME, way_on
from windlass.cli.stops import refused_late, unreachable, with_side
from windlass.errors import Interrupted, Refused, Unreachable, WindlassError
from windlass.flows.repair.repaired import check_keys
from windlass.flows.repair.steps import Repairing, end_repair, repair_differences, stop_repair
from windlass.flows.validate.context import Comparison
from windlass.flows.validate.outline import VALIDATE
from windlass.model.event import Emit, Noticed
from windlass.model.outcome import Outcome, State
from windlass.run.local import run_flow
from windlass.spec.migrate import Spec

# without the last step, which makes an error of differences: here they may be repaired
COMPARE = VALIDATE.only(*(step.name for step in VALIDATE.steps[:-1]))


def verify(
    spec: Spec,
    emit: Emit,
    *,
    repair: Repairing | None = None,
    show_values: bool,
    differing: Differing | None = None,
) -> Outcome:
    """Compare both sides; with `repair`, copy again what differs and compare again. `differing`
    takes every row that differs in the end.

    Raises:
        BadSpec: the spec names no databases.
    """
    started = time.perf_counter()
    compare = partial(_compare, spec, emit, show_values=show_values, differing=differing)
    outcome, run = compare(repair=repair)
    if run:  # the repair is through
        emit(Noticed("repaired: comparing again"))
        if differing:
            differing.forget()
        outcome, _ = compare(repaired=run)
    if differing:
        differing.finish(outcome)
    return replace(outcome, seconds=time.perf_counter() - started)


def _compare(
    spec: Spec,
    emit: Emit,
    *,
    show_values: bool,
    differing: Differing | None,
    repair: Repairing | None = None,
    repaired: str = "",
) -> tuple[Outcome, str]:
    """One comparison, and the run that has repaired something after it. `repaired` is the one
    before it, which this comparison ends."""
    with Comparison(spec, emit) as run, run.watching():
        run.show_values = show_values
        run.on_difference = differing.add if differing else None
        run.steps = tuple(step.name for step in COMPARE.steps)
        run.repair_run = repaired
        try:
            run_flow(COMPARE, run, jobs=spec.jobs, emit=run.emit)
            if repair:
                repair_differences(run, repair)
                if run.repair_run:
                    return run.outcome(State.DONE), run.repair_run
            if repaired:
                check_keys(run, repaired)
            outcome = run.outcome(State.DIFFERENT if run.differences else State.DONE)
            return end_repair(run, repaired, outcome) if repaired else outcome, ""
        except Refused as error:
            if run.repair_run:
                return stop_repair(run, State.STOPPED, *refused_late(error, run.repair_run)), ""
            return Outcome("", State.REFUSED, problems=error.problems), ""
        except Interrupted:
            if run.repair_run:
                return stop_repair(run, State.INTERRUPTED, "interrupted", RESUME), ""
            return run.outcome(State.INTERRUPTED, "interrupted", "nothing was changed"), ""
        except Unreachable as error:
            return unreachable(error), ""
        except WindlassError as error:
            if run.repair_run:
                hint = way_on(error, run.repair_run)
                return stop_repair(run, State.STOPPED, with_side(error), hint), ""
            return run.outcome(State.STOPPED, with_side(error), way_on(error, resume=SAME)), ""
