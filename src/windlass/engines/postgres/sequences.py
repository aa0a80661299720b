"""Reads and sets the values of sequences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import psycopg
from psycopg import sql

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.session import Connection
from windlass.model.relation import Name
from windlass.model.relation import Sequence as SequenceState

_PER_QUERY = 50  # a query locks each sequence that it reads


def read_sequences(
    connection: Connection, names: Sequence[Name], *, side: str, per_query: int = _PER_QUERY
) -> list[SequenceState]:
    """In the order of `names`."""
    found = []
    one = sql.SQL("select {}::int, last_value, is_called from {}")
    try:
        for start in range(0, len(names), per_query):
            some = names[start : start + per_query]
            queries = [
                one.format(sql.Literal(place), sql.Identifier(name.schema, name.name))
                for place, name in enumerate(some)
            ]
            rows: list[Any] = connection.execute(sql.SQL(" union all ").join(queries)).fetchall()
            found += [
                SequenceState(some[place], value, called) for place, value, called in sorted(rows)
            ]
    except psycopg.Error as error:
        raise explain(error, "reading sequences", side=side) from error
    return found


def set_sequences(connection: Connection, states: Iterable[SequenceState]) -> None:
    """Set all in one round trip, in the caller's transaction."""
    rows = [
        (state.name.schema, state.name.name, state.last_value, state.is_called) for state in states
    ]
    try:
        connection.execute(
            "select setval(format('%%I.%%I', s.schema, s.name)::regclass, s.value, s.called)"
            " from unnest(%s::text[], %s::text[], %s::bigint[], %s::boolean[])"
            " as s (schema, name, value, called)",
            [list(column) for column in zip(*rows, strict=True)] if rows else [[], [], [], []],
        )
    except psycopg.Error as error:
        raise explain(error, "setting sequences", side="target") from error
