"""A database's default collation: its locale, and the version of that."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import psycopg

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.queries import load
from windlass.engines.postgres.session import Connection


@dataclass(frozen=True, slots=True)
class Locale:
    """For people: ``en_US.UTF-8``, ``ICU de-DE``, ``C``."""

    collation: str = "C"
    classification: str = "C"  # which letters are upper case, and what is a letter
    rules: str = ""  # that ICU is given in addition
    version: str = ""  # of the library that sorts; "" where the server does not say

    def sorts_like(self, other: Locale) -> bool:
        mine, theirs = _plain(self.collation), _plain(other.collation)
        return (mine, self.rules) == (theirs, other.rules)

    def classifies_like(self, other: Locale) -> bool:
        return _plain(self.classification) == _plain(other.classification)


C = Locale()


def read_locale(connection: Connection, *, side: str) -> Locale:
    """Of the database that this session is in."""
    try:
        rows: list[Any] = connection.execute(load("locale")).fetchall()
    except psycopg.Error as error:
        raise explain(error, "reading the locale of the database", side=side) from error
    return Locale(*rows[0])


def _plain(name: str) -> str:
    """Normalises spellings that differ between systems: en_US.utf8 is en_US.UTF-8."""
    if name == "POSIX":
        return "C"
    return re.sub(r"\.utf-?8$", ".utf8", name, flags=re.IGNORECASE)
