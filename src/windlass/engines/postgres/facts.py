"""What PostgreSQL can do, as source and as warehouse."""

from __future__ import annotations

from windlass.engines.base import Facts, Naming, Nesting

FACTS = Facts(
    "postgresql",
    "PostgreSQL",
    shared_snapshot=True,
    nesting=Nesting.OWN,
    naming=Naming(most_bytes=63),
)
