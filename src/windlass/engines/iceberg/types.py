"""Which Iceberg types columns get, which existing types can hold them, and which names Iceberg
accepts. Pure."""

from __future__ import annotations

import re

import pyarrow as pa
from pyiceberg.schema import Schema
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IcebergType,
    IntegerType,
    ListType,
    LongType,
    NestedField,
    PrimitiveType,
    StringType,
    TimestampType,
    TimestamptzType,
    TimeType,
    UUIDType,
)

from windlass.engines.base import arrow_type
from windlass.model.export import Column, Export, Kind
from windlass.model.report import Problem

_TYPES: dict[Kind, PrimitiveType] = {
    Kind.BOOLEAN: BooleanType(),
    Kind.INT16: IntegerType(),
    Kind.INT32: IntegerType(),
    Kind.INT64: LongType(),
    Kind.FLOAT32: FloatType(),
    Kind.FLOAT64: DoubleType(),
    Kind.TEXT: StringType(),
    Kind.JSON: StringType(),
    Kind.UUID: UUIDType(),
    Kind.BYTES: BinaryType(),
    Kind.DATE: DateType(),
    Kind.TIME: TimeType(),
    Kind.TIMESTAMP: TimestampType(),
    Kind.INSTANT: TimestamptzType(),
}
_NAME = re.compile(r"[\w-]{1,255}")


def type_of(column: Column) -> IcebergType:
    if column.kind is Kind.DECIMAL:
        return DecimalType(column.precision, column.scale)
    if column.is_list:
        return ListType(element_id=0, element_type=_TYPES[column.kind], element_required=False)
    return _TYPES[column.kind]


def written(type_: IcebergType) -> str:
    """As people write it; the numbers that identify elements are no part of a type."""
    if isinstance(type_, ListType):
        return f"list<{written(type_.element_type)}>"
    return str(type_).replace(", ", ",")


def schema_of(export: Export) -> Schema:
    """Of a table that is created. The catalog gives the fields their numbers."""
    fields = []
    for number, column in enumerate(export.columns, 1):
        type_ = type_of(column)
        if isinstance(type_, ListType):
            element = len(export.columns) + number
            type_ = ListType(
                element_id=element, element_type=type_.element_type, element_required=False
            )
        fields.append(NestedField(number, column.name, type_, required=False))
    return Schema(*fields)


def holds_all(old: str, new: str) -> bool:
    """Whether Iceberg can make a column of type `old` one of type `new`:
    https://iceberg.apache.org/spec/#schema-evolution"""
    if (old, new) in (("int", "long"), ("float", "double")):
        return True
    before, after = (re.fullmatch(r"decimal\((\d+),(\d+)\)", one) for one in (old, new))
    if before is None or after is None:
        return False
    return before[2] == after[2] and int(before[1]) <= int(after[1])


def arrow_schema(export: Export) -> pa.Schema:
    """Of the batches that are written: Iceberg has no integers of 16 bits."""
    return pa.schema([pa.field(one.name, _arrow_type(one)) for one in export.columns])


def _arrow_type(column: Column) -> pa.DataType:
    found = arrow_type(column)
    if column.kind is not Kind.INT16:
        return found
    return pa.list_(pa.int32()) if column.is_list else pa.int32()


def misnamed(export: Export) -> list[Problem]:
    """Names that would be taken for parts of a path, or of a nested field."""
    found = []
    if not _NAME.fullmatch(export.table):
        found.append((f"table {export.table!r}", "give the relation a `table`"))
    dotted = [one.name for one in export.columns if "." in one.name or not one.name]
    found += [(f"column {name!r}", "rename it: `rename` of the relation") for name in dotted]
    return [Problem(export.name, f"Iceberg has no {what}", hint) for what, hint in found]
