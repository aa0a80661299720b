"""Makes the table of a load, or the columns that it lacks."""

from __future__ import annotations

from psycopg import sql

from windlass.engines.embedded.dialect import Dialect, Session
from windlass.engines.embedded.names import table_of
from windlass.engines.statements import each, listed, names, statement
from windlass.model.load import Load


def make_table(session: Session, dialect: Dialect, load: Load) -> None:
    """Create the table with the assigned columns; the load's key is its primary key."""
    parts: list[sql.Composable] = [
        sql.SQL("{} {}").format(names(one.column), dialect.type_text(one.type))
        for one in load.assigned
    ]
    words = load.words
    if words.history:
        there = {one.column for one in load.assigned}
        parts += [
            sql.SQL("{} timestamp").format(names(one))
            for one in (words.valid_from, words.valid_to)
            if one not in there
        ]
    elif words.key:
        parts.append(sql.SQL("primary key ({})").format(each("{}", map(names, words.key))))
    session.execute(
        statement(
            "create table {table} ({parts})", table=table_of(load.table.name), parts=listed(parts)
        )
    )


def add_columns(session: Session, dialect: Dialect, load: Load) -> None:
    """Add the columns that are missing."""
    there = dialect.columns(session, load.table.name)
    for one in load.adds:
        if one.name not in there:
            add = "alter table {table} add column {name} {type}"
            session.execute(
                statement(
                    add, table=table_of(load.table.name), name=names(one.name),
                    type=dialect.type_text(one.type),
                )
            )  # fmt: skip
