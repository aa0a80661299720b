"""What Iceberg can do, as a warehouse that pyiceberg writes."""

from __future__ import annotations

from windlass.engines.base import Facts, Naming

FACTS = Facts(
    "iceberg",
    "Iceberg",
    json=False,
    infinity=False,
    years=(1, 9999),  # pyiceberg keeps the first and last of each file, as Python's dates
    midnight_ends=False,
    decimal_nan=False,
    naming=Naming(columns_by_case=False),  # most engines that read it ignore case
)
