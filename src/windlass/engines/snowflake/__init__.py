"""Snowflake, as a warehouse."""
