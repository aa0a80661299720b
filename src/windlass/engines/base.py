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
# A reader holds three batches at once, a writer two: about 100 MB with what decoding needs.
BATCH_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Naming:
    """Which names a target tells apart, and how long they can be."""

    tables_by_case: bool = True  # those that differ by case only are two
    columns_by_case: bool = True
    most_bytes: int = 0  # 0: more than any source has


class Nesting(StrEnum):
    """How a target keeps values that have others inside."""

    LISTS = "lists"  # and structs, of anything, and with NULLs in them
    REPEATED = "repeated"  # lists are neither NULL nor hold NULLs or lists; structs can be NULL
    OWN = "own"  # as the source's own arrays; as JSON where there are fields


@dataclass(frozen=True, slots=True)
class Facts:
    """What an engine can do. Each engine has one; the fields of a role it does not have are
    unused."""

    engine: str  # as a URL's scheme names it
    label: str  # for people

    # as a source
    shared_snapshot: bool = False  # sessions of other processes can read in it
    typed: bool = True  # a column's type is that of all its values

    # as a target
    nesting: Nesting = Nesting.LISTS
    uuids: bool = True
    json: bool = True  # a type for JSON that Parquet files can be loaded into
    infinity: bool = True  # dates and timestamps can be infinite
    years: tuple[int, int] | None = None  # the first and last that dates can have
    midnight_ends: bool = True  # 24:00 is a time
    decimal_nan: bool = True  # decimals in CSV can be NaN
    csv_null: str = ""
    csv_base64: bool = False  # bytes in CSV; else `\\x` and hexadecimal digits
    csv_text_lists: bool = True  # lists of texts can be read from CSV
    naming: Naming = Naming()

    @property
    def lists(self) -> bool:
        """Whether columns can be lists with NULLs in them."""
        return self.nesting is not Nesting.REPEATED


# Files alone, for no engine in particular. Parquet has no infinity, and its times end before 24:00
# (parquet-format, LogicalTypes.md); text has both.
FILES = Facts("files", "files", infinity=False, midnight_ends=False)
TEXT_FILES = Facts("files", "files")


class Rows(Protocol):
    """The rows of one export, read once: either as batches or as lines."""

    def batches(self) -> Generator[pa.RecordBatch, None, None]:
        """Arrow batches, with the columns and types of `windlass.engines.base.schema`."""

    def lines(self) -> Generator[bytes | bytearray | memoryview, None, None] | None:
        """Lines of CSV, each a row, in the text that PostgreSQL has for values. None: the engine
        writes no CSV itself."""

    @property
    def losses(self) -> Losses:
        """Values that the format cannot hold. Complete once all rows have been read."""


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
        """Identifies the database, however it is addressed. Known once the snapshot is held."""

    def hold(self, number: int = 1, *, overlaps: Sequence[float | None] = ()) -> Snapshot:
        """Take the snapshot that everything is read in. `overlaps` are those of the watermarks, in
        seconds, and None where there can be none: with watermarks the source also checks which
        transactions are still writing.

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
        """The requested columns, with types that hold all their values.

        Raises:
            WindlassError: the source does not accept the query.
        """

    def item(self, request: Request) -> str:
        """The FROM item in the engine's own SQL: the export's `query`."""

    def pieces(self, export: Export) -> Sequence[Piece]:
        """What all rows of an export are in, if ranges of blocks can be read; else nothing."""

    def assets(self, export: Export) -> list[dict[str, str]]:
        """As `Target.assets`, of what an export reads: its relation, or the tables that its query
        names with their schemas. Connects to nothing."""

    def span(self, export: Export, last: str) -> Span:
        """The range of a watermark to read: it was last loaded up to `last`."""

    def keep(self, names: Collection[str]) -> None:
        """Keep relations from being dropped or emptied under the readers."""

    def reading(
        self, export: Export, target: Facts, run: str, share: int = 1
    ) -> AbstractContextManager[Rows]:
        """The rows of an export, in the snapshot. CSV is written for `target`. An engine that lists
        its sessions shows the `run`. `share` is how many readers share a relation's memory."""

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
        """What would prevent the loads: the warehouse cannot be reached or written, or existing
        tables do not fit."""

    def watermark(self, export: Export) -> str:
        """The last watermark loaded from this source into the table, as text. Empty if there is
        none, or if the table has lost those rows: it was dropped, emptied or replaced."""

    def loaded(self, run: str, export: Export) -> Loaded | None:
        """What this run has loaded of a relation, or None."""

    def load(self, export: Export, manifest: Manifest, store: ObjectStore) -> Loaded:
        """Load the files of a manifest, once for a run, with the export's hooks in the load's
        transaction."""

    def run_once(self, run: str, source: str, when: str, texts: Sequence[str]) -> bool:
        """Run statements of the user's in one transaction, once for a run, and `when` it is said
        that they are. Returns whether they were run now."""

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
    """For rows that append could not tell from those of earlier runs."""
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
    """Lists and structs. Arrow has neither UUIDs nor JSON inside of them, which are text there."""
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
    """The schema of a source's batches. Every column is nullable: a value that Arrow cannot hold
    becomes NULL."""
    import pyarrow as pa

    return pa.schema([pa.field(one.name, arrow_type(one)) for one in columns])
