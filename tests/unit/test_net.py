"""The net change of a batch does what its changes do one after the other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.engines.postgres.replication.messages import (
    UNCHANGED,
    Delete,
    Insert,
    Relation,
    RelationColumn,
    Row,
    Truncate,
    Update,
)
from windlass.following.changes import Change
from windlass.following.lines import blocks
from windlass.following.net import Contradiction, InOrder, Net, reduce
from windlass.following.routes import Column, Route
from windlass.model.relation import Name

TEXT = 25
Stored = tuple[bytes | None, ...]


def relation(number: int, name: str, *keys: bool) -> Relation:
    columns = tuple(RelationColumn(f"c{at}", TEXT, -1, is_key) for at, is_key in enumerate(keys))
    return Relation(number, "public", name, "d", columns)


def route(one: Relation, *, is_unique: bool = True) -> Route:
    columns = tuple(Column(sent.name, at) for at, sent in enumerate(one.columns))
    return Route(
        source=Name("public", one.name),
        target=Name("public", one.name),
        columns=columns,
        key=tuple(column for column, sent in zip(columns, one.columns, strict=True) if sent.is_key),
        width=len(columns),
        identity="d",
        is_unique=is_unique,
    )


SIMPLE = relation(1, "simple", True, False, False)
PAIRED = relation(2, "paired", True, False, True)
LOOSE = relation(3, "loose", True, False, False)
ROUTES = {SIMPLE: route(SIMPLE), PAIRED: route(PAIRED), LOOSE: route(LOOSE, is_unique=False)}


@dataclass
class Model:
    """Relations with their rows by key, which refuse what does not fit."""

    rows: dict[Relation, dict[Row, Row]] = field(
        default_factory=lambda: {one: {} for one in ROUTES}
    )

    def key(self, one: Relation, row: Row) -> Row:
        return tuple(row[at] for at in ROUTES[one].key_positions)

    def insert(self, one: Relation, new: Row) -> None:
        assert self.key(one, new) not in self.rows[one]
        assert UNCHANGED not in new
        self.rows[one][self.key(one, new)] = new

    def update(self, one: Relation, key: Row, new: Row) -> None:
        old = self.rows[one].pop(key)
        row = tuple(b if a is UNCHANGED else a for a, b in zip(new, old, strict=True))
        self.insert(one, row)

    def delete(self, one: Relation, key: Row) -> None:
        del self.rows[one][key]

    def apply(self, change: Change) -> None:
        if isinstance(change, Insert):
            self.insert(change.relation, change.new)
        elif isinstance(change, Update):
            old = change.new if change.old is None else change.old
            self.update(change.relation, self.key(change.relation, old), change.new)
        elif isinstance(change, Delete):
            self.delete(change.relation, self.key(change.relation, change.old))
        elif isinstance(change, Truncate):
            for one in change.relations:
                self.rows[one].clear()

    def apply_net(self, changes: Sequence[Change]) -> None:
        for piece in reduce(changes, ROUTES.get):
            if isinstance(piece, Truncate):
                self.apply(piece)
            elif isinstance(piece, InOrder):
                for change in piece.changes:
                    self.apply(change)
            else:
                self._apply_net(piece)

    def _apply_net(self, net: Net) -> None:
        (one,) = (one for one, its in ROUTES.items() if its is net.route)
        for key in net.deletes:
            self.delete(one, key if isinstance(key, tuple) else (key,))
        for sent, rows in net.shapes().items():
            for row in rows:
                assert sent == tuple(at for at, it in enumerate(row) if it is not UNCHANGED)
                self.update(one, self.key(one, row), row)
        for row in [*net.inserts.values(), *net.appended]:
            self.insert(one, row)


VALUES = st.sampled_from([b"", b"a", b"b", None])
KEYS = st.sampled_from([b"1", b"2", b"3", b"4"])


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Change], list[Change]]:
    """Changes that can happen one after the other: some before a batch, and the batch."""
    model = Model()
    changes: list[Change] = []
    for _ in range(draw(st.integers(0, 40))):
        one = draw(st.sampled_from([*ROUTES]))
        change = draw(_change(model, one))
        if change is not None:
            model.apply(change)
            changes.append(change)
    middle = draw(st.integers(0, len(changes)))
    return changes[:middle], changes[middle:]


@st.composite
def _row(draw: st.DrawFn, one: Relation) -> Row:
    return tuple(draw(KEYS if column.is_key else VALUES) for column in one.columns)


@st.composite
def _change(draw: st.DrawFn, model: Model, one: Relation) -> Change | None:
    rows = model.rows[one]
    kind = draw(st.sampled_from(["insert", "update", "update", "move", "delete", "truncate"]))
    new: Row = draw(_row(one))
    if kind == "truncate" and draw(st.integers(0, 5)) == 0:
        return Truncate((one,), False, False)
    if kind == "insert" or not rows:
        return None if model.key(one, new) in rows else Insert(one, new)
    old: Row = draw(st.sampled_from([*rows.values()]))
    as_sent = tuple(
        value if column.is_key else None for value, column in zip(old, one.columns, strict=True)
    )
    if kind == "delete":
        return Delete(one, as_sent, True)
    if kind == "move" and model.key(one, new) not in rows:
        return Update(one, as_sent, True, draw(_with_unchanged(one, old, new)))
    kept = tuple(
        before if column.is_key else after
        for before, after, column in zip(old, new, one.columns, strict=True)
    )
    return Update(one, None, False, draw(_with_unchanged(one, old, kept)))


@st.composite
def _with_unchanged(draw: st.DrawFn, one: Relation, old: Row, new: Row) -> Row:
    return tuple(
        UNCHANGED if not column.is_key and draw(st.integers(0, 2)) == 0 else value
        for value, column in zip(new, one.columns, strict=True)
    )


@given(histories())
def test_net_changes_end_as_changes_in_order_do(
    history: tuple[list[Change], list[Change]],
) -> None:
    before, batch = history
    in_order, net = Model(), Model()
    for change in before:
        in_order.apply(change)
        net.apply(change)
    for change in batch:
        in_order.apply(change)
    net.apply_net(batch)
    assert net.rows == in_order.rows


@pytest.mark.parametrize(
    "changes",
    [
        [Insert(SIMPLE, (b"1", b"a", b"")), Insert(SIMPLE, (b"1", b"b", b""))],
        [Delete(SIMPLE, (b"1", None, None), True), Delete(SIMPLE, (b"1", None, None), True)],
        [
            Delete(SIMPLE, (b"1", None, None), True),
            Update(SIMPLE, None, False, (b"1", b"a", b"b")),
        ],
    ],
    ids=["two inserts", "two deletes", "an update of what is deleted"],
)
def test_what_cannot_have_happened_is_not_taken_together(changes: list[Change]) -> None:
    with pytest.raises(Contradiction):
        reduce(changes, ROUTES.get)


def test_a_key_that_was_not_sent_identifies_nothing() -> None:
    changes = [Update(PAIRED, None, False, (b"1", b"a", UNCHANGED))]
    (net,) = reduce(changes, ROUTES.get)
    assert isinstance(net, Net)
    with pytest.raises(Contradiction):
        net.shapes()


def test_many_updates_of_a_row_are_one() -> None:
    changes = [Update(SIMPLE, None, False, (b"1", b"%d" % at, b"x")) for at in range(1000)]
    (net,) = reduce(changes, ROUTES.get)
    assert isinstance(net, Net)
    assert net.updates == {b"1": (b"1", b"999", b"x")}


@given(st.lists(st.tuples(*[st.none() | st.binary(max_size=4)] * 3), max_size=1200))
def test_lines_of_copy_hold_every_byte(rows: list[Row]) -> None:
    found = b"".join(blocks(rows, (0, 1, 2), 3))
    assert [read(line) for line in found.split(b"\n")[:-1]] == rows


def read(line: bytes) -> Stored:
    """A line as the server reads it."""
    return tuple(None if value == rb"\N" else unescaped(value) for value in line.split(b"\t"))


def unescaped(value: bytes) -> bytes:
    plain = {b"t": b"\t", b"n": b"\n", b"r": b"\r", b"\\": b"\\"}
    return re.sub(rb"\\(.)", lambda found: plain[found[1]], value, flags=re.DOTALL)
