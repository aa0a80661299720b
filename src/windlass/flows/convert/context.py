"""The context of the flow `convert`: the source's snapshot, the target with its journal, and the
plan."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from windlass.engines.destination import CHUNK, FLOW
from windlass.errors import (
    AlreadyFinished,
    ConnectionLost,
    Refused,
    RunLost,
    SnapshotLost,
    WindlassError,
)
from windlass.flows.convert.ending import outcome_of
from windlass.flows.convert.outline import CONVERT
from windlass.flows.convert.pair import open_pair
from windlass.flows.convert.reading import (
    as_journalled,
    check_source,
    from_journal,
    read_and_plan,
)
from windlass.flows.convert.sides import ConvertSides
from windlass.flows.convert.turns import Turns
from windlass.model.conversion import TableConversion, chunk_ids, summed
from windlass.model.event import Emit, FlowPlanned, Noticed, RunEnded, ignore
from windlass.model.flow import Handover, Result
from windlass.model.load import LoadRun
from windlass.model.outcome import (
    A_COMMAND,
    NO_REASON,
    UNFINISHED,
    Outcome,
    Reason,
    StartedBy,
    State,
)
from windlass.model.past import Others
from windlass.model.report import Problem
from windlass.model.run_id import new_run_id
from windlass.model.wording import word
from windlass.spec.choices import Existing
from windlass.spec.migrate import Spec

SNAPSHOTS = "snapshots"  # a step of the journal; its items are numbers


class Conversion(ConvertSides):
    """One process's part in a run. Use as a context manager."""

    def __init__(
        self,
        spec: Spec,
        emit: Emit = ignore,
        *,
        restart: bool = False,
        reviewed: object = None,
        started_by: StartedBy = A_COMMAND,
        patient: bool = False,
    ) -> None:
        """Connects to nothing yet.

        Raises:
            BadSpec: source or target is missing or cannot be read.
            Refused: a reviewed plan is given.
        """
        if reviewed is not None:
            message = "cannot be carried out from a file, where the target is of another engine"
            raise Refused([Problem("plan", message, "leave it out: the same plan is made again")])
        super().__init__(spec, emit)
        self.restart, self.started_by = restart, started_by
        self.undone: Sequence[Problem] = ()
        self.turns = Turns()
        self._is_cancelled = False

    # for the steps

    def once(self, step: str, item: str, work: Callable[[Any], Result]) -> Result:
        """Do a piece of work, in one transaction with its line in the journal."""
        return self.target.once(self.run_id, step, item, work)

    def counted(self, table: TableConversion, make: Callable[[], Result]) -> Result:
        noted = self.lines("validate_content").get(str(table.source))
        if noted is not None:
            return noted
        found = make()
        return self.once("validate_content", str(table.source), lambda _: found)

    def copied(self, table: TableConversion) -> Result:
        return self.lines("copy_tables")[str(table.source)]

    def lines(self, step: str) -> Mapping[str, Result]:
        """The lines of the journal, as it is now."""
        found = self.target.read(self.run_id)
        return found.lines.get(step, {}) if found else {}

    # the beginning

    def begin(self) -> None:
        """Find the run to resume, or plan another one, and journal it.

        Raises:
            Refused: with every problem; nothing was written.
            AlreadyFinished: a run with the same options has done it.
        """
        if self.at is not None:
            return
        found = self.prepare()
        if self.plan.problems:
            raise Refused(self.plan.problems)
        run = found or LoadRun(
            self.plan.run,
            State.RUNNING,
            self.plan.source,
            self._config(),
            as_journalled(self.plan),
            self.started_by.external_run,
            self.started_by.external_url,
        )
        self._stack.enter_context(self.target.working(run.run))
        self.source.lock([one.source for one in self.plan.tables])
        self.at = self.target.begin(run, is_new=self.plan.is_new)
        copied = self.at.lines.get("copy_tables", {})
        self.turns.add(str(self.plan.table(name).target) for name in copied)
        self._clear(copied)
        number = str(self.source.snapshot.number)
        self.once(SNAPSHOTS, number, lambda _: asdict(self.source.snapshot))
        self.emit(self._planned(is_resumed=found is not None))
        for notice in self.plan.notices if found is None else ():
            self.emit(Noticed(notice))

    def complete(self, table: TableConversion) -> bool:
        """Add the line of a table once all of its chunks have theirs, of one snapshot: a row may be
        in another chunk in another snapshot. Return whether they have."""
        name = str(table.source)
        with self.turns.completing:
            lines = self.lines(CHUNK)
            ids = chunk_ids(table)
            found = [lines[one] for one in ids if one in lines]
            is_whole = len(found) == len(ids) and len({one["snapshot"] for one in found}) == 1
            if is_whole:
                self.once("copy_tables", name, lambda _: summed(found))
            return is_whole

    def _clear(self, copied: Collection[str]) -> None:
        """Empty tables that are copied in part: rows may have moved since, and their chunks were
        read in a snapshot that is gone."""
        assert self.at is not None
        begun = {name.rpartition("/")[0] for name in self.at.lines.get(CHUNK, {})}
        for table in self.plan.tables:
            name = str(table.source)
            if name in begun and name not in copied and not self.complete(table):
                self.target.clear(self.run_id, table, self.source.snapshot.number)
                self.emit(Noticed(f"{name} was copied in part, and is copied again"))

    def prepare(self, *, writes: bool = True) -> LoadRun | None:
        """Find the run to resume. If there is none, return None and plan a new one. With
        `writes=False`, complete nothing that a killed process left behind, and let no restart undo
        an unfinished run.

        Raises:
            Refused: there is an unfinished run.
            AlreadyFinished: there is nothing left to do.
        """
        if writes and (placed := self.target.settle()) is not None:
            raise AlreadyFinished(_finished(placed))
        self.source.hold()
        found = self._unfinished(writes=writes)
        if found is None:
            self._plan = read_and_plan(new_run_id(), self.spec, self.source, self.target)
            return None
        found = self.target.read(found.run) or found
        self._plan = from_journal(found.plan)
        check_source(self._plan, self.source)
        numbers = [int(one) for one in found.lines.get(SNAPSHOTS, {})]
        self.source.number(max(numbers, default=0) + 1)
        return found

    @property
    def _replaces(self) -> bool:
        """Whether the same command does all of it again, as between PostgreSQL databases."""
        return self.spec.existing is Existing.REPLACE

    def _config(self) -> dict[str, Any]:
        return {
            "flow": FLOW,
            "source": self.source.server.identity,
            "options": self.spec.options(),
        }

    def _unfinished(self, *, writes: bool) -> LoadRun | None:
        """Raises:
        Refused: an unfinished run has other options.
        AlreadyFinished: a run with the same options has done everything.
        """
        runs, config = self.target.runs(), self._config()
        found = next((one for one in runs if one.state in UNFINISHED), None)
        if found is None:
            same = [one for one in runs if one.config == config and not self._replaces]
            if same and same[0].state is State.DONE and not self.restart:
                raise AlreadyFinished(_finished(same[0]))
            return None
        if self.restart or self.target.is_doubtful:
            if writes:
                self._start_over(found)
            return None
        if found.config != config:
            hint = f"give the same options to resume it, or roll it back, or {word('restart')}"
            message = f"is unfinished in {self.target.place}, and has other options"
            raise Refused([Problem(f"run {found.run}", message, hint)])
        return found

    def _start_over(self, found: LoadRun) -> None:
        plan = from_journal(found.plan)
        self.target.undo(found.run, plan, Others.REFUSE)
        why = "" if self.restart else ": the machine has started since, and not all was on disk"
        self.emit(Noticed(f"run {found.run} is rolled back, and another one begins{why}"))

    def _planned(self, *, is_resumed: bool) -> FlowPlanned:
        return FlowPlanned(
            self.run_id,
            {str(one.source): max(one.size_bytes, 0) for one in self.plan.tables},
            {str(one.source): max(one.rows, 0) for one in self.plan.tables},
            source=self.plan.source,
            target=self.plan.target,
            resumed=is_resumed,
            flow=CONVERT.name,
            doing=CONVERT.words.doing,
            steps=self.steps,
            copy_steps=CONVERT.copies,
        )

    # for `conduct`

    @property
    def has_begun(self) -> bool:
        return self.at is not None

    @property
    def run_id(self) -> str:
        return self.plan.run if self._plan else ""

    def end(self, state: State, outcome: Outcome) -> None:
        """Raises:
        RunLost: the target does not answer, so its journal still has the run as running.
        """
        self._answer()
        try:
            self.target.end(self.run_id, state, outcome)
        except ConnectionLost as error:
            message = f"the end of run {self.run_id} could not be journalled"
            raise RunLost(message, side="target") from error
        self.ended = state
        if state not in UNFINISHED:
            self.emit(RunEnded())

    def _answer(self) -> None:
        """Reopen a target whose work was cancelled: it starts nothing new after that."""
        if self._is_cancelled:
            _, target = open_pair(self.spec)
            self.target = self._stack.enter_context(target)
            self._is_cancelled = False

    def hand_over(self) -> Handover:
        return Handover({"restart": False}, "resuming from the journal; its snapshot is lost")

    # for the runner

    def finished(self, step: str) -> Mapping[str, Result]:
        """The results that the journal has of these steps. Results that are computed from the
        journal are not repeated."""
        if self.at is None or step not in ("copy_tables", "create_indexes"):
            return {}
        return self.at.lines.get(step, {})

    def recover(self, error: WindlassError) -> None:
        """Reopen a lost session in the same snapshot, if that snapshot still exists."""
        if isinstance(error, SnapshotLost | RunLost):
            raise error
        if self.at is not None:
            self.source.check()

    def cancel(self) -> None:
        self._is_cancelled = True
        self.turns.end()
        self.source.cancel()
        self.target.cancel()

    # for other processes

    @property
    def handle(self) -> Result:
        return {"run": self.run_id}

    def join(self, handle: Result) -> None:
        """Raises:
        WindlassError: always, as one process reads the source.
        """
        raise WindlassError(
            f"a migration into {self.target.engine} is the work of one process",
            hint="do all of it in one task: MigrateOperator, or windlass migrate",
        )

    stand_in = join

    # the end

    def conclude(self) -> None:
        """Raises:
        Different: the sides differ, or rows caused losses that nobody has accepted.
        """
        from windlass.flows.convert.ending import check

        check(self)

    def outcome(self, state: State, reason: Reason = NO_REASON) -> Outcome:
        if self._plan is None:
            return Outcome("", state, self.story.seconds, reason=reason)
        self._answer()
        return outcome_of(self, state, reason)


def _finished(run: LoadRun) -> Outcome:
    found = run.outcome or Outcome(run.run, run.state)
    message = f"nothing to do: run {run.run} has done it"
    hint = f"compare both sides with windlass verify, or {word('restart')} after rolling it back"
    course = replace(found.course, already=True)
    return replace(found, reason=Reason(message, hint), course=course)
