"""Tries statements in a transaction that is rolled back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import psycopg
from psycopg import sql

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.session import Connection
from windlass.engines.statements import verbatim


@dataclass(frozen=True, slots=True)
class Refusal:
    """The server's error for a script."""

    state: str
    message: str

    @property
    def is_taken(self) -> bool:
        """Whether the only problem is that the name is in use."""
        return self.state in ("42710", "42723", "42P06", "42P07")

    def __str__(self) -> str:
        return self.message


TryOut = Callable[[Iterable[str]], Mapping[str, Refusal]]
Count = Callable[[str, str, bytes, str], "int | Refusal"]
"""`count_true` on some connection."""


def try_out(connection: Connection, scripts: Iterable[str]) -> dict[str, Refusal]:
    """Why each of these scripts cannot be run; valid ones are left out. All are rolled back.

    Each is tried by itself, so none may need another.

    Raises:
        WindlassError: the server hung up.
    """
    refused: dict[str, Refusal] = {}
    for script in dict.fromkeys(scripts):
        try:
            with connection.transaction(force_rollback=True):
                connection.execute("set local lock_timeout = '5s'")
                connection.execute(script.encode())
        except psycopg.OperationalError as error:
            if connection.closed:
                raise explain(error, "trying statements", side="target") from error
            refused[script] = _refusal(error)
        except psycopg.Error as error:
            refused[script] = _refusal(error)
    return refused


def count_true(
    connection: Connection, making: str, table: str, lines: bytes, condition: str
) -> int | Refusal:
    """For how many rows a condition is true, in a temporary table that `making` creates and COPY
    fills with `lines`; the table is dropped afterwards. Or why the server refuses one of these.

    Raises:
        WindlassError: the server hung up.
    """
    query = sql.SQL("select count(*) from {} where {}").format(
        sql.Identifier(table), verbatim(condition)
    )
    try:
        with connection.transaction(force_rollback=True), connection.cursor() as cursor:
            cursor.execute("set local lock_timeout = '5s'")
            cursor.execute(making.encode())
            with cursor.copy(sql.SQL("copy {} from stdin").format(sql.Identifier(table))) as copy:
                copy.write(lines)
            (found,) = cursor.execute(query).fetchone() or (0,)
            return int(str(found))
    except psycopg.OperationalError as error:
        if connection.closed:
            raise explain(error, "trying an expression", side="target") from error
        return _refusal(error)
    except psycopg.Error as error:
        return _refusal(error)


def printed_types(connection: Connection, types: Iterable[str]) -> dict[str, str]:
    """The types as ``format_type`` writes them: ``varchar(50)`` is ``character varying(50)``. A
    type that the server does not know stays as it is. Everything is rolled back."""
    found: dict[str, str] = {}
    for type_ in dict.fromkeys(types):
        try:
            with connection.transaction(force_rollback=True):
                connection.execute(f"create temp table windlass_trial (tried {type_})".encode())
                row = connection.execute(
                    "select format_type(atttypid, atttypmod) from pg_attribute"
                    " where attrelid = 'pg_temp.windlass_trial'::regclass and attnum = 1"
                ).fetchone()
        except psycopg.OperationalError as error:
            raise explain(error, "trying types", side="target") from error
        except psycopg.Error:
            row = None
        found[type_] = str(row[0]) if row else type_
    return found


def _refusal(error: psycopg.Error) -> Refusal:
    message = (error.diag.message_primary or str(error)).replace("\n", " ")
    return Refusal(error.sqlstate or "", message)
