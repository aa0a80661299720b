"""The properties of the target and of the spec that statements are adapted to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from windlass.engines.postgres.catalog import Existing


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The properties that statements are adapted to."""

    existing: Existing
    user: str  # the owner of new objects, unless they are given to another role
    schemas: Mapping[str, str]  # renamed ones only
    superuser: bool
    major: int = 18  # the version of the server
