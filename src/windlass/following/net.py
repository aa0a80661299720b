"""The net change of a batch: what is left for each key when all of its changes are combined.

Pure. Decides which changes may be combined; `windlass.following.applying` decides how the result is
applied.

Changes of different relations do not depend on each other, as no trigger and no foreign key of the
target is in force. Within a relation a change that cannot be taken together with others comes
between the net changes before it and those after it; a TRUNCATE comes between all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from windlass.engines.postgres.replication.messages import (
    UNCHANGED,
    Delete,
    Insert,
    Relation,
    Row,
    Truncate,
    Update,
)
from windlass.following.changes import Change
from windlass.following.routes import Route

Key = Any  # the values of a key: of one column its value, of several a tuple
RouteOf = Callable[[Relation], Route | None]


class Contradiction(Exception):
    """The changes of a key cannot have happened in this order. Applying them in the source's order
    will show what is wrong."""


@dataclass(slots=True)
class Net:
    """The net changes of a relation: deletes come first, then updates, then inserts."""

    route: Route
    key_of: Callable[[Row], Key]
    deletes: dict[Key, None] = field(default_factory=dict)
    updates: dict[Key, Row] = field(default_factory=dict)
    inserts: dict[Key, Row] = field(default_factory=dict)
    appended: list[Row] = field(default_factory=list)  # inserts into a relation without any key

    def insert(self, new: Row) -> None:
        if not self.route.key:
            self.appended.append(new)
            return
        key = self.key_of(new)
        if key in self.inserts:
            raise Contradiction
        self.inserts[key] = new

    def update(self, key: Key, new: Row) -> None:
        inserts, updates = self.inserts, self.updates
        if key in inserts:
            inserts[key] = merged(inserts[key], new) if UNCHANGED in new else new
        elif key in self.deletes:
            raise Contradiction
        elif UNCHANGED in new and key in updates:
            updates[key] = merged(updates[key], new)
        else:
            updates[key] = new

    def delete(self, key: Key) -> None:
        if self.inserts.pop(key, None) is not None:
            return
        if key in self.deletes:
            raise Contradiction
        self.updates.pop(key, None)
        self.deletes[key] = None

    def shapes(self) -> dict[tuple[int, ...], list[Row]]:
        """The updated rows by the positions of the values that were sent."""
        everything = self.route.positions
        found: dict[tuple[int, ...], list[Row]] = {}
        whole: list[Row] = []
        for row in self.updates.values():
            if UNCHANGED in row:
                sent = tuple(at for at in everything if row[at] is not UNCHANGED)
                found.setdefault(sent, []).append(row)
            else:
                whole.append(row)
        if whole:
            found[everything] = whole
        if any(at not in sent for sent in found for at in self.route.key_positions):
            raise Contradiction  # a long value of the key is not sent
        return found


@dataclass(slots=True)
class InOrder:
    """Changes of a relation that are applied one by one."""

    route: Route
    changes: list[Insert | Update | Delete] = field(default_factory=list)


Piece = Net | InOrder | Truncate


def merged(old: Row, new: Row) -> Row:
    """The new row, with the old row's values where the source did not send them."""
    return tuple(
        before if after is UNCHANGED else after for before, after in zip(old, new, strict=True)
    )


def reduce(changes: Iterable[Change], route_of: RouteOf) -> list[Piece]:
    """The pieces to apply, in order.

    Raises:
        Contradiction: apply the changes in the source's order instead.
        SchemaChanged: from `route_of`.
    """
    return _Reduction(route_of).take(changes)


class _Reduction:
    def __init__(self, route_of: RouteOf) -> None:
        self._route_of = route_of
        self._pieces: list[Piece] = []
        # the piece that a relation's next change joins
        self._open: dict[Relation, Net | InOrder] = {}

    def take(self, changes: Iterable[Change]) -> list[Piece]:
        for change in changes:
            kind = type(change)
            if kind is Update:
                self._update(change)  # type: ignore[arg-type]
            elif kind is Insert:
                self._insert(change)  # type: ignore[arg-type]
            elif kind is Delete:
                self._delete(change)  # type: ignore[arg-type]
            elif kind is Truncate:
                self._truncate(change)  # type: ignore[arg-type]
            else:
                self._describe(change)  # type: ignore[arg-type]
        return self._pieces

    def _insert(self, change: Insert) -> None:
        relation, new = change
        piece = self._open.get(relation)
        if isinstance(piece, Net):
            piece.insert(new)
        elif piece is not None and not piece.route.is_unique:
            piece.changes.append(change)
        elif (net := self._begin(relation)) is not None:
            net.insert(new)

    def _update(self, change: Update) -> None:
        relation, old, is_key_only, new = change
        net = self._net(relation, change)
        if net is None:
            return
        key = net.key_of(new)
        if old is not None:
            if UNCHANGED in new:
                new = completed(net.route, old, is_key_only, new)
                key = net.key_of(new)
            if key != net.key_of(old):
                self._in_order(net.route, change)
                return
        net.update(key, new)

    def _delete(self, change: Delete) -> None:
        net = self._net(change.relation, change)
        if net is not None:
            net.delete(net.key_of(change.old))

    def _truncate(self, change: Truncate) -> None:
        relations = tuple(one for one in change.relations if self._route_of(one) is not None)
        if relations:
            self._open.clear()
            self._pieces.append(change._replace(relations=relations))

    def _describe(self, relation: Relation) -> None:
        """Close the piece of a relation whose description has changed: later changes come after
        earlier ones."""
        if (route := self._route_of(relation)) is not None:
            for other, piece in [*self._open.items()]:
                if piece.route.target == route.target:
                    del self._open[other]

    def _net(self, relation: Relation, change: Update | Delete) -> Net | None:
        """The net changes that a change belongs to; None if it was handled here."""
        piece = self._open.get(relation)
        if isinstance(piece, Net) and piece.route.is_unique:
            return piece
        route = piece.route if piece is not None else self._route_of(relation)
        if route is None:
            return None
        if not route.is_unique:
            self._in_order(route, change)
            return None
        return self._begin(relation)

    def _begin(self, relation: Relation) -> Net | None:
        route = self._route_of(relation)
        if route is None:
            return None
        net = Net(route, key_of(route.key_positions))
        self._pieces.append(net)
        self._open[relation] = net
        return net

    def _in_order(self, route: Route, change: Update | Delete) -> None:
        piece = self._open.get(change.relation)
        if not isinstance(piece, InOrder):
            piece = InOrder(route)
            self._pieces.append(piece)
            self._open[change.relation] = piece
        piece.changes.append(change)


def key_of(positions: Sequence[int]) -> Callable[[Row], Key]:
    """Takes the key out of a row."""
    return itemgetter(*positions) if positions else _nothing


def _nothing(row: Row) -> Key:
    return None


def completed(route: Route, old: Row, is_key_only: bool, new: Row) -> Row:
    """The new row, with the old row's values where the source did not send them. An old row with
    only the key has None in place of all other values."""
    if not is_key_only:
        return merged(old, new)
    key = set(route.key_positions)
    return tuple(
        old[at] if value is UNCHANGED and at in key else value for at, value in enumerate(new)
    )
