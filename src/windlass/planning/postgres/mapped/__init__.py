"""A source whose tables are mapped, as if it had them as they arrive."""
