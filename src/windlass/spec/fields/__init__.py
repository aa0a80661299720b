"""Every option of every flow, defined once, as plain data."""
