"""Finds or plans a run that follows: a migration's plan, and whether its source can be followed."""

from __future__ import annotations

from dataclasses import replace

from windlass.errors import Refused
from windlass.flows.follow.checks import Checks
from windlass.flows.follow.hold import FollowHold
from windlass.flows.migrate.finding import Finder
from windlass.journal.following import read_phase
from windlass.journal.records import Run
from windlass.model.event import Noticed
from windlass.model.following import Phase
from windlass.model.outcome import UNFINISHED
from windlass.model.plan import Plan, Purpose
from windlass.model.report import Problem, loss_problems
from windlass.model.wording import word


class FollowFinder(Finder):
    """Its plans also contain what prevents following."""

    _hold: FollowHold

    def _in_progress(self) -> Problem:
        """A process that follows does not end by itself."""
        for run in self._runs():
            if run.state in UNFINISHED and self._hold.is_held_for(run.run):
                message = f"is followed already, by another process ({self._hold.who_has_lock()})"
                return Problem(f"run {run.run}", message, "see windlass status")
        return super()._in_progress()

    def _undo(self, run: Run) -> None:
        """End its streams as well, once it is clear that the rest can be undone."""
        from windlass.flows.follow.ending import give_up  # only a restart needs it
        from windlass.flows.migrate.written import foresee_undo

        control = self._hold.control
        self._refuse_taken_over(run)
        found = read_phase(control, run.run)
        if found and found[0] is not Phase.COPYING:
            end = found[0].undoing(run.run)
            message = f"is {found[0]}: {word('restart')} starts over only while rows are copied"
            raise Refused([Problem(f"run {run.run}", message, f"end it first: {end}")])
        foreseen = foresee_undo(control, run)
        if lost := [*foreseen.blocked, *foreseen.written]:
            hint = f"windlass abandon {run.run}, then windlass rollback {run.run} {word('force')}"
            raise Refused([replace(one, hint=hint) for one in lost])
        self._hold.leave_source_for(
            lambda: give_up(control, self._hold.source, run, lambda text: self._emit(Noticed(text)))
        )
        super()._undo(run)

    def _make_plan(
        self, purpose: Purpose = Purpose.MOVE, run: str = "", *, measures: bool = False
    ) -> Plan:
        plan = super()._make_plan(purpose, run, measures=measures)
        checks = Checks(self._hold, plan, self._spec)
        lost = list(checks.losses())
        problems = (
            *plan.findings.problems,
            *checks.problems(),
            *loss_problems(lost, self._spec.accept),
        )
        losses = (*plan.findings.losses, *lost)
        notices = (*plan.findings.notices, *checks.notices())
        found = replace(plan.findings, problems=problems, losses=losses, notices=notices)
        return replace(plan, findings=found)
