"""The interface of an engine: a `Source` to read from, a `Target` to load into, and its `Facts`.

Decides nothing and imports no driver. `windlass.engines.registry` chooses an engine by URL.

Rows travel as Arrow batches of the types that `arrow_type` names. A date or timestamp at infinity
is the largest number of its Arrow type, or that number's negative.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, Self

from windlass.errors import WindlassError
from windlass.model.export import (
    Column,
    Described,
    Export,
    Kind,
    Loaded,
    Losses,
    Manifest,
    Nested,
    Piece,
    Readable,
    Request,
    Span,
)
from windlass.model.fit import Survey
from windlass.model.snapshot import Snapshot

if TYPE_CHECKING:
    import pyarrow as pa

    from windlass.engines.objects.store import ObjectStore

OURS = "_windlass_"  # prefix of tables that we make
MOST_DIGITS = 38  # of a decimal in Arrow's 128 bits, DuckDB, and BigQuery's BIGNUMERIC
# A reader holds three batches at once and a writer two: about 100 MB, including what decoding
# needs.
BATCH_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Naming:
    """Which names a target distinguishes, and how long they may be."""

    tables_by_case: bool = True  # names that differ only by case are different
    columns_by_case: bool = True
    most_bytes: int = 0  # 0: more than any source has


class Nesting(StrEnum):
    """How a target stores nested values."""

    LISTS = "lists"  # and structs, of any type, with NULLs inside
    REPEATED = "repeated"  # lists cannot be NULL, or contain NULLs or lists; structs can be NULL
    OWN = "own"  # like the source's own arrays; as JSON where there are fields


@dataclass(frozen=True, slots=True)
class Facts:
    """What an engine can do. Each engine has one; the fields of a role it does not have are
    unused."""

    engine: str  # as a URL's scheme names it
    label: str  # for people

    # as a source
    shared_snapshot: bool = False  # sessions of other processes can read in it
    typed: bool = True  # each column has one type for all its values

    # as a target
    nesting: Nesting = Nesting.LISTS
    uuids: bool = True
    json: bool = True  # has a JSON type that Parquet files can be loaded into
    infinity: bool = True  # dates and timestamps can be infinite
    years: tuple[int, int] | None = None  # the first and the last year of dates
    midnight_ends: bool = True  # 24:00 is a time
    decimal_nan: bool = True  # decimals in CSV can be NaN
    csv_null: str = ""
    csv_base64: bool = False  # bytes in CSV are in base64; otherwise `\\x` and hexadecimal digits
    csv_text_lists: bool = True  # lists of texts can be read from CSV
    naming: Naming = Naming()

    @property
    def lists(self) -> bool:
        """Whether columns can be lists with NULLs in them."""
        return self.nesting is not Nesting.REPEATED


# Files that are not for a particular engine. Parquet has no infinity, and its times end before
# 24:00 (parquet-format, LogicalTypes.md); text has both.
FILES = Facts("files", "files", infinity=False, midnight_ends=False)
TEXT_FILES = Facts("files", "files")


class Rows(Protocol):
    """The rows of one export, read once: either as batches or as lines."""

    def batches(self) -> Generator[pa.RecordBatch, None, None]:
        """Arrow batches, with the columns and types of `windlass.engines.base.schema`."""

    def lines(self) -> Generator[bytes | bytearray | memoryview, None, None] | None:
        """Lines of CSV, one for each row, with values as PostgreSQL's text. None if the engine does
        not write CSV itself."""

    @property
    def losses(self) -> Losses:
        """How many values the format could not hold. Complete once all rows have been read."""


class Source(Protocol):
    """A database that is only read. Call `hold` or `join` first; leaving the context closes all
    sessions.

    Its methods may be called by several threads at once.
    """

    place: str  # for people, without secrets

    @property
    def facts(self) -> Facts: ...

    @property
    def identity(self) -> str:
        """Identifies the database, whatever address is used. Known once the snapshot is held."""

    def hold(self, number: int = 1, *, overlaps: Sequence[float | None] = ()) -> Snapshot:
        """Take the snapshot that everything is read in. `overlaps` are the overlaps of the
        watermarks in seconds, None for a watermark without one. With watermarks, the source also
        checks which transactions are still writing.

        Raises:
            WindlassError: it cannot be read; `retryable` where trying again can help.
        """

    def notices(self) -> Sequence[str]:
        """What users need to know about the snapshot."""

    @property
    def alive(self) -> bool:
        """Whether the snapshot that `hold` took is still held."""

    def join(self, snapshot: Snapshot) -> None:
        """Read in a snapshot that another process holds.

        Raises:
            WindlassError: this engine's snapshots are not shared.
        """

    def relations(self) -> Sequence[Readable]:
        """Everything that a pattern can match, with the reasons why it cannot be read."""

    def describe(self, request: Request) -> Described:
        """The requested columns, with types that hold all of their values.

        Raises:
            WindlassError: the source does not accept the query.
        """

    def item(self, request: Request) -> str:
        """The export's `query` as a FROM item in the engine's own SQL."""

    def pieces(self, export: Export) -> Sequence[Piece]:
        """The pieces that together have all rows of an export, if it can be read by ranges of
        blocks; otherwise empty."""

    def assets(self, export: Export) -> list[dict[str, str]]:
        """Like `Target.assets`, for what an export reads: its relation, or the tables that its
        query names with their schemas. Connects to nothing."""

    def span(self, export: Export, last: str) -> Span:
        """The range of a watermark to read; `last` is where the last load ended."""

    def keep(self, exports: Collection[Export]) -> None:
        """Keep what is read from being dropped or emptied under the readers.

        Raises:
            SnapshotLost: that has happened since the snapshot was taken.
        """

    def reading(
        self, export: Export, target: Facts, run: str, share: int = 1
    ) -> AbstractContextManager[Rows]:
        """The rows of an export, in the snapshot. CSV is written for `target`. Engines that list
        their sessions show the `run`. `share` is how many readers share the memory for a
        relation."""

    def cancel(self) -> None:
        """Stop what other threads are reading: they raise Interrupted."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *fault: object) -> None: ...


class Target(Protocol):
    """A warehouse that files are loaded into. Leaving it closes what is open.

    A load and its record are one transaction or, where the engine has none, a job whose name is
    made from run and relation and is accepted only once. So a retry finds what was done.
    """

    place: str  # for people, without secrets

    @property
    def facts(self) -> Facts: ...

    def survey(self, exports: Sequence[Export]) -> Survey:
        """What would prevent the loads: the warehouse cannot be reached or written to, or existing
        tables do not fit."""

    def watermark(self, export: Export) -> str:
        """The last watermark that was loaded from this source into the table, as text. Empty if
        there is none, or if the table was dropped, emptied or replaced since."""

    def loaded(self, run: str, export: Export) -> Loaded | None:
        """What this run has loaded from a relation; None if nothing."""

    def load(self, export: Export, manifest: Manifest, store: ObjectStore) -> Loaded:
        """Load the files of a manifest, once for a run, with the export's hooks in the load's
        transaction."""

    def run_once(self, run: str, source: str, when: str, texts: Sequence[str]) -> bool:
        """Run the user's statements in one transaction, once for each run and `when`. Returns
        whether they were run now."""

    def count(self, table: str) -> int:
        """The rows of a table now."""

    def assets(self, table: str) -> list[dict[str, str]]:
        """The assets under which a scheduler's other jobs find a table."""

    def clean_up(self, export: Export, run: str) -> None:
        """Remove what a load of this run may have left behind."""

    def cancel(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *fault: object) -> None: ...


def no_watermark(export: Export) -> WindlassError:
    """The error for rows that append could not distinguish from those of earlier runs."""
    return WindlassError(
        f"{export.name}: append by {export.watermark}: rows have no watermark (it is NULL,"
        " infinite or NaN)",
        hint="give the relation a `where` without them, another `watermark`, or merge by a key",
        side="source",
    )


def arrow_type(column: Column) -> Any:
    """The Arrow type of a column in a source's batches."""
    import pyarrow as pa

    if column.inside:
        return _nested_type(column.inside)
    types = {
        Kind.BOOLEAN: pa.bool_(),
        Kind.INT16: pa.int16(),
        Kind.INT32: pa.int32(),
        Kind.INT64: pa.int64(),
        Kind.FLOAT32: pa.float32(),
        Kind.FLOAT64: pa.float64(),
        Kind.TEXT: pa.string(),
        Kind.JSON: pa.string(),
        Kind.UUID: pa.uuid(),
        Kind.BYTES: pa.binary(),
        Kind.DATE: pa.date32(),
        Kind.TIME: pa.time64("us"),
        Kind.TIMESTAMP: pa.timestamp("us"),
        Kind.INSTANT: pa.timestamp("us", tz="UTC"),
    }
    if column.kind is Kind.DECIMAL:
        return pa.decimal128(column.precision, column.scale)
    return pa.list_(types[column.kind]) if column.is_list else types[column.kind]


def _nested_type(inside: Nested) -> Any:
    """The type of lists and structs. Arrow has no UUIDs and no JSON inside of them; there they are
    text."""
    import pyarrow as pa

    types = [pa.string() if one.kind is Kind.UUID else arrow_type(one) for one in inside.parts]
    if not inside.of:
        names = [one.name for one in inside.fields]
        return pa.struct([pa.field(*pair) for pair in zip(names, types, strict=True)])
    (type_,) = types
    for _ in range(inside.dimensions):
        type_ = pa.list_(type_)
    return type_


def schema(columns: Sequence[Column]) -> Any:
    """The schema of a source's batches. Every column is nullable, because a value that Arrow cannot
    hold becomes NULL."""
    import pyarrow as pa

    return pa.schema([pa.field(one.name, arrow_type(one)) for one in columns])
