from airflow.sdk import BaseOperator, Context

from quick import QUICK, TOLD
from windlass.airflow import flow_dag
from windlass.airflow.params import connection_params, migration_params


class Plant(BaseOperator):
    """Somebody changes a row of the target between the copy and its verification."""

    def execute(self, context: Context) -> None:
        import psycopg

        from windlass.airflow.connections import conninfo_of

        with psycopg.connect(conninfo_of(context["params"]["target_conn_id"])) as target:
            target.execute("update shop.item set note = 'planted' where id = 77")


dag = flow_dag(
    "windlass.flows.migrate.outline:MIGRATE",
    "planted",
    words="windlass.airflow.params:migration_words",
    params={**connection_params("postgres_source", "postgres_target"), **migration_params()},
    tuning=QUICK,
    ending=TOLD,
    gates={"collect_all_results": lambda: Plant(task_id="plant")},
)
