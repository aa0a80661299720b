"""Finds or plans a run that follows: a migration's plan, and whether its source can be followed."""

from __future__ import annotations

from dataclasses import replace

from windlass.flows.follow.checks import Checks
from windlass.flows.migrate.finding import Finder
from windlass.model.outcome import UNFINISHED
from windlass.model.plan import Plan, Purpose
from windlass.model.report import Problem, loss_problems


class FollowFinder(Finder):
    """Its plans also contain what prevents following."""

    def _in_progress(self) -> Problem:
        """A process that follows does not end by itself."""
        for run in self._runs():
            if run.state in UNFINISHED and self._hold.is_held_for(run.run):
                message = f"is followed already, by another process ({self._hold.who_has_lock()})"
                return Problem(f"run {run.run}", message, "see windlass status")
        return super()._in_progress()

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
