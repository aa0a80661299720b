"""Which types columns have in BigQuery, and which names it takes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from google.cloud import bigquery

from windlass.engines import fitting
from windlass.model.export import Column, Export, Kind, Nested
from windlass.model.fit import Fit
from windlass.model.report import Problem

# https://cloud.google.com/bigquery/docs/schemas#column_names
_RESERVED = (
    "_CHANGE_SEQUENCE_NUMBER", "_CHANGE_TYPE", "_COLIDENTIFIER", "_FILE_", "_PARTITION",
    "_ROW_TIMESTAMP", "_TABLE_", "__ROOT__",
)  # fmt: skip
_FIT = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,299}")
_TYPES = {
    Kind.BOOLEAN: "BOOLEAN",
    Kind.INT16: "INTEGER",
    Kind.INT32: "INTEGER",
    Kind.INT64: "INTEGER",
    Kind.FLOAT32: "FLOAT",
    Kind.FLOAT64: "FLOAT",
    Kind.TEXT: "STRING",
    Kind.JSON: "STRING",  # Parquet files cannot be loaded into columns of type JSON
    Kind.UUID: "STRING",
    Kind.BYTES: "BYTES",
    Kind.DATE: "DATE",
    Kind.TIME: "TIME",
    Kind.TIMESTAMP: "DATETIME",
    Kind.INSTANT: "TIMESTAMP",
}
_SAME = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN", "STRUCT": "RECORD"}
RECORDS_SCHEMA = [
    bigquery.SchemaField("run", "STRING"),
    bigquery.SchemaField("table_name", "STRING"),
    bigquery.SchemaField("source", "STRING"),
    bigquery.SchemaField("relation", "STRING"),
    bigquery.SchemaField("mark", "STRING"),
    bigquery.SchemaField("rows", "INTEGER"),
    bigquery.SchemaField("read_rows", "INTEGER"),
    bigquery.SchemaField("total", "INTEGER"),
    bigquery.SchemaField("watermark", "STRING"),
    bigquery.SchemaField("columns", "STRING"),
    bigquery.SchemaField("loaded_at", "TIMESTAMP"),
]


def field_of(column: Column) -> bigquery.SchemaField:
    if column.inside:
        return _nested_field(column.name, column.inside)
    if column.kind is not Kind.DECIMAL:
        return bigquery.SchemaField(column.name, _TYPES[column.kind])
    fits = column.scale <= 9 and column.precision - column.scale <= 29
    return bigquery.SchemaField(
        column.name,
        "NUMERIC" if fits else "BIGNUMERIC",
        precision=column.precision,
        scale=column.scale,
    )


def _nested_field(name: str, inside: Nested) -> bigquery.SchemaField:
    if not inside.of:
        return bigquery.SchemaField(name, "RECORD", fields=tuple(map(field_of, inside.fields)))
    of = field_of(inside.of).to_api_repr()
    return bigquery.SchemaField.from_api_repr({**of, "name": name, "mode": "REPEATED"})


def type_of(field: bigquery.SchemaField) -> str:
    """As people write it."""
    name = _SAME.get(field.field_type, field.field_type)
    if field.precision:
        name = f"{name}({field.precision},{field.scale or 0})"
    if field.fields:
        name = f"{name}({', '.join(f'{one.name} {type_of(one)}' for one in field.fields)})"
    return f"{name} (repeated)" if field.mode == "REPEATED" else str(name)


def fields_of(
    export: Export, there: Sequence[bigquery.SchemaField], fit: Fit
) -> list[bigquery.SchemaField]:
    """The schema of a load into a table with these fields. They stay as they are, with their
    descriptions, unless the load changes them. A load that replaces the rows also replaces the
    schema, so fields that are not exported are listed too, unless they are dropped."""
    known = {one.name: one for one in there if one.name not in fit.retyped}
    fields = [known.get(one.name) or field_of(one) for one in export.columns]
    if export.disposition == "append":
        return fields
    exported = {one.name for one in export.columns}
    return fields + [
        one for one in there if one.name not in exported and one.name not in fit.dropped
    ]


_CANONICAL = {"INTEGER": "bigint", "FLOAT": "double precision", "STRING": "text"}


def holds_all(old: str, new: str) -> bool:
    """Whether a column of type `new` holds every value of type `old` exactly, and can be made from
    it: a BIGNUMERIC cannot become a NUMERIC."""
    if old.startswith("BIGNUMERIC") and not new.startswith("BIGNUMERIC"):
        return False
    return fitting.holds_all(_canonical(old), _canonical(new))


def _canonical(type_: str) -> str:
    """PostgreSQL's name for a type."""
    return _CANONICAL.get(type_, type_.replace("BIGNUMERIC", "NUMERIC").lower())


def _names_in(inside: Nested) -> Iterator[str]:
    for one in inside.parts:
        if inside.fields:
            yield one.name
        if one.inside:
            yield from _names_in(one.inside)


def misnamed(export: Export) -> list[Problem]:
    """Names that BigQuery does not accept. It does not distinguish names of columns by case."""
    names = [one.name for one in export.columns]
    unusable = [f"column {name!r}" for name in names if not _FIT.fullmatch(name)]
    unusable += [f"column {name!r}" for name in names if name.upper().startswith(_RESERVED)]
    inner = [name for one in export.columns if one.inside for name in _names_in(one.inside)]
    unusable += [f"field {name!r}" for name in inner if not _FIT.fullmatch(name)]
    alike = Counter(name.lower() for name in names)
    twice = [name for name in names if alike[name.lower()] > 1]
    unusable += [f"two columns that differ by case only: {', '.join(twice)}"] if twice else []
    if not re.fullmatch(r"[\w-]{1,300}", export.table, re.ASCII):
        unusable.append(f"table {export.table!r}")
    hint = "give the relation a `table`, or a `query` that renames the columns"
    return [Problem(export.name, f"BigQuery has no {one}", hint) for one in unusable]
