"""From another engine, in one task."""

from quick import QUICK
from windlass.airflow import translation_dag

dag = translation_dag("translated", spec={"jobs": 2}, tuning=QUICK)
