"""What Snowflake can do, as a warehouse."""

from __future__ import annotations

from windlass.engines.base import Facts, Naming, Nesting

FACTS = Facts(
    "snowflake",
    "Snowflake",
    nesting=Nesting.REPEATED,  # so lists are exported as JSON, which a column can hold parsed
    uuids=False,
    json=False,  # as text, unless the table has a column for it
    infinity=False,
    years=(1, 9999),
    midnight_ends=False,
    decimal_nan=False,
    # most names are the same in both: see `windlass.engines.snowflake.names`
    naming=Naming(tables_by_case=False, columns_by_case=False, most_bytes=255),
)
