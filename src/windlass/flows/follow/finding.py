"""Finds or plans a run that follows: a migration's plan, and whether its source can be followed."""

from __future__ import annotations

from dataclasses import replace

from windlass.flows.follow.checks import Checks
from windlass.flows.migrate.finding import Finder
from windlass.model.plan import Plan, Purpose
from windlass.model.report import loss_problems


class FollowFinder(Finder):
    """Its plans also contain what prevents following."""

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
