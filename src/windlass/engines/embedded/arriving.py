"""The staged rows as they will arrive in the table. If several have the same key, only the last of
them."""

from __future__ import annotations

from psycopg import sql

from windlass.engines.embedded.names import staged_rows
from windlass.engines.incoming.names import NUMBER
from windlass.engines.incoming.shape import last_by_column, matching_key
from windlass.engines.statements import each, listed, names
from windlass.model.load import Load
from windlass.model.load_words import Duplicates


def arriving(load: Load) -> sql.Composable:
    """A FROM item without an alias."""
    key = matching_key(load)
    if load.words.duplicates is not Duplicates.LAST or not key:
        return staged_rows()
    order: list[sql.Composable] = [sql.SQL("{} desc").format(names(NUMBER))]
    if by := last_by_column(load):
        order.insert(0, sql.SQL("{} desc nulls last").format(names(by)))
    return sql.SQL(
        "(select * from (select s.*, row_number() over (partition by {key} order by {order})"
        " as _windlass_rank from {staged} as s) as ranked where _windlass_rank = 1)"
    ).format(key=each("{}", map(names, key)), order=listed(order), staged=staged_rows())
