"""Windlass on Apache Airflow: flows as DAGs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from windlass.airflow.commands import (
        ExportOperator,
        MigrateOperator,
        PlanOperator,
        RewriteOperator,
        RollbackOperator,
        VerifyOperator,
    )
    from windlass.airflow.comparing import ShareTablesOperator, VerifyFollowingOperator
    from windlass.airflow.factory import (
        export_dag,
        flow_dag,
        load_dag,
        migration_dag,
        rewrite_dag,
        validation_dag,
    )
    from windlass.airflow.following import (
        AbandonOperator,
        AwaitFollowingOperator,
        CutoverOperator,
        FinishOperator,
        ReopenOperator,
        WatchLagOperator,
    )
    from windlass.airflow.following_dag import follow_dag
    from windlass.airflow.groups import (
        ExportTaskGroup,
        FlowTaskGroup,
        LoadTaskGroup,
        MigrateTaskGroup,
        RewriteTaskGroup,
        VerifyTaskGroup,
    )
    from windlass.airflow.load_operator import LoadOperator
    from windlass.airflow.maintenance import clean_dag, repair_dag, rollback_dag, status_dag
    from windlass.airflow.notices import Notices
    from windlass.airflow.one_task import translation_dag
    from windlass.airflow.specs import load_specs
    from windlass.airflow.tuning import Ending, Tuning

__all__ = [
    "AbandonOperator",
    "AwaitFollowingOperator",
    "CutoverOperator",
    "Ending",
    "ExportOperator",
    "ExportTaskGroup",
    "FinishOperator",
    "FlowTaskGroup",
    "LoadOperator",
    "LoadTaskGroup",
    "MigrateOperator",
    "MigrateTaskGroup",
    "Notices",
    "PlanOperator",
    "ReopenOperator",
    "RewriteOperator",
    "RewriteTaskGroup",
    "RollbackOperator",
    "ShareTablesOperator",
    "Tuning",
    "VerifyFollowingOperator",
    "VerifyOperator",
    "VerifyTaskGroup",
    "WatchLagOperator",
    "clean_dag",
    "export_dag",
    "flow_dag",
    "follow_dag",
    "load_dag",
    "load_specs",
    "migration_dag",
    "repair_dag",
    "rewrite_dag",
    "rollback_dag",
    "status_dag",
    "translation_dag",
    "validation_dag",
]
_MODULES = {
    "AbandonOperator": "following",
    "AwaitFollowingOperator": "following",
    "CutoverOperator": "following",
    "Ending": "tuning",
    "FinishOperator": "following",
    "LoadOperator": "load_operator",
    "Notices": "notices",
    "ReopenOperator": "following",
    "ShareTablesOperator": "comparing",
    "Tuning": "tuning",
    "VerifyFollowingOperator": "comparing",
    "WatchLagOperator": "following",
    "clean_dag": "maintenance",
    "follow_dag": "following_dag",
    "load_specs": "specs",
    "repair_dag": "maintenance",
    "rollback_dag": "maintenance",
    "status_dag": "maintenance",
    "translation_dag": "one_task",
}


def __getattr__(name: str) -> Any:
    """On first use: while Airflow is being imported, it already imports our `provider`."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_module_of(name)}"), name)


def _module_of(name: str) -> str:
    if name in _MODULES:
        return _MODULES[name]
    if name.endswith("Operator"):
        return "commands"
    return "groups" if name.endswith("TaskGroup") else "factory"
