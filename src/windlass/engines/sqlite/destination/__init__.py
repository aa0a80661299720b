"""SQLite as what a PostgreSQL database is migrated into: a file with STRICT tables."""
