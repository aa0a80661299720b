"""Windlass migrates databases: it plans a migration, runs it, proves it, and can undo it."""

__version__ = "0.1.0"
