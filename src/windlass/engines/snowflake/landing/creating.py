"""Creates the table of a load. The statement commits by itself."""

from __future__ import annotations

from psycopg import sql

from windlass.engines.snowflake.landing.naming import table_of
from windlass.engines.snowflake.names import named
from windlass.engines.snowflake.session import Session
from windlass.engines.statements import each, listed, statement, verbatim
from windlass.model.load import Load


def make_table(session: Session, load: Load) -> None:
    """With the assigned columns. The load's key is its primary key, which Snowflake does not
    enforce, but shows."""
    parts: list[sql.Composable] = [
        sql.SQL("{} {}").format(named(one.column), verbatim(one.type)) for one in load.assigned
    ]
    if load.words.key:
        parts.append(sql.SQL("primary key ({})").format(each("{}", map(named, load.words.key))))
    text = "create table if not exists {table} ({parts})"
    session.run(
        statement(text, table=table_of(load.table.name), parts=listed(parts)),
        doing=f"making {load.name}",
    )
