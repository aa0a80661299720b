"""What BigQuery refuses, whatever its tables hold: other dialects, other layouts of a table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import sqlglot
from sqlglot import ErrorLevel, ParseError, exp
from sqlglot.optimizer.scope import traverse_scope

if TYPE_CHECKING:
    from google.cloud import bigquery

Json = dict[str, Any]
STORED = (  # of a table, besides its fields
    "timePartitioning", "rangePartitioning", "clustering", "labels", "expirationTime",
)  # fmt: skip
_OF_TIME = {"DATE": ("DAY", "MONTH", "YEAR")}
_UNITS = ("HOUR", "DAY", "MONTH", "YEAR")
_SORTED = (
    "STRING", "INTEGER", "NUMERIC", "BIGNUMERIC", "DATE", "DATETIME", "TIMESTAMP", "BOOLEAN",
)  # fmt: skip


class Fault(Exception):
    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message


def check_dialect(query: str) -> None:
    """Refuse what is not BigQuery's SQL, or what it cannot run: a subquery that refers to the row
    of the outer query by anything but `=` cannot be de-correlated.

    Raises:
        Fault: as BigQuery's.
    """
    try:
        (parsed,) = sqlglot.parse(query, read="bigquery", error_level=ErrorLevel.RAISE)
    except ParseError as error:
        raise Fault(400, "invalidQuery", f"Syntax error: {error}") from None
    found = parsed.expression if isinstance(parsed, exp.Insert) else parsed
    for scope in traverse_scope(found) if isinstance(found, exp.Query) else ():
        for column in scope.external_columns:
            if column.table and not isinstance(column.parent, exp.EQ):
                message = (
                    "Correlated subqueries that reference other tables are not supported unless"
                    " they can be de-correlated, such as by transforming them into an efficient"
                    f" JOIN: {column.sql()}"
                )
                raise Fault(400, "invalidQuery", message)


def check_layout(there: Json, config: Json) -> None:
    for key in ("timePartitioning", "rangePartitioning", "clustering"):
        if there.get(key) != config.get(key):
            message = (
                f"Incompatible table partitioning specification. Expects {key}"
                f" {there.get(key)}, but input is {config.get(key)}"
            )
            raise Fault(400, "invalid", message)
    secret = config.get("destinationEncryptionConfiguration")
    if there.get("encryptionConfiguration") != secret:
        raise Fault(400, "invalid", "The table's encryption key would change")


def check_table(body: Json) -> None:
    """Refuse a table that BigQuery does not create.

    Raises:
        Fault: as BigQuery's.
    """
    from google.cloud import bigquery

    # as the client reads it: what it does not know is no part of BigQuery's interface
    sent = bigquery.Table.from_api_repr(body)
    types = {one.name: one.field_type for one in sent.schema}
    for message in (*_partition_faults(sent, types), *_other_faults(sent, types)):
        raise Fault(400, "invalid", message)


def _partition_faults(sent: bigquery.Table, types: Json) -> Iterator[str]:
    times, ranges = sent.time_partitioning, sent.range_partitioning
    if times is not None and ranges is not None:
        yield "Only one of timePartitioning and rangePartitioning should be specified"
    if times is not None and times.field is not None:
        type_ = types.get(times.field)
        if type_ not in ("DATE", "DATETIME", "TIMESTAMP"):
            yield f"The field specified for time partitioning can only be of time; found: {type_}"
        elif times.type_ not in _OF_TIME.get(type_, _UNITS):
            yield f"Partitioning type {times.type_} is not supported for {type_}"
    if ranges is not None:
        one = ranges.range_
        if types.get(ranges.field) != "INTEGER":
            yield f"The field specified for range partitioning must be INT64: {ranges.field}"
        if not 0 < (one.end - one.start) / one.interval <= 10_000:
            yield "The number of partitions must be between 1 and 10000"


def _other_faults(sent: bigquery.Table, types: Json) -> Iterator[str]:
    clusters = sent.clustering_fields or []
    if len(clusters) > 4:
        yield "Too many fields specified in clustering: the maximum is 4"
    for name in clusters:
        if types.get(name) not in _SORTED:
            yield f"The field specified for clustering cannot be {types.get(name)}: {name}"
    for key, value in sent.labels.items():
        if not re.fullmatch(r"[a-z][a-z0-9_-]{0,62}", key):
            yield f"Invalid label key: {key}"
        if not re.fullmatch(r"[a-z0-9_-]{0,63}", value):
            yield f"Invalid label value: {value}"
