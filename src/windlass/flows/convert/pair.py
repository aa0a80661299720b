"""The two sides of a migration into another engine, from a spec."""

from __future__ import annotations

from windlass.engines.destination import Destination
from windlass.engines.postgres.projecting import ProjectedSource
from windlass.engines.postgres.session import Address
from windlass.engines.registry import open_destination
from windlass.flows.addresses import both_sides
from windlass.spec.migrate import Spec


def open_pair(spec: Spec) -> tuple[ProjectedSource, Destination]:
    """Connects to nothing yet.

    Raises:
        BadSpec: source or target is missing or cannot be read.
        WindlassError: a library is not installed.
    """

    def source(url: str) -> ProjectedSource:
        return ProjectedSource(Address.parse("source", url), spec.snapshot)

    return both_sides(spec, source, open_destination)
