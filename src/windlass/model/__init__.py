"""Nouns: frozen, JSON-able through pydantic, and free of any database or scheduler."""
