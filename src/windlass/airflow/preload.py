"""Loads what tasks import once, in the process that forks them: imports are most of a short task.

For Airflow's ``airflow_local_settings.py``, which every component imports when it starts::

    from windlass.airflow.preload import install

    install()

It imports nothing itself, as Airflow is not fully imported at that time.
"""

from __future__ import annotations

import importlib
import os
import sys

_MODULES = (
    "windlass.airflow.factory",
    "windlass.airflow.gates",
    "windlass.airflow.work",
    "windlass.planning.document.as_json",
    "windlass.planning.document.markdown",
    "windlass.planning.document.text",
    "airflow.providers.standard.operators.empty",
    "airflow.providers.slack.notifications.slack_webhook",
    "airflow.providers.smtp.notifications.smtp",
)
_FORKING = {"scheduler", "worker"}  # commands whose forks, or the forks of these, are tasks
_loaded: list[str] = []


def install() -> None:
    """Load everything right before the first fork. Does nothing in components that fork no
    tasks."""
    if _FORKING & set(sys.argv):
        os.register_at_fork(before=_load)


def _load() -> None:
    if _loaded:
        return
    from windlass.flows.registry import modules_of_steps

    _loaded.extend([*_MODULES, *modules_of_steps()])
    for name in _loaded:
        importlib.import_module(name)
