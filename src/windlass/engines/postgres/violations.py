"""The rows that prevent a foreign key from being created or validated: their number, and a query
that shows them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from windlass.engines.postgres.queries import load
from windlass.engines.postgres.session import Connection
from windlass.engines.postgres.syntax import Node, parse
from windlass.model.relation import Name


@dataclass(frozen=True, slots=True)
class Violation:
    rows: int
    query: str  # shows the rows


@dataclass(frozen=True, slots=True)
class _ForeignKey:
    """`columns` are pairs: referring column, referenced column."""

    referring: Name
    referred: Name
    columns: tuple[tuple[str, str], ...]
    is_full: bool  # MATCH FULL: all columns are NULL, or none


def find_violation(connection: Connection, statement: str) -> Violation | None:
    """The rows that violate the foreign key which a statement creates or validates. Runs in the
    caller's transaction, on this session's side. None if it is another statement, if the rows were
    not the cause, or if they cannot be counted."""
    try:
        with connection.transaction():  # a savepoint
            found = _foreign_key(connection, statement)
            if found is None:
                return None
            condition = _condition(connection, found)
            row: Any = connection.execute(
                sql.SQL("select count(*) from {}").format(condition)
            ).fetchone()
            query = sql.SQL("SELECT * FROM {}").format(condition).as_string(connection)
    except psycopg.Error:
        return None
    return Violation(int(row[0]), query) if row[0] else None


def _foreign_key(connection: Connection, statement: str) -> _ForeignKey | None:
    for one in parse(statement):
        if one.tree.tag != "AlterTableStmt":
            continue
        relation = Name(one.tree.relation.schemaname, one.tree.relation.relname)
        for command in one.tree.cmds:
            if command.subtype == "AT_ValidateConstraint":
                return _existing(connection, relation, command.name)
            if command.subtype == "AT_AddConstraint" and _is_plain(command.def_):
                return _planned(relation, command.def_)
    return None


def _is_plain(constraint: Node) -> bool:
    return constraint.contype == "CONSTR_FOREIGN" and not constraint.fk_with_period


def _planned(relation: Name, constraint: Node) -> _ForeignKey:
    own = [one.sval for one in constraint.fk_attrs]
    theirs = [one.sval for one in constraint.pk_attrs or ()]
    referred = Name(constraint.pktable.schemaname, constraint.pktable.relname)
    columns = tuple(zip(own, theirs, strict=True))
    return _ForeignKey(relation, referred, columns, constraint.fk_matchtype == "f")


def _existing(connection: Connection, relation: Name, name: str) -> _ForeignKey | None:
    rows: list[Any] = connection.execute(load("foreign_key_columns")).fetchall()
    for schema, of, constraint, *referred, own, theirs, is_full in rows:
        if (schema, of, constraint) == (relation.schema, relation.name, name):
            columns = tuple(zip(own, theirs, strict=True))
            return _ForeignKey(relation, Name(*referred), columns, is_full)
    return None


def _condition(connection: Connection, key: _ForeignKey) -> sql.Composed:
    """The relation, and a condition for the rows that violate the key."""
    nulls = [sql.SQL("r.{} IS NULL").format(sql.Identifier(own)) for own, _ in key.columns]
    equal = [
        sql.SQL("p.{} = r.{}").format(sql.Identifier(theirs), sql.Identifier(own))
        for own, theirs in key.columns
    ]
    form = (
        "{referring} r WHERE NOT ({nulls}) AND NOT EXISTS (SELECT FROM {referred} p WHERE {equal})"
    )
    # MATCH FULL refuses rows with NULL in some of the columns
    return sql.SQL(form).format(
        referring=_relation(connection, key.referring),
        referred=_relation(connection, key.referred),
        nulls=sql.SQL(" AND " if key.is_full else " OR ").join(nulls),
        equal=sql.SQL(" AND ").join(equal),
    )


def _relation(connection: Connection, name: Name) -> sql.Composed:
    """A foreign key covers a table without its children, but a partitioned table with its
    partitions."""
    row = connection.execute(
        "select c.relkind = 'p' from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " where n.nspname = %s and c.relname = %s",
        (name.schema, name.name),
    ).fetchone()
    form = "{}" if row and row[0] else "ONLY {}"
    return sql.SQL(form).format(sql.Identifier(name.schema, name.name))
