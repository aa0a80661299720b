"""One session of Snowflake: the only door for statements."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import snowflake.connector

from windlass.engines.snowflake.address import Address
from windlass.engines.snowflake.errors import explaining, is_missing

Fetched = list[tuple[Any, ...]]
Value = str | int | bool


class Session:
    """Leaves transactions to its callers: without `transaction`, each statement commits."""

    def __init__(self, address: Address) -> None:
        """Connect.

        Raises:
            WindlassError: it cannot connect.
        """
        self.place = address.place
        arguments = address.arguments()
        with explaining(self.place, "connecting"):
            self._connection = snowflake.connector.connect(**arguments)

    def run(self, text: str, values: Sequence[Value] = (), *, doing: str = "asking") -> Fetched:
        """The rows that a statement returns, or how many it has changed.

        Raises:
            WindlassError: it failed. The transaction is still open; roll it back.
        """
        with explaining(self.place, doing):
            return self._run(text, values)

    def run_if_there(self, text: str, *, doing: str) -> Fetched | None:
        """None if what it names does not exist, or the role may not see it."""
        with explaining(self.place, doing):
            try:
                return self._run(text, ())
            except snowflake.connector.errors.ProgrammingError as error:
                if is_missing(error):
                    return None
                raise

    def _run(self, text: str, values: Sequence[Value]) -> Fetched:
        with self._connection.cursor() as cursor:
            cursor.execute(text, tuple(values) or None)
            return [tuple(row) for row in cursor.fetchall()] if cursor.description else []

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All statements in it, or none. Statements that define anything would commit it:
        https://docs.snowflake.com/en/sql-reference/transactions"""
        self.run("begin transaction")  # BEGIN alone also opens a block of a script
        try:
            yield
        except BaseException:
            self.rollback()
            raise
        self.run("commit", doing="committing")

    def rollback(self) -> None:
        with suppress(Exception):  # a session that is lost has rolled back by itself
            self._run("rollback", ())

    def close(self) -> None:
        with suppress(Exception):
            self._connection.close()
