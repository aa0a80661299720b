"""The DAG `quarterly_data_update`: files and URLs into the tables of a Django project.

Decides its id, its tasks, its schedule and the names of its connection and Variable, which are
those of the DAG that it replaces. What tasks do is decided by `windlass.airflow.updating`.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import DAG, AssetAlias, task_group

from windlass.airflow.checking import check_ids
from windlass.airflow.factory import dag_options_of, new_dag
from windlass.airflow.project import Project
from windlass.airflow.tuning import Ending, Tuning
from windlass.airflow.updating import ItemOperator, ProjectOperator, SetUpOperator, UpdateOperator

DAG_ID, CONNECTION, UPDATES = "quarterly_data_update", "postgres_db", "DATA_UPDATE_URLS"
STEPS = ("setup_django_env", "apply_migrations", "download", "check_create", "update")
SCHEDULE = "0 0 1 1,4,7,10 *"  # midnight of January, April, July and October 1


def quarterly_data_update(
    project: Project,
    *,
    conn_id: str = CONNECTION,
    variable: str = UPDATES,
    files: str = "",
    dag_id: str = DAG_ID,
    tuning: Tuning | None = None,
    ending: Ending | None = None,
    **dag_options: Any,
) -> DAG:
    """Updates of a project's tables, one after the other, each in tasks `download_{table}`,
    `check_create_{table}` and `update_{table}`.

    `variable` is an Airflow Variable: a JSON list of updates as in the project's setting WINDLASS.
    `conn_id` is the connection of the database; empty: the one of the project's settings. `files`
    is a folder for downloads, which workers on several machines should share.

    Raises:
        BadSpec: an address is given in place of a connection.
        ValueError: a timeout is of no task.
    """
    check_ids({"conn_id": conn_id})
    tuning, ending = tuning or Tuning(), ending or Ending()
    if unknown := sorted(tuning.timeouts.keys() - set(STEPS)):
        raise ValueError(f"timeouts: there is no task {unknown[0]}; there are {', '.join(STEPS)}")
    given = {
        "description": "Files and URLs into the tables of a Django project.",
        "schedule": SCHEDULE,
        "start_date": datetime(2024, 1, 1, tzinfo=UTC),
        **dag_options,
    }
    words: dict[str, Any] = {"project": asdict(project), "conn_id": conn_id, "variable": variable}
    options = dag_options_of(dag_id, "setup_django_env", tuning, ending, {}, given)
    with new_dag(dag_id, options) as dag:
        _tasks(words, files, tuning, dag_id)
    return dag


def _tasks(words: dict[str, Any], files: str, tuning: Tuning, alias: str) -> None:
    timeouts = {step: {"execution_timeout": limit} for step, limit in tuning.timeouts.items()}

    def of(step: str, doc: str) -> dict[str, Any]:
        return {"task_id": step, "step": step, "doc_md": doc, **words, **timeouts.get(step, {})}

    set_up = SetUpOperator(**of("setup_django_env", _SET_UP))
    migrations = ProjectOperator(**of("apply_migrations", _MIGRATE))
    set_up >> migrations

    @task_group(group_id="updates", prefix_group_id=False)
    def updates(item: Any) -> None:
        mapped: dict[str, Any] = {
            "item": item,
            "files": files,
            "pool": tuning.pool,
            "map_index_template": ItemOperator.NAME,
        }
        most = tuning.max_parallel
        download = ItemOperator(
            **of("download", _DOWNLOAD), **mapped, max_active_tis_per_dagrun=most
        )
        check = ItemOperator(**of("check_create", _CHECK), **mapped, max_active_tis_per_dagrun=most)
        update = UpdateOperator(
            **of("update", _UPDATE),
            **mapped,
            max_active_tis_per_dagrun=1,  # a refresh is alone in its database
            outlets=[AssetAlias(name=alias)],
        )
        download >> check >> update

    migrations >> updates.expand(item=set_up.output)


_SET_UP = "Sets up the project, and checks all updates. Writes nothing."
_MIGRATE = "Applies the project's migrations, only where some are missing; never makes any."
_DOWNLOAD = "Fetches the files of an update: in pieces if the connection breaks, whole or not."
_CHECK = "Creates missing tables by the project's migrations."
_UPDATE = "Loads the rows in one transaction, which can be undone."
