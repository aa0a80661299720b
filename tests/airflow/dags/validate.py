from quick import QUICK
from windlass.airflow import validation_dag

dag = validation_dag("validate", tuning=QUICK)
