"""What would the server say? Statements are tried in a transaction that is rolled back."""

from __future__ import annotations

from collections.abc import Iterable

import psycopg

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.session import Connection


def try_out(connection: Connection, scripts: Iterable[str]) -> dict[str, str]:
    """Why each of these scripts cannot be run; those that can are left out. Nothing stays of any.

    Each is tried by itself, so none may need another.

    Raises:
        WindlassError: the server hung up.
    """
    refused: dict[str, str] = {}
    for script in dict.fromkeys(scripts):
        try:
            with connection.transaction(force_rollback=True):
                connection.execute("set local lock_timeout = '5s'")
                connection.execute(script.encode())
        except psycopg.OperationalError as error:
            if connection.closed:
                raise explain(error, "trying statements", side="target") from error
            refused[script] = _reason(error)
        except psycopg.Error as error:
            refused[script] = _reason(error)
    return refused


def _reason(error: psycopg.Error) -> str:
    return (error.diag.message_primary or str(error)).replace("\n", " ")
