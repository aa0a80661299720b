"""Past refreshes: which runs belong to one, which one to resume, and how to undo them.

A run's entry in the journal names its refresh; there is no other record.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import windlass
from windlass.django.databases import url_of
from windlass.django.locks import REFRESH, alone
from windlass.django.outcome import Result
from windlass.django.planning import DatabasePlan
from windlass.errors import Refused, Unreachable, WindlassError
from windlass.model.digest import digest
from windlass.model.event import Emit, ignore
from windlass.model.outcome import UNFINISHED, Outcome, RunDetail, RunStatus, State
from windlass.model.past import Foreseen
from windlass.model.report import Problem
from windlass.model.run_id import new_run_id
from windlass.spec.load import config_of

STARTER = "django"


@dataclass(frozen=True, slots=True)
class Marks:
    """Identifies the runs of one refresh in the journal: ``django REFRESH CONFIG 1``."""

    refresh: str
    config: str

    @classmethod
    def of(cls, plan: DatabasePlan, refresh: str = "") -> Marks:
        """The marks of a new refresh; or of the last one with the same updates, if it has not
        ended; or of the one with this name, which must not contain spaces."""
        wanted = [config_of(load) for run in plan.runs for load in run]
        config = digest(wanted)[:12]
        if refresh:
            return cls(refresh, config)
        last = next((one for one in runs_of(plan.alias) if _mark(one)), None)
        if last is not None and last.state in UNFINISHED:
            _, refresh, same, _ = last.started_by.external_run.split()
            if same == config:
                return cls(refresh, config)
        return cls(new_run_id(), config)

    def external(self, number: int) -> str:
        return f"{STARTER} {self.refresh} {self.config} {number}"


def _mark(run: RunStatus) -> str:
    """The refresh that a run belongs to; empty if none."""
    words = run.started_by.external_run.split()
    return words[1] if len(words) == 4 and words[0] == STARTER else ""


def runs_of(alias: str) -> list[RunStatus]:
    """All runs of loads, whoever started them, newest first.

    Raises:
        WindlassError: the database cannot be reached.
    """
    return [one for one in windlass.status(url_of(alias)) if one.flow == "load"]


def read_run(alias: str, run: str) -> RunDetail:
    """One run of loads.

    Raises:
        Refused: there is no such run of loads.
    """
    if run not in {one.run for one in runs_of(alias)}:
        raise Refused([Problem(f"run {run}", "is no run of loads in this database")])
    return windlass.read_run(url_of(alias), run)


def last_runs(alias: str) -> list[str]:
    """The runs of the last refresh that can be undone, newest first. Refreshes that found nothing
    to do are skipped."""
    runs = [one for one in runs_of(alias) if one.state is not State.ROLLED_BACK]
    changed = [one for one in runs if one.state is not State.REFUSED and one.progress.relations]
    last = next((_mark(one) for one in changed if _mark(one)), "")
    return [one.run for one in changed if last and _mark(one) == last]


def foresee(alias: str, run: str) -> Foreseen | None:
    """What `undo` would do; None if that is done already.

    Raises:
        Refused: there is no such run.
    """
    read_run(alias, run)
    return windlass.foresee_rollback(url_of(alias), run)


def undo(
    alias: str,
    run: str = "",
    *,
    force: bool = False,
    skip_changed: bool = False,
    emit: Emit = ignore,
) -> Result:
    """Undo one run, or all runs of the last refresh, the last one first."""
    try:
        with alone(alias, REFRESH):
            if run:
                read_run(alias, run)
            runs = [run] if run else last_runs(alias)
            if not runs:
                return Result(State.REFUSED, problems=(_nothing(alias),))
            return _undone(_each(alias, runs, force=force, skip_changed=skip_changed, emit=emit))
    except Refused as error:
        return Result(State.REFUSED, problems=error.problems)
    except Unreachable as error:
        return Result(State.STOPPED, problems=error.problems)
    except WindlassError as error:
        return Result(State.STOPPED, message=str(error), hint=error.hint)


def _nothing(alias: str) -> Problem:
    return Problem(f"database {alias!r}", "no refresh is known there that could be undone")


def _each(
    alias: str, runs: Sequence[str], *, force: bool, skip_changed: bool, emit: Emit
) -> Iterator[Outcome]:
    for one in runs:
        outcome = windlass.rollback(
            url_of(alias), one, emit, force=force, skip_changed=skip_changed
        )
        yield outcome
        if outcome.state is not State.ROLLED_BACK:
            return


def _undone(outcomes: Iterator[Outcome]) -> Result:
    done = list(outcomes)
    last = done[-1]
    good = [one for one in done if one.state is State.ROLLED_BACK]
    said = tuple(one.reason.message for one in good if one.reason.message)
    stayed = tuple(text for one in done for text in one.notices)
    message = "" if last.state is State.ROLLED_BACK else last.reason.message
    return Result(
        last.state,
        runs=tuple(one.run for one in good),
        problems=last.reason.problems,
        notices=(*said, *stayed),
        message=message,
        hint=last.reason.hint,
    )
