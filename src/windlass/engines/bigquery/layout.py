"""How a table of BigQuery is stored: its partitions, its clusters, its labels and its key. Pure.

A table gets the layout that its relation asks for when it is created, and keeps it. A load that
replaces a table's rows has to name partitions and clusters. Otherwise BigQuery refuses it
("Incompatible table partitioning specification"), or the table gets another layout.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta

from google.cloud import bigquery

from windlass.engines.bigquery.fields import field_of
from windlass.model.export import Export
from windlass.model.layout import TableLayout
from windlass.model.report import Problem

LOADED_AT = "_PARTITIONTIME"  # in place of a column: the time of the load
# https://cloud.google.com/bigquery/docs/partitioned-tables, /clustered-tables, /labels-intro
MOST_PARTITIONS, MOST_CLUSTERS, MOST_LABELS = 10_000, 4, 64
_UNITS = {
    "DATE": ("day", "month", "year"),
    "DATETIME": ("hour", "day", "month", "year"),
    "TIMESTAMP": ("hour", "day", "month", "year"),
}
_CLUSTERED = (
    "BIGNUMERIC", "BOOLEAN", "DATE", "DATETIME", "INTEGER", "NUMERIC", "STRING", "TIMESTAMP",
)  # fmt: skip
_LABEL = re.compile(r"[\w-]{0,63}")
_DAY_MS = 86_400_000


def layout_problems(export: Export) -> list[Problem]:
    """What BigQuery would not do."""
    if (layout := export.rules.layout) is None:
        return []
    fields = [field_of(one) for one in export.columns]
    types = {one.name: "REPEATED" if one.mode == "REPEATED" else one.field_type for one in fields}
    faults = [
        *_partition_faults(layout, types),
        *_cluster_faults(layout, types),
        *_label_faults(layout),
    ]
    return [Problem(export.name, f"bigquery: {one}", hint) for one, hint in faults]


Fault = tuple[str, str]  # what is wrong, and what to do


def _partition_faults(layout: TableLayout, types: dict[str, str]) -> Iterator[Fault]:
    name, within = layout.partition_by, layout.partition_range
    if not name or (name == LOADED_AT and within is None):
        return
    type_ = types.get(name, "")
    if not type_:
        yield f"partition-by: {name} is not exported", f"a column of the table, or {LOADED_AT}"
    elif within is not None and type_ != "INTEGER":
        yield f"partition-range: {name} is {type_}", "ranges are of INTEGER columns"
    elif within is None and type_ not in _UNITS:
        hint = "give a column of time or date, or of whole numbers with `partition-range`"
        yield f"partition-by: {name} is {type_}", hint
    elif within is None and layout.partition_unit not in _UNITS[type_]:
        known = ", ".join(_UNITS[type_])
        yield f"partition-unit: {name} is {type_}, without {layout.partition_unit}s", f"use {known}"
    if within is not None:
        start, end, step = within
        if end <= start:
            yield f"partition-range: it ends at {end}, before it starts", "raise `end`"
        elif -((start - end) // step) > MOST_PARTITIONS:
            count = -((start - end) // step)
            yield (
                f"partition-range: {count:,} partitions are more than {MOST_PARTITIONS:,}",
                "raise `step`",
            )


def _cluster_faults(layout: TableLayout, types: dict[str, str]) -> Iterator[Fault]:
    names = layout.cluster_by
    if len(names) > MOST_CLUSTERS:
        yield f"cluster-by: {len(names)} columns", f"{MOST_CLUSTERS} is the most"
    if len(set(names)) < len(names):
        yield "cluster-by: a column is named twice", "name each once"
    for name in names:
        if name not in types:
            yield f"cluster-by: {name} is not exported", "name columns of the table"
        elif types[name] not in _CLUSTERED:
            yield f"cluster-by: {name} is {types[name]}", f"clusters are of {', '.join(_CLUSTERED)}"


def _label_faults(layout: TableLayout) -> Iterator[Fault]:
    hint = "up to 63 lower-case letters, digits, `_` and `-`; keys begin with a letter"
    for key, value in layout.labels.items():
        if not (key and key[0].isalpha() and _is_label(key)):
            yield f"labels: {key!r} is no key of a label", hint
        if not _is_label(value):
            yield f"labels: {value!r} of {key} is no value of a label", hint
    if len(layout.labels) > MOST_LABELS:
        yield f"labels: {len(layout.labels)} labels", f"{MOST_LABELS} is the most"


def _is_label(text: str) -> bool:
    return bool(_LABEL.fullmatch(text)) and text == text.lower()


def new_table(export: Export, name: str) -> bigquery.Table:
    """The table to be created."""
    table = bigquery.Table(name, schema=[field_of(one) for one in export.columns])
    if (layout := export.rules.layout) is None:
        return table
    table.time_partitioning, table.range_partitioning = _times(layout), _ranges(layout)
    table.clustering_fields = list(layout.cluster_by) or None
    table.labels = dict(layout.labels)
    if layout.expiration_days:
        table.expires = datetime.now(UTC) + timedelta(days=layout.expiration_days)
    return table


def _times(layout: TableLayout) -> bigquery.TimePartitioning | None:
    if not layout.partition_by or layout.partition_range:
        return None
    field = None if layout.partition_by == LOADED_AT else layout.partition_by
    expiration = layout.partition_days * _DAY_MS or None
    type_ = layout.partition_unit.upper()
    return bigquery.TimePartitioning(type_=type_, field=field, expiration_ms=expiration)


def _ranges(layout: TableLayout) -> bigquery.RangePartitioning | None:
    if layout.partition_range is None:
        return None
    start, end, step = layout.partition_range
    within = bigquery.PartitionRange(start=start, end=end, interval=step)
    return bigquery.RangePartitioning(field=layout.partition_by, range_=within)


def misfits(export: Export, there: bigquery.Table) -> list[Problem]:
    """Where the layout of an existing table differs from what the relation asks for. A load could
    only change that by creating the table again."""
    if (layout := export.rules.layout) is None:
        return []
    found = []
    asked = _partitions(_times(layout), _ranges(layout))
    has = _partitions(there.time_partitioning, there.range_partitioning)
    if layout.partition_by and asked.lower() != has.lower():
        found.append(f"the table is {has}, not {asked}")
    clusters = list(there.clustering_fields or ())
    if layout.cluster_by and _lower(layout.cluster_by) != _lower(clusters):
        has = f"by {', '.join(clusters)}" if clusters else "not at all"
        found.append(f"the table is clustered {has}, not by {', '.join(layout.cluster_by)}")
    hint = (
        "say under `bigquery` what the table has, load into another: `table` of the relation, or"
        " make the table again"
    )
    return [Problem(export.table, one, hint) for one in found]


def remarks(export: Export, there: bigquery.Table) -> Iterator[str]:
    """What an existing table keeps, although the relation asks for something else."""
    if (layout := export.rules.layout) is None:
        return
    missing = sorted(set(layout.labels.items()) - set(dict(there.labels or {}).items()))
    if missing:
        words = ", ".join(f"{key}: {value}" for key, value in missing)
        yield f"{there.table_id} exists, and keeps its labels, without {words}"
    if layout.expiration_days and there.expires is None:
        yield f"{there.table_id} exists, and never expires"
    times, asked = there.time_partitioning, layout.partition_days * _DAY_MS
    if asked and times is not None and times.expiration_ms != asked:
        days = f"after {times.expiration_ms / _DAY_MS:g} days" if times.expiration_ms else "never"
        yield f"{there.table_id} exists, and its partitions expire {days}"


def _partitions(
    times: bigquery.TimePartitioning | None, ranges: bigquery.RangePartitioning | None
) -> str:
    """For people."""
    if ranges is not None:
        one = ranges.range_
        return (
            f"partitioned by {ranges.field}, from {one.start} to {one.end} in steps of"
            f" {one.interval}"
        )
    if times is not None:
        return f"partitioned by {times.field or LOADED_AT}, by the {str(times.type_).lower()}"
    return "not partitioned"


def _lower(names: Collection[str]) -> list[str]:
    return [one.lower() for one in names]


def keep_layout(
    config: bigquery.LoadJobConfig, there: bigquery.Table, columns: Collection[str]
) -> None:
    """Ask for the layout that the table has, as far as `columns` still has its columns."""
    by_time, by_range = there.time_partitioning, there.range_partitioning
    names = set(_lower(columns))
    if by_time is not None and (by_time.field is None or by_time.field.lower() in names):
        config.time_partitioning = by_time
    if by_range is not None and by_range.field.lower() in names:
        config.range_partitioning = by_range
    if there.clustering_fields and names.issuperset(_lower(there.clustering_fields)):
        config.clustering_fields = there.clustering_fields
    if there.encryption_configuration is not None:
        config.destination_encryption_configuration = there.encryption_configuration
