"""The checks of `windlass.engines.incoming.checking`, in statements that both engines accept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from windlass.engines.embedded.arriving import arriving
from windlass.engines.embedded.dialect import Dialect, Session, fetch
from windlass.engines.embedded.names import staged_rows, table_of
from windlass.engines.incoming.checking import Checking
from windlass.engines.incoming.names import user_sql
from windlass.engines.incoming.shape import column_of
from windlass.engines.statements import each, listed, names
from windlass.model.relation import Name


@dataclass(frozen=True)
class FileChecking(Checking):
    """One load, whose rows are staged in a file."""

    session: Session
    dialect: Dialect

    def _column(self, name: str) -> sql.Composable:
        return names(name)

    def _of_row(self, name: str) -> sql.Composable:
        return names("s", name)

    def _table(self, name: Name) -> sql.Composable:
        return table_of(name)

    def _staged(self) -> sql.Composable:
        return staged_rows()

    def _arriving(self) -> sql.Composable:
        return arriving(self.load)

    def _expression(self, text: str) -> sql.Composable:
        return user_sql(self.dialect.own_sql(text))

    def _given(self, column: str, text: str, given: list[Any]) -> sql.Composable:
        found = column_of(self.load, column)
        given.append(self.dialect.given(found, text))
        return self.dialect.typed(found)

    def _is_doubled(self, columns: Sequence[str], item: sql.Composable) -> sql.Composable:
        these = [self._of_row(one) for one in columns]
        return sql.SQL(
            "{filled} and ({columns}) in (select {columns} from {item} as s where {filled}"
            " group by {columns} having count(*) > 1)"
        ).format(
            columns=listed(these), item=item, filled=each("{} is not null", these, " and ")
        )  # fmt: skip

    def _fetch(self, query: str, given: Sequence[Any] = ()) -> Iterable[Sequence[Any]]:
        return fetch(self.session, query, given)
