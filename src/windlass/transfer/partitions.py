"""Writes rows to Parquet files in folders that are named by the values of some columns, as in Hive:
``day=2024-01-31/part-00001.parquet``. These columns are in the paths only.

The numbers of open files and of kept rows are bounded, so partitions whose rows are scattered have
more, smaller files.
"""

from __future__ import annotations

import re
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from windlass.errors import WindlassError
from windlass.model.export import File
from windlass.transfer.files import Layout, ParquetFile, Store

if TYPE_CHECKING:
    import pyarrow as pa

NULL = "__HIVE_DEFAULT_PARTITION__"
MOST_OPEN = 16  # open files, each with an upload buffer
ROW_GROUP_BYTES = 8 << 20
MOST_KEPT_BYTES = 64 << 20  # of rows that are not written yet
LONGEST_BYTES = 255  # of a folder's name, on most file systems
MOST_PARTITIONS = 10_000  # more are a mistake: most stores list a thousand at a time
# the characters that Hive escapes: FileUtils.charToEscape
_ESCAPED = re.compile(r"[\x00-\x1f\"#%'*/:=?\\\x7f{\[\]^]")


def folder_of(column: str, value: str | None) -> str:
    """The name of the folder for one value."""
    return f"{_escape(column)}={NULL if value is None else _escape(value)}"


def _escape(text: str) -> str:
    return _ESCAPED.sub(lambda found: f"%{ord(found[0]):02X}", text)


def write_partitions(
    store: Store,
    layout: Layout,
    by: Sequence[str],
    batches: Iterable[pa.RecordBatch],
    numbers: Iterator[int],
) -> list[File]:
    """Write every row to its folder; without rows, no file. `by` are the columns, outermost folder
    first."""
    with _Writer(store, layout, numbers) as writer:
        for batch in batches:
            for folder, rows in split(batch, by):
                writer.add(folder, rows)
        writer.finish()
    return writer.files


def split(batch: pa.RecordBatch, by: Sequence[str]) -> Iterator[tuple[str, pa.RecordBatch]]:
    """The rows of each folder, without the columns that its path has."""
    import pyarrow as pa
    import pyarrow.compute as pc

    parts = [_folders(name, batch.column(name)) for name in by]
    joined = parts[0] if len(parts) == 1 else pc.binary_join_element_wise(*parts, "/")
    folders = joined.dictionary_encode()
    rest = batch.select([name for name in batch.schema.names if name not in by])
    if len(folders.dictionary) == 1:
        yield folders.dictionary[0].as_py(), rest
        return
    ordered = pa.Table.from_batches([rest]).take(pc.sort_indices(folders.indices))
    start = 0
    counts = {one["values"]: one["counts"] for one in pc.value_counts(folders.indices).to_pylist()}
    for index, count in sorted(counts.items()):
        (some,) = ordered.slice(start, count).combine_chunks().to_batches()
        yield folders.dictionary[index].as_py(), some
        start += count


def _folders(column: str, values: Any) -> Any:
    """The folder of each value."""
    import pyarrow as pa

    if pa.types.is_decimal(values.type):  # Arrow would write 0.0000001 as 1E-7
        encoded = values.dictionary_encode(null_encoding="encode")
        texts = [one if one is None else f"{one:f}" for one in encoded.dictionary.to_pylist()]
    else:
        encoded = values.cast(pa.string()).dictionary_encode(null_encoding="encode")
        texts = encoded.dictionary.to_pylist()
    if NULL in texts:
        raise WindlassError(
            f"{column} has the value {NULL}, which means NULL in a path",
            hint="leave the row out by a `where`, or do not partition by this column",
        )
    folders = [folder_of(column, text) for text in texts]
    longest = max((len(one.encode()) for one in folders), default=0)
    if longest > LONGEST_BYTES:
        raise WindlassError(
            f"partition-by: {column} has a value whose folder's name has {longest} bytes, and a"
            f" name can have {LONGEST_BYTES}",
            hint="partition by a column with short values, such as a date",
        )
    return pa.array(folders, pa.string()).take(encoded.indices)


@dataclass
class _Kept:
    """Rows of one folder that are not written yet."""

    batches: list[Any]
    size_bytes: int = 0


class _Writer:
    def __init__(self, store: Store, layout: Layout, numbers: Iterator[int]) -> None:
        self._store, self._layout, self._numbers = store, layout, numbers
        self._kept: dict[str, _Kept] = defaultdict(lambda: _Kept([]))
        self._kept_bytes = 0
        self._open: OrderedDict[str, ParquetFile] = OrderedDict()
        self._folders: set[str] = set()
        self.files: list[File] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *fault: Any) -> None:
        """After a failure the open files never appear."""
        for file in self._open.values():
            file.__exit__(*fault)

    def add(self, folder: str, batch: pa.RecordBatch) -> None:
        self._folders.add(folder)
        if len(self._folders) > MOST_PARTITIONS:
            raise WindlassError(
                f"partition-by: there are more than {MOST_PARTITIONS:,} partitions",
                hint="partition by a column with fewer values, such as a month",
            )
        kept = self._kept[folder]
        kept.batches.append(batch)
        kept.size_bytes += batch.nbytes
        self._kept_bytes += batch.nbytes
        if kept.size_bytes >= ROW_GROUP_BYTES:
            self._write(folder)
        while self._kept_bytes > MOST_KEPT_BYTES:
            self._write(max(self._kept, key=lambda one: self._kept[one].size_bytes))

    def finish(self) -> None:
        for folder in list(self._kept):
            self._write(folder)
        while self._open:
            self._end(next(iter(self._open)))

    def _write(self, folder: str) -> None:
        """Write what is kept for the folder as one row group."""
        import pyarrow as pa

        kept = self._kept.pop(folder)
        self._kept_bytes -= kept.size_bytes
        (batch,) = pa.Table.from_batches(kept.batches).combine_chunks().to_batches()
        file = self._open.get(folder)
        if file is None:
            if len(self._open) == MOST_OPEN:
                self._end(next(iter(self._open)))
            layout = replace(self._layout, folder=f"{self._layout.folder}/{folder}")
            file = ParquetFile(self._store, layout, next(self._numbers), batch)
            self._open[folder] = file
        self._open.move_to_end(folder)
        file.write(batch)
        if file.size_bytes >= self._layout.file_bytes:
            self._end(folder)

    def _end(self, folder: str) -> None:
        self.files.append(self._open.pop(folder).end())
