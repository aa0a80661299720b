"""SQLite as a target of migrations from PostgreSQL: a file with STRICT tables."""
