"""Runs a user's own statements in the transaction of a load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import TokenType, tokenize
from sqlglot.errors import SqlglotError

from windlass.engines.loads import hook_doing, hook_ended_load, hook_text
from windlass.engines.snowflake.session import Session
from windlass.errors import WindlassError

# All others end the transaction, or can: even what only defines a table commits it.
_ALLOWED = ("insert", "update", "delete", "merge", "select", "with")
_CONTROL = ("begin", "start", "commit", "rollback", "end")


@dataclass(frozen=True, slots=True)
class HookRunner:
    """In one session, whose transaction is open."""

    session: Session

    def apply(self, when: str, of: str, texts: Sequence[str], table: str = "") -> None:
        """Raises:
        WindlassError: a statement failed, or would end the transaction; the message names it.
        """
        for number, text in enumerate(texts, start=1):
            doing = hook_doing(when, number, of)
            written = hook_text(text, table)
            _check(written, doing)
            self.session.run(written, doing=doing)


def _check(text: str, doing: str) -> None:
    try:
        tokens = tokenize(text, read="snowflake")
    except SqlglotError as error:
        raise WindlassError(f"{doing}: it cannot be read as SQL") from error
    ends = [at for at, one in enumerate(tokens) if one.token_type is TokenType.SEMICOLON]
    if any(at < len(tokens) - 1 for at in ends):
        raise WindlassError(f"{doing}: these are several statements: list them")
    word = tokens[0].text.lower() if tokens else ""
    if word in _CONTROL:
        raise hook_ended_load(doing)
    if word not in _ALLOWED:
        raise WindlassError(
            f"{doing}: {word.upper()} would end the transaction of the load in Snowflake",
            hint="a hook begins with INSERT, UPDATE, DELETE, MERGE, SELECT or WITH",
        )
