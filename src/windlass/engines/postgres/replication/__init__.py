"""Logical replication: the stream of committed changes, and what a server keeps for it."""
