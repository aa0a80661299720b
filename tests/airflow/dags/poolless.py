from datetime import timedelta

from windlass.airflow import Tuning, migration_dag

TUNING = Tuning(pool="nowhere", pool_patience=timedelta(seconds=10), retries=1)
dag = migration_dag("poolless", validation_dag_id="validate", tuning=TUNING)
