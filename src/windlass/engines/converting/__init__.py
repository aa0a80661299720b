"""What all engines share that a PostgreSQL database is migrated into: its SQL in another dialect,
and what the target lacks. Knows no engine."""
