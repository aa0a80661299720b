"""A PostgreSQL database as another engine would have it."""
