"""What DuckDB can do, as source and as warehouse."""

from __future__ import annotations

from windlass.engines.base import Facts, Naming

FACTS = Facts(
    "duckdb",
    "DuckDB",
    shared_snapshot=True,
    decimal_nan=False,
    csv_text_lists=False,
    naming=Naming(tables_by_case=False, columns_by_case=False),
)
