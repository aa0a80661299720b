"""What PostgreSQL can do, as source and as warehouse."""

from __future__ import annotations

from windlass.engines.base import Facts, Naming

FACTS = Facts("postgresql", "PostgreSQL", shared_snapshot=True, naming=Naming(most_bytes=63))
