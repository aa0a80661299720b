"""What Airflow allows the person who makes a request."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.configuration import conf

USER = "windlass.user"  # in a request's scope: Airflow's user


def may_see(user: Any, dag_id: str = "") -> bool:
    """Whether they may see the runs of this DAG; without one, those of all DAGs."""
    return get_auth_manager().is_authorized_dag(
        method="GET", access_entity=DagAccessEntity.RUN, details=_details(dag_id), user=user
    )


def may_trigger(user: Any, dag_id: str) -> bool:
    """The right that Airflow's own form for triggering this DAG needs."""
    return get_auth_manager().is_authorized_dag(
        method="POST", access_entity=DagAccessEntity.RUN, details=_details(dag_id), user=user
    )


def may_answer(user: Any, dag_id: str) -> bool:
    """Whether they may answer what this DAG's runs ask. A question may name who may."""
    return get_auth_manager().is_authorized_dag(
        method="PUT",
        access_entity=DagAccessEntity.HITL_DETAIL,
        details=_details(dag_id),
        user=user,
    )


def may_clear(user: Any, dag_id: str) -> bool:
    """Whether they may clear this DAG's tasks."""
    return get_auth_manager().is_authorized_dag(
        method="PUT",
        access_entity=DagAccessEntity.TASK_INSTANCE,
        details=_details(dag_id),
        user=user,
    )


def _details(dag_id: str) -> DagDetails | None:
    if not dag_id:
        return None
    from airflow.models.dag import DagModel

    is_shared = conf.getboolean("core", "multi_team", fallback=False)
    return DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id) if is_shared else None)
