"""Whether what a session is about to use could make it run another role's code."""
