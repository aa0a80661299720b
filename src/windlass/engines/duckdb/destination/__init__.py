"""DuckDB as what a PostgreSQL database is migrated into: a file with tables, keys and views."""
