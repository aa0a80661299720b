"""Writes the rows of one export into files. A large relation is read by several sessions side by
side, in one snapshot, each into separate files."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from windlass.engines.base import Rows
from windlass.errors import WindlassError
from windlass.flows.export.context import Exporting
from windlass.model.export import Export, File, Losses, Manifest, loss_messages
from windlass.model.hashing import HASH_KEY
from windlass.planning.chunks import slices
from windlass.planning.load_columns import stamped
from windlass.spec.choices import Compression, Format, LoadColumn
from windlass.transfer.files import Layout, ahead, write_csv, write_parquet
from windlass.transfer.hashing import Hasher, hasher_of_environment
from windlass.transfer.partitions import write_partitions
from windlass.transfer.shape import Shaper
from windlass.transfer.text import csv_lines, with_constants

if TYPE_CHECKING:
    import pyarrow as pa

SLICE_BYTES = 32 << 20  # of a large relation: readers that are not equally fast end together


def write_files(run: Exporting, export: Export) -> Manifest:
    """Write all files of an export. Returns the manifest that describes them."""
    export = stamped(export, _about(run))
    layout = _layout(run, export)
    work = Extract(run, export, layout, _slices(run, export))
    files = work.write_all()
    return Manifest(
        run.run,
        export.name,
        str(run.spec.format),
        layout.compression,
        tuple(sorted(files, key=lambda one: one.path)),
        export.columns,
        losses=loss_messages(work.losses),
        snapshot=run.snapshot.number,
        watermark=export.span.upto,
        since=export.span.since,
        mark=export.mark,
        id=secrets.token_hex(8),
        read_at=run.snapshot.taken_at,
        commit=export.span.commit,
    )


def _about(run: Exporting) -> dict[LoadColumn, str]:
    """The values of columns that describe the load. They are in the files, so a second load has the
    same values."""
    return {
        LoadColumn.RUN: run.run,
        LoadColumn.LOADED_AT: datetime.now(UTC).isoformat(),
        LoadColumn.READ_AT: run.snapshot.taken_at,
        LoadColumn.LSN: run.snapshot.lsn,
        LoadColumn.SOURCE: run.source.place,
    }


def _layout(run: Exporting, export: Export) -> Layout:
    compression, form = run.spec.compressed_by, run.spec.format
    packed = ".gz" if form is Format.CSV and compression is Compression.GZIP else ""
    folder = run.manifests.folder(export)
    return Layout(folder, f"{form}{packed}", str(compression), run.spec.file_size)


def _slices(run: Exporting, export: Export) -> Sequence[str]:
    """The queries to read. With a watermark there is one: an index may lead to the few new rows."""
    if run.spec.jobs == 1 or export.span.since:
        return [export.query]
    pieces = run.source.pieces(export)
    if sum(piece.size_bytes for piece in pieces) < 2 * SLICE_BYTES:
        return [export.query]
    return slices(pieces, SLICE_BYTES)


def _hasher(export: Export) -> Hasher | None:
    """Raises:
    WindlassError: another process has planned this with another key.
    """
    hashed = [column for column in export.columns if column.hash]
    if not hashed:
        return None
    hasher = hasher_of_environment()
    if hasher is None or any(column.hash != hasher.id for column in hashed):
        raise WindlassError(
            f"{export.name}: {HASH_KEY} is not what it was when the export was planned",
            hint="give every process of a run the same key",
        )
    return hasher


class Extract:
    """The rows of an export on their way into files. Its writers share the slices and the numbers
    of the files."""

    def __init__(
        self, run: Exporting, export: Export, layout: Layout, slices: Sequence[str]
    ) -> None:
        self._run, self._export, self._layout = run, export, layout
        self._share = min(run.spec.jobs, len(slices))
        self._rest: SimpleQueue[str] = SimpleQueue()
        for one in slices:
            self._rest.put(one)
        self._hasher = _hasher(export)
        self._numbers = count(1)
        self._failed = threading.Event()
        self._lock = threading.Lock()
        self.losses = Losses()

    def write_all(self) -> list[File]:
        """At least one file, as an empty one has the names and types of the columns."""
        if self._share == 1:
            files = self._write()
        else:
            with ThreadPoolExecutor(self._share, "windlass-writer") as pool:
                writers = [pool.submit(self._write) for _ in range(self._share)]
            files = [file for writer in writers for file in writer.result()]
        return files or self._write_empty()

    def _write(self) -> list[File]:
        """Write the rows that this writer gets; returns no file if the others were faster."""
        store, layout = self._run.store, self._layout
        try:
            if self._run.spec.format is Format.CSV:
                with closing(self._lines()) as lines:
                    return write_csv(store, layout, self._names, lines, self._numbers)
            with closing(self._batches()) as batches:
                if self._partitions:
                    return write_partitions(store, layout, self._partitions, batches, self._numbers)
                return write_parquet(store, layout, batches, self._numbers)
        except BaseException:
            self._failed.set()  # the other writers stop, too
            raise

    def _write_empty(self) -> list[File]:
        """Write an empty file; not in partitions, which need rows."""
        store, layout = self._run.store, self._layout
        if self._run.spec.format is Format.CSV:
            return write_csv(store, layout, self._names, (), self._numbers, empty=True)
        if self._partitions:
            return []
        return write_parquet(store, layout, [self._shaper().nothing()], self._numbers)

    @property
    def _partitions(self) -> list[str]:
        """The columns that name the partition folders."""
        found = [one for one in self._export.columns if one.partition]
        return [one.name for one in sorted(found, key=lambda one: one.partition)]

    def _shaper(self) -> Shaper:
        return Shaper(self._export.columns, self._run.loads_into, self._hasher)

    @property
    def _names(self) -> list[str]:
        return [column.name for column in self._export.columns]

    def _readers(self) -> Generator[Rows, None, None]:
        """The rows of slice after slice, until the writers together have taken all of them."""
        run = self._run
        while not self._failed.is_set():
            try:
                export = replace(self._export.read, query=self._rest.get_nowait())
            except Empty:
                return
            reading = run.source.reading(export, run.loads_into, run.run, self._share)
            with run.threads.reading, reading as rows:
                yield rows
                self._count(rows.losses)

    def _batches(self) -> Generator[pa.RecordBatch, None, None]:
        shaper = self._shaper()
        with closing(self._readers()) as readers:
            for rows in readers:
                with closing(ahead(rows.batches)) as batches:
                    for batch in batches:
                        if self._failed.is_set():
                            return
                        yield shaper.shape(batch)
        self._count(shaper.losses)

    def _lines(self) -> Generator[bytes | bytearray | memoryview, None, None]:
        """From the source's own CSV if it writes any, else from its batches."""
        columns, target, shaper = self._export.columns, self._run.loads_into, self._shaper()
        with closing(self._readers()) as readers:
            for rows in readers:
                if self._hasher is None and (lines := rows.lines()) is not None:
                    with closing(lines):
                        yield from with_constants(lines, columns, target)
                    continue
                with closing(ahead(rows.batches)) as batches:
                    yield from csv_lines(map(shaper.shape, batches), columns, target)
        self._count(shaper.losses)

    def _count(self, losses: Losses) -> None:
        with self._lock:
            self.losses += losses
