"""The PostgreSQL wing of verification: definitions, rows, large objects, and their repair."""
