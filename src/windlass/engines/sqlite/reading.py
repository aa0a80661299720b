"""Rows of an SQLite file as Arrow batches."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

from psycopg import sql

from windlass.engines.base import BATCH_BYTES, arrow_type, schema
from windlass.engines.sqlite.describing import Known, value_of
from windlass.engines.sqlite.session import File
from windlass.engines.sqlite.values import converter
from windlass.engines.statements import listed, names, statement, verbatim, where_within
from windlass.engines.stopping import Stops
from windlass.errors import Interrupted, WindlassError
from windlass.model.export import Column, Export, Kind, Losses

if TYPE_CHECKING:
    import pyarrow as pa

MOST_ROWS = 16_384  # of a batch
# a value of any class as text; a real with enough digits to be exact
_AS_TEXT = (
    "case typeof({0}) when 'real' then windlass_real({0}) when 'blob' then '\\x' || lower(hex({0}))"
    " else cast({0} as text) end"
)
Values = Sequence[Any]
Make = Callable[[Values], "pa.Array"]


class SqliteRows:
    """See `windlass.engines.base.Rows`."""

    def __init__(
        self,
        file: File,
        connection: sqlite3.Connection,
        export: Export,
        known: Known,
        stops: Stops,
    ) -> None:
        self._file, self._connection, self._export = file, connection, export
        self._rows = max(1, min(MOST_ROWS, BATCH_BYTES // max(known.row_bytes, 1)))
        self._said, self._stops = known.said, stops
        self.losses = Losses()

    def batches(self) -> Generator[pa.RecordBatch, None, None]:
        import pyarrow as pa

        export = self._export
        makers = [self._maker(column) for column in export.columns]
        wanted = schema(export.columns)
        with self._file.explaining(f"reading {export.name}"):
            cursor = self._connection.execute(*select_rows(export))
            while rows := cursor.fetchmany(self._rows):
                if self._stops.cancelled:
                    raise Interrupted("stopped on request")
                columns = zip(*rows, strict=True)
                arrays = [make(column) for make, column in zip(makers, columns, strict=True)]
                yield pa.RecordBatch.from_arrays(arrays, schema=wanted)

    def lines(self) -> None:
        """Empty: it cannot write the requested form of CSV, so its batches are written."""

    def _maker(self, column: Column) -> Make:
        if column.origin in self._said and not (column.mask or column.is_cast):
            return _checked(column)
        return _plain(column, self._unreadable(column))

    def _unreadable(self, column: Column) -> Callable[[], NoReturn]:
        def refuse() -> NoReturn:
            raise WindlassError(
                f"{self._export.name}.{column.name} holds a text that is not UTF-8",
                hint=f"leave it out, or read it as bytes by a query: cast({column.name} as blob)",
            ) from None

        return refuse


def select_rows(export: Export) -> tuple[str, tuple[Any, ...]]:
    """The statement, and its parameters."""
    columns = listed([_value(column) for column in export.columns])
    given: list[int | float | str] = []

    def value(text: str) -> sql.Composable:
        given.append(mark_value(text))
        return sql.SQL("?")

    mark = names(export.watermark or "none")
    where = where_within(export.span, mark, value) if export.watermark else sql.SQL("")
    item = verbatim(export.query)
    text = statement("select {columns} from {item}{where}", columns=columns, item=item, where=where)
    return text, tuple(given)


def _value(column: Column) -> sql.Composable:
    name = names(column.origin)
    if column.mask:
        return sql.SQL("case when {} is not null then '***' end").format(name)
    if column.is_cast:
        return sql.SQL(_AS_TEXT).format(name)
    return value_of(column)


def mark_text(value: Any) -> str:
    """A watermark's value as text, with its storage class.

    Raises:
        WindlassError: it is bytes, or text that is not UTF-8.
    """
    if not isinstance(value, bytes):
        return f"{'integer' if isinstance(value, int) else 'real'} {value!r}"
    try:
        return f"text {value.decode()}"
    except UnicodeDecodeError:
        raise WindlassError(
            "the watermark holds a value that is not text in UTF-8", side="source"
        ) from None


def mark_value(text: str) -> int | float | str:
    """The value that `mark_text` wrote.

    Raises:
        WindlassError: it is in another form.
    """
    class_, _, value = text.partition(" ")
    with suppress(ValueError):
        match class_:
            case "integer":
                return int(value)
            case "real":
                return float(value)
            case "text":
                return value
    raise WindlassError(
        "the watermark in the warehouse's records is not one of SQLite's",
        hint="remove those records, and everything is read again",
    )


def _plain(column: Column, refuse: Callable[[], NoReturn]) -> Make:
    """Values of this type, as the census found."""
    import pyarrow as pa

    type_ = arrow_type(column)
    if column.kind is Kind.BOOLEAN:
        return lambda values: pa.array([None if one is None else one == 1 for one in values], type_)

    def make(values: Values) -> pa.Array:
        try:
            return pa.array(values, type_)
        except pa.ArrowInvalid:  # which quotes the value
            refuse()

    return make


def _checked(column: Column) -> Make:
    """Values of the type that the user specified, as the census verified."""
    import pyarrow as pa

    convert, type_ = converter(column), arrow_type(column)
    storage = pa.binary(16) if column.kind is Kind.UUID else type_

    def make(values: Values) -> pa.Array:
        made = pa.array([None if one is None else convert(one) for one in values], storage)
        return pa.ExtensionArray.from_storage(type_, made) if column.kind is Kind.UUID else made

    return make
