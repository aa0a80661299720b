"""Past runs in a target: of every flow in a PostgreSQL server's journal; of loads and migrations in
a database of another engine, which has tables for that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, Self

from windlass.engines.destination import Destination
from windlass.engines.incoming.past import check_ended
from windlass.engines.registry import engine_of, open_destination
from windlass.errors import BadSpec, Refused
from windlass.flows.convert.outline import CONVERT
from windlass.flows.convert.reading import from_journal
from windlass.flows.load.past import LandingPast
from windlass.model.conversion import ConversionPlan
from windlass.model.event import Emit
from windlass.model.flow import resolve
from windlass.model.load import LoadRun
from windlass.model.logged import LogPart, part_of
from windlass.model.outcome import (
    UNFINISHED,
    Progress,
    RunDetail,
    RunStatus,
    StartedBy,
    State,
    StepStatus,
)
from windlass.model.past import Foreseen, Left, Others, Past, Undone, cannot_skip, not_in_journal
from windlass.model.relation import Name
from windlass.model.report import Problem
from windlass.run.told import log_of
from windlass.spec.migrate import Spec

JOURNAL = "windlass.flows.past:JournalPast"


class DestinationPast:
    """The migrations into one target, and its loads if it takes any. Use as a context manager."""

    def __init__(self, target: Destination, loads: LandingPast | None) -> None:
        self._target, self._loads = target, loads
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(self._target)
        if self._loads is not None:
            self._stack.enter_context(self._loads)
        return self

    def __exit__(self, *fault: Any) -> None:
        self._stack.close()

    def only_look(self) -> None:
        """Reading changes nothing here."""

    def statuses(self) -> list[RunStatus]:
        found = [self._status(one) for one in self._target.runs()]
        if self._loads is not None:
            found += self._loads.statuses()
        return sorted(found, key=lambda one: one.started_at, reverse=True)

    def _status(self, run: LoadRun) -> RunStatus:
        run = self._target.read(run.run) or run
        plan, outcome = from_journal(run.plan), run.outcome
        copied = run.lines.get("copy_tables", {})
        return RunStatus(
            run=run.run,
            state=run.state,
            source=run.source,
            started_at=run.started_at,
            finished_at=run.finished_at,
            flow=CONVERT.name,
            verified=outcome.proof.verified if outcome else "",
            active=run.state is State.RUNNING and self._target.is_active(run.run),
            progress=Progress(
                relations_done=len(copied),
                relations=len(plan.tables),
                rows=sum(one["rows"] for one in copied.values()),
                bytes=sum(one["bytes"] for one in copied.values()),
                bytes_planned=sum(max(one.size_bytes, 0) for one in plan.tables),
                step=["", *run.lines][-1],
            ),
            started_by=StartedBy(run.external_run, run.external_url),
        )

    def detail(self, run: str) -> RunDetail:
        found = self._target.read(run)
        if found is None:
            return self._of_loads(run).detail(run)
        plan = from_journal(found.plan)
        steps = tuple(
            StepStatus(step, len(items), len(items), sum(one.get("seconds", 0.0) for one in
                       items.values()))
            for step, items in found.lines.items()
        )  # fmt: skip
        return RunDetail(
            self._status(found),
            found.outcome,
            self._target.place,
            options=dict(plan.options),
            steps=steps,
        )

    def _of_loads(self, run: str) -> LandingPast:
        """Raises:
        Refused: no load has this name either.
        """
        if self._loads is None:
            raise not_in_journal(run, [one.run for one in self._target.runs()])
        return self._loads

    def log(self, run: str, start: int, most: int, *, with_items: bool) -> LogPart:
        """As far as its outcome and its times tell."""
        return part_of(log_of(self.detail(run)), start, most)

    def plan(self, run: str) -> None:
        """Its plans are kept in another form."""

    def foresee(self, run: str) -> Foreseen | None:
        found = self._target.read(run)
        if found is None:
            return self._of_loads(run).foresee(run)
        if found.state is State.ROLLED_BACK:
            return None
        plan = from_journal(found.plan)
        foreseen = self._target.foresee(run, plan)
        return replace(foreseen, blocked=[*foreseen.blocked, *self._replaced(found, plan)])

    def _replaced(self, run: LoadRun, plan: ConversionPlan) -> Iterator[Problem]:
        """Later runs that have set aside what this one has made."""
        made = [*(one.target for one in plan.tables), *(one.target for one in plan.views)]
        names = {self._target.same(one.name) for one in made}
        for other in self._target.runs():
            if other.started_at <= run.started_at or other.state is State.ROLLED_BACK:
                continue
            aside = from_journal(other.plan).set_aside
            if found := [one for one in aside if self._target.same(one.name) in names]:
                message = f"has set aside {found[0].name}, which this run has made"
                yield Problem(f"run {other.run}", message, "roll that back first")

    def roll_back(self, run: str, others: Others = Others.REFUSE) -> Undone:
        found = self._target.read(run)
        if found is None:
            return self._of_loads(run).roll_back(run, others)
        if found.state is State.ROLLED_BACK:
            return Undone(f"already rolled back at {found.finished_at[:19]}", already=True)
        if others is Others.SKIP:
            raise cannot_skip(run, CONVERT.words.verb)
        plan = from_journal(found.plan)
        if later := list(self._replaced(found, plan)):
            raise Refused(later)
        return self._target.undo(run, plan, others)

    def restore(self, run: str, into: Name) -> Undone:
        if self._target.read(run) is None:
            return self._of_loads(run).restore(run, into)
        message = "is a migration, which keeps no rows that could be restored in a new table"
        raise Refused([Problem(f"run {run}", message, "roll it back")])

    def left(self, run: str = "") -> list[Left]:
        found = self._target.read(run) if run else None
        if found is not None:
            check_ended(run, found.state)
        kept = {one.run: one for one in self._kept(run)}
        if self._loads is None and (found is not None or not run):
            return list(kept.values())  # else a migration leaves only its journal
        return [kept.get(one.run, one) for one in self._of_loads(run).left(run)]

    def _kept(self, run: str) -> Iterator[Left]:
        """What ended migrations have set aside, or one of them."""
        for one in self._target.runs():
            if one.state in UNFINISHED or run not in ("", one.run):
                continue
            plan = from_journal(one.plan)
            names = self._target.kept(one.run, plan)
            if names and any(it.kind == "file" for it in plan.set_aside):
                yield Left(one.run, one.state, one.finished_at, (), 0, files=len(names))
            elif names:
                tables = tuple(Name(plan.tables[0].target.schema, it) for it in names)
                yield Left(one.run, one.state, one.finished_at, (), 0, tables=tables)

    def clean(self, lefts: Sequence[Left]) -> None:
        others = []
        for one in lefts:
            found = self._target.read(one.run) if one.tables or one.files else None
            if found is None:
                others.append(one)
            else:
                self._target.clean(one.run, from_journal(found.plan))
        if others:
            self._of_loads(others[0].run).clean(others)


def past_at(target: str, purpose: str, emit: Emit | None = None) -> Past:
    """Raises:
    BadSpec: the target cannot be understood.
    """
    engine = engine_of(target, _role(target))
    if engine.schemes[0] == "postgresql":
        past: Past = resolve(JOURNAL)(target, purpose, emit)
        return past
    loads = LandingPast(target) if engine.landing else None
    if not engine.destination:
        assert loads is not None, "the role is that of a load"
        return loads
    return DestinationPast(open_destination(target, for_past=True), loads)


def _role(target: str) -> str:
    """Of the engines that have runs, each takes loads or migrations."""
    try:
        engine_of(target, "target")
    except BadSpec:
        try:
            engine_of(target, "destination")
        except BadSpec:
            return "target"
        return "destination"
    return "target"


def past_of(spec: Spec, purpose: str, emit: Emit | None = None) -> Past:
    """The past runs in the target of a spec."""
    if spec.target is None:
        raise BadSpec(["target: not given"])
    return past_at(spec.target.get_secret_value(), purpose, emit)
