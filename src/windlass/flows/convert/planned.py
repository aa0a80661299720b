"""What `windlass plan` calls for a target of another engine. Writes nothing."""

from __future__ import annotations

from windlass.flows.convert.context import Conversion
from windlass.model.event import Emit
from windlass.planning.postgres.converted.document import PlannedConversion
from windlass.spec.migrate import Spec


def plan_conversion(spec: Spec, emit: Emit) -> PlannedConversion:
    """What `migrate` would do. The plan contains its problems.

    Raises:
        Refused: an unfinished run has other options.
        AlreadyFinished: there is nothing left to do.
        WindlassError: a side cannot be read.
    """
    with Conversion(spec, emit) as run:
        found = run.prepare(writes=False)
        return PlannedConversion(run.plan, unfinished=found.run if found else "")
