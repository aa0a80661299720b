"""DuckDB files, as a target of loads."""
