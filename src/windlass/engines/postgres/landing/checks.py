"""A condition by which a value cannot be kept, and the reason that people read. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import sql


@dataclass(frozen=True, slots=True)
class Check:
    """A value is bad if `condition` holds; {0} stands for the value."""

    condition: str
    reason: str
    values: Sequence[sql.Composable] = ()

    def of(self, value: sql.Composable) -> sql.Composed:
        return sql.SQL(self.condition).format(value, *self.values)
