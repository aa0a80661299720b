"""What the statements of a load have in common; they run in the caller's transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, LiteralString

from psycopg import sql

from windlass.engines.embedded.dialect import Dialect, Session, number, of
from windlass.engines.embedded.names import table_of, undo_table
from windlass.engines.incoming.names import user_sql
from windlass.engines.statements import each, listed, names, statement
from windlass.model.load import Load

CHANGE = sql.SQL("temp.windlass_change")  # says what each row is


@dataclass(frozen=True, slots=True)
class Work:
    """One load. `positions` are columns that identify the table's rows while the transaction lasts;
    in `CHANGE` they are called `t0`..."""

    session: Session
    dialect: Dialect
    run_id: str
    load: Load
    positions: tuple[str, ...]

    def scope(self, *, scoped: bool) -> sql.Composable:
        """The condition for the rows of the table that the load is about."""
        parts: list[sql.Composable] = [sql.SQL("1 = 1")]
        if self.load.words.history:
            parts.append(sql.SQL("{} is null").format(names("t", self.load.words.valid_to)))
        if scoped and self.load.words.slice:
            parts.append(self._sliced())
        return listed(parts, " and ")

    def _sliced(self) -> sql.Composable:
        """The condition of the slice as a separate query: beside the staged rows its columns would
        be ambiguous."""
        return sql.SQL("{} in (select {} from {} as t where {})").format(
            self.row(),
            of("t", self.positions),
            table_of(self.load.table.name),
            user_sql(self.dialect.own_sql(self.load.words.slice)),
        )

    def row(self) -> sql.Composable:
        return sql.SQL("({})").format(of("t", self.positions))

    def found(self) -> sql.Composable:
        return each("{}", [names(f"t{at}") for at in range(len(self.positions))])

    def at(self) -> sql.Composable:
        pairs = [
            sql.SQL("{} = {}").format(names("t", one), names("c", f"t{at}"))
            for at, one in enumerate(self.positions)
        ]
        return listed(pairs, " and ")

    # statements

    def text(self, template: LiteralString, **parts: sql.Composable) -> str:
        name = self.load.table.name
        undo = names(name.schema, undo_table(self.run_id, self.load.name))
        return statement(template, table=table_of(name), undo=undo, change=CHANGE, **parts)

    def run(
        self, template: LiteralString, given: list[Any] | None = None, **parts: sql.Composable
    ) -> None:
        self.session.execute(self.text(template, **parts), given or [])

    def number(self, template: LiteralString, **parts: sql.Composable) -> int:
        return number(self.session, self.text(template, **parts))
