"""Moves the sequences of keys past the loaded values, so that the next new object gets a free
key."""

from __future__ import annotations

from typing import Any

from django.db import connections, models

from windlass.django.tables import Part

# a sequence that is ahead stays there, because others use it too
_RAISE = (
    "select setval({sequence}, highest.value) from (select max({column}) as value from {table})"
    " highest, {sequence_name} last where highest.value > last.last_value"
    " or (highest.value = last.last_value and not last.is_called)"
)


def set_sequences(part: Part, alias: str) -> None:
    """Set the sequence of a table's key. SQLite needs nothing."""
    connection = connections[alias]
    key = part.model._meta.pk
    counted = models.AutoField | models.BigAutoField | models.SmallAutoField
    if connection.vendor != "postgresql" or not isinstance(key, counted):
        return
    name = connection.ops.quote_name
    with connection.cursor() as cursor:
        query = "select pg_catalog.pg_get_serial_sequence(%s, %s)"
        cursor.execute(query, [name(part.table), key.column])
        row = cursor.fetchone()
        if not row or not row[0]:
            return
        _raise(cursor, row[0], name(part.table), name(key.column))


def _raise(cursor: Any, sequence: str, table: str, column: str) -> None:
    from psycopg import sql

    statement = sql.SQL(_RAISE).format(
        sequence=sql.Literal(sequence),
        sequence_name=sql.SQL(sequence),
        table=sql.SQL(table),
        column=sql.SQL(column),
    )
    cursor.execute(statement.as_string(None))
