"""Rows from one PostgreSQL server to another."""
