"""Airflow's own database into BigQuery: a DAG export_{table} for each table, secrets masked."""

from pathlib import Path

from windlass.airflow import airflow_metadata_export

# BQ_PROJECT, BQ_DATASET, GCS_BUCKET, GCS_OBJECT_PATH and WRITE_DISPOSITION are Airflow Variables
globals().update(
    airflow_metadata_export(SOURCE_TABLES=Path(__file__).parent / "source_tables.json")
)
