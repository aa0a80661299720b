"""What a stream's messages become: batches of whole transactions, without what is not applied."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgoutput import HEADER, encoded
from windlass.engines.postgres.replication.lsn import NOWHERE, Lsn
from windlass.engines.postgres.replication.messages import (
    Begin,
    Commit,
    Delete,
    Insert,
    Message,
    Relation,
    RelationColumn,
    Truncate,
    Update,
)
from windlass.errors import WindlassError
from windlass.following.assembling import Assembler, Limits, Rules
from windlass.following.changes import Batch

RUN = "20261129_r"


def table(id: int, schema: str, name: str, *columns: str) -> Relation:
    found = tuple(RelationColumn(one, 25, -1, True) for one in columns)
    return Relation(id, schema, name, "f", found)


A, B = table(1, "public", "a", "id"), table(2, "public", "b", "id")
APPLIED = table(3, "windlass", "applied", "run", "direction")
MARKER = table(4, "windlass", "marker", "run", "direction", "number", "purpose")
DDL = table(5, "windlass", "ddl", "run", "tag", "objects", "statement")
LINE = table(6, "windlass", "line", "run")
DESCRIBED = [A, B, APPLIED, MARKER, DDL, LINE]


def insert(relation: Relation, *values: str) -> Insert:
    return Insert(relation, tuple(value.encode() for value in values))


def marker(number: int, purpose: str = "lag", run: str = RUN, way: str = "forward") -> Insert:
    return insert(MARKER, run, way, str(number), purpose)


def frames(at: int, *changes: Message) -> list[bytes]:
    """A transaction whose commit record is at `at`, and ends 5 later."""
    messages = [Begin(Lsn(at), 1, 7), *changes, Commit(Lsn(at), Lsn(at + 5), 99)]
    return [HEADER + encoded(one) for one in messages]


def assemble(
    *transactions: list[bytes],
    applied: int = 0,
    limits: Limits | None = None,
    starts: dict[tuple[str, str], int] | None = None,
    flushes: bool = True,
) -> list[Batch]:
    found: list[Batch] = []
    rules = Rules(RUN, "forward", starts or {})
    assembler = Assembler(rules, Lsn(applied), found.append, limits or Limits())
    assembler.take([HEADER + encoded(one) for one in DESCRIBED])
    for one in transactions:
        assembler.take(one)
    if flushes:
        assembler.flush()
    return found


def ids(batch: Batch) -> list[tuple[str, bytes]]:
    return [
        (one.relation.name, one.new[0])  # type: ignore[misc]
        for one in batch.changes
        if isinstance(one, Insert)
    ]


def test_several_transactions_are_one_batch_in_their_order() -> None:
    (batch,) = assemble(
        frames(10, insert(A, "1"), insert(B, "2")),
        frames(20),
        frames(30, insert(A, "3"), Delete(A, (b"1",), False)),
    )
    assert ids(batch) == [("a", b"1"), ("b", b"2"), ("a", b"3")]
    assert (batch.transactions, batch.rows, batch.is_whole) == (2, 4, True)
    assert (batch.commits, batch.ends) == ([10, 30], [15, 35])
    assert (batch.commit_lsn, batch.end_lsn, batch.committed_at) == (30, 35, 99)
    assert [batch.commit_of(at) for at in range(len(batch.changes))] == [10, 10, 10, 10, 30, 30]


def test_a_relation_comes_before_its_first_change_and_not_again() -> None:
    (batch,) = assemble(frames(10, insert(A, "1")), frames(20, insert(A, "2"), insert(B, "3")))
    kinds = [one.name if isinstance(one, Relation) else "row" for one in batch.changes]
    assert kinds == ["a", "row", "row", "b", "row"]


def test_what_is_applied_already_is_left_out_and_its_relations_are_not() -> None:
    (batch,) = assemble(frames(10, insert(A, "1")), frames(20, insert(A, "2")), applied=10)
    assert ids(batch) == [("a", b"2")]
    assert isinstance(batch.changes[0], Relation)
    assert batch.commits == [20]


def test_what_is_in_a_copy_is_left_out_relation_by_relation() -> None:
    batches = assemble(
        frames(10, insert(A, "1"), insert(B, "1")),
        frames(20, insert(A, "2"), Truncate((A, B), False, False)),
        frames(30, insert(A, "3")),
        starts={("public", "a"): 30},
    )
    assert ids(batches[0]) == [("b", b"1"), ("a", b"3")]
    (emptied,) = [one for one in batches[0].changes if isinstance(one, Truncate)]
    assert [one.name for one in emptied.relations] == ["b"]


OURS = insert(APPLIED, RUN, "back")


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ([OURS, insert(A, "1")], []),
        ([Update(APPLIED, None, False, OURS.new), insert(A, "1"), insert(B, "1")], []),
        ([insert(APPLIED, "another", "back"), insert(A, "1")], [("a", b"1")]),
        ([insert(A, "1"), OURS], [("a", b"1")]),
        ([marker(1), OURS, insert(A, "1")], [("a", b"1")]),
        ([insert(LINE, RUN), insert(A, "1")], [("a", b"1")]),
    ],
)
def test_a_transaction_is_ours_if_it_begins_with_our_position(
    changes: Sequence[Message], kept: list[tuple[str, bytes]]
) -> None:
    found = [one for batch in assemble(frames(10, *changes)) for one in ids(batch)]
    assert found == kept


def test_markers_of_this_stream_are_found_and_never_applied() -> None:
    (batch,) = assemble(
        frames(10, insert(A, "1")),
        frames(20, marker(1)),
        frames(30, Update(MARKER, None, False, marker(2).new)),
        frames(40, marker(3, run="another")),
        frames(50, marker(4, way="back")),
    )
    assert [(one.number, one.purpose, one.commit_lsn) for one in batch.markers] == [
        (1, "lag", 20),
        (2, "lag", 30),
    ]
    assert batch.rows == 1
    assert (batch.transactions, batch.end_lsn) == (3, 35)


@pytest.mark.parametrize(("purpose", "count"), [("lag", 0), ("seal", 1), ("proof", 1)])
def test_a_marker_that_somebody_waits_for_is_handed_out_at_once(purpose: str, count: int) -> None:
    found = assemble(frames(10, insert(A, "1")), frames(20, marker(1, purpose)), flushes=False)
    assert len(found) == count


def test_a_batch_ends_with_the_transaction_that_fills_it() -> None:
    some = [frames(at, insert(A, str(at)), insert(B, "x")) for at in range(10, 100, 10)]
    found = assemble(*some, limits=Limits(rows=5))
    assert [batch.transactions for batch in found] == [2, 3, 3, 1]
    assert [batch.is_whole for batch in found] == [True] * 4


def test_a_huge_transaction_comes_in_portions_after_what_was_before() -> None:
    huge = [insert(A, str(n)) for n in range(9)]
    taken = frames(20, *huge)
    found = assemble(
        frames(10, insert(B, "1")), taken[:5], taken[5:8], taken[8:], frames(30, insert(B, "2")),
        limits=Limits(rows=3),
    )  # fmt: skip
    assert [(one.opens, one.closes) for one in found] == [
        (True, True), (True, False), (False, False), (False, True), (True, True)
    ]  # fmt: skip
    assert [one.commit_lsn for one in found] == [10, 20, 20, 20, 30]
    assert [one.end_lsn for one in found] == [15, NOWHERE, NOWHERE, 25, 35]
    assert [one.transactions for one in found] == [1, 0, 0, 1, 1]
    assert [row for one in found[1:4] for row in ids(one)] == [
        ("a", str(n).encode()) for n in range(9)
    ]


def test_a_statement_of_the_source_stands_alone_with_its_place() -> None:
    statement = insert(DDL, RUN, "ALTER TABLE", "public.a", "alter table a add x int")
    found = assemble(
        frames(10, insert(A, "1")),
        frames(20, insert(A, "2"), statement, insert(A, "3")),
        frames(30, insert(A, "4")),
    )
    assert [one.commits for one in found] == [[10], [20], [30]]
    (change,) = found[1].schema_changes
    assert change == (1, "alter table a add x int", "ALTER TABLE", "public.a")


@pytest.mark.parametrize(
    "wrong",
    [
        [Begin(Lsn(10), 1, 7), Begin(Lsn(11), 1, 7)],
        [Commit(Lsn(10), Lsn(15), 1)],
        [Begin(Lsn(10), 1, 7), Commit(Lsn(11), Lsn(15), 1)],
        [insert(A, "1")],
        [*[Begin(Lsn(10), 1, 7), Commit(Lsn(10), Lsn(15), 1)], Begin(Lsn(9), 1, 7)],
    ],
)
def test_a_stream_out_of_order_is_refused(wrong: list[Message]) -> None:
    with pytest.raises(WindlassError, match="out of order"):
        assemble([HEADER + encoded(one) for one in wrong])


def test_what_came_before_something_unreadable_is_handed_out() -> None:
    found: list[Batch] = []
    assembler = Assembler(Rules(RUN, "forward"), NOWHERE, found.append, Limits())
    with pytest.raises(WindlassError, match="cannot be read"):
        assembler.take(
            [
                *(HEADER + encoded(one) for one in DESCRIBED),
                *frames(10, insert(A, "1")),
                HEADER + b"?" + struct.pack("!I", 1),
            ]
        )
    assert [ids(one) for one in found] == [[("a", b"1")]]


def test_a_quiet_server_moves_what_is_taken_only_between_transactions() -> None:
    assembler = Assembler(Rules(RUN, "forward"), NOWHERE, lambda _: None, Limits())
    assembler.take([HEADER + encoded(A), *frames(10, insert(A, "1"))])
    assert assembler.through == 15
    assembler.quiet(Lsn(40))
    assert assembler.through == 40
    assembler.take(frames(50, insert(A, "1"))[:2])
    assembler.quiet(Lsn(70))
    assert assembler.through == 40


transactions = st.lists(
    st.lists(st.sampled_from([insert(A, "1"), insert(B, "2"), marker(1), OURS]), max_size=5),
    max_size=12,
)


@given(transactions, st.integers(1, 6), st.integers(0, 120))
def test_however_it_is_cut_every_transaction_comes_once(
    given: list[list[Message]], rows: int, cut: int
) -> None:
    streams = [frames(10 * at + 10, *changes) for at, changes in enumerate(given)]
    whole = assemble(*streams)
    parts = assemble(*streams, limits=Limits(rows=rows))
    pieces = [half for batch in parts for half in batch.split(batch.count_before(cut)) if half]
    singles = [single for batch in parts if batch.is_whole for single in batch.singles()]
    for some in (parts, pieces):
        assert [row for one in some for row in ids(one)] == [r for one in whole for r in ids(one)]
        assert [m for one in some for m in one.markers] == [m for one in whole for m in one.markers]
        assert sum(one.transactions for one in some) == sum(one.transactions for one in whole)
        assert sum(one.rows for one in some) == sum(one.rows for one in whole)
    assert all(one.commit_lsn < cut or one.commits[0] >= cut for one in pieces if one.is_whole)
    assert all(len(one.commits) == 1 for one in singles)


def test_transactions_before_the_first_change_are_counted() -> None:
    (batch,) = assemble(
        frames(10, marker(1)),
        frames(20, marker(2)),
        frames(30, insert(A, "1")),
        frames(40, marker(3)),
    )
    assert batch.count_idle() == 2
    head, rest = batch.split(2)
    assert head is not None
    assert rest is not None
    assert [one.number for one in head.markers] == [1, 2]
    assert [one.number for one in rest.markers] == [3]
    assert rest.count_idle() == 0
    (idle,) = assemble(frames(10, marker(1)))
    assert idle.count_idle() == 1
