"""How a step's name reads. Logs and the journal keep it as it is."""

from __future__ import annotations


def step_text(name: str) -> str:
    """``create indexes`` for ``create_indexes``."""
    return name.replace("_", " ")
