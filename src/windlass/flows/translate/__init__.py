"""The flow `translate`: a database of another engine into PostgreSQL."""
