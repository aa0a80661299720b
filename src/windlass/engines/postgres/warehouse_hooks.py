"""Runs a user's own statements in the transaction of a load, as psql would run them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from windlass.engines.loads import hook_doing, hook_ended_load, hook_text
from windlass.engines.postgres.arrow import explain_adbc
from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.session import Connection
from windlass.engines.postgres.syntax import SyntaxProblem, parse
from windlass.engines.postgres.users_sql import setting
from windlass.engines.postgres.warehouse_merging import Run
from windlass.errors import WindlassError

Explain = Callable[[BaseException, str], WindlassError]


@dataclass(frozen=True, slots=True)
class HookRunner:
    """Runs hooks in one session. `faults` are its driver's errors, which `explain` converts to
    ours."""

    run: Run
    execute: Callable[[str], None]
    settings: Mapping[str, str]  # of users' SQL
    faults: tuple[type[Exception], ...]
    explain: Explain

    def apply(self, when: str, of: str, texts: Sequence[str], table: str = "") -> None:
        """Run the user's statements.

        Raises:
            WindlassError: a statement failed, or has ended the transaction. Its name is in the
                message.
        """
        if not texts:
            return
        before, transaction = self._settings_now(), self._transaction()
        self.run(setting(self.settings))
        for number, text in enumerate(texts, start=1):
            doing, text = hook_doing(when, number, of), hook_text(text, table)
            _check(text, doing)
            try:
                self.execute(text)
            except self.faults as error:
                raise self.explain(error, doing) from None
            if self._transaction() != transaction:
                raise hook_ended_load(doing)
        self.run(setting(before))

    def _settings_now(self) -> dict[str, str]:
        return {
            name: str(self.run(sql.SQL("select current_setting({})").format(name))[0][0])
            for name in self.settings
        }

    def _transaction(self) -> str:
        return str(self.run(sql.SQL("select txid_current()::text"))[0][0])


def _check(text: str, doing: str) -> None:
    """Check that it is one statement and no COMMIT: the drivers would run any.

    Raises:
        WindlassError: it is not one statement, or controls the transaction.
    """
    try:
        found = parse(text)
    except SyntaxProblem as error:
        raise WindlassError(f"{doing}: {error}") from None
    if len(found) != 1:
        raise WindlassError(f"{doing}: these are {len(found)} statements: list them")
    if found[0].tree.tag == "TransactionStmt":
        raise hook_ended_load(doing)


def psycopg_hooks(run: Run, connection: Connection, settings: Mapping[str, str]) -> HookRunner:
    def execute(text: str) -> None:
        connection.execute(text.encode())

    def explained(error: BaseException, doing: str) -> WindlassError:
        return explain(error, doing, side="warehouse")

    return HookRunner(run, execute, settings, (psycopg.Error,), explained)


def adbc_hooks(run: Run, connection: Any, settings: Mapping[str, str]) -> HookRunner:
    from adbc_driver_manager import AdbcStatement, Error

    def execute(text: str) -> None:
        with AdbcStatement(connection.adbc_connection) as statement:
            statement.set_sql_query(text)
            statement.execute_update()

    def explained(error: BaseException, doing: str) -> WindlassError:
        return explain_adbc(error, doing, side="warehouse")

    return HookRunner(run, execute, settings, (Error, OSError), explained)
