"""Warehouses: where exported files are loaded."""
