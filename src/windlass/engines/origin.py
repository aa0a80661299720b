"""The interface of an engine whose databases are migrated into another engine.

Decides nothing and imports no driver. `windlass.engines.registry` chooses an engine by URL.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol, Self, runtime_checkable

from windlass.model.chunk import Range
from windlass.model.plan import Server
from windlass.model.snapshot import Snapshot
from windlass.model.translation import (
    Answers,
    Digest,
    Fit,
    Reading,
    Row,
    SourceSchema,
    SourceTable,
)


@runtime_checkable
class Hashes(Protocol):
    """An origin whose sessions can hash values with a secret key, as `mask: hash` asks."""

    def hash_with(self, hashed: Callable[[str], str], pads: tuple[bytes, bytes]) -> None:
        """Set the key; called before `hold`. `pads` are the inner and outer pads that HMAC makes of
        it."""


@runtime_checkable
class Orders(Protocol):
    """An origin whose lines can come in the order of a column."""

    def ordered_by(self, reading: Reading) -> str:
        """The column of whole numbers, unique and never NULL, in whose order `lines` yields rows;
        empty if there is none. It decides how rows are compared, not whether: lines in another
        order only take more time."""


class Closing(ABC):
    """A context manager that is closed when it is left."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *fault: object) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None: ...


class Origin(Protocol):
    """A database that is only read. Call `hold` first; leaving the context closes all sessions.

    Its methods may be called by several threads at once, after `hold`.
    """

    place: str  # for people, without secrets
    dialect: str  # of its SQL, as sqlglot names it; empty: it has none
    schema: str  # the target's schema for its tables, if the user names none
    maps_as: str  # whose rules its mapped tables follow: a name of `windlass.planning`'s
    # How FLOAT is hashed: "bits" (16 hexadecimal digits, big-endian) or "digits": those of the
    # shortest text of the same number in 64 bits, `e`, and the exponent of the first: 15e-1.
    floats: str

    @property
    def server(self) -> Server:
        """The server, its version and identity. Known once the snapshot is held."""

    def hold(self, number: int = 1) -> Snapshot:
        """Take the snapshot that everything is read in. Its `id` is unique.

        Raises:
            WindlassError: it cannot be read; `retryable` where trying again can help.
        """

    def notices(self) -> Sequence[str]:
        """What users need to know about the snapshot."""

    def check(self) -> None:
        """Raises:
        SnapshotLost: the snapshot is gone.
        """

    def schemas(self, types: Mapping[str, str] | None = None) -> SourceSchema:
        """The structure, from the catalog. `types` are the user's answers, by `table.column` as
        written. If tables have no columns, each answer makes one."""

    def fit(self, table: SourceTable, answers: Answers) -> Fit:
        """Scan all rows, and choose types that hold every value. Never decides from a sample."""

    def cut(self, table: SourceTable, count: int) -> Sequence[Range]:
        """About `count` ranges of rows, with each row in exactly one; just `Whole` if the table
        cannot be cut."""

    def can_hash(self, reading: Reading) -> bool:
        """Whether all values of the snapshot are copied in the same text that is hashed, as
        `is_hashed` requires."""

    def lines(self, reading: Reading, range_: Range) -> Iterator[bytes]:
        """Blocks of whole lines of PostgreSQL's COPY in text format."""

    def digest(self, reading: Reading, range_: Range) -> Digest:
        """The digest of all rows of a range."""

    def buckets(self, reading: Reading) -> Mapping[int, Digest]:
        """The digests of all rows, by bucket; without empty ones."""

    def rows(self, reading: Reading, buckets: Sequence[int]) -> Iterator[Row]:
        """The rows of some buckets."""

    def cancel(self) -> None:
        """Stop what other threads are reading: they raise Interrupted, as does each later call."""

    def resume(self) -> None:
        """Let threads read again after `cancel`, in the same snapshot. Those that were cancelled
        have ended."""

    def close(self) -> None:
        """Close all sessions; `hold` may be called again."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *fault: object) -> None: ...
