"""The flow `migrate`: one PostgreSQL database into another."""
