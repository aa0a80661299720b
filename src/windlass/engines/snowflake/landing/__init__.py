"""Snowflake as a target of loads: its tables are in use."""
