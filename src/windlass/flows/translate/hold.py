"""What a run holds until it ends: the snapshot of a source of another engine, and the target's
lock."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from windlass.engines.origin import Hashes, Origin
from windlass.engines.postgres.hold import Hold
from windlass.engines.postgres.session import Address, Connection
from windlass.engines.registry import open_origin
from windlass.engines.starting import when_up
from windlass.errors import SnapshotLost
from windlass.flows.addresses import both_sides
from windlass.model.snapshot import Snapshot
from windlass.spec.migrate import Spec

if TYPE_CHECKING:  # slow to load
    from windlass.model.relation import Name
    from windlass.model.translation import Answers, Fit, SourceSchema, SourceTable


@dataclass(frozen=True, slots=True)
class Kept:
    """A source that is still read in its snapshot."""

    origin: Origin
    snapshot: Snapshot


@dataclass(slots=True)
class Known:
    """What was read in a snapshot."""

    schema: SourceSchema | None = None
    fits: dict[tuple[object, ...], Fit] = field(default_factory=dict)
    project: Mapping[str, Any] | None = None  # what a Django project has reported about its tables


class TranslateHold(Hold):
    """A `Hold` whose source half is replaced: `origin` reads the source, in any thread."""

    def __init__(self, spec: Spec, kept: Kept | None = None) -> None:
        """Connects to nothing yet. `kept` comes from an earlier attempt of this process.

        Raises:
            BadSpec: source or target is missing or cannot be read.
        """
        found, target = both_sides(spec, open_origin, partial(Address.parse, "target"))
        super().__init__(target, target)
        self.origin = kept.origin if kept else found
        if spec.hashes and not kept:
            _give_key(found)
        self._is_reading = kept is not None
        if kept:
            self.snapshot = kept.snapshot
            self.origin.resume()  # the earlier attempt has cancelled it when it failed
        self.known = Known()
        self._types = spec.types

    def _where(self) -> tuple[Address, Address]:
        here = self.target.at(self.control)
        return here, here

    def _connect_source(self) -> None:
        if not self._is_reading:
            self.snapshot = when_up(self.origin.hold)
            self._is_reading = True

    def schema(self) -> SourceSchema:
        """The source's structure, read once."""
        if self.known.schema is None:
            self.known.schema = self.origin.schemas(self._types)
        return self.known.schema

    def fit(self, table: SourceTable, answers: Answers) -> Fit:
        """How the table fits; each combination of answers is scanned once."""
        key = (table.name, tuple(sorted(answers.types.items())), answers.accepts_values)
        if key not in self.known.fits:
            self.known.fits[key] = self.origin.fit(table, answers)
        return self.known.fits[key]

    def take_snapshot(self, number: int = 1) -> None:
        if number != self.snapshot.number:
            self.origin.close()
            self.snapshot = self.origin.hold(number)
            self.known = Known(project=self.known.project)

    def leave_source(self) -> None:
        self.origin.close()
        self._is_reading = False

    @property
    def snapshot_id(self) -> str:
        return self.snapshot.id

    def lock_relations(self, names: Collection[Name]) -> None:
        """A snapshot of other engines keeps what it reads."""

    @contextlib.contextmanager
    def room_for_locks(self, beside: Connection, names: Collection[Name]) -> Iterator[None]:
        yield

    def check(self) -> None:
        if self._gave_way is not None:
            raise self._gave_way
        if self._is_reading:
            self.origin.check()
        self.check_lock()

    def hand_over_source(self) -> Kept | None:
        """The source, if its snapshot lives, for the process's next attempt at this run."""
        try:
            self.origin.check()
        except SnapshotLost:
            self.leave_source()
            return None
        self._is_reading = False
        return Kept(self.origin, self.snapshot)

    def let_go(self) -> None:
        super().let_go()
        if self._is_reading and self.hand_over_source() is not None:
            self._is_reading = True

    def cancel(self) -> None:
        self.origin.cancel()
        super().cancel()

    def close(self) -> None:
        if self._is_reading:
            self.leave_source()
        super().close()


def _give_key(origin: Origin) -> None:
    """Give the key to an engine that can hash. If there is no key, the plan reports that."""
    from windlass.transfer.hashing import hasher_of_environment  # few migrations hash

    hasher = hasher_of_environment()
    if hasher is not None and isinstance(origin, Hashes):
        origin.hash_with(hasher.text, hasher.pads())
