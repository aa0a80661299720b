"""The differences between the engines of files, for statements that are otherwise the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString, Protocol

from psycopg import sql

from windlass.engines.statements import each, listed, names
from windlass.model.export import Column
from windlass.model.load import Field, Load, Table, TableColumn
from windlass.model.relation import Name


class Session(Protocol):
    """An open connection."""

    def execute(self, query: str, parameters: Any = ..., /) -> Any: ...


@dataclass(frozen=True, slots=True)
class Dialect:
    """How an engine spells what the other one spells differently."""

    same: LiteralString  # equal, or both NULL
    other: LiteralString  # the opposite
    columns: Callable[[Any, Name], list[str]]  # of a table; empty if it does not exist
    given: Callable[[TableColumn, str], Any]  # a text from the user as a value of the column
    typed: Callable[[TableColumn], sql.Composable]  # a parameter with such a value
    own_sql: Callable[[str], str]  # the user's SQL, without what the engine may misread
    type_text: Callable[[str], sql.Composable]  # a type's name, in a statement
    field_type: Callable[[Load, Field], sql.Composable]  # a field's type as expressions see it
    compiles: Callable[[Session, str], str]  # why it does not accept a query; empty if it does
    indexes: bool  # whether it needs indexes to find rows by a key
    undoes_singly: bool  # whether it checks references against rows that are deleted already
    by_position: Callable[[Session, Table], tuple[str, ...]]  # columns that distinguish all rows
    type_known_as: Callable[[Session, str], str]  # a type as the catalog writes it
    exact_text: Callable[[sql.Composable], sql.Composable]  # a value, or what Python writes exactly
    ordered: Callable[[sql.Composable, TableColumn, Column | None], sql.Composable]
    # a value of the column, ordered as the given type or as the column's own; NULL for NaN and
    # infinity, after which no later value comes

    def equal(self, one: str, other: str, columns: Iterable[str]) -> sql.Composable:
        """Equal in all of these columns, NULLs too."""
        return self._all(self.same, one, other, columns)

    def distinct(self, one: str, other: str, columns: Iterable[str]) -> sql.Composable:
        """Different in any of these columns."""
        some = list(columns)
        if not some:
            return sql.SQL("1 = 0")
        parts = [self._pair(self.other, one, other, column) for column in some]
        return sql.SQL("({})").format(sql.SQL(" or ").join(parts))

    def changes(self, one: str, other: str, columns: Iterable[str]) -> sql.Composable:
        """SELECT items, one for each column: whether it differs in any row."""
        return listed(
            sql.SQL("max(case when {} then 1 else 0 end)").format(
                self.distinct(one, other, [column])
            )
            for column in columns
        )

    def _all(
        self, how: LiteralString, one: str, other: str, columns: Iterable[str]
    ) -> sql.Composable:
        return sql.SQL(" and ").join(self._pair(how, one, other, column) for column in columns)

    def _pair(self, how: LiteralString, one: str, other: str, column: str) -> sql.Composable:
        return sql.SQL(how).format(names(one, column), names(other, column))


def by_key(one: str, other: str, key: Iterable[str]) -> sql.Composable:
    """Equal in the key; NULL equals nothing. The collation of the first one decides."""
    pairs = [sql.SQL("{} = {}").format(names(one, column), names(other, column)) for column in key]
    return sql.SQL(" and ").join(pairs)


def of(alias: str, columns: Iterable[str]) -> sql.Composed:
    return each("{}", [names(alias, one) for one in columns])


def fetch(session: Session, query: str, given: Any = ()) -> list[Any]:
    found: list[Any] = session.execute(query, given).fetchall()
    return found


def changed(session: Session, query: str, columns: Sequence[str]) -> list[str]:
    """The columns for which a query with the items of `Dialect.changes` returned true."""
    (row,) = fetch(session, query)
    return [one for one, is_changed in zip(columns, row, strict=True) if is_changed]


def number(session: Session, query: str, given: Any = ()) -> int:
    return int(session.execute(query, given).fetchall()[0][0] or 0)
