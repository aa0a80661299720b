from datetime import timedelta

from windlass.airflow import Tuning, migration_dag

# long enough for the snapshot holder to start on a busy machine
TUNING = Tuning(retries=0, patience=timedelta(seconds=12))
dag = migration_dag("impatient", validation_dag_id="validate", tuning=TUNING)
