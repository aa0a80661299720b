"""Copies a database in use, follows it, and switches applications over when a person says so."""

from windlass.airflow import Ending, Tuning, follow_dag

dag = follow_dag(tuning=Tuning.configured(), ending=Ending.configured())
