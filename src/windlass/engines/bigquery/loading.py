"""The configuration of a load job."""

from __future__ import annotations

from collections.abc import Sequence

from google.cloud import bigquery
from google.cloud.bigquery.format_options import ParquetOptions

from windlass.engines.bigquery.facts import FACTS
from windlass.engines.bigquery.jobs import labels
from windlass.errors import WindlassError
from windlass.model.export import Export, Manifest

MOST_FILES = 10_000  # of one load job: BigQuery's own limit


def load_config(
    export: Export, manifest: Manifest, disposition: str, schema: Sequence[bigquery.SchemaField]
) -> bigquery.LoadJobConfig:
    """The first fields of the schema are those of the files, in their order; others stay NULL.

    Raises:
        WindlassError: the files are too many for one job.
    """
    if len(manifest.files) > MOST_FILES:
        raise WindlassError(
            f"{export.name}: {len(manifest.files):,} files are too many for one load job",
            hint=f"raise file-size: {MOST_FILES:,} is the most",
        )
    is_csv = manifest.format == "csv"
    config = bigquery.LoadJobConfig(
        source_format="CSV" if is_csv else "PARQUET",
        write_disposition=f"WRITE_{disposition.upper()}",
        create_disposition="CREATE_IF_NEEDED",
        schema=schema,
        autodetect=False,
        labels=labels(manifest),
    )
    if any(column.inside for column in export.columns):
        # else a list is a record with a record in it
        config.parquet_options = ParquetOptions.from_api_repr({"enableListInference": True})
    if is_csv:
        config.skip_leading_rows = 1
        config.allow_quoted_newlines = True
        config.null_marker = FACTS.csv_null
        config.encoding = "UTF-8"
        config.allow_jagged_rows = len(schema) > len(export.columns)
    return config
