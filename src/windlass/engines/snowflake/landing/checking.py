"""The checks of `windlass.engines.incoming.checking` in Snowflake's statements. Snowflake does not
enforce a primary key: a load does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from windlass.engines.incoming.checking import Checking
from windlass.engines.incoming.names import user_sql
from windlass.engines.snowflake.landing.catalog import canonical
from windlass.engines.snowflake.landing.naming import part, table_of
from windlass.engines.snowflake.landing.staged import Arriving, target_column
from windlass.engines.snowflake.names import named
from windlass.engines.snowflake.session import Fetched, Session
from windlass.engines.statements import each, listed, verbatim
from windlass.model.relation import Name


@dataclass(frozen=True)
class SnowflakeChecking(Checking):
    """One load, whose arriving rows are made."""

    session: Session
    rows: Arriving

    def _column(self, name: str) -> sql.Composable:
        return named(name)

    def _of_row(self, name: str) -> sql.Composable:
        return part("s", name)

    def _table(self, name: Name) -> sql.Composable:
        return table_of(name)

    def _staged(self) -> sql.Composable:
        return self.rows.table

    def _arriving(self) -> sql.Composable:
        return self.rows.table

    def _expression(self, text: str) -> sql.Composable:
        return user_sql(text)

    def _given(self, column: str, text: str, given: list[Any]) -> sql.Composable:
        """With this text, of the column's type. Numbers stay as precise as given."""
        one = next(one for one in self.load.assigned if one.column == column)
        given.append(text)
        type_ = canonical(target_column(self.load, one).type)
        if type_.startswith("NUMBER"):
            whole = "NUMBER(38,0)" if text.lstrip("+-").isdigit() else "NUMBER(38,12)"
            type_ = "FLOAT" if "e" in text.lower() else whole
        return sql.SQL("cast(? as {})").format(verbatim(type_))

    def _is_doubled(self, columns: Sequence[str], item: sql.Composable) -> sql.Composable:
        same = listed(
            (sql.SQL("{} = {}").format(part("d", one), part("s", one)) for one in columns), " and "
        )
        return sql.SQL(
            "exists (select 1 from (select {bare} from {item} where {filled} group by {bare}"
            " having count(*) > 1) as d where {same})"
        ).format(
            bare=listed(map(named, columns)), item=item, same=same,
            filled=each("{} is not null", map(named, columns), " and "),
        )  # fmt: skip

    def _fetch(self, query: str, given: Sequence[Any] = ()) -> Fetched:
        return self.session.run(query, list(given), doing=f"checking {self.load.name}")
