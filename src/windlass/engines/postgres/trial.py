"""Tries statements in a transaction that is rolled back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import psycopg

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.session import Connection


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


def _refusal(error: psycopg.Error) -> Refusal:
    message = (error.diag.message_primary or str(error)).replace("\n", " ")
    return Refusal(error.sqlstate or "", message)
