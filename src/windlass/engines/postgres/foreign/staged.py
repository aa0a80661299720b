"""Rows of another engine in a temporary table on the target. There the target itself compares them
with its own rows, and copies those that differ."""

from __future__ import annotations

from collections.abc import Iterable

from psycopg import sql

from windlass.engines.postgres.copy_in import send
from windlass.engines.postgres.errors import explaining
from windlass.engines.postgres.fingerprint import Pair, Side
from windlass.engines.postgres.hashing import HashedColumn, Hashing, Method
from windlass.engines.postgres.session import Connection
from windlass.model.plan import RelationPlan, Server
from windlass.model.relation import Column, HashBy, Name, Relation

TEMPORARY = "pg_temp"


def stage(session: Connection, item: RelationPlan, table: Name, blocks: Iterable[bytes]) -> None:
    """Create the table with the compared columns of the target, including generated ones, and fill
    it with lines of COPY. It exists until the session ends."""
    columns = sql.SQL(", ").join(sql.Identifier(one.target) for one in item.columns)
    into = sql.Identifier(table.schema, table.name)
    making = sql.SQL("create temporary table {} as select {} from only {} where false").format(
        sql.Identifier(table.name), columns, sql.Identifier(item.target.schema, item.target.name)
    )
    with explaining(f"staging the rows of {item.target}", side="target"), session.transaction():
        session.execute(making)
        with session.cursor().copy(sql.SQL("copy {} from stdin").format(into)) as copy:
            for block in blocks:
                send(copy, block)


def staged_pair(item: RelationPlan, target: Server, staged: Name) -> Pair:
    """How the staged rows of a relation are compared with the target's."""
    assert item.reading is not None, "planned by another flow"
    columns = tuple(
        HashedColumn(one.target, one.target_type, HashBy.TEXT, computed=one.generated)
        for one in item.columns
    )
    names = [one.source for one in item.columns]
    keyset = tuple(columns[names.index(one)] for one in item.reading.key)

    def side(word: str, name: Name) -> Side:
        own = tuple(Column(one.target, one.target_type) for one in item.columns)
        relation = Relation(name=name, kind=item.relation.kind, columns=own, identity="")
        return Side(word, relation, columns, keyset, Hashing(Method.between(target.version)))

    return Pair(side("source", staged), side("target", item.target))
