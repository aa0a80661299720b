"""A user's Python function over the batches of an input: an input itself, of what it returns.

The function may return other rows than it was given; each of its results has the same columns.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from windlass.engines.aside import Aside, setting_aside
from windlass.engines.landing import Input, RawCsv
from windlass.errors import WindlassError
from windlass.model.export import Column, Kind
from windlass.model.functions import imported
from windlass.model.load import Field, Identity
from windlass.spec.choices import Frame

if TYPE_CHECKING:
    import pyarrow as pa


class Called:
    """An input whose batches are those of another input, changed by a function."""

    def __init__(self, source: Input, function: str, frame: Frame, most_bad: int = 0) -> None:
        """Calls the function with the first batch, to know its columns.

        Raises:
            WindlassError: it cannot be imported, fails, or returns something else than rows.
        """
        self._source, self._name, self._frame = source, function, frame
        self._function = imported(function)
        self._schema: pa.Schema | None = None
        self.place = source.place
        first = next(iter(setting_aside(source, Aside(most_bad)).batches()), None)
        if first is None:
            raise WindlassError(
                f"{self.place}: there are no records, so the columns that function {function}"
                " returns are unknown",
                hint="leave the input out",
            )
        self._schema = self._called(first, 1).schema
        self.fields: Sequence[Field] = tuple(map(self._field, self._schema))

    def setting_aside(self, aside: Aside) -> Called:
        """See `windlass.engines.aside`."""
        made = copy(self)
        made._source = setting_aside(self._source, aside)
        return made

    @property
    def identity(self) -> Identity:
        return self._source.identity

    def raw(self) -> RawCsv | None:
        return None

    def line_of(self, record: int) -> int:
        return 0  # where a row that the function made comes from is not known

    def batches(self) -> Iterator[pa.RecordBatch]:
        for number, batch in enumerate(self._source.batches(), 1):
            yield from self._called(batch, number).combine_chunks().to_batches()

    def _called(self, batch: pa.RecordBatch, number: int) -> pa.Table:
        import pyarrow as pa

        given = self._run(_frame_of(batch, self._frame), number)
        table = self._table(given, number)
        try:
            columns = [_canonical(column) for column in table.columns]
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            hint = "round them in the function: to microseconds, to 38 digits"
            raise self._fault(
                number, "gave values that are more precise than a database keeps", hint
            ) from None  # its text has the value
        table = pa.table(columns, names=table.column_names)
        if self._schema is None:
            return table
        wanted = self._schema.names
        if sorted(table.column_names) != sorted(wanted):
            raise self._fault(
                number, "gave other columns than for the first batch",
                "return the same columns for every batch",
            )  # fmt: skip
        try:
            return table.select(wanted).cast(self._schema)
        except pa.ArrowInvalid as error:
            raise self._fault(
                number, "gave values of another type than for the first batch",
                "convert them in the function",
            ) from error  # fmt: skip

    def _run(self, frame: Any, number: int) -> Any:
        """The function's result. An error's text may hold a row's values, so it is not shown."""
        try:
            return self._function(frame)
        except KeyboardInterrupt:
            raise
        except (Exception, SystemExit) as error:
            *_, last = traceback.extract_tb(error.__traceback__)
            place = f"{Path(last.filename).name}, line {last.lineno}"
            message = f"{type(error).__name__} in {place}"
            raise self._fault(number, message, "-v shows all") from error

    def _table(self, given: Any, number: int) -> pa.Table:
        import pyarrow as pa

        kind = type(given).__module__.split(".")[0], type(given).__name__
        try:
            if kind == ("pandas", "DataFrame"):
                return pa.Table.from_pandas(given, preserve_index=False)
            if kind == ("polars", "DataFrame"):
                return given.to_arrow()
            if isinstance(given, pa.RecordBatch):
                return pa.Table.from_batches([given])
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise self._fault(
                number, "gave a column with values of several types", "make each of one type"
            ) from error
        if isinstance(given, pa.Table):
            return given
        hint = "return a frame of pandas or polars, or an Arrow table"
        raise self._fault(number, f"gave a {type(given).__name__}", hint)

    def _field(self, one: pa.Field) -> Field:
        column = _column_of(one)
        if column is None:
            hint = "return numbers, text, bytes, booleans or times; nested values as JSON text"
            raise self._fault(1, f"gave column {one.name} of type {one.type}", hint)
        return Field(one.name, None if column.kind is Kind.TEXT else column)

    def _fault(self, number: int, message: str, hint: str) -> WindlassError:
        message = f"{self.place}: function {self._name}, batch {number}: {message}"
        return WindlassError(message, hint=hint)


def _frame_of(batch: pa.RecordBatch, frame: Frame) -> Any:
    import pyarrow as pa

    table = pa.Table.from_batches([batch])
    if frame is Frame.PANDAS:
        import pandas as pd

        # Arrow's own types: a NULL does not turn whole numbers into floats
        return table.to_pandas(types_mapper=pd.ArrowDtype)
    if frame is Frame.POLARS:
        import polars as pl

        return pl.from_arrow(table)
    return table


def _canonical(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column in one of the types of `windlass.engines.base.arrow_type`, if that changes no
    value."""
    import pyarrow as pa

    type_ = column.type
    if pa.types.is_null(type_) or pa.types.is_large_string(type_):
        return column.cast(pa.string())
    if pa.types.is_string_view(type_) or pa.types.is_dictionary(type_):
        return column.cast(pa.string())
    if pa.types.is_large_binary(type_):
        return column.cast(pa.binary())
    if type_ in (pa.int8(), pa.uint8()):
        return column.cast(pa.int16())
    if type_ in (pa.uint16(), pa.uint32(), pa.uint64()):
        return column.cast(pa.decimal128(20, 0) if type_ == pa.uint64() else pa.int64())
    if pa.types.is_timestamp(type_):
        return column.cast(pa.timestamp("us", "UTC" if type_.tz else None))
    if type_ == pa.date64():
        return column.cast(pa.date32())
    if pa.types.is_time(type_):
        return column.cast(pa.time64("us"))
    return column


def _column_of(one: pa.Field) -> Column | None:
    import pyarrow as pa

    kinds = {
        pa.bool_(): Kind.BOOLEAN,
        pa.int16(): Kind.INT16,
        pa.int32(): Kind.INT32,
        pa.int64(): Kind.INT64,
        pa.float32(): Kind.FLOAT32,
        pa.float64(): Kind.FLOAT64,
        pa.string(): Kind.TEXT,
        pa.binary(): Kind.BYTES,
        pa.date32(): Kind.DATE,
        pa.time64("us"): Kind.TIME,
        pa.timestamp("us"): Kind.TIMESTAMP,
        pa.timestamp("us", "UTC"): Kind.INSTANT,
    }
    if pa.types.is_decimal(one.type) and one.type.precision <= 38:
        return Column(
            one.name,
            str(one.type),
            Kind.DECIMAL,
            precision=one.type.precision,
            scale=one.type.scale,
        )
    kind = kinds.get(one.type)
    return Column(one.name, str(one.type), kind) if kind else None
