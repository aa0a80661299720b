"""The table of a load's before-images, and the hash by which an undo sees whether others have
changed a row since. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from psycopg import sql

from windlass.engines.postgres.landing import names
from windlass.engines.postgres.landing.columns import Column, listed
from windlass.model.relation import Name


def hash_of(alias: str, columns: Sequence[Column]) -> sql.Composed:
    """Of a row of a relation with all its columns."""
    return hash_of_values(
        sql.SQL("{}.{}").format(sql.Identifier(alias), one.identifier) for one in columns
    )


def hash_of_values(values: Iterable[sql.Composable]) -> sql.Composed:
    """Of a row's text: the same as long as the row is unchanged, in sessions with the same
    settings."""
    return sql.SQL(
        'pg_catalog.hashtextextended(row({})::pg_catalog.text collate pg_catalog."C", 0)'
    ).format(listed(values))


def creating(undo: Name, columns: Sequence[Column]) -> sql.Composed:
    """The statement that creates the table, for rows of a table with these columns."""
    defined = [
        sql.SQL("{} {}{}").format(one.identifier, sql.SQL(one.base), one.collated)
        for one in columns
    ]
    return sql.SQL('create table {} ({} "char", {} bigint, {} xid, {})').format(
        names.identifier(undo),
        sql.Identifier(names.KIND),
        sql.Identifier(names.MADE),
        sql.Identifier(names.WROTE),
        listed(defined),
    )


def saving(undo: Name, kind: str, columns: Sequence[Column]) -> sql.Composed:
    """The first part of an INSERT of before-images, without the values after the kind."""
    return sql.SQL('insert into {} ({}, {}, {}, {}) select {}::"char"').format(
        names.identifier(undo),
        sql.Identifier(names.KIND),
        sql.Identifier(names.MADE),
        sql.Identifier(names.WROTE),
        listed(one.identifier for one in columns),
        sql.Literal(kind),
    )
