"""The flow `validate`: are two databases equal, and if not, where."""
