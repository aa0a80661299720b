from quick import QUICK, TOLD
from windlass.airflow import migration_dag

dag = migration_dag("migrate", validation_dag_id="validate", tuning=QUICK, ending=TOLD)
