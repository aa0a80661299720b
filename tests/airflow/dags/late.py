from datetime import timedelta

from quick import QUICK, TOLD
from windlass.airflow import Ending, migration_dag

dag = migration_dag(
    "late", tuning=QUICK, ending=Ending(notices=TOLD.notices, deadline=timedelta(seconds=1))
)
