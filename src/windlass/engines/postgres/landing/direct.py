"""Adds rows by one COPY into the table, if they are only added, unchanged: half the work of staging
them.

COPY would silently change some values (`windlass.engines.postgres.landing.staged_columns`). Texts
are checked for those while they are sent, in parallel with the server's work. If there may be one,
the COPY is rolled back, and the rows are staged, where each value is checked exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

from windlass.engines.landing import Input
from windlass.engines.postgres.landing.columns import Column
from windlass.engines.postgres.landing.staged_columns import certain_texts, kept_in
from windlass.engines.postgres.landing.staging import copy_statement, feed
from windlass.engines.postgres.landing.watching import Look, Suspicious, watched
from windlass.engines.postgres.session import Connection
from windlass.model.load import Load
from windlass.model.load_words import Missing
from windlass.model.relation import Name


def can_be_direct(load: Load, given: Sequence[Column]) -> bool:
    """Whether rows are only added, with nothing to look up, compute, check or set aside."""
    words = load.words
    adds_only = not words.key and words.missing is Missing.KEEP and not words.history
    is_alone = load.at_once and len(load.inputs) == 1
    has_more = load.expectations or load.watermark or load.bad.most or load.creates or load.adds
    if not (adds_only and is_alone and load.is_plain and not has_more):
        return False
    return len({one.field for one in load.assigned}) == len(load.assigned) and all(
        _look(one) is not None for one in given
    )


def _look(column: Column) -> Look | None:
    """How texts for the column are looked at, so that COPY changes none; without a pattern if it
    keeps all that it accepts, None if a text does not show that."""
    if certain := certain_texts(column):
        return Look(certain, certain=True)
    if column.plain == "jsonb" and not column.is_domain:
        return Look(is_document=True)
    _, cast, checks = kept_in(column, is_text=True)
    if not checks and not cast:
        return Look()
    if column.is_domain or cast:
        return None
    if column.longest:
        return Look(f"(?s)^.{{{column.longest + 1}}}") if column.longest < 1000 else None
    if column.digits:
        scale = column.digits[1]
        return Look(rf"\.\d{{{scale}}}\d*[1-9]|[eE]") if 0 <= scale < 1000 else None
    return None


@dataclass(frozen=True, slots=True)
class Direct:
    """One input into one table."""

    connection: Connection
    table: Name
    given: Sequence[Column]  # in the order of the fields
    source: Input

    def copy(self) -> int:
        """How many rows arrived.

        Raises:
            Suspicious: some value may be kept as another one, or is not of its column's type.
            psycopg.IntegrityError: the table has a row of its key, or no row that one refers to.
        """
        raw = self.source.raw()
        looks = {at: look for at, one in enumerate(self.given) if (look := _look(one))}
        blocks = watched(self.source, raw, looks)
        statement = copy_statement(self.table, [one.identifier for one in self.given], raw)
        try:
            return feed(self.connection, statement, blocks)
        except psycopg.DataError as error:
            raise Suspicious from error
        except psycopg.IntegrityError as error:
            # an error about a value: NULL, or the CHECK of a domain
            if error.sqlstate != "23502" and error.diag.table_name:
                raise
            raise Suspicious from error
