"""Types of columns that a load creates: those of typed fields, or by a census of all values. Pure.

Nothing is guessed from a sample: the census reads every value, and a type is chosen only if it
holds each of them without a change.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from windlass.model.export import Column, Kind
from windlass.model.load import Field, Table
from windlass.model.report import Problem
from windlass.spec.load import OneLoad

if TYPE_CHECKING:
    import pyarrow as pa

TYPES: dict[str, dict[Kind, str]] = {
    "postgresql": {
        Kind.BOOLEAN: "boolean", Kind.INT16: "smallint", Kind.INT32: "integer",
        Kind.INT64: "bigint", Kind.FLOAT32: "real", Kind.FLOAT64: "double precision",
        Kind.DECIMAL: "numeric", Kind.TEXT: "text", Kind.JSON: "jsonb", Kind.UUID: "uuid",
        Kind.BYTES: "bytea", Kind.DATE: "date", Kind.TIME: "time", Kind.TIMESTAMP: "timestamp",
        Kind.INSTANT: "timestamptz", Kind.NESTED: "jsonb",
    },
    "duckdb": {
        Kind.BOOLEAN: "BOOLEAN", Kind.INT16: "SMALLINT", Kind.INT32: "INTEGER",
        Kind.INT64: "BIGINT", Kind.FLOAT32: "FLOAT", Kind.FLOAT64: "DOUBLE",
        Kind.DECIMAL: "DECIMAL", Kind.TEXT: "VARCHAR", Kind.JSON: "JSON", Kind.UUID: "UUID",
        Kind.BYTES: "BLOB", Kind.DATE: "DATE", Kind.TIME: "TIME", Kind.TIMESTAMP: "TIMESTAMP",
        Kind.INSTANT: "TIMESTAMPTZ", Kind.NESTED: "JSON",
    },
    "sqlite": {
        Kind.BOOLEAN: "BOOLEAN", Kind.INT16: "INTEGER", Kind.INT32: "INTEGER",
        Kind.INT64: "INTEGER", Kind.FLOAT32: "REAL", Kind.FLOAT64: "REAL",
        Kind.DECIMAL: "TEXT", Kind.TEXT: "TEXT", Kind.JSON: "TEXT", Kind.UUID: "TEXT",
        Kind.BYTES: "BLOB", Kind.DATE: "DATE", Kind.TIME: "TEXT", Kind.TIMESTAMP: "TIMESTAMP",
        Kind.INSTANT: "TIMESTAMP", Kind.NESTED: "TEXT",
    },
}  # fmt: skip


class Batches(Protocol):
    """An input, as far as a census needs it."""

    def batches(self) -> Iterable[pa.RecordBatch]: ...


def types_for(
    spec: OneLoad,
    fields: Sequence[Field],
    inputs: Sequence[Batches],
    table: Table | None,
    engine: str,
) -> tuple[dict[str, str], tuple[Problem, ...]]:
    """By field, the target's type for those that the table has no column for. A field without a
    type of its own needs a census, or a type in the spec."""
    wanted = [one for one in fields if _is_new(one, spec, table)]
    found = {one.name: type_of(one.column, engine) for one in wanted if one.column}
    texts = [one.name for one in wanted if not one.column]
    if not (spec.census and texts):
        return found, ()
    kinds = census(texts, (batch for one in inputs for batch in one.batches()))
    for name, column in kinds.items():
        if column is not None:
            found[name] = type_of(column, engine)
    empty = tuple(
        Problem(spec.into, f"field {name} has no value at all, so that its type is not known",
                f"give it in types, as {name}=TYPE")
        for name, column in kinds.items() if column is None
    )  # fmt: skip
    return found, empty


def _is_new(one: Field, spec: OneLoad, table: Table | None) -> bool:
    rule = spec.columns.get(one.name)
    name = (rule.to if rule else "") or one.name
    known = table is not None and table.column(name) is not None
    return not known and name not in spec.types and not (rule and rule.drop)


def type_of(column: Column, engine: str) -> str:
    """The target's type for values of this kind."""
    name = TYPES[engine][column.kind]
    if column.is_list:
        return f"{name}[]" if engine != "sqlite" else "TEXT"
    if column.kind is Kind.DECIMAL and column.precision and engine != "sqlite":
        return f"{name}({column.precision},{column.scale})"
    return name


_INTEGER = re.compile(r"-?(0|[1-9]\d*)", re.ASCII)
_DECIMAL = re.compile(r"-?(0|[1-9]\d*)\.\d+", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_STAMP = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d{1,6})?)?", re.ASCII)
_ZONE = re.compile(r"(Z|[+-]\d\d(:?\d\d)?)\Z", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


class _Counted:
    """What all values of one field so far have in common."""

    def __init__(self) -> None:
        self.kinds: set[str] = set()
        self.whole, self.fraction, self.largest = 0, 0, 0

    def look(self, text: str) -> None:
        kind = self._kind(text)
        self.kinds.add(kind)
        if kind in ("integer", "decimal"):
            whole, _, fraction = text.lstrip("-").partition(".")
            self.whole, self.fraction = (
                max(self.whole, len(whole)),
                max(self.fraction, len(fraction)),
            )
            if kind == "integer" and len(whole) < 20:
                self.largest = max(self.largest, abs(int(text)))

    @staticmethod
    def _kind(text: str) -> str:
        for kind, pattern in _PATTERNS.items():
            if pattern(text):
                return kind
        return "text"

    @property
    def column(self) -> Column | None:
        """None: there was no value."""
        match sorted(self.kinds):
            case []:
                return None
            case ["integer"] if self.whole < 20 and self.largest < 1 << 63:
                return Column("", "", Kind.INT64)
            case ["decimal"] | ["integer"] | ["decimal", "integer"] if (
                self.whole + self.fraction <= 38
            ):
                return Column("", "", Kind.DECIMAL, precision=38, scale=self.fraction)
            case [kind] if kind in _KINDS:
                return Column("", "", _KINDS[kind])
        return Column("", "", Kind.TEXT)


_KINDS = {
    "boolean": Kind.BOOLEAN, "date": Kind.DATE, "stamp": Kind.TIMESTAMP, "instant": Kind.INSTANT,
    "uuid": Kind.UUID,
}  # fmt: skip


def _is_date(text: str) -> bool:
    from datetime import date

    if not _DATE.fullmatch(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _is_stamp(text: str) -> bool:
    from datetime import datetime

    if not _STAMP.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _is_instant(text: str) -> bool:
    zone = _ZONE.search(text)
    return zone is not None and len(text) > 11 and _is_stamp(text[: zone.start()])


_PATTERNS: dict[str, Callable[[str], Any]] = {
    "integer": _INTEGER.fullmatch,
    "decimal": _DECIMAL.fullmatch,
    "boolean": {"true", "false"}.__contains__,
    "date": _is_date,
    "stamp": _is_stamp,
    "instant": _is_instant,
    "uuid": _UUID.fullmatch,
}


def census(names: Sequence[str], batches: Iterable[pa.RecordBatch]) -> dict[str, Column | None]:
    """What kind the values of each text field are, by all of them; None if there is none."""
    counted = {name: _Counted() for name in names}
    for batch in batches:
        for name in names:
            for value in batch.column(batch.schema.get_field_index(name)).unique():
                if (text := value.as_py()) is not None:
                    counted[name].look(text)
    return {name: one.column for name, one in counted.items()}
