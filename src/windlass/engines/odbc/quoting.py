"""Names in the SQL of an ODBC database: always quoted, as its driver says."""

from __future__ import annotations

from typing import Any

from psycopg import sql

_CLOSING = {"[": "]"}


class Quoted(sql.Composable):
    """A name, in parts."""

    def __init__(self, mark: str, *names: str) -> None:
        super().__init__((mark, *names))
        self._mark, self._names = mark, names

    def as_bytes(self, context: Any = None) -> bytes:
        end = _CLOSING.get(self._mark, self._mark)
        quoted = [f"{self._mark}{one.replace(end, end * 2)}{end}" for one in self._names]
        return ".".join(quoted).encode()
