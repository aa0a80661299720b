"""What keeps a source from being followed, or the way back from being made: reads both sides;
`windlass.planning.postgres.following` decides."""

from __future__ import annotations

from collections.abc import Iterator

from windlass.engines.postgres.catalog import may_silence_triggers
from windlass.engines.postgres.hold import Hold
from windlass.engines.postgres.largeobjects import read_size_bytes
from windlass.engines.postgres.readiness import read_readiness
from windlass.flows.follow.fitting import fitting_problems
from windlass.model.plan import Plan, RelationPlan
from windlass.model.relation import Name
from windlass.model.report import Loss, Problem
from windlass.planning.postgres.following import (
    firing_back,
    firing_problems,
    narrower_values,
    publishing_problems,
    reverse_problems,
    stream_notices,
    stream_problems,
)
from windlass.planning.postgres.identities import identity_notices
from windlass.planning.postgres.unstreamed import (
    Unstreamed,
    unstreamed_losses,
    unstreamed_notices,
)
from windlass.spec.migrate import Spec

SLOTS = 2  # its own, and one for a comparison while it follows


class Checks:
    """What was read once of both sides."""

    def __init__(self, hold: Hold, plan: Plan, spec: Spec) -> None:
        self._plan, self._spec = plan, spec
        self._hold = hold
        self._source = read_readiness(hold.reader, hold.source)
        self._target = read_readiness(hold.control, hold.target)
        objects = plan.objects
        count = objects.large_objects.count
        self._unstreamed = Unstreamed(
            tuple(filter(self._is_unlogged, plan.relations)),
            count,
            read_size_bytes(hold.reader) if count else 0,
            objects.materialized_views,
            plan.estimate.refreshed_bytes,
        )

    def problems(self) -> Iterator[Problem]:
        """Why the source of the plan cannot be followed, or why there would be no way back."""
        plan, source = self._plan, self._source
        user = plan.source.user
        yield from stream_problems("source", user, source, slots=SLOTS)
        if not source.server.is_standby:
            logged = self._logged
            sets = self._spec.set_identity
            yield from publishing_problems(user, logged, source, sets=sets)
        if not plan.how.silences_triggers:
            yield from firing_problems(plan.target.user)
        back = not self._spec.no_reverse
        reader, control = self._hold.reader, self._hold.control
        yield from fitting_problems(plan, reader, control, back=back)
        if back:
            yield from reverse_problems(plan.target.user, self._target)
            if not may_silence_triggers(reader):
                yield firing_back(user)

    def losses(self) -> Iterator[Loss]:
        """What is copied, but does not follow the source afterwards, and takes too long for a
        freeze."""
        yield from unstreamed_losses(self._unstreamed)

    def notices(self) -> Iterator[str]:
        yield from stream_notices("source", self._source)
        yield from unstreamed_notices(self._unstreamed)
        if self._spec.set_identity:
            yield from identity_notices(self._logged, self._source)
        if not self._spec.no_reverse:
            yield from narrower_values(self._plan)

    @property
    def _logged(self) -> list[Name]:
        return [one.relation.name for one in self._plan.relations if not self._is_unlogged(one)]

    def _is_unlogged(self, item: RelationPlan) -> bool:
        found = self._source.relations.get(item.relation.name)
        return found is not None and found.persistence == "u"
