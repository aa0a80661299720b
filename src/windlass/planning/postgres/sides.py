"""Both sides as the checks see them: what is selected, and what the target has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from windlass.engines.postgres.catalog import Catalog, Existing
from windlass.engines.postgres.relation import CatalogRelation


@dataclass(frozen=True, slots=True)
class Sides:
    """What the checks read."""

    source: Catalog
    target: Catalog
    existing: Existing
    relations: tuple[CatalogRelation, ...]  # selected
    schemas: Mapping[str, str]  # source to target, all selected
