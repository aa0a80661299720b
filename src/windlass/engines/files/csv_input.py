"""A CSV file as an input. Strict: a row that is not well-formed, or has another number of values
than the header, is never repaired.

Simple dialects are checked in blocks and parsed by pyarrow, which by itself would accept too much.
All other dialects, and rows that are wrong, are left to `windlass.engines.files.csv_tokens`.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from windlass.engines.aside import Aside
from windlass.engines.files.csv_blocks import MOST_RECORD_BYTES, Rows, is_right, returns, rows_of
from windlass.engines.files.csv_dialect import dialect_of
from windlass.engines.files.csv_sifting import Endless, Sifted, Sifting, Take
from windlass.engines.files.csv_tokens import Malformed, Tokens, Values
from windlass.engines.files.lines import Block as Numbered
from windlass.engines.files.lines import Lines
from windlass.engines.files.names import named
from windlass.engines.files.stored import BLOCK_BYTES, Stored
from windlass.engines.files.text_blocks import as_utf8, without_lines
from windlass.engines.landing import RawCsv
from windlass.errors import BadRecord
from windlass.model.inputs import Csv
from windlass.model.load import BadValue, Field, Identity

MOST_BAD = 20  # how many an error names
BATCH_ROWS = 50_000
_POOL = pa.system_memory_pool()  # Arrow's own keeps 20 MB of what is freed
TOO_LONG = f"longer than {MOST_RECORD_BYTES >> 20} MB"


@dataclass(frozen=True, slots=True)
class Start:
    """What the header tells: the fields, and the line of the first record."""

    names: tuple[str, ...]
    line: int
    bytes: int  # of the header's row


@dataclass(frozen=True, slots=True)
class Row:
    """A row of any dialect. A comment has no values. `reason` says what is wrong with the row; its
    text is None if it has no end."""

    values: Values | None
    line: int
    reason: str
    text: str | None


class CsvInput:
    """See `windlass.engines.landing.Input`."""

    def __init__(self, stored: Stored, csv: Csv, *, tabs: bool = False) -> None:
        """Raises:
        BadSpec: the dialect is wrong.
        WindlassError: the file cannot be read.
        BadRecord: the header cannot be read.
        """
        self._stored, self._csv = stored, csv
        self._dialect = dialect_of(csv, tabs=tabs)
        self._tokens = Tokens(self._dialect)
        self._fault = partial(_fault_in, encoding=csv.encoding)
        self.place = stored.place
        self._start = self._read_start()
        self._lines = Lines(self._numbered)
        self._aside: Aside | None = None
        self.fields: Sequence[Field] = [Field(name) for name in self._start.names]

    def setting_aside(self, aside: Aside) -> CsvInput:
        """See `windlass.engines.aside`."""
        made = copy(self)
        made._aside = aside
        return made

    @cached_property
    def identity(self) -> Identity:
        return self._stored.identity()

    def batches(self) -> Iterator[pa.RecordBatch]:
        found = self._parsed() if self._dialect.is_simple else self._tokenised()
        numbers = [
            at for at, name in enumerate(self._start.names) if name in self._csv.numbers
        ] if self._csv.decimal == "," else []  # fmt: skip
        first = 1
        with self._stored.damage_first():
            for batch in found:
                if numbers:
                    batch = self._with_points(batch, numbers, first)
                yield batch
                first += batch.num_rows

    def raw(self) -> RawCsv | None:
        dialect, nulls = self._dialect, sorted(self._dialect.nulls)
        if not dialect.is_simple or not dialect.quote or len(nulls) > 1 or r"\." in nulls:
            return None
        if self._csv.decimal == "," and self._csv.numbers:
            return None
        return RawCsv(
            self._raw_blocks(),
            dialect.delimiter,
            dialect.quote,
            dialect.quote,
            nulls[0] if nulls else None,
        )

    def line_of(self, record: int) -> int:
        return self._lines.of(record)

    def _numbered(self) -> Iterator[Numbered]:
        if self._dialect.is_simple:
            for one in self._sifted(_ignore):
                yield one.record, one.records, partial(_line_in, one)
            return
        lines = (one.line for one in self._rows() if one.values is not None)
        for record, line in enumerate(lines, 1):
            yield record, 1, partial(_same, line)

    # the beginning

    def _utf8(self) -> Iterator[bytes]:
        blocks = as_utf8(self._stored.blocks(), self._csv.encoding, self.place)
        return without_lines(blocks, self._csv.skip)

    def _read_start(self) -> Start:
        line = self._csv.skip + 1
        if not self._csv.header:
            return Start(named(self.place, 0, self._csv.names), line, 0)
        size = 0
        text, final = "", False
        decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        for block in chain(self._utf8(), [b""]):
            final = not block or len(text) > MOST_RECORD_BYTES
            text += decoder.decode(block, final)
            try:
                for values, start, end in self._tokens.rows(text, final=final):
                    if values is None:
                        continue
                    size = len(text[:end].encode("utf-8", "surrogateescape"))
                    self._check(values, 0, line + text.count("\n", 0, start), len(values))
                    given = self._csv.names or tuple(value or "" for value in values)
                    if len(given) != len(values):
                        reason = f"the header has {len(values)} names, expected {len(given)}"
                        raise BadRecord([BadValue(self.place, 0, reason, line)])
                    names = named(self.place, line + text.count("\n", 0, start), given)
                    return Start(names, line + text.count("\n", 0, end), size)
            except Malformed as error:
                bad_line = line + text.count("\n", 0, error.start)
                raise BadRecord([BadValue(self.place, 0, error.reason, bad_line)]) from None
            if final:
                break
        raise BadRecord([BadValue(self.place, 0, "the file is empty: it has no header", line)])

    def _body(self) -> Iterator[bytes]:
        """Without the header."""
        left = self._start.bytes
        for block in self._utf8():
            if left < len(block):
                yield block[left:] if left else block
            left = max(0, left - len(block))

    # simple dialects

    def _blocks(self) -> Iterator[Rows]:
        """Blocks of well-formed rows."""
        if self._aside is not None:
            yield from (one.rows for one in self._sifted(self._take) if one.rows is not None)
            return
        record, line = 1, self._start.line
        for rows in rows_of(self._body(), self._dialect):
            if not is_right(rows, self._dialect, len(self.fields)):
                self._explain(rows, record, line)
            yield rows
            record, line = record + len(rows.ends), line + rows.data.count(b"\n")

    def _sifted(self, take: Take) -> Iterator[Sifted]:
        """Raises:
        BadRecord: the rest of the file cannot be read as rows.
        """
        columns, line = len(self.fields), self._start.line
        sifting = Sifting(
            self._dialect, self._tokens, columns, lambda values: self._fault(values, columns), take,
            1, line,
        )  # fmt: skip
        try:
            yield from sifting.sifted(self._body())
        except Endless as error:
            raise _endless(self.place, error) from None

    def _take(self, reason: str, record: int, line: int, text: str) -> None:
        assert self._aside is not None
        self._aside.take(BadValue(self.place, record, reason, line), text)

    def _parsed(self) -> Iterator[pa.RecordBatch]:
        columns = [f"f{at}" for at in range(len(self.fields))]
        convert = pa.csv.ConvertOptions(
            check_utf8=False,  # it is
            column_types=dict.fromkeys(columns, pa.string()),
            null_values=sorted(self._dialect.nulls),
            strings_can_be_null=bool(self._dialect.nulls),
            quoted_strings_can_be_null=False,
        )
        parse = pa.csv.ParseOptions(
            delimiter=self._dialect.delimiter,
            quote_char=self._dialect.quote or False,
            double_quote=True,
            newlines_in_values=bool(self._dialect.quote),
            ignore_empty_lines=False,
        )
        for rows in self._blocks():
            read = pa.csv.ReadOptions(
                use_threads=False, column_names=columns, block_size=len(rows.data) + 1
            )
            table = pa.csv.read_csv(
                pa.BufferReader(rows.data),
                read_options=read, parse_options=parse, convert_options=convert,
                memory_pool=_POOL,
            )  # fmt: skip
            assert table.num_rows == len(rows.ends), "pyarrow reads other rows than were checked"
            yield from table.rename_columns(self._start.names).to_batches()

    def _raw_blocks(self) -> Iterator[bytes]:
        with self._stored.damage_first():
            for rows in self._blocks():
                data = rows.data
                places = returns(rows)
                if len(places):  # COPY accepts only one kind of line end
                    data = rows.array[_mask(len(data), places)].tobytes()
                if len(self.fields) == 1 and b"\\." in data:
                    data = self._without_end_marks(data)
                yield data

    def _without_end_marks(self, data: bytes) -> bytes:
        r"""Quote a row that is `\.`, which before version 18 would end COPY."""
        quote = self._dialect.quote
        row = r"\."
        text = data.decode()
        return "".join(
            f"{quote}{row}{quote}\n" if text[start:end] == f"{row}\n" else text[start:end]
            for _, start, end in self._tokens.rows(text, final=True)
        ).encode()

    def _explain(self, rows: Rows, record: int, line: int) -> None:
        """Find out what is wrong with a block.

        Raises:
            BadRecord: always.
        """
        text = rows.data.decode("utf-8", "surrogateescape")
        bad: list[BadValue] = []
        seen = 0
        try:
            for values, start, _ in self._tokens.rows(text, final=True):
                line, seen = line + text.count("\n", seen, start), start
                if values is not None:
                    if reason := self._fault(values, len(self.fields)):
                        bad.append(BadValue(self.place, record, reason, line))
                    record += 1
                if len(bad) == MOST_BAD:
                    break
        except Malformed as error:
            line += text.count("\n", seen, error.start)
            bad.append(BadValue(self.place, record, error.reason, line))
        if not rows.is_whole and not any("quote" in one.reason for one in bad):
            bad = [BadValue(self.place, record, TOO_LONG, line)]
        assert bad, "a block is not right, but each of its rows is"
        raise BadRecord(bad)

    # all dialects

    def _rows(self) -> Iterator[Row]:
        """All rows, including wrong ones. A row without an end is the last."""
        line, text, wanted = self._start.line, "", 0
        decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        for block in chain(self._body(), [b""]):
            text += decoder.decode(block, not block)
            if block and len(text) < wanted:
                continue
            if not block and text and not text.endswith("\n"):
                text += "\n"
            done = 0
            for values, start, end in self._tokens.sifted(text):
                reason = values.reason if isinstance(values, Malformed) else ""
                if values is not None and not isinstance(values, Malformed):
                    reason = self._fault(values, len(self.fields))
                found = [] if isinstance(values, Malformed) else values
                yield Row(found, line, reason, text[start:end] if reason else "")
                line, done = line + text.count("\n", start, end), end
            if len(text) - done > MOST_RECORD_BYTES or (not block and done < len(text)):
                yield Row([], line, TOO_LONG if block else "a quote is not closed", None)
                return
            text, wanted = text[done:], (0 if done else 2 * len(text))

    def _tokenised(self) -> Iterator[pa.RecordBatch]:
        rows: list[Values] = []
        record = size = 0
        bad: list[BadValue] = []
        for one in self._rows():
            if one.values is None:
                continue
            record += 1
            if one.reason:
                found = BadValue(self.place, record, one.reason, one.line)
                if self._aside is not None and one.text is not None:
                    self._aside.take(found, one.text)
                    continue
                bad.append(found)
                if len(bad) == MOST_BAD:
                    break
            if bad:
                continue
            rows.append(one.values)
            size += sum(len(value) for value in one.values if value)
            if size > BLOCK_BYTES or len(rows) == BATCH_ROWS:
                yield self._batch(rows)
                rows, size = [], 0
        if bad:
            raise BadRecord(bad)
        if rows:
            yield self._batch(rows)

    def _batch(self, rows: Sequence[Values]) -> pa.RecordBatch:
        columns = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
        return pa.RecordBatch.from_arrays(columns, names=list(self._start.names))

    def _check(self, values: Values, record: int, line: int, expected: int) -> None:
        if reason := self._fault(values, expected):
            raise BadRecord([BadValue(self.place, record, reason, line)])

    # decimal commas

    def _with_points(
        self, batch: pa.RecordBatch, numbers: Sequence[int], first: int
    ) -> pa.RecordBatch:
        """Raises:
        BadRecord: a number has a point, which would be one of thousands.
        """
        columns = list(batch.columns)
        for at in numbers:
            dotted = pc.fill_null(pc.match_substring(columns[at], "."), False)
            place = pc.index(dotted, True).as_py()
            if place >= 0:
                record, name = first + place, self._start.names[at]
                reason = "a number has a point where the decimal sign is a comma"
                line = self.line_of(record)
                raise BadRecord([BadValue(self.place, record, reason, line, name)])
            columns[at] = pc.replace_substring(columns[at], ",", ".")
        return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def _endless(place: str, error: Endless) -> BadRecord:
    reason = TOO_LONG if error.is_long else "a quote is not closed"
    return BadRecord([BadValue(place, error.record, reason, error.line)])


def _same(line: int, record: int) -> int:
    return line


def _ignore(reason: str, record: int, line: int, text: str) -> None:
    """Ignores bad rows: they do not affect where records begin."""


def _line_in(block: Sifted, record: int) -> int:
    first, rows = block.record, block.rows
    if block.lines is not None or rows is None:
        return (block.lines or ())[record - first]
    start = int(rows.ends[record - first - 1]) + 1 if record > first else 0
    return block.line + rows.data.count(b"\n", 0, start)


def _fault_in(values: Values, expected: int, encoding: str) -> str:
    """What is wrong with the values of a row; empty: nothing."""
    if len(values) != expected:
        count = f"{len(values)} value{'s' if len(values) != 1 else ''}"
        return f"{count}, expected {expected}"
    for value in values:
        if value and "\0" in value:
            return "NUL in text"
        if value and not _is_text(value):
            return f"not valid {encoding}"
    return ""


def _is_text(value: str) -> bool:
    return value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value)


def _mask(size: int, places: Any) -> Any:
    """False at the positions that are left out."""
    import numpy as np

    mask = np.ones(size, np.bool_)
    mask[places] = False
    return mask
