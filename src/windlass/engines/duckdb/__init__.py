"""DuckDB files, as a source and as a warehouse."""
