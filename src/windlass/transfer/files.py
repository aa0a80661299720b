"""Writes rows to files in an object store, split by size. Memory does not depend on the number of
rows.

The source and the types of the rows are decided elsewhere.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import queue
import threading
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol, Self, TypeVar

from windlass.errors import WindlassError
from windlass.model.export import File

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import pyarrow as pa

T = TypeVar("T")
_END = object()
# Building a dictionary that overflows is wasted work: 1 s of 5 s for 2M rows (the benchmark's
# `events`).
DISTINCT_FOR_DICTIONARY = 0.1
ZSTD_LEVEL = 1  # level 3 writes files 4 % smaller, in twice the time
LINES_BYTES = 1 << 20  # of CSV, before it is compressed and written


class Store(Protocol):
    def writing(self, path: str) -> AbstractContextManager[IO[bytes]]: ...


@dataclass(frozen=True, slots=True)
class Layout:
    """How the files of one extract are named and written."""

    folder: str
    suffix: str  # "parquet", "csv", "csv.gz"
    compression: str
    file_bytes: int

    def path(self, number: int) -> str:
        return f"{self.folder}/part-{number:05}.{self.suffix}"


class _Counted:
    """Counts and hashes written bytes. The store's writers do not report their position."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self.size, self.closed = stream, 0, False
        self._hash = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def write(self, data: Any) -> int:
        portion = bytes(data)
        self._stream.write(portion)
        self._hash.update(portion)
        self.size += len(portion)
        return len(portion)

    def tell(self) -> int:
        return self.size

    def flush(self) -> None:
        """Nothing to do: the store decides when to flush."""

    def close(self) -> None:
        self.closed = True


class ParquetFile:
    """One file while it is written. Without `end` it never appears."""

    def __init__(self, store: Store, layout: Layout, number: int, first: pa.RecordBatch) -> None:
        """`first` decides how columns are encoded; it may have no rows."""
        import pyarrow.parquet as pq

        self._path, self._rows = layout.path(number), 0
        self._stack = ExitStack()
        self._counted = _Counted(self._stack.enter_context(store.writing(self._path)))
        self._writer = pq.ParquetWriter(
            self._counted,
            first.schema,
            compression=layout.compression,
            compression_level=ZSTD_LEVEL if layout.compression == "zstd" else None,
            use_dictionary=_repetitive(first) if first.num_rows else False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *fault: Any) -> None:
        """After `end`, nothing is left to do."""
        self._stack.__exit__(*fault)

    @property
    def size_bytes(self) -> int:
        """The bytes that were written so far."""
        return self._counted.size

    def write(self, batch: pa.RecordBatch) -> None:
        """Write the batch as one row group."""
        self._writer.write_batch(batch)
        self._rows += batch.num_rows

    def end(self) -> File:
        self._writer.close()
        self._stack.close()
        return File(self._path, self._rows, self._counted.size, self._counted.sha256)


def write_parquet(
    store: Store,
    layout: Layout,
    batches: Iterable[pa.RecordBatch],
    numbers: Iterator[int],
) -> list[File]:
    """Write Parquet: each batch is a row group. Without batches there is no file."""
    files: list[File] = []
    rest = iter(batches)
    batch = next(rest, None)
    while batch is not None:
        with ParquetFile(store, layout, next(numbers), batch) as file:
            while batch is not None:
                file.write(batch)
                batch = next(rest, None)
                if file.size_bytes >= layout.file_bytes:
                    break
            files.append(file.end())
    return files


def count_parquet(part: Callable[[int, int], bytes], size: int) -> int:
    """The row count in a file's footer. Reads only the end of the file, with `part(start, length)`.

    A file ends with its footer, the footer's length in four bytes, and PAR1 (parquet.thrift).

    Raises:
        WindlassError: it is not a complete Parquet file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    end = part(size - 8, 8)
    length = int.from_bytes(end[:4], "little")
    try:
        if end[4:] != b"PAR1" or length > size - 12:
            raise pa.ArrowInvalid("the end of the file is not a footer")
        return int(
            pq.read_metadata(io.BytesIO(b"PAR1" + part(size - 8 - length, length) + end)).num_rows
        )
    except pa.ArrowException as error:
        raise WindlassError(
            f"a file is not whole: {error}", hint="run the extract of this run again"
        ) from error


def _repetitive(batch: pa.RecordBatch) -> list[str]:
    """Columns that a dictionary makes smaller, according to a sample."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = []
    some = batch.slice(0, 10_000)
    for name, array in zip(some.schema.names, some.columns, strict=True):
        if isinstance(array, pa.ExtensionArray):
            array = array.storage
        if pa.types.is_nested(array.type) or pa.types.is_boolean(array.type):
            continue
        if pc.count_distinct(array).as_py() <= len(some) * DISTINCT_FOR_DICTIONARY:
            found.append(name)
    return found


def write_csv(
    store: Store,
    layout: Layout,
    names: Iterable[str],
    lines: Iterable[bytes | bytearray | memoryview],
    numbers: Iterator[int],
    *,
    empty: bool = False,
) -> list[File]:
    """Write CSV: every line is a row; every file begins with the column names. With `empty`, write
    one file even if there are no lines."""
    head = io.StringIO()
    csv.writer(head, lineterminator="\n").writerow(names)
    header = head.getvalue().encode()
    files: list[File] = []
    rest = iter(lines)
    line = next(rest, None)
    while line is not None or (empty and not files):
        with ExitStack() as stack:
            path = layout.path(next(numbers))
            counted = _Counted(stack.enter_context(store.writing(path)))
            out: Any = counted
            if layout.compression == "gzip":
                # no name and no time in the header, so that the same rows give the same bytes
                out = gzip.GzipFile("", "wb", compresslevel=1, fileobj=counted, mtime=0)
            rows, some = 0, bytearray(header)
            while line is not None:
                some += line
                rows += 1
                line = next(rest, None)
                if len(some) >= LINES_BYTES:
                    out.write(bytes(some))
                    some.clear()
                    if counted.size >= layout.file_bytes:
                        break
            out.write(bytes(some))
            if out is not counted:
                out.close()
        files.append(File(path, rows, counted.size, counted.sha256))
    return files


def count_csv(path: Path, *, packed: bool) -> int:
    """Count the rows of a file that `write_csv` wrote, without parsing: a line end outside quotes
    ends a row.

    Raises:
        WindlassError: it is not a complete file.
    """
    lines, outside = 0, 0
    try:
        with gzip.open(path) if packed else path.open("rb") as file:
            while portion := file.read(LINES_BYTES):
                # every second piece is inside quotes; a doubled quote splits twice
                pieces = portion.split(b'"')
                lines += sum(piece.count(b"\n") for piece in pieces[outside::2])
                outside = (outside + len(pieces) - 1) % 2
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise WindlassError(
            f"a file is not whole: {type(error).__name__}",
            hint="run the extract of this run again",
        ) from None
    return lines - 1  # without the header


def ahead(items: Callable[[], Iterator[T]], depth: int = 1) -> Generator[T, None, None]:
    """The same items, produced in a thread that is up to `depth` items ahead.

    Closing the iterator stops the thread as well.
    """
    made: queue.Queue[Any] = queue.Queue(depth)
    stopped = threading.Event()

    def put(item: Any) -> bool:
        while not stopped.is_set():
            try:
                made.put(item, timeout=0.2)
            except queue.Full:
                continue
            return True
        return False

    def make() -> None:
        try:
            for item in items():
                if not put(item):
                    return
            put(_END)
        except BaseException as error:
            put(error)

    thread = threading.Thread(target=make, name="windlass-reader", daemon=True)
    thread.start()
    try:
        while (item := made.get()) is not _END:
            if isinstance(item, BaseException):
                raise item
            yield item
            del item
    finally:
        stopped.set()
        thread.join()
