"""The key that values are hashed with: where it is, and how long it has to be."""

from __future__ import annotations

HASH_KEY = "WINDLASS_HASH_KEY"  # of the environment
LEAST_KEY = 16  # its minimum length, in characters
NO_KEY = f"{HASH_KEY} is not set, or has less than {LEAST_KEY} characters"
