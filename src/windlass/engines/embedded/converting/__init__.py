"""Migrations from PostgreSQL into files: what is the same for both engines."""
