"""The catalog queries: `.sql` files beside this module, each runnable in psql as it stands.

A ``%`` or a brace in them means itself: the few parameters are the server's own, ``$1``. Every
output column is named after the field it fills.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from psycopg import sql

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


def folder() -> Traversable:
    """Where the `.sql` files are; a test prepares each on every supported server version."""
    return resources.files("windlass.engines.postgres") / "sql"


@cache
def load(name: str) -> sql.SQL:
    """The query in ``sql/<name>.sql``."""
    text = (folder() / f"{name}.sql").read_text(encoding="utf-8")
    return sql.SQL(text.strip().removesuffix(";"))
