"""The flow `migrate`: one Postgres database into another."""
