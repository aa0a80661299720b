"""Runs a user's own statements in the transaction of a load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
from psycopg import sql

from windlass.engines.duckdb.session import explaining
from windlass.engines.loads import hook_doing, hook_ended_load, hook_text
from windlass.engines.statements import listed, names, statement
from windlass.errors import WindlassError


@dataclass(frozen=True, slots=True)
class HookRunner:
    """Runs hooks in one session, whose transaction is open. Names are looked up first in
    `schema`."""

    connection: Any
    place: str
    schema: str

    def apply(self, when: str, of: str, texts: Sequence[str], table: str = "") -> None:
        """Raises:
        WindlassError: a statement failed, or would end the transaction; the message names it.
        """
        if not texts:
            return
        path = listed(map(names, dict.fromkeys((self.schema, "main"))), ",").as_string(None)
        self.connection.execute(statement("set search_path = {path}", path=sql.Literal(path)))
        for number, text in enumerate(texts, start=1):
            doing = hook_doing(when, number, of)
            with explaining(self.place, doing):
                found = self.connection.extract_statements(hook_text(text, table))
                if len(found) != 1:
                    raise WindlassError(f"{doing}: these are {len(found)} statements: list them")
                if found[0].type == duckdb.StatementType.TRANSACTION:
                    raise hook_ended_load(doing)
                self.connection.execute(found[0]).fetchall()
        self.connection.execute("reset search_path")
