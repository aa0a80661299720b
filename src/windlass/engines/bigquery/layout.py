"""How a table of BigQuery is stored: its partitions, its clusters and its key.

A load that replaces a table's rows has to name them. Without, BigQuery refuses it ("Incompatible
table partitioning specification"), or the table has another layout afterwards.
"""

from __future__ import annotations

from collections.abc import Collection

from google.cloud import bigquery


def keep_layout(
    config: bigquery.LoadJobConfig, there: bigquery.Table, columns: Collection[str]
) -> None:
    """Ask for the layout that a table has, as far as it still has the `columns` for it."""
    by_time, by_range = there.time_partitioning, there.range_partitioning
    if by_time is not None and (by_time.field is None or by_time.field in columns):
        config.time_partitioning = by_time
    if by_range is not None and by_range.field in columns:
        config.range_partitioning = by_range
    if there.clustering_fields and set(there.clustering_fields) <= set(columns):
        config.clustering_fields = there.clustering_fields
    if there.encryption_configuration is not None:
        config.destination_encryption_configuration = there.encryption_configuration
