"""The flow `convert`: a PostgreSQL database into a database of another engine."""
