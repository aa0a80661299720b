"""Questions about how a mapping changes the source's rows; asked in its snapshot, before anything
is written.

Each question is asked in a savepoint, so that the server's refusal does not end the transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from windlass.engines.postgres.catalog import read_columns_of
from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.mapped import condition, rows, text
from windlass.engines.postgres.session import Connection
from windlass.model.mapping import Mapping as Mapped
from windlass.model.relation import Column, Name

_TEXT, _UNKNOWN = 25, 705  # pg_type.oid; a literal is of the latter until somebody asks


@dataclass(frozen=True, slots=True)
class Refused:
    """Why the server does not take an expression."""

    message: str


@dataclass(frozen=True, slots=True)
class Key:
    """One side of a foreign key: columns of a relation, by their names after its mapping."""

    name: Name
    columns: tuple[str, ...]
    mapping: Mapped | None = None

    @property
    def rows(self) -> sql.Composed:
        return rows(self.name, self.mapping)


def describe(
    source: Connection, name: Name, where: str, expressions: Sequence[str]
) -> list[Column | Refused]:
    """The types of expressions over the rows of a relation, as columns without names. The first one
    is the condition; its place stays empty if there is none."""
    asked = [where or "true", *expressions]
    types: dict[int, tuple[int, int]] = {}
    refused: dict[int, Refused] = {}
    for at, one in enumerate(asked):
        query = sql.SQL("select ({}) from only {} limit 0").format(
            text(one), sql.Identifier(name.schema, name.name)
        )
        try:
            with source.transaction(), source.cursor() as cursor:
                cursor.execute(query)
                assert cursor.pgresult is not None
                oid = cursor.pgresult.ftype(0)
                types[at] = (_TEXT if oid == _UNKNOWN else oid), cursor.pgresult.fmod(0)
        except psycopg.Error as error:
            if source.closed:
                raise explain(error, f"reading {name}", side="source") from error
            refused[at] = Refused(_message(error))
    columns = dict(zip(types, read_columns_of(source, types.values()), strict=True))
    return [refused[at] if at in refused else columns[at] for at in range(len(asked))]


def volatile(source: Connection, functions: Iterable[str]) -> set[str]:
    """The names in `functions` that belong to some function of the source whose result changes from
    call to call."""
    query = "select proname from pg_proc where proname = any(%s) and provolatile = 'v'"
    return {str(name) for (name,) in source.execute(query, (sorted(set(functions)),))}


def users_of(source: Connection, table: Name) -> Mapping[Name, frozenset[str]]:
    """The columns of a relation that each view or function uses, according to the catalog; an empty
    name for a whole row."""
    query = """
        select n.nspname, coalesce(v.relname, p.proname),
               array_agg(distinct coalesce(a.attname::text, ''))
          from pg_depend d
          left join pg_rewrite w on d.classid = 'pg_rewrite'::regclass and w.oid = d.objid
          left join pg_class v on v.oid = w.ev_class and v.oid <> d.refobjid
          left join pg_proc p on d.classid = 'pg_proc'::regclass and p.oid = d.objid
          join pg_namespace n on n.oid = coalesce(v.relnamespace, p.pronamespace)
          left join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
                                  and d.refobjsubid > 0
         where d.refclassid = 'pg_class'::regclass and d.refobjid = %s::regclass
         group by 1, 2
    """
    quoted = sql.Identifier(table.schema, table.name).as_string(source)
    found: list[Any] = source.execute(query, (quoted,)).fetchall()
    return {Name(one, two): frozenset(columns) for one, two, columns in found}


def readers_of(source: Connection, tables: Sequence[Name]) -> set[Name]:
    """Views that read one of these tables, also through other views."""
    query = """
        with recursive reads (oid) as (
            select unnest(%s::regclass[])::oid
             union
            select w.ev_class
              from reads r
              join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = r.oid
              join pg_rewrite w on d.classid = 'pg_rewrite'::regclass and w.oid = d.objid
        )
        select n.nspname::text, c.relname::text
          from reads r
          join pg_class c on c.oid = r.oid and c.relkind in ('v', 'm')
          join pg_namespace n on n.oid = c.relnamespace
    """
    quoted = [sql.Identifier(one.schema, one.name).as_string(source) for one in tables]
    return {Name(str(schema), str(name)) for schema, name in source.execute(query, (quoted,))}


def count_where(source: Connection, name: Name, mapping: Mapped, test: str) -> int | Refused:
    """How many of the rows that arrive fulfil a condition on their columns."""
    query = sql.SQL("select count(*) from {} where {}").format(rows(name, mapping), condition(test))
    return _counted(source, query)


def count_doubles(
    source: Connection, name: Name, mapping: Mapped, columns: Sequence[str]
) -> int | Refused:
    """How many keys would be shared by several of the rows that arrive."""
    names = [sql.Identifier(one) for one in columns]
    query = sql.SQL(
        "select count(*) from (select from {} where num_nulls({}) = 0 group by {}"
        " having count(*) > 1) as doubles"
    ).format(rows(name, mapping), sql.SQL(", ").join(names), sql.SQL(", ").join(names))
    return _counted(source, query)


def count_orphans(source: Connection, child: Key, parent: Key) -> int | Refused:
    """How many of the rows that arrive refer to a row that does not arrive."""
    own = [sql.Identifier("c", one) for one in child.columns]
    others = [sql.Identifier("p", one) for one in parent.columns]
    query = sql.SQL(
        "select count(*) from (select {own} from {child}) as c where num_nulls({theirs}) = 0"
        " and not exists (select from (select {other} from {parent}) as p where {same})"
    ).format(
        own=sql.SQL(", ").join(map(sql.Identifier, child.columns)),
        child=child.rows,
        theirs=sql.SQL(", ").join(own),
        other=sql.SQL(", ").join(map(sql.Identifier, parent.columns)),
        parent=parent.rows,
        same=sql.SQL(" and ").join(
            sql.SQL("{} = {}").format(one, other) for one, other in zip(own, others, strict=True)
        ),
    )
    return _counted(source, query)


def _counted(source: Connection, query: sql.Composed) -> int | Refused:
    try:
        with source.transaction():
            ((count,),) = source.execute(query).fetchall()
    except psycopg.DataError:  # whose message may show a value
        return Refused("some value cannot be computed or compared")
    except psycopg.Error as error:
        if source.closed:
            raise explain(error, "counting rows", side="source") from error
        return Refused(_message(error))
    return int(str(count))


def _message(error: psycopg.Error) -> str:
    return (error.diag.message_primary or str(error)).replace("\n", " ")
