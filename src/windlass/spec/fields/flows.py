"""The entries of every flow that a spec can be for."""

from __future__ import annotations

from collections.abc import Mapping

from windlass.spec.fields.entry import Entries
from windlass.spec.fields.export import EXPORT
from windlass.spec.fields.migrate import MIGRATE
from windlass.spec.fields.rewrite import REWRITE

ENTRIES: Mapping[str, Entries] = {"migrate": MIGRATE, "rewrite": REWRITE, "export": EXPORT}
