"""How PostgreSQL writes an identifier: bare where that means the same, else in quotes."""

from __future__ import annotations

import re

from windlass.engines.postgres.syntax import is_keyword


def quote_identifier(name: str) -> str:
    """As the server and pg_dump write it: bare where that means the same."""
    if re.fullmatch("[a-z_][a-z0-9_]*", name) and not is_keyword(name):
        return name
    return '"' + name.replace('"', '""') + '"'
