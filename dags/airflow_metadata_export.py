"""An Airflow DAG for each table of Airflow's own database, into BigQuery.

`refresh_source_tables` reads the list of tables; until it has run, there are no other DAGs. It
needs the connection `airflow_db`; the others need the Variables that docs/export.md names.
"""

from windlass.airflow.presets.metadata_export import airflow_metadata_export

globals().update(airflow_metadata_export(before_refresh=[]))
