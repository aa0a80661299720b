"""Turns frames of a stream into batches. Decides what belongs together, and what is not applied.
Pure.

What comes through a stream of ours besides the user's rows is in schema `windlass`: rows of
`applied` show that a transaction is ours, rows of `marker` are markers, rows of `ddl` are
statements that change the source's schema. Nothing else of it is followed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from windlass.engines.postgres.replication.decode import HEADER_BYTES, Decoder
from windlass.engines.postgres.replication.lsn import NOWHERE, Lsn, text
from windlass.engines.postgres.replication.messages import (
    Begin,
    Commit,
    Delete,
    Insert,
    Relation,
    Truncate,
    Update,
)
from windlass.errors import WindlassError
from windlass.following.changes import Batch, Change, Marker, SchemaChange

SCHEMA = "windlass"
_OF_ROWS = frozenset(b"IUDTM")
_SEAL, _PROOF = "seal", "proof"

RowChange = Insert | Update | Delete


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules for one stream. `starts`: by schema and name of a relation, the position before
    which transactions are already in its copy."""

    run: str
    direction: str
    starts: Mapping[tuple[str, str], int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is applied at once. A batch ends with the transaction that reaches one of these
    limits. A transaction that is larger than a batch comes in several."""

    rows: int = 50_000
    size_bytes: int = 8 << 20
    linger_seconds: float = 0.1  # that a change waits for others


class _Role(Enum):
    """What is done with a relation's changes."""

    FOLLOWED = "followed"
    COPIED = "copied"  # followed from a position on
    APPLIED = "applied"
    MARKER = "marker"
    DDL = "ddl"
    IGNORED = "ignored"


_OURS = {"applied": _Role.APPLIED, "marker": _Role.MARKER, "ddl": _Role.DDL}


class Assembler:
    """Takes the frames of one stream in their order; hands out batches through `emit`."""

    def __init__(
        self, rules: Rules, applied: Lsn, emit: Callable[[Batch], None], limits: Limits
    ) -> None:
        """Everything that was committed at `applied` or before is already applied."""
        self._rules, self._applied, self._emit, self._limits = rules, applied, emit, limits
        self._decoder = Decoder()
        self._roles: dict[Relation, _Role] = {}
        self._batch = Batch()
        self._open: _Open | None = None
        self._last = NOWHERE  # commit_lsn of the last transaction
        self.through = NOWHERE  # everything before it has been taken

    @property
    def is_holding(self) -> bool:
        """Whether whole transactions wait to be handed out."""
        return bool(self._batch.starts)

    def take(self, frames: Sequence[bytes]) -> None:
        """Take frames. Raises WindlassError if one cannot be read or is impossible; the batches
        before it are still handed out."""
        try:
            self._take(frames)
        except WindlassError:
            self.flush()
            raise
        if self._open is not None and self._open.exceeds(self._limits):
            self._emit_portion(self._open)

    def quiet(self, lsn: Lsn) -> None:
        """Note that the server has nothing more for us before `lsn`."""
        if self._open is None:
            self.through = max(self.through, lsn)

    def flush(self) -> None:
        """Hand out the whole transactions read so far."""
        if self._batch.starts:
            batch, self._batch = self._batch, Batch()
            self._emit(batch)

    def _take(self, frames: Sequence[bytes]) -> None:
        decode, roles = self._decoder.decode, self._roles
        followed, last = _Role.FOLLOWED, None
        found = self._open
        for frame in frames:
            if found is not None and found.is_dropped and frame[HEADER_BYTES] in _OF_ROWS:
                continue
            message: Any = decode(frame)  # by its exact type: faster than isinstance
            kind = type(message)
            if kind is Insert or kind is Update or kind is Delete:
                if found is None:
                    raise _disorder(self._last, "a change comes outside of a transaction")
                relation = message[0]
                if relation is last or roles.get(relation) is followed:
                    last = relation
                    found.changes.append(message)
                    found.size_bytes += len(frame)
                else:
                    self._take_other(found, message, len(frame))
            elif kind is Begin:
                self._begin(message)
                found = self._open
            elif kind is Commit:
                self._commit(message)
                found = None
            elif kind is Truncate and found is not None:
                self._truncate(found, message)

    def _begin(self, message: Begin) -> None:
        if self._open is not None:
            raise _disorder(message.commit_lsn, "a transaction begins within another one")
        if message.commit_lsn <= self._last:
            raise _disorder(message.commit_lsn, f"it comes after that at {text(self._last)}")
        self._last = message.commit_lsn
        self._open = _Open(message.commit_lsn, message.commit_lsn <= self._applied)

    def _commit(self, message: Commit) -> None:
        found = self._open
        if found is None or found.commit_lsn != message.commit_lsn:
            raise _disorder(message.commit_lsn, "its end does not fit its beginning")
        self._open = None
        if found.has_work and not found.is_dropped:
            self._close(found, message)
        self.through = message.end_lsn

    def _close(self, found: _Open, message: Commit) -> None:
        if found.is_in_portions:
            self._emit(found.portion(message))
            return
        # what comes before a schema change is applied before the change stops us
        if found.schema_changes:
            self.flush()
        self._add(found, message)
        batch = self._batch
        is_full = len(batch.changes) >= self._limits.rows
        is_full = is_full or batch.size_bytes >= self._limits.size_bytes
        if is_full or found.schema_changes or found.is_awaited:
            self.flush()

    def _add(self, found: _Open, message: Commit) -> None:
        batch = self._batch
        batch.add(found.changes, found.commit_lsn, message.end_lsn)
        batch.size_bytes += found.size_bytes
        batch.committed_at = message.committed_at
        batch.markers += tuple(found.markers)
        batch.schema_changes += tuple(found.schema_changes)

    def _emit_portion(self, found: _Open) -> None:
        self.flush()
        self._emit(found.portion(None))

    # what is not simply applied

    def _take_other(self, found: _Open, message: RowChange, size_bytes: int) -> None:
        relation = message.relation
        role = self._role(found, relation)
        if role is _Role.FOLLOWED or (role is _Role.COPIED and self._is_after(found, relation)):
            found.changes.append(message)
            found.size_bytes += size_bytes
            return
        new = None if isinstance(message, Delete) else message.new
        if new is not None:
            names = (column.name for column in relation.columns)
            self._note(found, role, dict(zip(names, new, strict=True)))
        found.has_rows = True

    def _role(self, found: _Open, relation: Relation) -> _Role:
        """The role of a relation. One that is new to this stream comes before its first change."""
        role = self._roles.get(relation)
        if role is None:
            role = self._roles[relation] = self._read_role(relation)
            if role in (_Role.FOLLOWED, _Role.COPIED):
                found.changes.append(relation)
        return role

    def _read_role(self, relation: Relation) -> _Role:
        if relation.schema == SCHEMA:
            return _OURS.get(relation.name, _Role.IGNORED)
        is_copied = (relation.schema, relation.name) in self._rules.starts
        return _Role.COPIED if is_copied else _Role.FOLLOWED

    def _is_after(self, found: _Open, relation: Relation) -> bool:
        start = self._rules.starts[relation.schema, relation.name]
        if self._last >= start:  # so will all later ones
            self._roles[relation] = _Role.FOLLOWED
        return found.commit_lsn >= start

    def _note(self, found: _Open, role: _Role, row: Mapping[str, object]) -> None:
        """A row of one of our tables."""
        if row.get("run") != self._rules.run.encode():
            return
        if role is _Role.APPLIED:
            if not found.has_rows and not found.has_changes:
                found.is_dropped = True
        elif role is _Role.MARKER:
            if row["direction"] == self._rules.direction.encode():
                number, purpose = int(_text(row["number"])), _text(row["purpose"])
                found.markers.append(Marker(number, purpose, found.commit_lsn))
        elif role is _Role.DDL:
            statement, tag = _text(row["statement"]), _text(row["tag"])
            found.schema_changes.append(
                SchemaChange(len(found.changes), statement, tag, _text(row["objects"]))
            )

    def _truncate(self, found: _Open, message: Truncate) -> None:
        kept = []
        for relation in message.relations:
            role = self._role(found, relation)
            if role is _Role.FOLLOWED or (role is _Role.COPIED and self._is_after(found, relation)):
                kept.append(relation)
        if kept:
            found.changes.append(message._replace(relations=tuple(kept)))
        found.has_rows = True


class _Open:
    """A transaction that has begun."""

    __slots__ = (
        "changes",
        "commit_lsn",
        "has_rows",
        "is_dropped",
        "is_in_portions",
        "markers",
        "schema_changes",
        "size_bytes",
    )

    def __init__(self, commit_lsn: Lsn, is_dropped: bool) -> None:
        self.commit_lsn = commit_lsn
        self.is_dropped = is_dropped  # it was applied before, or is ours
        self.changes: list[Change] = []
        self.size_bytes = 0
        self.markers: list[Marker] = []
        self.schema_changes: list[SchemaChange] = []
        self.has_rows = False  # whether rows came that are not in `changes`
        self.is_in_portions = False  # whether some of it was handed out

    @property
    def has_changes(self) -> bool:
        """Whether it has changes, not only descriptions of relations."""
        return self.is_in_portions or any(type(one) is not Relation for one in self.changes)

    @property
    def has_work(self) -> bool:
        """Whether something of it is to be applied or noted."""
        return bool(self.changes or self.markers or self.schema_changes or self.is_in_portions)

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits for it."""
        return any(one.purpose in (_SEAL, _PROOF) for one in self.markers)

    def exceeds(self, limits: Limits) -> bool:
        return len(self.changes) >= limits.rows or self.size_bytes >= limits.size_bytes

    def portion(self, commit: Commit | None) -> Batch:
        """The part of it that was read. `commit` is its end; None if more will come."""
        batch = Batch(
            size_bytes=self.size_bytes,
            committed_at=commit.committed_at if commit else 0,
            markers=tuple(self.markers),
            schema_changes=tuple(self.schema_changes),
            opens=not self.is_in_portions,
            closes=commit is not None,
        )
        batch.add(self.changes, self.commit_lsn, commit.end_lsn if commit else NOWHERE)
        self.is_in_portions = True
        self.changes, self.size_bytes = [], 0
        self.markers, self.schema_changes = [], []
        return batch


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else ""


def _disorder(lsn: Lsn, what: str) -> WindlassError:
    return WindlassError(
        f"the change stream is out of order at {text(lsn)}: {what}",
        hint="nothing after this position was applied: report it",
        lsn=text(lsn),
    )
