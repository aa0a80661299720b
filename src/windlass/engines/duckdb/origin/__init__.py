"""DuckDB as the source of a migration into another engine."""
