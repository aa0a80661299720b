"""The columns of a query as the server describes them, and their types in an export.

Types come from the server (RowDescription) and are never guessed from values.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import psycopg
from psycopg import pq, sql

from windlass.engines.postgres.column_kinds import column_of
from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.inner_types import InnerTypes
from windlass.engines.postgres.session import Connection
from windlass.errors import WindlassError
from windlass.model.export import Column, Request


def describe(
    connection: Connection,
    query: sql.Composed,
    request: Request,
    scope: AbstractContextManager[object],
) -> list[Column]:
    """The columns that a query would give, without running it. `scope` is a savepoint, so that a
    refused query does not end the snapshot.

    Raises:
        WindlassError: the server does not accept it.
    """
    with scope:
        result = connection.pgconn.prepare(b"", query.as_bytes(connection))
        if result.status == pq.ExecStatus.COMMAND_OK:
            result = connection.pgconn.describe_prepared(b"")
        if result.status != pq.ExecStatus.COMMAND_OK:
            said = result.get_error_message(connection.info.encoding).splitlines()
            message = said[0].removeprefix("ERROR:").strip() if said else "cannot be read"
            raise WindlassError(message, hint=_asked(request))
    found = [_Described.of(result, at) for at in range(result.nfields)]
    try:
        return _columns(connection, found, request)
    except psycopg.Error as error:
        doing = f"reading the types of {request.name}"
        raise explain(error, doing, side="source") from error


def _asked(request: Request) -> str:
    """Where in the spec the SQL comes from."""
    given = {"query": request.query, "where": request.where, "cast": request.casts}
    keys = " and ".join(f"`{key}`" for key, words in given.items() if words)
    return f"see {keys} of {request.name}" if keys else ""


@dataclass(frozen=True, slots=True)
class _Described:
    """A column of a query, as the server describes it."""

    name: str
    oid: int  # its type; for a domain the base type
    modifier: int
    table: int  # the table that it comes from unchanged; 0 if there is none
    number: int  # its number there

    @classmethod
    def of(cls, result: pq.abc.PGresult, at: int) -> _Described:
        return cls(
            (result.fname(at) or b"").decode(),
            result.ftype(at),
            result.fmod(at),
            result.ftable(at),
            result.ftablecol(at),
        )


def _columns(connection: Connection, found: Sequence[_Described], request: Request) -> list[Column]:
    rows = connection.execute(
        "select format_type(o, m), coalesce((select attndims from pg_attribute"
        "   where attrelid = r and attnum = c), 0)"
        " from unnest(%s::oid[], %s::int[], %s::oid[], %s::int[])"
        " with ordinality as t(o, m, r, c, n) order by n",
        tuple(
            map(
                list,
                zip(
                    *((one.oid, one.modifier, one.table, one.number) for one in found), strict=True
                ),
            )
        )
        or ([], [], [], []),
    ).fetchall()
    columns = [
        column_of(one.name, str(type_), one.oid, one.modifier)
        for one, (type_, _) in zip(found, rows, strict=True)
    ]
    if not request.nested:
        return columns
    inner = InnerTypes(connection, {one.oid for one in found})
    return [
        inner.column(
            column, one.oid, one.modifier, request.dimensions.get(one.name) or int(str(dimensions))
        )
        for column, one, (_, dimensions) in zip(columns, found, rows, strict=True)
    ]
