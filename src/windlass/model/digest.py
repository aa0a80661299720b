"""Digests that are stored: the same in every process and version."""

from __future__ import annotations

import hashlib
import json


def digest(*words: object) -> str:
    """The digest of a value that JSON can hold."""
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()
