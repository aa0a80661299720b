"""The context of the flow `follow`: a migration's, in the snapshot in which a stream begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from windlass.engines.postgres.lock import end_sessions
from windlass.engines.postgres.snapshot import SnapshotHolder
from windlass.errors import CannotResume, Refused
from windlass.flows.follow.advice import advising
from windlass.flows.follow.begin import begin_run, forget_run, settled_phase
from windlass.flows.follow.finding import FollowFinder
from windlass.flows.follow.hold import FollowHold
from windlass.flows.follow.outline import FOLLOW
from windlass.flows.follow.source_side import begin_stream
from windlass.flows.migrate.context import Migration
from windlass.flows.migrate.finding import Stage
from windlass.flows.migrate.opening import resume
from windlass.flows.sides import reading_journal
from windlass.journal import door, records
from windlass.model.event import Emit, Noticed, ignore
from windlass.model.flow import ONE, Result, resolve
from windlass.model.following import Phase
from windlass.model.outcome import NO_REASON, Outcome, Reason, State
from windlass.model.report import Problem
from windlass.spec.migrate import Spec

# every process does these, even if they are done already
_ALWAYS = ("extract_source_schema", "hold_snapshot", "follow")


CATCH_UP = "catch_up"
BEGUN = "begun"  # an item of `catch_up`, from when the target is no longer as the copy left it
_COMPARING = ("validate_content", "find_differences")


class Following(Migration):
    """One process's part in a run that follows."""

    flow = FOLLOW
    hold: FollowHold

    def __init__(
        self,
        spec: Spec,
        emit: Emit = ignore,
        *,
        hold: FollowHold | None = None,
        holder: SnapshotHolder | None = None,
        **given: Any,
    ) -> None:
        """As of a migration.

        Raises:
            BadSpec: source or target is missing or cannot be read.
        """
        super().__init__(spec, emit, hold=hold or FollowHold(spec, holder), **given)
        self._finder = FollowFinder(spec, self.hold, self.request, self.emit, self.keep_dump)

    @property
    def is_copied(self) -> bool:
        """Whether all rows were copied before this process took over the run."""
        return self.hold.phase is not Phase.COPYING

    def finished(self, step: str) -> Mapping[str, Result]:
        if self._journal is None or step in _ALWAYS:
            return super().finished(step)
        is_compared = step in _COMPARING and BEGUN in self.lines(CATCH_UP)
        if not self.is_copied and not is_compared:
            return super().finished(step)
        items = self.flow.step(step).items
        return {item.id: {} for item in (resolve(items)(self) if items else [ONE])}

    def outcome(self, state: State, reason: Reason = NO_REASON) -> Outcome:
        """If an earlier process has proven the copy, the outcome includes what it found."""
        found = super().outcome(state, reason)
        before = self._found.outcome if self._found else None
        if not self.is_copied or before is None:
            return found
        return replace(found, proof=before.proof, relations=before.relations)

    @reading_journal()
    def begin(self) -> None:
        """Journal the run and begin its stream, or take it over where it stopped.

        Raises:
            Refused: with every problem; nothing is left.
        """
        if not self._is_to_do():
            return
        is_new = self._found is None
        if is_new:
            begin_run(self, self.request.started_by)
        (self._found,) = records.read_runs(self.control, self.plan.run)
        self.stage = Stage.BEGUN if is_new else Stage.RESUMED
        self.hold.phase = settled_phase(
            self.plan.run, self.control, self.hold.source, lambda text: self.emit(Noticed(text))
        )
        if self.is_copied:
            self._take_up()
        else:
            self._begin_copying(is_new)
        self.announce(resumed=not is_new)
        self.hold.name_after(self.plan.run)

    def _begin_copying(self, is_new: bool) -> None:
        assert self._found is not None
        try:
            with advising(self, Phase.COPYING):
                begin_stream(self)
            resume(self, self.journal, self._found, self.request.started_by)
        except CannotResume as error:
            if not is_new:
                raise
            forget_run(self)
            self.stage = Stage.UNKNOWN
            hint = "run the same command again"
            raise Refused(
                [Problem("source", f"changed after it was planned: {error}", hint)]
            ) from error
        except Refused:
            if is_new:
                forget_run(self)
                self.stage = Stage.UNKNOWN
            raise

    def _take_up(self) -> None:
        """Continue with what is written to the source; its rows are not read any more."""
        assert self._found is not None
        self.hold.leave_source()
        end_sessions(self.control, f"windlass {self.plan.run}")
        with self.control.transaction():
            door.create(self.control)
            self.journal.epoch = records.take_over(
                self.control, self.plan.run, self.request.started_by
            )
        self.journal.read(self.control)
