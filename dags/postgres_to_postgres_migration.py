"""One Postgres database into another: one snapshot, chunks that survive any crash, verified."""

from datetime import timedelta

from windlass.airflow import Ending, Tuning, migration_dag

dag = migration_dag(
    doc_md=__doc__,
    tuning=Tuning.configured(retry_delay=timedelta(seconds=10)),
    ending=Ending.configured(),
)
