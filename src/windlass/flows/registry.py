"""Every flow by its name. An outline imports no driver, and is read when it is asked for."""

from __future__ import annotations

import pkgutil
from functools import cache
from typing import Any

from windlass.model.flow import Flow, Words

FLOWS = {
    "migrate": "windlass.flows.migrate.outline:MIGRATE",
    "validate": "windlass.flows.validate.outline:VALIDATE",
    "repair": "windlass.flows.repair.outline:REPAIR",
    "rewrite": "windlass.flows.rewrite.outline:REWRITE",
    "export": "windlass.flows.export.outline:EXPORT",
}

JOURNAL_PAST = "windlass.flows.past:JournalPast"
"""The runs in a target's journal, of whatever flow."""


@cache
def flow_named(name: str) -> Flow[Any]:
    """Raises:
    KeyError: there is no flow of this name.
    """
    found: Flow[Any] = pkgutil.resolve_name(FLOWS[name])
    return found


# what is done to a run of whatever flow
ROLLBACK = Words(
    "rollback", "Rolling back", "Rolled back", "rollback", "Putting back what was set aside"
)
