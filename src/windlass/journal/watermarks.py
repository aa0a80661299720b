"""Watermarks: the progress of a run without an end, such as the last durable key or LSN.

A watermark is written by the same session and in the same transaction as the work up to it, through
whichever driver does the work: hence `watermark_statement` gives text.
"""

from __future__ import annotations

from typing import Any

from psycopg import Connection, sql

Session = Connection[Any]


def watermark_statement(run: str, name: str, value: str) -> str:
    """Sets a run's watermark to `value`; to be run in the transaction of the work up to there."""
    statement = sql.SQL(
        "insert into windlass.watermark (run, name, value) values ({}, {}, {})"
        " on conflict (run, name) do update set value = excluded.value, at = excluded.at"
    ).format(sql.Literal(run), sql.Literal(name), sql.Literal(value))
    return statement.as_string(None)


def read_watermarks(connection: Session, run: str) -> dict[str, str]:
    """A run's watermarks, by name; without those never written."""
    rows = connection.execute(
        "select name, value from windlass.watermark where run = %s", (run,)
    ).fetchall()
    return {str(name): str(value) for name, value in rows}
