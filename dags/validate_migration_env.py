"""Compares two Postgres databases, and names what differs: definitions, sequences, every row."""

from windlass.airflow import Ending, Tuning
from windlass.airflow.presets.earlier import validate_migration_env

dag = validate_migration_env(doc_md=__doc__, tuning=Tuning.configured(), ending=Ending.configured())
