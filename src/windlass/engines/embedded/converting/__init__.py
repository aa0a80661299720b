"""Files that a PostgreSQL database is migrated into: what is the same for both engines."""
