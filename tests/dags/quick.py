"""The package's DAGs as tests want them: quick to retry, and with somebody who is told."""

from datetime import timedelta
from pathlib import Path

from airflow.sdk import BaseOperator, Context

from windlass.airflow import Ending, Notices, Tuning, flow_dag, migration_dag, validation_dag
from windlass.airflow.params import connection_params, migration_params

HERE = Path(__file__).parent
QUICK = Tuning(
    retries=2,
    retry_delay=timedelta(seconds=1),
    retry_exponential_backoff=False,
    patience=timedelta(seconds=60),
    pool="windlass",
)
IMPATIENT = Tuning(retries=0, patience=timedelta(seconds=3))
TOLD = Ending(
    notices=Notices(email=("dba@example.com",), smtp_conn_id="post", webhook_conn_id="chat"),
    report_folder=str(HERE / "reports"),
)

migrate = migration_dag("migrate", validation_dag_id="validate", tuning=QUICK, ending=TOLD)
late = migration_dag(
    "late", tuning=QUICK, ending=Ending(notices=TOLD.notices, deadline=timedelta(seconds=1))
)
validate = validation_dag("validate", tuning=QUICK)
impatient = migration_dag("impatient", validation_dag_id="validate", tuning=IMPATIENT)


class Plant(BaseOperator):
    """Somebody changes a row of the target between the copy and its verification."""

    def execute(self, context: Context) -> None:
        import psycopg

        from windlass.airflow.connections import conninfo_of

        with psycopg.connect(conninfo_of(context["params"]["target_conn_id"])) as target:
            target.execute("update shop.item set note = 'planted' where id = 77")


planted = flow_dag(
    "windlass.flows.outline:MIGRATE",
    "planted",
    words="windlass.airflow.params:migration_words",
    params={**connection_params("postgres_source", "postgres_target"), **migration_params()},
    tuning=QUICK,
    ending=TOLD,
    gates={"collect_all_results": lambda: Plant(task_id="plant")},
)
