"""Nouns: frozen, JSON-serialisable through pydantic, independent of any database or scheduler."""
