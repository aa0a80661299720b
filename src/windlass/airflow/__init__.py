"""Windlass on Apache Airflow: flows as DAGs."""

from windlass.airflow.factory import Ending, Tuning, flow_dag, migration_dag, validation_dag
from windlass.airflow.notices import Notices
from windlass.airflow.specs import load_specs

__all__ = [
    "Ending",
    "Notices",
    "Tuning",
    "flow_dag",
    "load_specs",
    "migration_dag",
    "validation_dag",
]
