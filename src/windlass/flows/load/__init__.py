"""The flow `load`."""
