"""Digests that are kept: the same in every process and version."""

from __future__ import annotations

import hashlib
import json


def digest(*words: object) -> str:
    """Of what JSON can hold."""
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()
