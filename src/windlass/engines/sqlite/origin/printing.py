"""Texts of a row by SQLite's `printf`, in as few calls as its limit on arguments allows. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import sql

from windlass.engines.sqlite.origin.blocks import balanced

_ARGUMENTS = 100  # of a function; SQLite allows 127 as it is usually built


@dataclass(frozen=True, slots=True)
class Printed:
    """A part of a format, and the expressions that it takes. None may be NULL."""

    format: str
    given: tuple[sql.Composable, ...]


def printed(parts: Sequence[Printed], *, between: str = "", after: str = "") -> sql.Composable:
    """One text of all parts."""
    calls: list[sql.Composable] = []
    formats: list[str] = []
    given: list[sql.Composable] = []
    for at, part in enumerate(parts):
        formats.append((between if at else "") + part.format)
        given += part.given
        if len(given) >= _ARGUMENTS - 1:
            calls.append(_call("".join(formats), given))
            formats, given = [], []
    calls.append(_call("".join(formats) + after, given))
    return balanced(calls)


def _call(format_: str, given: Sequence[sql.Composable]) -> sql.Composable:
    return sql.SQL("printf({})").format(sql.SQL(", ").join([sql.Literal(format_), *given]))
