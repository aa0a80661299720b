"""Defaults of columns, as values of their types on the target."""

from __future__ import annotations

from psycopg import sql

from windlass.engines.postgres.foreign.types import type_name
from windlass.model.relation import Name
from windlass.model.report import Loss, LossClass
from windlass.model.translation import Sort, SourceColumn, Type
from windlass.planning.postgres.translated.expressions import is_now, literal, translated

NOW_OF = {
    Sort.TIMESTAMP: "(CURRENT_TIMESTAMP AT TIME ZONE 'UTC')",
    Sort.INSTANT: "CURRENT_TIMESTAMP",
    Sort.DATE: "((CURRENT_TIMESTAMP AT TIME ZONE 'UTC')::date)",
    Sort.TEXT: "to_char(CURRENT_TIMESTAMP AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')",
}


class Defaults:
    """Of one table."""

    def __init__(self, dialect: str, table: Name) -> None:
        self._dialect, self._table = dialect, table
        self.losses: list[Loss] = []

    def of(self, column: SourceColumn, type_: Type) -> str | None:
        """An expression of PostgreSQL's; None, and a loss if it means something, where there is
        none."""
        text = column.default
        if is_now(text) and type_.sort in NOW_OF:
            return NOW_OF[type_.sort]
        try:
            value = literal(text, self._dialect)
        except ValueError:
            found = translated(text, self._dialect, {})
            if found is None:
                self.lose(column)
            return found
        if value is None:
            return None
        if type_.sort is Sort.BOOLEAN and value in (0, 1, "0", "1", True, False):
            return "true" if value in (1, "1", True) else "false"
        if type_.sort is Sort.BYTES:
            value = f"\\x{str(value).encode().hex()}"
        return _cast(str(value), type_)

    def lose(self, column: SourceColumn) -> None:
        """The column has none on the target."""
        message = f"column {column.name} has no default on the target: {column.default}"
        self.losses.append(Loss(str(self._table), message, LossClass.BEHAVIOUR))


def _cast(value: str, type_: Type) -> str:
    if type_.sort is Sort.ENUM:  # whose type is made for it
        return sql.Literal(value).as_string(None)
    return f"{sql.Literal(value).as_string(None)}::{type_name(type_)}"
