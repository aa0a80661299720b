"""The flow `rewrite`: rows of a table are changed in place."""
