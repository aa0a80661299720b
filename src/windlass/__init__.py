"""Windlass moves databases: it plans a move, makes it, proves it, and can undo it."""

__version__ = "0.1.0"
