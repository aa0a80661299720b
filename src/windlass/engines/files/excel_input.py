"""A sheet of a workbook as an input: Excel's formats, and OpenDocument's. Every value is text.

A number is a double: it is written with as many digits as identify it, without an exponent. Dates
and times are ISO 8601; an empty cell is NULL. Rows without any value are skipped. For formulas, the
last result is read. A cell with an error is a bad value. calamine's Python package treats it as
empty; fastexcel, which is built on the same library, reports it, but not for OpenDocument.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from copy import copy
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

import fastexcel
import pyarrow as pa
import python_calamine as calamine

from windlass.engines.aside import Aside
from windlass.engines.files.names import named
from windlass.engines.files.ods_errors import cells_with_errors, is_open_document
from windlass.engines.files.stored import FREE_BYTES, MOST_RATIO, Stored
from windlass.errors import BadRecord, WindlassError
from windlass.model.inputs import Excel
from windlass.model.load import BadValue, Field, Identity
from windlass.model.wording import word

if TYPE_CHECKING:
    from windlass.engines.landing import RawCsv

BATCH_ROWS = 20_000
MOST_BAD = 20  # how many an error names
MOST_BYTES = 4 << 30  # decompressed: a workbook is held in memory

Row = tuple[int, Sequence[str | None]]  # the sheet's row, from 1, and its values


class ExcelInput:
    """See `windlass.engines.landing.Input`. Holds the sheet in memory while it is read."""

    def __init__(self, stored: Stored, excel: Excel) -> None:
        """Raises:
        WindlassError: it is not a workbook, or has no such sheet.
        BadRecord: the header is wrong, or a cell has an error.
        """
        self._stored, self._excel = stored, excel
        self._aside: Aside | None = None
        self.place = stored.place
        self._check_size()
        self._sheet_name = self._find_sheet()
        self._check_errors()
        names, self._first = self._names()
        self.fields: Sequence[Field] = [Field(name) for name in names]

    @cached_property
    def identity(self) -> Identity:
        return self._stored.identity()

    def batches(self) -> Iterator[pa.RecordBatch]:
        names = [field.name for field in self.fields]
        rows: list[Sequence[str | None]] = []
        for record, (number, values) in enumerate(self._records(), 1):
            if self._is_aside(record, number, values):
                continue
            rows.append([*values[: len(names)], *[None] * (len(names) - len(values))])
            if len(rows) == BATCH_ROWS:
                yield _batch(rows, names)
                rows = []
        if rows:
            yield _batch(rows, names)

    def raw(self) -> RawCsv | None:
        return None

    def line_of(self, record: int) -> int:
        for at, (number, _) in enumerate(self._records(), 1):
            if at == record:
                return number
        return 0

    def setting_aside(self, aside: Aside) -> ExcelInput:
        """See `windlass.engines.aside`."""
        made = copy(self)
        made._aside = aside
        return made

    def _is_aside(self, record: int, number: int, values: Sequence[str | None]) -> bool:
        """Raises:
        BadRecord: a row cannot be loaded, and may not be set aside.
        """
        reason = ""
        if any(value is not None for value in values[len(self.fields) :]):
            reason = f"has a value beyond the last of {len(self.fields)} fields"
        elif any(value and "\0" in value for value in values):
            reason = "NUL in text"
        if not reason:
            return False
        bad = BadValue(self.place, record, reason, number)
        if self._aside is None:
            raise BadRecord([bad])
        self._aside.take(bad, "\t".join(value or "" for value in values))
        return True

    def _records(self) -> Iterator[Row]:
        return (row for row in self._rows() if row[0] >= self._first)

    def _rows(self) -> Iterator[Row]:
        """The rows that have a value."""
        with self._opened() as book:
            sheet = book.get_sheet_by_name(self._sheet_name)
            if sheet.start is None or sheet.end is None:
                return
            # only read row by row if it is certain which row is first
            found = sheet.to_python(skip_empty_area=False) if sheet.start[0] else sheet.iter_rows()
            for number, row in enumerate(found, 1):
                left = sheet.end[1] + 1 - len(row)
                values = [None] * left + [text_of(value) for value in row]
                if any(value is not None for value in values):
                    yield number, values

    def _names(self) -> tuple[tuple[str, ...], int]:
        """The names of the fields, and the number of the first row below the header."""
        given, skip = self._excel.names, self._excel.skip
        if not self._excel.header:
            if not given:
                raise WindlassError(
                    f"{self.place}: without a header, names has to list the fields", side="source"
                )
            return named(self.place, 0, given), skip + 1
        for number, values in self._rows():
            if number <= skip:
                continue
            while values and values[-1] is None:
                values = values[:-1]
            if given and len(given) != len(values):
                reason = f"the header has {len(values)} names, expected {len(given)}"
                raise BadRecord([BadValue(self.place, 0, reason, number)])
            found = given or [value or "" for value in values]
            return named(self.place, number, found), number + 1
        raise BadRecord([BadValue(self.place, 0, "the sheet is empty: it has no header", skip + 1)])

    def _check_errors(self) -> None:
        """Raises:
        BadRecord: cells have errors.
        """
        try:
            sheet = fastexcel.read_excel(self._stored.path).load_sheet(
                self._sheet_name, header_row=None, dtypes="string"
            )
            found = sheet.to_arrow_with_errors()[1]
        except fastexcel.FastExcelError as error:
            raise self._unreadable(error) from error
        places = [one.position for one in found.errors] if found else []
        if is_open_document(self._stored.path):
            places += cells_with_errors(self._stored.path, self._sheet_name)
        bad = [
            BadValue(self.place, 0, "the cell has an error", row + 1, _letters(column))
            for row, column in sorted(places)
        ]
        if bad:
            raise BadRecord(bad[:MOST_BAD], hint="correct the cells, or clear them")

    def _opened(self) -> calamine.CalamineWorkbook:
        try:
            return calamine.CalamineWorkbook.from_path(self._stored.path)
        except (calamine.CalamineError, OSError) as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: BaseException) -> WindlassError:
        what = str(error).partition("\n")[0] or type(error).__name__
        return WindlassError(f"{self.place}: cannot be read as a workbook: {what}", side="source")

    def _find_sheet(self) -> str:
        with self._opened() as book:
            names = book.sheet_names
        wanted = self._excel.sheet
        if isinstance(wanted, int) and 1 <= wanted <= len(names):
            return names[wanted - 1]
        if wanted in names:
            return str(wanted)
        raise WindlassError(
            f"{self.place}: has no sheet {wanted}", hint=f"one of: {', '.join(names)}",
            side="source",
        )  # fmt: skip

    def _check_size(self) -> None:
        """Refuse a workbook that would become too large: a zip file can be a bomb."""
        path = self._stored.path
        if self._stored.unlimited or not path.is_file() or not zipfile.is_zipfile(path):
            return
        with zipfile.ZipFile(path) as archive:
            size = sum(one.file_size for one in archive.infolist())
        if size > MOST_BYTES or size > max(FREE_BYTES, MOST_RATIO * path.stat().st_size):
            raise WindlassError(
                f"{self.place}: decompresses to {size >> 20:,} MB",
                hint=f"if it is what you expect, lift the limit: {word('unlimited')}",
                side="source",
            )


def text_of(value: Any) -> str | None:
    """The text of a cell; None for an empty one."""
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return format(Decimal(repr(value)), "f").removesuffix(".0")
    if isinstance(value, datetime):
        return value.isoformat(" ")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return _duration(value)
    return str(value)


def _duration(value: timedelta) -> str:
    """``36:00:00``, with as many hours as there are."""
    sign, value = ("-", -value) if value < timedelta() else ("", value)
    minutes, seconds = divmod(value.days * 86_400 + value.seconds, 60)
    fraction = f".{value.microseconds:06}" if value.microseconds else ""
    return f"{sign}{minutes // 60:02}:{minutes % 60:02}:{seconds:02}{fraction}"


def _letters(column: int) -> str:
    """``A`` for 0, ``AA`` for 26."""
    name = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        name = chr(ord("A") + rest) + name
    return name


def _batch(rows: Sequence[Sequence[str | None]], names: Sequence[str]) -> pa.RecordBatch:
    columns = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
    return pa.RecordBatch.from_arrays(columns, names=list(names))
