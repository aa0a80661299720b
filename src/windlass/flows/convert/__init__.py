"""The flow `convert`: migrates a PostgreSQL database into a database of another engine."""
