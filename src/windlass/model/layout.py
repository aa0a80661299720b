"""How a table of a warehouse is stored, where the warehouse lets us choose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class TableLayout:
    """What the user asked for when the table is created. Columns have the names that they are
    exported under."""

    partition_by: str = ""
    partition_unit: str = "day"
    partition_range: tuple[int, int, int] | None = None  # start, end, and the step between them
    partition_days: int = 0  # until a partition expires; 0: never
    cluster_by: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    expiration_days: int = 0  # of the table; 0: never
