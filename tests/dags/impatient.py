from datetime import timedelta

from windlass.airflow import Tuning, migration_dag

TUNING = Tuning(retries=0, patience=timedelta(seconds=3))
dag = migration_dag("impatient", validation_dag_id="validate", tuning=TUNING)
