"""Rows that wait to be exported get their product, where they stand, every five minutes."""

from config import BACKUP_SCHEMA, DB_SCHEMA, DB_TABLE

from windlass.airflow import rewrite_dag

dag = rewrite_dag(
    doc_md=__doc__,
    spec={
        "schema": DB_SCHEMA,
        "table": DB_TABLE,
        "backup_schema": BACKUP_SCHEMA,
        "select": "exported_at = '9999-12-31'",
        "add": {"product_id": {"value": "ABCD"}},
        "key": "base",
        "id": "message_id",
        "stamp": "exported_at",
        "drop_duplicates": True,
    },
)
