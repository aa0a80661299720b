"""What tasks need, loaded once where their processes are forked from: it is most of a short task.

Imports nothing itself, as Airflow reads it while it is not yet whole.
"""

from __future__ import annotations

import importlib

_MODULES = (
    "windlass.airflow.factory",
    "windlass.airflow.gates",
    "windlass.airflow.work",
    "windlass.flows.definitions",
    "windlass.flows.migrate",
    "windlass.flows.rewrite",
    "windlass.flows.transfers",
    "windlass.flows.validate",
    "windlass.plan.document",
    "airflow.providers.slack.notifications.slack_webhook",
    "airflow.providers.smtp.notifications.smtp",
)
_loaded: list[str] = []


def preload() -> None:
    """The first call loads them all; the fork that it comes before has them."""
    if _loaded:
        return
    _loaded.extend(_MODULES)
    for name in _MODULES:
        importlib.import_module(name)
