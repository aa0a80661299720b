"""DuckDB as a target of migrations from PostgreSQL: a file with tables, keys and views."""
