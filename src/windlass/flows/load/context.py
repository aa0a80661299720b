"""The context of the flow `load`: the target with its journal, the inputs, and the plan of each
load."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from windlass.engines.landing import APPLIED, STAGED, Input, Landing, LoadRun
from windlass.engines.registry import open_landing
from windlass.errors import AlreadyFinished, BadSpec, CannotResume, Refused, WindlassError
from windlass.flows.load.fetched import Fetched, sweep
from windlass.flows.load.outline import LOAD
from windlass.flows.load.reading import Prepared, prepare
from windlass.flows.load.reporting import counts_of, noted, relations_of
from windlass.flows.load.runs import (
    drift_of,
    has_config,
    has_key,
    is_as_kept,
    loaded_by,
    loads_of,
    new_run,
    to_resume,
)
from windlass.flows.load.turns import Turns
from windlass.flows.load.unchanged import Known
from windlass.loading.made import LoadPlan
from windlass.model.event import Emit, FlowPlanned, Noticed, ignore
from windlass.model.flow import Handover, Result
from windlass.model.hashing import HASH_KEY
from windlass.model.load import Counts
from windlass.model.outcome import (
    A_COMMAND,
    NO_REASON,
    UNFINISHED,
    Course,
    Outcome,
    Proof,
    Reason,
    StartedBy,
    State,
    Totals,
)
from windlass.model.report import Problem
from windlass.model.run_id import new_run_id
from windlass.model.wording import word
from windlass.run.story import Reporting, Story
from windlass.spec.load import LoadSpec

TARGET = "target"
CHECKED = "check_rows"


class Loading(Reporting):
    """One process's part in a run of loads. Use as a context manager."""

    def __init__(
        self,
        spec: LoadSpec,
        emit: Emit = ignore,
        *,
        started_by: StartedBy = A_COMMAND,
        patient: bool = False,
        run: str = "",
        fetched: Path | None = None,
    ) -> None:
        """Connects to nothing yet. A run belongs to the scheduler's run in `started_by`, or is the
        unfinished run of this spec, or a new one; `run` is one that this process worked on before.
        `fetched` is a folder that files were fetched into before.

        Raises:
            BadSpec: no target is given, or it cannot be understood.
            Refused: the library of its engine is not installed.
        """
        if spec.target is None:
            raise BadSpec([f"no target: give {word(TARGET)}, or set WINDLASS_TARGET"])
        self.spec, self.patient = spec, patient
        self.story = Story(emit)
        self.started_by = started_by
        self.target: Landing = _opened(spec.target.get_secret_value())
        self.prepared = Prepared()
        self.run = run
        self.at: LoadRun | None = None  # in the journal
        self.ended: State | None = None
        self.undone: Sequence[Problem] = ()
        self.turns = Turns()
        self._given = fetched
        self._fetched = Fetched(run, given=fetched)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(self.target)
        return self

    def __exit__(self, *fault: Any) -> None:
        self._stack.close()

    # for the steps

    @property
    def plans(self) -> tuple[LoadPlan, ...]:
        """Of the loads that are to be done."""
        return self.prepared.to_do

    def plan(self, name: str) -> LoadPlan:
        return next(one for one in self.plans if one.name == name)

    def input(self, name: str, number: int) -> Input:
        return self.prepared.inputs[name][number]

    # the beginning

    def begin(self) -> None:
        """Prepare, find the run to resume, and journal it.

        Raises:
            Refused: with every problem; nothing was written.
            AlreadyFinished: nothing has changed since it was loaded.
        """
        if self.at is not None:
            return
        found = self.prepare()
        if self.prepared.problems:
            raise Refused(self.prepared.problems)
        if not self.plans and not self.started_by.external_run:
            raise AlreadyFinished(self._nothing_to_do())
        resumed = found if found and found.run == self.run else None
        self.at = self.target.begin(resumed or self._record())
        self._fetched.is_kept = True
        if found and not resumed:
            self._supersede(found)
        self._stack.enter_context(self.target.working(self.run))
        self.emit(self._planned(is_resumed=resumed is not None))
        for notice in self.prepared.notices:
            self.emit(Noticed(notice))
        for one in self.prepared.plans:
            if one.loaded_by:
                self.emit(Noticed(_unchanged(one)))

    def prepare(self) -> LoadRun | None:
        """Read the inputs and the tables; find what has been loaded before, and the run to resume.
        Writes nothing to the target.

        Raises:
            WindlassError: something cannot be read.
        """
        runs = self.target.runs()
        found = to_resume(runs, self.spec.config(), self.started_by.external_run)
        self._check_external(found)
        self.run = self.run or (found.run if found else new_run_id())
        sweep(self.target.place, {self.run, *(one.run for one in runs if one.state in UNFINISHED)})
        self._fetched = self._stack.enter_context(self._fetching())
        earlier = [] if self.spec.again else [one for one in runs if one.run != self.run]
        known = Known(tuple(earlier), self._others(runs))
        prepared = prepare(self.spec, self.target, self._fetched, known)
        if found and not self._is_unchanged(found, prepared.plans):
            earlier = [self.target.read(found.run) or found, *earlier]  # what it has applied stays
            self.run = new_run_id()
        self.prepared = replace(
            prepared,
            plans=tuple(
                replace(one, loaded_by=loaded_by(one, earlier, self.target))
                for one in prepared.plans
            ),
            problems=(*prepared.problems, *drift_of(prepared.plans, runs)),
        )
        return found

    def _fetching(self) -> Fetched:
        return Fetched(self.run, lambda: self.turns.are_over, self._given, self.target.place)

    def _check_external(self, found: LoadRun | None) -> None:
        """Raises:
        Refused: the scheduler's run began with other options.
        """
        if found is None or not self.started_by.external_run:
            return
        if not has_config(found, self.spec.config()):
            message = "began with other options, and this is still the same run"
            hint = "give it those options, or begin a new run"
            raise Refused([Problem(f"run {found.run}", message, hint)])

    @staticmethod
    def _is_unchanged(found: LoadRun, plans: Sequence[LoadPlan]) -> bool:
        """Whether every input is what it was when the run began."""
        by_name = {one.name: one for one in plans}
        return all(
            name in by_name and is_as_kept(by_name[name], kept)
            for name, kept in loads_of(found).items()
        )

    def _others(self, runs: Sequence[LoadRun]) -> tuple[LoadRun, ...]:
        return tuple(one for one in runs if one.run != self.run)

    def _supersede(self, found: LoadRun) -> None:
        """End a run whose inputs have changed since it began."""
        message = f"inputs, or the key to hash with, have changed since: run {self.run} loads them"
        self.emit(Noticed(f"run {found.run} stopped, and its {message}"))
        for plan in self.prepared.plans:
            self.target.clean_up(found.run, plan.load)
        kept = self.target.read(found.run) or found
        state = State.STOPPED if kept.lines.get(APPLIED) else State.REFUSED  # it changed nothing
        outcome = found.outcome or Outcome(found.run, state, target=self.target.place)
        self.target.end(found.run, state, replace(outcome, state=state, reason=Reason(message)))

    def is_applied(self, name: str) -> bool:
        """Whether an earlier process has loaded it in this run."""
        return self.at is not None and name in self.at.lines.get(APPLIED, {})

    def _record(self) -> LoadRun:
        return new_run(self.run, self.spec.config(), self.prepared.plans, self.started_by)

    def _planned(self, *, is_resumed: bool) -> FlowPlanned:
        return FlowPlanned(
            self.run,
            {one.name: one.size_bytes for one in self.plans},
            {one.name: 0 for one in self.plans},
            source=self._source,
            target=self.target.place,
            resumed=is_resumed,
            flow=LOAD.name,
            doing=LOAD.words.doing,
            steps=self.steps,
            copy_steps=LOAD.copies,
        )

    @property
    def _source(self) -> str:
        return self._record().source

    def _nothing_to_do(self) -> Outcome:
        first, *rest = self.prepared.plans
        message = f"nothing to do: {_unchanged(first)}"
        if rest:
            message = f"nothing to do: none of {len(rest) + 1} loads has changed inputs"
        return Outcome(
            first.loaded_by,
            State.DONE,
            source=self._source,
            target=self.target.place,
            reason=Reason(message, f"{word('again')} loads it anyway"),
            totals=Totals(counts=Counts().as_dict()),
            course=Course(already=True),
        )

    # for `conduct`

    @property
    def has_begun(self) -> bool:
        return self.at is not None

    @property
    def run_id(self) -> str:
        return self.run

    def watching(self) -> AbstractContextManager[None]:
        return nullcontext()

    def end(self, state: State, outcome: Outcome) -> None:
        target = self._answering()
        if state is State.REFUSED:  # nothing is left to resume
            for plan in self.plans:
                target.clean_up(self.run, plan.load)
        target.end(self.run, state, outcome)
        self.ended, self._fetched.is_kept = state, state in UNFINISHED

    def _answering(self) -> Landing:
        """The target, or another session of it if the work was cancelled: then nothing new starts
        in the first."""
        if not self.turns.are_over:
            return self.target
        assert self.spec.target is not None
        return self._stack.enter_context(_opened(self.spec.target.get_secret_value()))

    def hand_over(self) -> Handover:
        return Handover({"run": self.run}, "resuming")

    # for the runner

    def finished(self, step: str) -> Mapping[str, Result]:
        """Of loads that are applied, whose staged rows may be gone. All else the target finds in
        its journal itself."""
        if self.at is None or step not in (STAGED, CHECKED):
            return {}
        done = [one for one in self.plans if self.is_applied(one.name)]
        if step == CHECKED:
            return {one.name: {} for one in done}
        staged, names = self.at.lines.get(STAGED, {}), {one.name for one in done}
        return {item: note for item, note in staged.items() if item.rpartition(" ")[0] in names}

    def recover(self, error: WindlassError) -> None:
        """Each call of the target opens what it needs."""

    def cancel(self) -> None:
        self.turns.stop()
        self.target.cancel()

    def leave(self) -> None:
        """A worker thread holds nothing between items."""

    # for other processes

    @property
    def handle(self) -> Result:
        return {"run": self.run}

    def join(self, handle: Result) -> None:
        """Work in the run that another process has begun.

        Raises:
            CannotResume: its inputs have changed since.
        """
        self.run = handle["run"]
        self.at = self.target.read(self.run)
        kept, lines = (loads_of(self.at), self.at.lines) if self.at else ({}, {})
        for step, results in noted(lines).items():
            self.results[step].update(results)
        self._fetched = self._stack.enter_context(self._fetching())
        self._fetched.is_kept = True
        known = Known(past=self._others(self.target.runs()), joined=self.at)
        prepared = prepare(self.spec, self.target, self._fetched, known)
        for one in prepared.plans:
            if not has_key(one.hash_key, kept[one.name]):
                message = f"{one.name}: {HASH_KEY} is not what it was when run {self.run} began"
                raise CannotResume(message, hint="give every process of a run the same key")
            if kept[one.name]["mark"] != one.mark and not self.is_applied(one.name):
                message = f"{one.name}: its input has changed since run {self.run} began"
                raise CannotResume(message, hint="clear all tasks, or begin a new run")
        plans = (replace(one, loaded_by=kept[one.name]["loaded_by"]) for one in prepared.plans)
        self.prepared = replace(prepared, plans=tuple(plans))
        self._stack.enter_context(self.target.working(self.run))

    def lacking(self, steps: Collection[str]) -> Mapping[str, Sequence[str]]:
        return {}

    # the end

    def conclude(self) -> None:
        self.end(State.DONE, self.outcome(State.DONE))

    def outcome(self, state: State, reason: Reason = NO_REASON) -> Outcome:
        outcome = Outcome(
            run=self.run,
            state=state,
            relations=relations_of(self.plans, self.results),
            source=self._source,
            target=self.target.place,
            reason=reason,
            proof=Proof(verified="rows" if state is State.DONE else ""),
            totals=Totals(counts=counts_of(self.results)),
            course=Course(resumed=self.at is not None and bool(self.at.lines)),
        )
        return self.story.complete(outcome)


def _unchanged(plan: LoadPlan) -> str:
    one = len(plan.load.inputs) == 1
    inputs, it = (f"{plan.load.inputs[0]} is", "it") if one else ("all inputs are", "them")
    by = " (the server has the same ETag; nothing was downloaded)" if plan.is_unread else ""
    return f"{inputs} as run {plan.loaded_by} has loaded {it} into {plan.name}{by}"


def _opened(url: str) -> Landing:
    try:
        return open_landing(url)
    except BadSpec:
        raise
    except WindlassError as error:
        raise Refused([Problem(TARGET, str(error), error.hint)]) from error
