"""A DAG that migrates a database of another engine: one task does the whole copy, because only its
process can read in the snapshot."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG

from windlass.airflow import params as forms
from windlass.airflow.checking import SpecLike
from windlass.airflow.commands import MigrateOperator, PlanOperator
from windlass.airflow.factory import dag_options_of, new_dag
from windlass.airflow.gates import PlanApproval
from windlass.airflow.tuning import Ending, Tuning

PLAN, MIGRATE = "plan_migration", "migrate_in_one_task"
_SOURCE, _TARGET = "{{ params.source_conn_id }}", "{{ params.target_conn_id }}"


def translation_dag(
    dag_id: str,
    *,
    spec: SpecLike | None = None,
    source_conn_id: str = "mysql_source",
    target_conn_id: str = "postgres_target",
    tuning: Tuning | None = None,
    ending: Ending | None = None,
    **dag_options: Any,
) -> DAG:
    """Migrates from SQLite, MySQL or MariaDB into PostgreSQL. Its form asks for the connections and
    the approval; `spec` is a mapping or a YAML file, without source and target.

    Raises:
        BadSpec: with every fault of the spec.
    """
    tuning, ending = tuning or Tuning(), ending or Ending()
    params = forms.connection_params(source_conn_id, target_conn_id)
    params |= forms.approval_param()
    params = forms.with_params(params, dag_options.pop("params", {}))
    about = {"description": "A database of another engine into PostgreSQL, verified."}
    options = dag_options_of(dag_id, MIGRATE, tuning, ending, params, {**about, **dag_options})
    with new_dag(dag_id, options) as dag:
        plan = PlanOperator(
            task_id=PLAN,
            spec=spec,
            doc_md="Scans every row of the source, makes the plan and finds every problem; writes"
            " nothing.",
            source_conn_id=_SOURCE,
            target_conn_id=_TARGET,
        )
        approve = PlanApproval(
            task_id="approve_migration",
            subject="Migrate {{ params.source_conn_id }} to {{ params.target_conn_id }}?",
            body="{{ ti.xcom_pull(task_ids='plan_migration', key='markdown') }}",
            fail_on_reject=True,
            plan_task=PLAN,
            doc_md="Shows the plan and waits for a person's answer, if the run asks for one.",
            retries=0,
        )
        migrate = MigrateOperator(
            task_id=MIGRATE,
            spec=spec,
            fingerprint="{{ ti.xcom_pull(task_ids='plan_migration')['fingerprint'] }}",
            report_folder=ending.report_folder,
            report_url=ending.report_url,
            doc_md="Copies, proves and finishes all of it, as no other process can read in the"
            " source's snapshot. Uses `jobs` threads. A retry resumes.",
            source_conn_id=_SOURCE,
            target_conn_id=_TARGET,
        )
        plan >> approve >> migrate
    return dag
