"""Refreshes the tables of a project: what commands, tasks and a project's own code call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.db import DatabaseError

import windlass
from windlass.django.databases import url_of
from windlass.django.filled import explained, filled_problems
from windlass.django.locks import REFRESH, alone
from windlass.django.needed import migrate_if_needed
from windlass.django.order import Run
from windlass.django.outcome import Refreshed, Result
from windlass.django.past import Marks
from windlass.django.planning import DatabasePlan, plan_databases, read_configured
from windlass.django.sequences import set_sequences
from windlass.django.signals import refreshed
from windlass.django.updates import Update, read_updates
from windlass.errors import BadSpec, Interrupted, Refused, Unreachable, WindlassError
from windlass.model.event import Emit, ignore
from windlass.model.outcome import Outcome, StartedBy, State
from windlass.model.report import Problem
from windlass.spec.load import LoadSpec


@dataclass(frozen=True, slots=True)
class Options:
    """How a refresh is done."""

    migrate: bool = False  # apply missing migrations, even if all tables exist
    again: bool = False  # also load what has not changed
    wait_seconds: float = 0  # how long to wait for another refresh
    refresh: str = ""  # its name, if a scheduler does it in several parts
    url: str = ""  # of the scheduler's run, in a browser
    fetched: Path | None = None  # a folder that files were fetched into before


def updates_given(updates: object = None, database: str = "") -> tuple[tuple[Update, ...], str]:
    """Updates and the database's alias: the given ones, or those of the setting.

    Raises:
        BadSpec: with every fault.
    """
    configured = read_configured()
    if "://" in database or "=" in database:  # not shown, as it may contain a password
        raise BadSpec(["database: give its alias in DATABASES, not its address"])
    found = read_updates(updates) if updates is not None else configured.updates
    return found, database or configured.database


def spec_of(alias: str, run: Run, *, again: bool = False) -> LoadSpec:
    metrics = {key.replace("-", "_"): one for key, one in read_configured().metrics.items()}
    return LoadSpec.of(target=url_of(alias), loads=list(run), again=again, **metrics)


def refresh(
    updates: object = None,
    database: str = "",
    options: Options | None = None,
    emit: Emit = ignore,
) -> Result:
    """Load every update that has changed, parents first. After a kill, the same call resumes.

    `updates` are those of the setting, unless others are given in the form of its list.

    Raises:
        BadSpec: the setting or the updates are wrong; with every fault.
    """
    chosen = options or Options()
    given, alias = updates_given(updates, database)
    if not given:
        return Result(State.DONE, message="there are no updates in the setting WINDLASS")
    refreshing = _Refreshing(chosen, emit)
    try:
        with ExitStack() as stack:
            plans = refreshing.begin(given, alias, stack)
            for plan in plans:
                refreshing.foresee(plan)
            for plan in plans:
                refreshing.run(plan)
    except (Refused, Unreachable) as error:
        state = State.REFUSED if isinstance(error, Refused) else State.STOPPED
        return refreshing.result(state, problems=error.problems)
    except _Ended as ended:
        one = ended.outcome
        problems = tuple(explained(one.reason.problems))
        return refreshing.result(one.state, problems, one.reason.message, one.reason.hint)
    except Interrupted as error:
        return refreshing.result(State.INTERRUPTED, message=str(error))
    except WindlassError as error:
        return refreshing.result(State.STOPPED, message=str(error), hint=error.hint)
    except DatabaseError as error:  # an error of Django's own session
        message = str(error).partition("\n")[0]
        return refreshing.result(State.STOPPED, message=message, hint=_AGAIN)
    return refreshing.result(State.DONE)


_AGAIN = "remove the cause; then run the same command again"


class _Ended(Exception):
    """A run did not end well, so later runs do not begin."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.reason.message)
        self.outcome = outcome


@dataclass
class _Refreshing:
    options: Options
    emit: Emit
    refresh: str = ""
    tables: list[Refreshed] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    migrations: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    assets: dict[str, Mapping[str, str]] = field(default_factory=dict)  # by table

    def begin(
        self, updates: Sequence[Update], database: str, stack: ExitStack
    ) -> list[DatabasePlan]:
        """Plan, take the lock of every database, and create missing tables."""
        plans = plan_databases(updates, database) if not self.options.migrate else []
        if self.options.migrate:
            from windlass.django.planning import targets_of

            for alias in dict.fromkeys(one.alias for one in targets_of(updates, database)):
                self._migrate(alias)
            plans = plan_databases(updates, database)
        for plan in plans:
            stack.enter_context(alone(plan.alias, REFRESH, self.options.wait_seconds))
        if not any(plan.migrates for plan in plans):
            return plans
        for plan in plans:
            if plan.migrates:
                self._migrate(plan.alias)
        return plan_databases(updates, database)

    def _migrate(self, alias: str) -> None:
        self.migrations += [one.label for one in migrate_if_needed(alias).migrations]

    def foresee(self, plan: DatabasePlan) -> None:
        """Look for problems of later runs before the first one changes anything. The first run
        finds its own problems itself.

        Raises:
            Refused: with every problem.
        """
        problems: list[Problem] = []
        for run in plan.runs if len(plan.runs) > 1 else ():
            if not is_needless(run):
                spec = spec_of(plan.alias, run, again=self.options.again)
                planned = windlass.plan(spec)
                problems += [*planned.problems, *filled_problems(plan.alias, run, planned)]
        if problems:
            raise Refused(list(dict.fromkeys(problems)))

    def run(self, plan: DatabasePlan) -> None:
        """Run the loads.

        Raises:
            _Ended: a run was refused, or stopped.
        """
        marks = Marks.of(plan, self.options.refresh)
        self.refresh = self.refresh or marks.refresh
        for number, run in enumerate(plan.runs, start=1):
            if is_needless(run):
                continue
            outcome, counts, earlier = self._conducted(plan, run, marks.external(number))
            self.notices += [one for one in outcome.notices if one not in self.notices]
            if outcome.state is not State.DONE:
                raise _Ended(outcome)
            if outcome.run and not outcome.course.already:
                self.runs.append(outcome.run)
            for load in run:
                name = load.purpose.part.table
                done = earlier.get(name) or outcome.run
                self._loaded(plan.alias, load, done, counts.get(name))

    def _conducted(
        self, plan: DatabasePlan, run: Run, external: str
    ) -> tuple[Outcome, dict[str, dict[str, int]], dict[str, str]]:
        """The outcome; and for each table the counts, and the earlier run that loaded the same."""
        contexts: list[Any] = []
        outcome = windlass.run_spec(
            spec_of(plan.alias, run, again=self.options.again),
            self.emit,
            started_by=StartedBy(external, self.options.url),
            fetched=self.options.fetched,
            opened=contexts.append,
        )
        counts: dict[str, dict[str, int]] = {}
        earlier: dict[str, str] = {}
        for context in contexts:  # the context of every attempt
            for one in context.prepared.plans:
                name = one.load.table.name.name
                earlier[name] = one.loaded_by
                if result := context.results["apply_rows"].get(one.name):
                    counts[name] = {word: int(result.get(word, 0)) for word in _COUNTED}
                for asset in context.target.assets(one.load.table.name):
                    self.assets[name] = asset
        tables = {one.purpose.part.bare: one.purpose.part.table for one in run}
        named = {tables[name]: one for name, one in counts.items() if name in tables}
        return outcome, named, {tables[one]: it for one, it in earlier.items() if one in tables}

    def _loaded(self, alias: str, load: Any, run: str, counts: dict[str, int] | None) -> None:
        part = load.purpose.part
        set_sequences(part, alias)
        source = load.inputs_described
        self.tables.append(
            Refreshed(part.label, part.table, source, run, counts, self.assets.get(part.bare))
        )
        if counts is not None:
            self._tell(part.model, run=run, counts=counts, using=alias)

    def _tell(self, model: Any, **words: Any) -> None:
        """Send the signal. The rows are committed, so a receiver that fails stops nothing, and is
        only reported."""
        for receiver, answer in refreshed.send_robust(model, **words):
            if isinstance(answer, Exception):
                name = getattr(receiver, "__qualname__", type(receiver).__name__)
                fault = type(answer).__name__
                self.notices.append(f"{name}, a receiver of the signal refreshed: {fault}")

    def result(
        self, state: State, problems: Sequence[Problem] = (), message: str = "", hint: str = ""
    ) -> Result:
        return Result(
            state, self.refresh, tuple(self.tables), tuple(self.runs), tuple(self.migrations),
            tuple(problems), tuple(self.notices), message, hint,
        )  # fmt: skip


_COUNTED = ("read", "inserted", "updated", "unchanged", "deleted", "refused")


def is_needless(run: Run) -> bool:
    """Whether these are second loads for which the first ones have left nothing out."""
    return all(
        one.purpose.is_second
        and one.purpose.part.table in one.purpose.left_out
        and not one.purpose.left_out[one.purpose.part.table]
        for one in run
    )
