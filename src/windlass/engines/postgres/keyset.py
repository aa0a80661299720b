"""Where to cut a relation by its key: bounds for key ranges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import sql

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.session import Connection
from windlass.model.relation import Relation


def read_bounds(connection: Connection, relation: Relation, count: int) -> list[tuple[str, ...]]:
    """At most `count` - 1 sorted, distinct keys, as text, that cut it into about `count` parts.

    Statistics provide them for the first column without reading the relation. NTILE over the whole
    key is exact but sorts it, so it is only used where statistics are not enough.
    """
    try:
        bounds = _from_statistics(connection, relation, count)
        return bounds if len(bounds) == count - 1 else _from_ntile(connection, relation, count)
    except psycopg.Error as error:
        raise explain(error, f"cutting {relation.name} by its key", side="source") from error


def _from_statistics(
    connection: Connection, relation: Relation, count: int
) -> list[tuple[str, ...]]:
    """Every (100 / count)th bucket bound of pg_stats; none when a few values hold many rows."""
    row: Any = connection.execute(
        "select histogram_bounds::text::text[] from pg_stats"
        " where schemaname = %s and tablename = %s and attname = %s and not inherited"
        " and (most_common_freqs is null or most_common_freqs[1] < 0.5 / %s)",
        (relation.name.schema, relation.name.name, relation.key[0], count),
    ).fetchone()
    histogram: Sequence[str] = row[0] if row and row[0] else ()
    if len(histogram) < 2 * count:
        return []
    picked = [histogram[len(histogram) * number // count] for number in range(1, count)]
    return [(value,) for value in dict.fromkeys(picked)]


def _from_ntile(connection: Connection, relation: Relation, count: int) -> list[tuple[str, ...]]:
    """The first key of every tile but the first; a key that fills several tiles cuts once."""
    key = sql.SQL(", ").join(map(sql.Identifier, relation.key))
    texts = sql.SQL(", ").join(
        sql.SQL("{}::text").format(sql.Identifier(name)) for name in relation.key
    )
    known = sql.SQL(" and ").join(
        sql.SQL("{} is not null").format(sql.Identifier(name)) for name in relation.key
    )
    query = sql.SQL(
        "select {texts} from (select {key}, tile, lag(tile) over (order by {key}) as before"
        " from (select {key}, ntile({count}) over (order by {key}) as tile"
        " from only {relation} where {known}) as tiled) as marked where tile > before order by tile"
    ).format(
        texts=texts,
        key=key,
        count=sql.Literal(count),
        relation=sql.Identifier(relation.name.schema, relation.name.name),
        known=known,
    )
    return list(dict.fromkeys(tuple(map(str, row)) for row in connection.execute(query)))
