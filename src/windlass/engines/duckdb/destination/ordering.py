"""Loads rows of a table that refer to each other. DuckDB checks each row of a statement before the
others are inserted, so they are staged, and inserted level by level."""

from __future__ import annotations

from typing import Any

from psycopg import sql

from windlass.engines.duckdb.destination.filling import no_such_row
from windlass.engines.duckdb.destination.statements import table_name
from windlass.engines.statements import listed, names, statement
from windlass.model.conversion import TableConversion
from windlass.model.relation import Name

_STAGE = Name("temp", "windlass_stage")
_LEVEL = "windlass_level"


def stage(session: Any, table: TableConversion) -> Name:
    """The table of staged rows, which is gone with the session."""
    session.execute(
        statement(
            "create temp table if not exists {stage} as select {columns}, cast(null as integer) as"
            " {level} from {table} limit 0",
            stage=names(_STAGE.name),
            columns=_columns(table),
            level=names(_LEVEL),
            table=table_name(table.target),
        )
    )
    return _STAGE


def insert(session: Any, table: TableConversion) -> None:
    """Raises:
    WindlassError: a row refers to a row that does not exist.
    """
    stage(session, table)
    (key,) = table.itself
    roots = sql.SQL(" or ").join(sql.SQL("{} is null").format(names(one)) for one in key.columns)
    same = sql.SQL(" and ").join(
        sql.SQL("s.{} = p.{}").format(names(ours), names(theirs))
        for ours, theirs in zip(key.columns, key.referred, strict=True)
    )
    level = names(_LEVEL)
    _update(session, "update {stage} set {level} = 0 where {roots}", roots=roots)
    number = 0
    while _insert_level(session, table, number):
        number += 1
        _update(
            session,
            "update {stage} as s set {level} = {number} from {stage} as p"
            " where s.{level} is null and p.{level} = {before} and {same}",
            number=sql.Literal(number),
            before=sql.Literal(number - 1),
            same=same,
        )
    left = statement(
        "select count(*) from {stage} where {level} is null", stage=table_name(_STAGE), level=level
    )
    (rows,) = session.execute(left).fetchone()
    if rows:
        raise no_such_row(table.target)
    session.execute(statement("drop table {stage}", stage=table_name(_STAGE)))


def _update(session: Any, template: Any, **parts: sql.Composable) -> None:
    session.execute(statement(template, stage=table_name(_STAGE), level=names(_LEVEL), **parts))


def _insert_level(session: Any, table: TableConversion, number: int) -> int:
    made = statement(
        "insert into {table} ({columns}) select {columns} from {stage} where {level} = {number}",
        table=table_name(table.target),
        columns=_columns(table),
        stage=table_name(_STAGE),
        level=names(_LEVEL),
        number=sql.Literal(number),
    )
    (rows,) = session.execute(made).fetchone()
    return int(rows)


def _columns(table: TableConversion) -> sql.Composable:
    return listed([names(one.target) for one in table.columns if not one.is_generated])
