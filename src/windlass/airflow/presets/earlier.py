"""The DAGs `postgres_to_postgres_migration`, `validate_migration_env` and `migrate_to_db`.

Decides their ids, connections and schedules, which are those of the DAGs that they replace.
`windlass.airflow.factory` decides what they do; docs/airflow-earlier.md lists the differences.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG

from windlass.airflow.checking import SpecLike
from windlass.airflow.connections import VARIABLE
from windlass.airflow.factory import migration_dag, rewrite_dag, validation_dag
from windlass.airflow.tuning import SECTION

MIGRATION, VALIDATION, REWRITE = (
    "postgres_to_postgres_migration",
    "validate_migration_env",
    "migrate_to_db",
)


def postgres_to_postgres_migration(**options: Any) -> DAG:
    """A migration whose trigger form asks for everything; it triggers `validate_migration_env`.

    `options` are those of `migration_dag`. The section ``windlass`` of Airflow's settings may have
    another default for the field `partition_threshold`.

    Raises:
        BadSpec: the field does not take its new default.
    """
    params = {**_configured(), **options.pop("params", {})}
    given = {"validation_dag_id": VALIDATION, "params": params, **options}
    return migration_dag(MIGRATION, **given)


def _configured() -> dict[str, int]:
    from airflow.sdk.configuration import conf

    key = "partition_threshold"
    return {key: conf.getint(SECTION, key)} if conf.has_option(SECTION, key) else {}


def validate_migration_env(**options: Any) -> DAG:
    """A validation whose trigger form asks for everything.

    `options` are those of `validation_dag`.
    """
    return validation_dag(VALIDATION, **options)


def migrate_to_db(spec: SpecLike, **options: Any) -> DAG:
    """A rewrite of the database in the Variable DB_CONN_STRING, every five minutes.

    It is paused until somebody unpauses it. `options` are those of `rewrite_dag`.

    Raises:
        BadSpec: with every fault of the spec.
    """
    given = {
        "db_conn_id": f"{VARIABLE}DB_CONN_STRING",
        "schedule": "*/5 * * * *",
        "is_paused_upon_creation": True,
        **options,
    }
    return rewrite_dag(REWRITE, spec=spec, **given)
