"""Rows and types that come from another engine."""
