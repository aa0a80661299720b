"""What BigQuery can do, as a warehouse."""

from __future__ import annotations

from windlass.engines.base import Facts, Naming, Nesting

FACTS = Facts(
    "bigquery",
    "BigQuery",
    nesting=Nesting.REPEATED,  # such fields know neither NULL nor empty elements
    uuids=False,
    json=False,  # Parquet files cannot be loaded into columns of type JSON
    infinity=False,
    years=(1, 9999),
    midnight_ends=False,
    decimal_nan=False,
    # so that an empty text is not taken for it; nor a text that is r"\N", of which nobody says
    # whether it is NULL in quotes
    csv_null=r"\N:windlass",
    csv_base64=True,
    naming=Naming(columns_by_case=False),
)
