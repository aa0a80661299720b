"""What PostgreSQL's jsonb would make of JSON columns: every value is read and parsed here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import sql

from windlass.engines.jsonb_text import NoJsonb, printed
from windlass.engines.mysql.quoting import Quoted, listed, part
from windlass.engines.mysql.session import Session

_SLICE_ROWS = 16


@dataclass(slots=True)
class Documents:
    """For a column, how many values are refused (with `why` and where the first one is), lose
    doubled keys, or are printed in another way."""

    refused: int = 0
    doubled: int = 0
    reprinted: int = 0
    why: str = ""
    place: int = 0  # counted from 1, in the order of the server

    def add(self, data: bytes, place: int) -> None:
        try:
            text = data.decode()
            found = printed(text)
        except (NoJsonb, UnicodeDecodeError) as error:
            self.refused += 1
            if self.refused == 1:
                self.place = place
                self.why = "it is no UTF-8" if isinstance(error, UnicodeError) else str(error)
            return
        self.doubled += found.doubled > 0
        self.reprinted += found.text != text


def read_documents(
    session: Session, held: sql.Composable, columns: Sequence[str]
) -> dict[str, Documents]:
    """The results by column, for the rows of a FROM item."""
    found = {one: Documents() for one in columns}
    if not columns:
        return found
    query = part("select {} from {}", listed(Quoted(one) for one in columns), held)
    place = 0
    for rows in session.stream(query, _SLICE_ROWS):
        for row in rows:
            place += 1
            for value, one in zip(row, found.values(), strict=True):
                if value is not None:
                    one.add(value, place)
    return found
