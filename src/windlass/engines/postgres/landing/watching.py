"""Looks at the texts of an input while they are sent to the server, in parallel with its work: COPY
changes some texts, and does not say so (`windlass.engines.postgres.landing.staged_columns`).
"""

from __future__ import annotations

import queue
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from windlass.engines.landing import Input, RawCsv
from windlass.engines.postgres.landing.documents import may_be_doubled
from windlass.engines.postgres.landing.encode import csv_of, text_of

_WAITING_BLOCKS = 16
# for the reader in the second thread; a longer record ends it, and a text may count as changed
_BLOCK_BYTES = 4 << 20


class Suspicious(Exception):
    """COPY might change a text, or the texts cannot be looked at."""


@dataclass(frozen=True, slots=True)
class Look:
    """A regular expression for texts that COPY keeps, or, if it is not `certain`, for those that it
    might change. Of documents, each is read instead."""

    pattern: str = ""
    certain: bool = False
    is_document: bool = False

    def __bool__(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self.pattern) or self.is_document

    def check(self, texts: Any, null: str | None = None) -> None:
        """`null` is the text that stands for NULL.

        Raises:
            Suspicious: COPY might change one of the texts.
        """
        import pyarrow.compute as pc

        if self.is_document:
            some = (one for one in texts.to_pylist() if one is not None and one != null)
            if any(map(may_be_doubled, some)):
                raise Suspicious
            return
        pattern = self.pattern
        if self.certain:
            absent = "" if null is None else f"|{re.escape(null)}"
            pattern = f"^({pattern}{absent})$"
        found = pc.match_substring_regex(texts, pattern)
        if pc.any(pc.invert(found) if self.certain else found).as_py():
            raise Suspicious


def watched(source: Input, raw: RawCsv | None, looks: Mapping[int, Look]) -> Iterator[Any]:
    """Blocks for COPY: those of the file, or of `csv_of`. The looks are by the number of the field.

    Raises:
        Suspicious: one of the texts might be changed.
    """
    if raw is not None:
        yield from _watched(raw, len(source.fields), looks)
        return
    for batch in source.batches():
        for at, look in looks.items():
            look.check(text_of(batch.column(at), source.fields[at]))
        if batch.num_rows:
            yield csv_of(batch, source.fields)


def _watched(raw: RawCsv, columns: int, looks: Mapping[int, Look]) -> Iterator[bytes]:
    """The blocks, while another thread looks at their texts."""
    if not looks:
        yield from raw.blocks
        return
    pipe = _Pipe()
    watch = _Watch(pipe, raw, columns, looks)
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

    def __init__(self, pipe: _Pipe, raw: RawCsv, columns: int, looks: Mapping[int, Look]) -> None:
        super().__init__(name="windlass watch", daemon=True)
        self.found = False
        self._pipe, self._raw, self._columns, self._looks = pipe, raw, columns, looks

    def run(self) -> None:
        try:
            self._look()
        except Exception:  # any: then the rows are staged as texts
            self.found = True
        finally:
            self._pipe.close()

    def _look(self) -> None:
        import pyarrow as pa
        from pyarrow import csv

        names = [f"f{at}" for at in range(self._columns)]
        wanted = {names[at]: look for at, look in self._looks.items()}
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
            for name, look in wanted.items():
                look.check(batch.column(name), self._raw.null)
