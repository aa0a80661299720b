"""Converts a source's batches for a target's files, and counts values that these cannot hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from windlass.engines.base import Facts, Nesting, arrow_type
from windlass.errors import WindlassError
from windlass.model.export import Column, Kind, Losses, Lost, Nested, OfLoad
from windlass.transfer.hashing import Hasher

if TYPE_CHECKING:
    import pyarrow as pa

_DAY = 86_400_000_000  # microseconds
_BITS = {Kind.DATE: 32, Kind.TIMESTAMP: 64, Kind.INSTANT: 64}


class Shaper:
    """Makes values NULL that the target cannot hold, such as infinite ones and some dates and
    times."""

    def __init__(
        self, columns: Sequence[Column], target: Facts, hasher: Hasher | None = None
    ) -> None:
        import pyarrow as pa

        self._columns, self._target, self._hasher = columns, target, hasher
        self.losses = Losses()
        self.schema = pa.schema([pa.field(one.name, self._type(one)) for one in columns])

    def _type(self, column: Column) -> Any:
        import pyarrow as pa

        if column.kind is Kind.JSON and self._target.json:
            return pa.json_()
        return arrow_type(column)

    def nothing(self) -> pa.RecordBatch:
        """A batch without rows."""
        import pyarrow as pa

        return pa.RecordBatch.from_pylist([], schema=self.schema)

    def shape(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        import pyarrow as pa

        read = [one for one in self._columns if not one.load]
        pairs = zip(read, batch.columns, strict=True)
        arrays = [self._shaped(column, array) for column, array in pairs]
        arrays += [constant(one, one.load, batch.num_rows) for one in self._columns if one.load]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _shaped(self, column: Column, array: Any) -> Any:
        import pyarrow as pa

        if column.hash:
            assert self._hasher is not None, "the plan has looked for the key"
            return self._hasher.array(array, column.type)
        if column.inside:
            return self._nested(column, column.inside, array)
        if column.is_list:
            return array
        if column.kind in _BITS:
            return self._bounded(column, array, _BITS[column.kind])
        if column.kind is Kind.TIME and not self._target.midnight_ends:
            return self._within(column, array, pa.int64(), 0, _DAY - 1)
        if column.kind is Kind.JSON and self._target.json:
            return pa.ExtensionArray.from_storage(pa.json_(), array)
        return array

    def _nested(self, column: Column, inside: Nested, array: Any, hidden: int = 0) -> Any:
        """`column` is the top-level column; `hidden` counts values that are NULL because their
        container is."""
        import pyarrow as pa

        if not inside.of:
            parts = [
                self._inner(column, one, array.field(at), array.null_count)
                for at, one in enumerate(inside.fields)
            ]
            names = [one.name for one in inside.fields]
            return pa.StructArray.from_arrays(parts, names=names, mask=array.is_null())
        if inside.dimensions > 1:
            below = replace(inside, dimensions=inside.dimensions - 1)
            values = self._nested(column, below, array.values)
        else:
            values = self._inner(column, inside.of, array.values)
        if self._target.nesting is not Nesting.REPEATED:
            return pa.ListArray.from_arrays(array.offsets, values, mask=array.is_null())
        if values.null_count:
            raise WindlassError(
                f"{column.origin} holds lists with NULL inside, which {self._target.label} cannot"
                " hold",
                hint=f"nothing was loaded; give the relation `text: [{column.origin}]`, or a query",
                side="source",
            )
        if lost := array.null_count - hidden:
            self.losses[column.name, Lost.NO_LIST] += lost
        return pa.ListArray.from_arrays(array.offsets, values)

    def _inner(self, column: Column, inner: Column, array: Any, hidden: int = 0) -> Any:
        if inner.inside:
            return self._nested(column, inner.inside, array, hidden)
        if inner.kind in (Kind.JSON, Kind.UUID):
            return array
        return self._shaped(replace(inner, name=column.name), array)

    def _bounded(self, column: Column, array: Any, bits: int) -> Any:
        import pyarrow as pa

        plain = pa.int32() if bits == 32 else pa.int64()
        if self._target.years:
            first, last = self._target.years
            scale = 1 if bits == 32 else _DAY
            low, high = _days(date(first, 1, 1)), _days(date(last, 12, 31))
            return self._within(column, array, plain, low * scale, (high + 1) * scale - 1)
        if not self._target.infinity:
            most = (1 << (bits - 1)) - 1
            return self._within(column, array, plain, -most + 1, most - 1)
        return array

    def _within(self, column: Column, array: Any, plain: Any, low: int, high: int) -> Any:
        import pyarrow as pa
        import pyarrow.compute as pc

        numbers = array.view(plain)
        edges = pc.min_max(numbers).as_py()
        if edges["min"] is None or (edges["min"] >= low and edges["max"] <= high):
            return array
        inside = pc.and_(pc.greater_equal(numbers, low), pc.less_equal(numbers, high))
        if found := pc.sum(pc.invert(inside)).as_py():
            self.losses[column.name, Lost.NO_PLACE] += found
        return pc.if_else(inside, numbers, pa.scalar(None, plain)).view(array.type)


def constant(column: Column, of_load: OfLoad, count: int) -> Any:
    """The values of a column that is the same in every row."""
    import pyarrow as pa

    value: Any = of_load.value
    if value and column.kind is Kind.INSTANT:
        value = datetime.fromisoformat(value)
    return pa.repeat(pa.scalar(value or None, arrow_type(column)), count)


def _days(day: date) -> int:
    return (day - date(1970, 1, 1)).days
