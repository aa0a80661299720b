"""The two sides of a migration into another engine, from a spec."""

from __future__ import annotations

from windlass.engines.destination import Destination
from windlass.engines.postgres.projecting import ProjectedSource
from windlass.engines.postgres.session import Address
from windlass.engines.registry import open_destination
from windlass.errors import BadSpec
from windlass.model.wording import word
from windlass.spec.migrate import Spec


def open_pair(spec: Spec) -> tuple[ProjectedSource, Destination]:
    """Connects to nothing yet.

    Raises:
        BadSpec: source or target is missing or cannot be read.
        WindlassError: a library is not installed.
    """
    faults: list[str] = []
    source = target = None
    if spec.source is None:
        faults.append(f"no source: give {word('source')}, or set WINDLASS_SOURCE")
    else:
        try:
            address = Address.parse("source", spec.source.get_secret_value())
            source = ProjectedSource(address, spec.snapshot)
        except BadSpec as error:
            faults += error.faults
    if spec.target is None:
        faults.append(f"no target: give {word('target')}, or set WINDLASS_TARGET")
    else:
        try:
            target = open_destination(spec.target.get_secret_value())
        except BadSpec as error:
            faults += error.faults
    if source is None or target is None:
        raise BadSpec(faults)
    return source, target
