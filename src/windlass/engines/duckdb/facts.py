"""What DuckDB can do, as source and as warehouse."""

from __future__ import annotations

from windlass.engines.base import Facts

FACTS = Facts("duckdb", "DuckDB", shared_snapshot=True, decimal_nan=False)
