"""A step's name in readable form. Logs and the journal use the original."""

from __future__ import annotations


def step_text(name: str) -> str:
    """``create indexes`` for ``create_indexes``."""
    return name.replace("_", " ")
