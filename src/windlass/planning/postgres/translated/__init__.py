"""A source of another engine, as PostgreSQL would have it."""
