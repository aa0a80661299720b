"""Sets the product of rows that wait to be exported, in place, every five minutes."""

from config import BACKUP_SCHEMA, DB_SCHEMA, DB_TABLE

from windlass.airflow.presets.earlier import migrate_to_db

dag = migrate_to_db(
    {
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
    doc_md=__doc__,
)
