"""Joins the flow `export` and the runner: what `windlass export` calls."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from windlass.cli.hints import way_on
from windlass.errors import (
    BadSpec,
    Different,
    Interrupted,
    Refused,
    SnapshotLost,
    Unreachable,
    WindlassError,
)
from windlass.flows.export.context import Exporting
from windlass.flows.export.outline import EXPORT
from windlass.model.event import Emit, Noticed
from windlass.model.outcome import Outcome, State
from windlass.model.report import Problem
from windlass.run.local import run_flow
from windlass.spec.export import ExportSpec
from windlass.spec.loading import load_export_spec

if TYPE_CHECKING:
    from windlass.cli.voice import Voice

ATTEMPTS = 5  # each in a new snapshot: a source that fails again and again is not read by patience


def read_export_spec(voice: Voice, words: Mapping[str, Any], file: Path | None) -> ExportSpec:
    """The spec that the command was given. Its passwords are never said from then on.

    Raises:
        BadSpec: with every fault.
    """
    spec = load_export_spec(words, file)
    for connection in (spec.source, spec.warehouse):
        if connection is not None:
            voice.hide_passwords_of(connection.get_secret_value())
    return spec


def export(spec: ExportSpec, emit: Emit, *, run: str = "") -> Outcome:
    """Export, as the run of that id where one is given. How it ended is in the outcome's state.

    Raises:
        BadSpec: source or warehouse cannot be understood.
    """
    started = time.perf_counter()
    notices: list[str] = []
    for attempt in range(ATTEMPTS):
        try:
            opened = Exporting(spec, emit, run=run, patient=attempt > 0)
        except BadSpec:
            raise
        except WindlassError as error:
            return Outcome("", State.REFUSED, problems=(Problem("to", str(error), error.hint),))
        with opened as context:
            context.notices.extend(notices)
            run = context.run
            outcome, lost = _attempt(context)
        if lost is None or attempt == ATTEMPTS - 1:
            break
        notices = [*context.notices, f"{lost}: resuming in a new snapshot"]
        emit(Noticed(notices[-1]))
    return replace(outcome, seconds=time.perf_counter() - started)


def _attempt(run: Exporting) -> tuple[Outcome, WindlassError | None]:
    """One pass of the flow, and why another one could resume where it ended."""
    run.steps = tuple(step.name for step in EXPORT.steps)
    resume = f"run the same command again with --run {run.run} to resume"
    try:
        run_flow(EXPORT, run, jobs=run.spec.jobs, emit=run.emit)
    except Refused as error:
        return Outcome("", State.REFUSED, problems=error.problems), None
    except Unreachable as error:
        hint, problems = error.hint, error.problems
        return Outcome("", State.STOPPED, message=str(error), hint=hint, problems=problems), None
    except Different as error:
        return replace(run.outcome(State.DIFFERENT), differences=error.differences), None
    except Interrupted:
        return run.outcome(State.INTERRUPTED, "interrupted", resume), None
    except WindlassError as error:
        if not run.exports:
            problem = Problem(str(error.where.get("side", "windlass")), str(error), error.hint)
            return Outcome("", State.REFUSED, problems=(problem,)), None
        outcome = run.outcome(State.STOPPED, str(error), way_on(error, resume=resume))
        return outcome, error if isinstance(error, SnapshotLost) else None
    return run.outcome(State.DONE), None
