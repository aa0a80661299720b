"""A table to be changed in place: its definition, and this session's privileges on it.

The user's SQL is tested here without reading a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from windlass.engines.postgres.queries import load
from windlass.engines.postgres.session import Connection
from windlass.model.relation import Name


@dataclass(frozen=True, slots=True)
class Column:
    number: int
    name: str
    type: str
    base: str  # the type under its domains
    generated: bool
    identity: str  # "a": always, "d": by default
    not_null: bool


@dataclass(frozen=True, slots=True)
class Table:
    oid: int
    kind: str  # pg_class.relkind
    may_select: bool
    may_update: bool
    may_delete: bool
    may_insert: bool
    owns: bool
    hides_rows: bool  # row security is in force for this session
    # foreign keys by which deleting a row deletes or changes rows of other tables
    cascades: tuple[str, ...]


def read_table(connection: Connection, name: Name) -> Table | None:
    with connection.cursor(row_factory=class_row(Table)) as cursor:
        return cursor.execute(
            "select c.oid::bigint as oid, c.relkind::text as kind,"
            " has_table_privilege(c.oid, 'select') as may_select,"
            " has_table_privilege(c.oid, 'update') as may_update,"
            " has_table_privilege(c.oid, 'delete') as may_delete,"
            " has_table_privilege(c.oid, 'insert') as may_insert,"
            " pg_has_role(c.relowner, 'usage') as owns,"
            " row_security_active(c.oid) as hides_rows,"
            " array(with recursive tree as (select c.oid union all select i.inhrelid"
            "   from tree join pg_inherits i on i.inhparent = tree.oid)"
            "  select conname::text from pg_constraint f"
            "  where f.confrelid in (select oid from tree)"
            "  and f.contype = 'f' and f.confdeltype in ('c', 'n', 'd')"
            "  and not exists (select from pg_constraint p where p.oid = f.conparentid"
            "   and p.confrelid in (select oid from tree))"  # the relation itself has that name
            "  order by 1) as cascades"
            " from pg_class c join pg_namespace n on n.oid = c.relnamespace"
            " where n.nspname = %s and c.relname = %s",
            (name.schema, name.name),
        ).fetchone()


def read_columns(connection: Connection, oid: int) -> list[Column]:
    """The columns in the table's order; empty if the table is gone."""
    with connection.cursor(row_factory=class_row(Column)) as cursor:
        return cursor.execute(
            "with recursive under as (select oid as type, oid, typtype, typbasetype from pg_type"
            "  union all select u.type, t.oid, t.typtype, t.typbasetype"
            "  from under u join pg_type t on t.oid = u.typbasetype where u.typtype = 'd')"
            " select a.attnum::int as number, a.attname as name,"
            " format_type(a.atttypid, a.atttypmod) as type,"
            " (select format_type(u.oid, null) from under u"
            "  where u.type = a.atttypid and u.typtype <> 'd') as base,"
            " a.attgenerated <> '' as generated, a.attidentity::text as identity,"
            " a.attnotnull as not_null"
            " from pg_attribute a where a.attrelid = %s and a.attnum > 0 and not a.attisdropped"
            " order by a.attnum",
            (oid,),
        ).fetchall()


@dataclass(frozen=True, slots=True)
class Relatives:
    """What else a statement on a table would affect."""

    children: tuple[str, ...] = ()  # tables that inherit from it and are not partitions
    foreign_partitions: tuple[str, ...] = ()
    update_rules: tuple[str, ...] = ()
    insert_rules: tuple[str, ...] = ()
    delete_rules: tuple[str, ...] = ()


def read_relatives(connection: Connection, oid: int) -> Relatives:
    """The tables and rules beside a table that its statements concern."""
    query = sql.SQL("select kind, name from ({}) relatives where oid = {} order by 1, 2")
    rows = connection.execute(query.format(load("relatives"), oid)).fetchall()

    def of(kind: str) -> tuple[str, ...]:
        return tuple(str(name) for one, name in rows if one == kind)

    return Relatives(
        of("child"),
        of("foreign partition"),
        of("update rule"),
        of("insert rule"),
        of("delete rule"),
    )


def read_size(connection: Connection, oid: int) -> int:
    """The size of a table's rows in bytes, including partitions and values stored out of line."""
    row = connection.execute(
        "with recursive tree as (select %s::oid as oid union all select i.inhrelid from tree"
        "  join pg_inherits i on i.inhparent = tree.oid)"
        " select coalesce(sum(pg_table_size(oid)), 0)::bigint from tree",
        (oid,),
    ).fetchone()
    return int(str(row[0])) if row else 0


def read_name(connection: Connection, oid: int) -> Name | None:
    """A table's current name; None if it is gone."""
    row = connection.execute(
        "select n.nspname::text, c.relname::text from pg_class c"
        " join pg_namespace n on n.oid = c.relnamespace where c.oid = %s",
        (oid,),
    ).fetchone()
    return Name(str(row[0]), str(row[1])) if row else None


def list_tables(connection: Connection) -> list[str]:
    """Every ordinary table, to suggest the nearest name."""
    rows = connection.execute(
        "select n.nspname::text, c.relname::text from pg_class c"
        " join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p')"
        " and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'windlass')"
    ).fetchall()
    return [f"{schema}.{name}" for schema, name in rows]


def in_brackets(text: str) -> sql.Composed:
    """The user's SQL in brackets. A comment at its end cannot hide the closing bracket."""
    return sql.SQL("({}\n)").format(sql.SQL(text))


def try_expressions(
    connection: Connection, table: Name, texts: Sequence[str]
) -> tuple[list[str], str]:
    """The types of expressions over a row of the table, or the server's message if they are
    invalid.

    Prepared, so that text with a second statement in it is refused.
    """
    wanted = sql.SQL(", ").join(map(in_brackets, texts))
    query = sql.SQL("select {} from {} limit 0").format(wanted, identifier(table))
    try:
        with connection.transaction():
            cursor = connection.execute(query, prepare=True)
            found = [(one.type_code, _modifier(one)) for one in cursor.description or ()]
    except psycopg.Error as error:
        return [], str(error.diag.message_primary or error).strip()
    if len(found) != len(texts):
        return [], "more than one expression"
    return [_type_name(connection, *one) for one in found], ""


def _modifier(column: psycopg.Column) -> int:
    return column._fmod


def _type_name(connection: Connection, oid: int, modifier: int) -> str:
    row = connection.execute("select format_type(%s, %s)", (oid, modifier)).fetchone()
    assert row is not None
    return "text" if row[0] == "unknown" else str(row[0])


def under(connection: Connection, type_: str) -> str:
    """The type under a domain, with its modifier."""
    found = _under(connection, type_)
    return found[0] if found[2] else type_


def open_type(connection: Connection, type_: str) -> str:
    """The type under its domains, without length. A cast to `varchar(3)`, or to a domain over it,
    truncates; an assignment raises an error instead."""
    return _under(connection, type_)[1]


def _under(connection: Connection, type_: str) -> tuple[str, str, bool]:
    """The type with its modifier and without, and whether it is under a domain. char has the
    modifier -1 and is named bpchar, because char alone would have the length 1."""
    row = connection.execute(
        "with recursive under as (select oid, typtype, typbasetype, typtypmod from pg_type"
        "  where oid = %s::regtype union all select t.oid, t.typtype, t.typbasetype,"
        "  case when t.typtype = 'd' then t.typtypmod else u.typtypmod end"
        "  from under u join pg_type t on t.oid = u.typbasetype where u.typtype = 'd')"
        " select format_type(oid, typtypmod), format_type(oid, -1), (select count(*) from under)"
        " from under where typtype <> 'd'",
        (type_,),
    ).fetchone()
    assert row is not None
    return str(row[0]), str(row[1]), isinstance(row[2], int) and row[2] > 1


def try_condition(connection: Connection, table: Name, text: str) -> str:
    """The server's message about a condition; empty if it is valid. Tried with brackets and
    without: a condition that closes brackets it has not opened would mean something else."""
    plain = sql.SQL("select from {} where {}\n limit 0").format(identifier(table), sql.SQL(text))
    query = sql.SQL("select from {} where {} limit 0").format(identifier(table), in_brackets(text))
    return _try(connection, query) or _try(connection, plain)


def try_expression(connection: Connection, table: Name, text: str) -> str:
    """The server's message about an expression; empty if it is one over a single row. Aggregates
    and window functions, which UPDATE refuses, would see only one row."""
    plain = sql.SQL("select {}\n from {} limit 0").format(sql.SQL(text), identifier(table))
    if said := _try(connection, plain):
        return said
    in_where = sql.SQL("select from {} where {} is null limit 0")
    try:
        with connection.transaction():
            connection.execute(in_where.format(identifier(table), in_brackets(text)), prepare=True)
    except (psycopg.errors.GroupingError, psycopg.errors.WindowingError) as error:
        return str(error.diag.message_primary).replace("WHERE", "an expression over one row")
    except psycopg.Error:
        return ""  # the message gives no more details
    return ""


def try_casts(connection: Connection, expressions: Sequence[sql.Composable]) -> str:
    """The server's message about casts of constants; empty if they are valid."""
    return _try(connection, sql.SQL("select {}").format(sql.SQL(", ").join(expressions)))


def try_value(connection: Connection, value: sql.Composable, type_: str) -> str:
    """The server's message if a constant is too long for a type; empty if it fits."""
    query = sql.SQL("select * from json_to_record(json_build_object('v', {}::text)) as x (v {})")
    return _try(connection, query.format(value, sql.SQL(type_)))


def groups(connection: Connection, table: Name, column: str) -> bool:
    """Whether SQL can group by a column."""
    query = sql.SQL("select from {0} group by {1} limit 0")
    return not _try(connection, query.format(identifier(table), sql.Identifier(column)))


def _try(connection: Connection, query: sql.Composed) -> str:
    try:
        with connection.transaction():
            connection.execute(query, prepare=True)
    except psycopg.Error as error:
        return str(error.diag.message_primary or error).strip()
    return ""


def identifier(name: Name) -> sql.Identifier:
    return sql.Identifier(name.schema, name.name)


def may_create_in(connection: Connection, schema: str) -> bool | None:
    """Whether this session may create tables in a schema; None if there is no such schema."""
    row = connection.execute(
        "select has_schema_privilege(oid, 'create') and has_schema_privilege(oid, 'usage')"
        " from pg_namespace where nspname = %s",
        (schema,),
    ).fetchone()
    return bool(row[0]) if row else None


def may_create_schemas(connection: Connection) -> bool:
    row = connection.execute(
        "select has_database_privilege(current_database(), 'create')"
    ).fetchone()
    return bool(row and row[0])
