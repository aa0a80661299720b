"""Names of runs."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime


def new_run_id() -> str:
    """An id that sorts by time, fits into a schema name, and is easy to say."""
    return f"{datetime.now(UTC):%Y%m%d_%H%M}_{secrets.token_hex(2)}"
