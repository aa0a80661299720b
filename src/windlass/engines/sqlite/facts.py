"""What SQLite can do, as a source."""

from __future__ import annotations

from windlass.engines.base import Facts

FACTS = Facts("sqlite", "SQLite", typed=False)
