"""Names of what a load makes beside its table, and of columns in statements. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from psycopg import sql

from windlass.engines.incoming.names import INPUT, NUMBER, RECORD, SIDE, WHAT
from windlass.engines.snowflake.names import named, stored
from windlass.engines.statements import each, listed, names, verbatim
from windlass.model.digest import digest
from windlass.model.relation import Name

LOCK, WORKERS = (
    "_windlass_lock",
    "_windlass_worker",  # which process works on a run
)
RESERVED: Final = frozenset((NUMBER, INPUT, RECORD, WHAT, SIDE))
ALIASES: Final = frozenset("ckdnostu")  # of other rows, where a table has no alias
INSERTED, UPDATED, DELETED, OLD, NEW = "inserted", "updated", "deleted", "old", "new"


def table_of(name: Name) -> sql.Identifier:
    return names(stored(name.schema), stored(name.name))


def itself(name: Name) -> str:
    """What a table is called in a statement that changes it, which takes no alias:
    https://docs.snowflake.com/en/sql-reference/sql/update"""
    return named(name.name).as_string(None)


def beside(name: Name, what: str, *of: str) -> sql.Identifier:
    """A table of ours in the table's schema, for a run and a load."""
    return names(stored(name.schema), f"_WINDLASS_{what.upper()}_{digest(*of)[:12].upper()}")


def of(alias: str, columns: Iterable[str]) -> sql.Composed:
    return each("{}", [part(alias, one) for one in columns])


def part(alias: str, column: str) -> sql.Composable:
    return sql.SQL("{}.{}").format(verbatim(alias), named(column))


def pairs(
    how: str, one: str, other: str, columns: Iterable[str], between: str = " and "
) -> sql.Composable:
    """Comparisons of two rows, column by column."""
    return listed(
        (
            sql.SQL("{} {} {}").format(part(one, each_), verbatim(how), part(other, each_))
            for each_ in columns
        ),
        " or " if between == " or " else " and ",
    )


def same(one: str, other: str, columns: Iterable[str]) -> sql.Composable:
    """Equal in all of these columns, NULLs too."""
    return pairs("is not distinct from", one, other, columns)
