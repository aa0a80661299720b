"""Checks whether objects that a session is about to use could make it run another role's code."""
