"""Computes columns by SQL of the target: rows go into a temporary table, and from there, with these
columns, into their own table."""

from __future__ import annotations

from psycopg import sql

from windlass.flows.mapped.calling import is_late, read_columns
from windlass.model.plan import RelationPlan
from windlass.model.relation import Name

TEMPORARY = "pg_temp"
_LANDED = Name(TEMPORARY, "windlass_landed")


def landing_of(item: RelationPlan) -> Name | None:
    """The temporary table that rows of a relation go into first; None if they need none."""
    return _LANDED if is_late(item) and len(read_columns(item)) < len(item.columns) else None


def sent(item: RelationPlan) -> list[str]:
    """Columns that are copied, as the target calls them."""
    keeps_computed = landing_of(item) is not None
    return [one.target for one in read_columns(item) if keeps_computed or not one.generated]


def make_landing(item: RelationPlan) -> sql.Composed:
    """For one transaction. The table has the types of the target's columns, and also what the
    target computes itself, which expressions may use."""
    names = [sql.Identifier(one.target) for one in read_columns(item)]
    return sql.SQL(
        "create temporary table {} on commit drop as select {} from only {} where false"
    ).format(
        sql.Identifier(_LANDED.name),
        sql.SQL(", ").join(names),
        sql.Identifier(item.enters.schema, item.enters.name),
    )


def move_landed(item: RelationPlan) -> sql.Composed:
    """Move the rows into their table, and drop the temporary one, so the next chunk can make it
    again."""
    columns = [one for one in item.columns if not one.generated]
    return sql.SQL("insert into {} ({}) select {} from {}; drop table {}").format(
        sql.Identifier(item.enters.schema, item.enters.name),
        sql.SQL(", ").join(sql.Identifier(one.target) for one in columns),
        selected(item, computed=False),
        landed(item, _LANDED),
        sql.Identifier(_LANDED.schema, _LANDED.name),
    )


def landed(item: RelationPlan, table: Name) -> sql.Composed:
    """The rows, under the name that they get: SQL of the mapping may use it."""
    return sql.SQL("{} as {}").format(
        sql.Identifier(table.schema, table.name), sql.Identifier(item.target.name)
    )


def selected(item: RelationPlan, *, computed: bool) -> sql.Composed:
    """All columns of the target, or those that it does not compute itself, of rows that landed."""
    made = []
    for one in item.columns:
        if one.generated and not computed:
            continue
        name, finish = sql.Identifier(one.target), item.how(one).finish
        value = finished(finish, one.target_type) if finish else name
        made.append(sql.SQL("{} as {}").format(value, name))
    return sql.SQL(", ").join(made)


def finished(expression: str, type_: str) -> sql.Composed:
    """A user's SQL, which was parsed as one expression. The line break ends a comment."""
    return sql.SQL("({})::{}").format(sql.SQL(expression + "\n"), sql.SQL(type_))
