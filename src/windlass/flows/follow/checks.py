"""What keeps a source from being followed, or the way back from being made: reads both sides;
`windlass.planning.postgres.following` decides."""

from __future__ import annotations

from collections.abc import Iterator

from windlass.engines.postgres.hold import Hold
from windlass.engines.postgres.readiness import read_readiness
from windlass.model.plan import Plan, RelationPlan
from windlass.model.report import Loss, LossClass, Problem
from windlass.model.units import plural
from windlass.planning.postgres.following import (
    firing_problems,
    publishing_problems,
    reverse_problems,
    stream_notices,
    stream_problems,
)
from windlass.spec.migrate import Spec

SLOTS = 2  # its own, and one for a comparison while it follows


class Checks:
    """What was read once of both sides."""

    def __init__(self, hold: Hold, plan: Plan, spec: Spec) -> None:
        self._plan, self._spec = plan, spec
        self._source = read_readiness(hold.reader, hold.source)
        self._target = read_readiness(hold.control, hold.target)

    def problems(self) -> Iterator[Problem]:
        """Why the source of the plan cannot be followed, or nothing would lead back."""
        plan, source = self._plan, self._source
        user = plan.source.user
        yield from stream_problems("source", user, source, slots=SLOTS)
        if not source.server.is_standby:
            logged = [one.relation.name for one in plan.relations if not self._is_unlogged(one)]
            yield from publishing_problems(user, logged, source)
        if not plan.how.silences_triggers:
            yield from firing_problems(plan.target.user)
        if not self._spec.no_reverse:
            yield from reverse_problems(plan.target.user, self._target)

    def losses(self) -> Iterator[Loss]:
        """What is copied, and does not follow the source after that."""
        message = "is unlogged: what is written to it after the copy is not followed"
        for item in filter(self._is_unlogged, self._plan.relations):
            yield Loss(str(item.relation.name), message, LossClass.VALUES)
        if count := self._plan.objects.large_objects.count:
            message = f"{plural(count, 'large object')}: changes after the copy are not followed"
            yield Loss("large objects", message, LossClass.VALUES)

    def notices(self) -> Iterator[str]:
        yield from stream_notices("source", self._source)

    def _is_unlogged(self, item: RelationPlan) -> bool:
        found = self._source.relations.get(item.relation.name)
        return found is not None and found.persistence == "u"
