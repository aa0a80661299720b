"""Finds or plans a run that follows: a migration's plan, and whether its source can be followed."""

from __future__ import annotations

from dataclasses import replace

from windlass.flows.follow.checks import read_stream_losses, read_stream_problems
from windlass.flows.migrate.finding import Finder
from windlass.model.plan import Plan, Purpose
from windlass.model.report import loss_problems


class FollowFinder(Finder):
    """Its plans also contain what prevents following."""

    def _make_plan(
        self, purpose: Purpose = Purpose.MOVE, run: str = "", *, measures: bool = False
    ) -> Plan:
        plan = super()._make_plan(purpose, run, measures=measures)
        lost = read_stream_losses(self._hold, plan)
        problems = (
            *plan.findings.problems,
            *read_stream_problems(self._hold, plan),
            *loss_problems(lost, self._spec.accept),
        )
        losses = (*plan.findings.losses, *lost)
        return replace(plan, findings=replace(plan.findings, problems=problems, losses=losses))
