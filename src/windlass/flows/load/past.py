"""Past runs of loads in a target that has no other journal: DuckDB and SQLite files."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, Self

from windlass.engines.landing import APPLIED, Landing, LoadRun
from windlass.engines.registry import engine_of, open_landing
from windlass.errors import BadSpec, Refused
from windlass.flows.load.outline import LOAD
from windlass.flows.load.runs import loads_of
from windlass.model.event import Emit
from windlass.model.flow import resolve
from windlass.model.logged import LogPart, part_of
from windlass.model.outcome import (
    Progress,
    RunDetail,
    RunStatus,
    StartedBy,
    State,
    StepStatus,
)
from windlass.model.past import Foreseen, Left, Others, Past, Undone, not_in_journal
from windlass.model.relation import Name
from windlass.model.report import Problem
from windlass.run.told import log_of
from windlass.spec.load import LoadSpec


class LandingPast:
    """The runs of one target. Use as a context manager."""

    def __init__(self, target: str) -> None:
        """Connects to nothing yet.

        Raises:
            BadSpec: the target cannot be understood.
        """
        self._landing: Landing = open_landing(target)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Raises:
        WindlassError: the target cannot be reached.
        """
        self._stack.enter_context(self._landing)
        return self

    def __exit__(self, *fault: Any) -> None:
        self._stack.close()

    def only_look(self) -> None:
        """Reading changes nothing here."""

    def statuses(self) -> list[RunStatus]:
        return [self._status(one) for one in self._landing.runs()]

    def _status(self, run: LoadRun) -> RunStatus:
        is_active = run.state is State.RUNNING and self._landing.is_active(run.run)
        return replace(status_of(self._landing.read(run.run) or run), active=is_active)

    def detail(self, run: str) -> RunDetail:
        found = self._find(run)
        steps = tuple(
            StepStatus(step, len(items), len(items), 0.0) for step, items in found.lines.items()
        )
        return RunDetail(
            self._status(found),
            found.outcome,
            self._landing.place,
            options={"loads": ", ".join(loads_of(found))},
            steps=steps,
        )

    def _find(self, run: str) -> LoadRun:
        found = self._landing.read(run)
        if found is None:
            raise not_in_journal(run, [one.run for one in self._landing.runs()])
        return found

    def log(self, run: str, start: int, most: int, *, with_items: bool) -> LogPart:
        """As far as its outcome and its times tell."""
        return part_of(log_of(self.detail(run)), start, most)

    def plan(self, run: str) -> None:
        """Its plans are kept in another form."""

    def foresee(self, run: str) -> Foreseen | None:
        self._find(run)
        return self._landing.foresee(run)

    def roll_back(self, run: str, others: Others = Others.REFUSE) -> Undone:
        found = self._find(run)
        if found.state is State.ROLLED_BACK:
            return Undone(f"already rolled back at {found.finished_at[:19]}", already=True)
        return self._landing.undo(run, others)

    def restore(self, run: str, into: Name) -> Undone:
        self._find(run)
        message = "is of a load, whose old rows cannot be restored in a new table"
        raise Refused([Problem(f"run {run}", message, "roll it back")])

    def left(self, run: str = "") -> list[Left]:
        return list(self._landing.left(run))

    def clean(self, lefts: Sequence[Left]) -> None:
        self._landing.clean(lefts)


def status_of(run: LoadRun) -> RunStatus:
    """One line of `windlass status`."""
    outcome, loads = run.outcome, loads_of(run)
    done = len(run.lines.get(APPLIED, {}))
    if outcome is not None:
        done = sum(bool(one.verified) for one in outcome.relations)
    return RunStatus(
        run=run.run,
        state=run.state,
        source=run.source,
        started_at=run.started_at,
        finished_at=run.finished_at,
        flow=LOAD.name,
        verified=outcome.proof.verified if outcome else "",
        progress=Progress(
            relations_done=done,
            relations=sum(not one["loaded_by"] for one in loads.values()),
            rows=outcome.rows if outcome else 0,
            bytes=outcome.bytes if outcome else 0,
        ),
        started_by=StartedBy(run.external_run, run.external_url),
    )


def past_of(spec: LoadSpec, purpose: str, emit: Emit | None = None) -> Past:
    """The past runs in the target of a spec."""
    if spec.target is None:
        raise BadSpec(["target: not given"])
    return past_at(spec.target.get_secret_value(), purpose, emit)


JOURNAL = "windlass.flows.past:JournalPast"


def past_at(target: str, purpose: str, emit: Emit | None = None) -> Past:
    """The past runs in a database: those of every flow in a PostgreSQL server's journal, those of
    loads in a file.

    Raises:
        BadSpec: the target cannot be understood.
    """
    if engine_of(target, "target").schemes[0] == "postgresql":
        past: Past = resolve(JOURNAL)(target, purpose, emit)
        return past
    return LandingPast(target)
