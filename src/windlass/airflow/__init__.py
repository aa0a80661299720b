"""Windlass on Apache Airflow: flows as DAGs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from windlass.airflow.factory import (
        export_dag,
        flow_dag,
        migration_dag,
        rewrite_dag,
        validation_dag,
    )
    from windlass.airflow.notices import Notices
    from windlass.airflow.specs import load_specs
    from windlass.airflow.tuning import Ending, Tuning

__all__ = [
    "Ending",
    "Notices",
    "Tuning",
    "export_dag",
    "flow_dag",
    "load_specs",
    "migration_dag",
    "rewrite_dag",
    "validation_dag",
]
_MODULES = {"Ending": "tuning", "Notices": "notices", "Tuning": "tuning", "load_specs": "specs"}


def __getattr__(name: str) -> Any:
    """On first use: while Airflow is being imported, it already imports our `provider`."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_MODULES.get(name, 'factory')}"), name)
