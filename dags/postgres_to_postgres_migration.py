"""Migrates a Postgres database: one snapshot, chunks that survive any crash, verified."""

from datetime import timedelta

from windlass.airflow import Ending, Tuning
from windlass.airflow.presets.earlier import postgres_to_postgres_migration

dag = postgres_to_postgres_migration(
    doc_md=__doc__,
    tuning=Tuning.configured(retry_delay=timedelta(seconds=10)),
    ending=Ending.configured(),
)
