"""Are two Postgres databases equal, and if not, where: definitions, sequences, every row."""

from windlass.airflow import Ending, Tuning, validation_dag

dag = validation_dag(doc_md=__doc__, tuning=Tuning.configured(), ending=Ending.configured())
