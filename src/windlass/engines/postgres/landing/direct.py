"""Adds rows by one COPY into the table, if they are only added, unchanged: half the work of staging
them.

COPY would silently change some values (`windlass.engines.postgres.landing.staged_columns`). Texts
are checked for those while they are sent, in parallel with the server's work. If there may be one,
the COPY is rolled back, and the rows are staged, where each value is checked exactly.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from windlass.engines.landing import Input, RawCsv
from windlass.engines.postgres.landing.columns import Column
from windlass.engines.postgres.landing.encode import csv_of, text_of
from windlass.engines.postgres.landing.staged_columns import kept_in
from windlass.engines.postgres.landing.staging import copy_statement, feed
from windlass.engines.postgres.session import Connection
from windlass.model.load import Load
from windlass.model.load_words import Missing
from windlass.model.relation import Name

_WAITING_BLOCKS = 16
# for the reader in the second thread; a longer record ends it, and the rows are staged
_BLOCK_BYTES = 4 << 20


class Suspicious(Exception):
    """A value might be changed, so the rows must be staged."""


def can_be_direct(load: Load, given: Sequence[Column]) -> bool:
    """Whether rows are only added, with nothing to look up, compute, check or set aside."""
    words = load.words
    adds_only = not words.key and words.missing is Missing.KEEP and not words.history
    is_alone = load.at_once and len(load.inputs) == 1
    has_more = load.expectations or load.watermark or load.bad.most or load.creates or load.adds
    if not (adds_only and is_alone and load.is_plain and not has_more):
        return False
    return len({one.field for one in load.assigned}) == len(load.assigned) and all(
        _pattern(one) is not None for one in given
    )


def _pattern(column: Column) -> str | None:
    """A regular expression for texts that the column might change; empty if it keeps everything
    that COPY accepts, None if a text does not show that."""
    wide, cast, checks = kept_in(column, is_text=True)
    if not checks and not cast:
        return ""
    if column.is_domain or column.plain in ("interval", "timetz"):
        return None
    if column.longest:
        return f"(?s)^.{{{column.longest + 1}}}" if column.longest < 1000 else None
    if column.digits:
        scale = column.digits[1]
        return rf"\.\d{{{scale}}}\d*[1-9]|[eE]" if 0 <= scale < 1000 else None
    fraction = ""
    if column.type != wide and column.type != cast and column.modifier >= 0:
        fraction = rf"|\.\d{{{column.modifier}}}\d*[1-9]"
    if column.plain == "date":
        return r"\d:\d"
    if column.plain == "timestamptz":
        return fraction.removeprefix("|")
    return rf":.*[-+]|[a-zA-SU-Z]|[zZ]{fraction}"


@dataclass(frozen=True, slots=True)
class Direct:
    """One input into one table."""

    connection: Connection
    table: Name
    given: Sequence[Column]  # in the order of the fields
    source: Input

    def copy(self) -> int:
        """How many rows arrived.

        Raises:
            Suspicious: some value may be kept as another one, or is not of its column's type.
            psycopg.IntegrityError: the table has a row of its key, or no row that one refers to.
        """
        raw = self.source.raw()
        patterns = {at: found for at, one in enumerate(self.given) if (found := _pattern(one))}
        blocks = _watched(raw, len(self.given), patterns) if raw else self._batches(patterns)
        statement = copy_statement(self.table, [one.identifier for one in self.given], raw)
        try:
            return feed(self.connection, statement, blocks)
        except psycopg.DataError as error:
            raise Suspicious from error
        except psycopg.IntegrityError as error:
            # an error about a value: NULL, or the CHECK of a domain
            if error.sqlstate != "23502" and error.diag.table_name:
                raise
            raise Suspicious from error

    def _batches(self, patterns: Mapping[int, str]) -> Iterator[memoryview]:
        fields = self.source.fields
        for batch in self.source.batches():
            for at, pattern in patterns.items():
                check(text_of(batch.column(at), fields[at]), pattern)
            if batch.num_rows:
                yield csv_of(batch, fields)


def check(texts: Any, pattern: str) -> None:
    """Raises:
    Suspicious: one of the texts matches.
    """
    import pyarrow.compute as pc

    if pc.any(pc.match_substring_regex(texts, pattern)).as_py():
        raise Suspicious


def _watched(raw: RawCsv, columns: int, patterns: Mapping[int, str]) -> Iterator[bytes]:
    """The blocks, while another thread looks at their texts."""
    if not patterns:
        yield from raw.blocks
        return
    pipe = _Pipe()
    watch = _Watch(pipe, raw, columns, patterns)
    watch.start()
    try:
        for block in raw.blocks:
            if watch.found:
                raise Suspicious
            pipe.put(block)
            yield block
        pipe.put(b"")
        watch.join()
        if watch.found:
            raise Suspicious
    finally:
        pipe.close()
        watch.join()


class _Pipe:
    """A file that one thread writes and another reads."""

    closed = False

    def __init__(self) -> None:
        self._blocks: queue.Queue[bytes] = queue.Queue(_WAITING_BLOCKS)
        self._rest = b""
        self._is_over = threading.Event()

    def put(self, block: bytes) -> None:
        while not self._is_over.is_set():
            try:
                self._blocks.put(bytes(block), timeout=0.1)
                return
            except queue.Full:
                continue

    def read(self, size: int) -> bytes:
        """The next bytes; none at the end."""
        while not self._rest and not self._is_over.is_set():
            try:
                self._rest = self._blocks.get(timeout=0.1)
            except queue.Empty:
                continue
            if not self._rest:
                self._is_over.set()
        found, self._rest = self._rest[:size], self._rest[size:]
        return found

    def close(self) -> None:
        """End both sides: nothing more is written or read."""
        self._is_over.set()


class _Watch(threading.Thread):
    """Looks for texts that may not be kept. Finds some, too, if it cannot read the file."""

    def __init__(self, pipe: _Pipe, raw: RawCsv, columns: int, patterns: Mapping[int, str]) -> None:
        super().__init__(name="windlass watch", daemon=True)
        self.found = False
        self._pipe, self._raw, self._columns, self._patterns = pipe, raw, columns, patterns

    def run(self) -> None:
        try:
            self._look()
        except Exception:  # any: then the rows are staged
            self.found = True
        finally:
            self._pipe.close()

    def _look(self) -> None:
        import pyarrow as pa
        from pyarrow import csv

        names = [f"f{at}" for at in range(self._columns)]
        wanted = {names[at]: pattern for at, pattern in self._patterns.items()}
        is_doubled = self._raw.escape == self._raw.quote
        reader = csv.open_csv(
            pa.PythonFile(self._pipe, mode="r"),
            csv.ReadOptions(column_names=names, block_size=_BLOCK_BYTES, use_threads=False),
            csv.ParseOptions(
                delimiter=self._raw.delimiter,
                quote_char=self._raw.quote,
                double_quote=is_doubled,
                escape_char=False if is_doubled else self._raw.escape,
                newlines_in_values=True,
            ),
            csv.ConvertOptions(
                include_columns=list(wanted), column_types=dict.fromkeys(wanted, pa.string())
            ),
        )
        for batch in reader:
            for name, pattern in wanted.items():
                check(batch.column(name), pattern)
