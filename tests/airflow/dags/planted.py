from airflow.sdk import BaseOperator, Context

from quick import QUICK, TOLD
from windlass.airflow import flow_dag
from windlass.airflow.gates import ValidationTrigger
from windlass.airflow.params import connection_params, migration_params

WORDS = "windlass.airflow.params:migration_words"


class Plant(BaseOperator):
    """Somebody changes a row of the target between the copy and its verification, and deletes one,
    which the validation DAG finds too."""

    def execute(self, context: Context) -> None:
        import psycopg

        from windlass.airflow.connections import conninfo_of

        with psycopg.connect(conninfo_of(context["params"]["target_conn_id"])) as target:
            target.execute("update shop.item set note = 'planted' where id = 77")
            target.execute("delete from shop.sale where id = 9")


dag = flow_dag(
    "windlass.flows.migrate.outline:MIGRATE",
    "planted",
    words=WORDS,
    params={**connection_params("postgres_source", "postgres_target"), **migration_params()},
    tuning=QUICK,
    ending=TOLD,
    gates={
        "collect_all_results": lambda: Plant(task_id="plant"),
        "validate_schema": lambda: ValidationTrigger(
            task_id="trigger_validation_dag",
            flow="windlass.flows.migrate.outline:MIGRATE",
            step="validate_schema",
            words=WORDS,
            validation_dag_id="validate",
            retries=0,
        ),
    },
)
