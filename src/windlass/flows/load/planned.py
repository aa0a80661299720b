"""`windlass plan` for a load. Writes nothing to the target."""

from __future__ import annotations

from windlass.errors import Refused
from windlass.flows.load.context import Loading
from windlass.loading.document import PlannedLoad
from windlass.model.event import Emit
from windlass.spec.load import LoadSpec


def plan_load(spec: LoadSpec, emit: Emit) -> PlannedLoad:
    """What `load` would do. The plan contains its problems.

    Raises:
        WindlassError: the target or an input cannot be read.
    """
    with Loading(spec, emit) as run:
        try:
            found = run.prepare()
        except Refused as error:
            return PlannedLoad(run.target.place, problems=error.problems)
        prepared = run.prepared
        return PlannedLoad(
            run.target.place,
            prepared.plans,
            prepared.problems,
            found.run if found else "",
            (*run.notices, *prepared.notices),
        )
