"""Messages of a change stream are read whole, or refused with what is wrong and where."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgoutput import HEADER, encoded
from windlass.engines.postgres.replication import lsn
from windlass.engines.postgres.replication.decode import Decoder
from windlass.engines.postgres.replication.messages import (
    UNCHANGED,
    Begin,
    Commit,
    Delete,
    Insert,
    LogicalMessage,
    Message,
    Origin,
    Relation,
    RelationColumn,
    Row,
    Truncate,
    TypeName,
    Update,
)
from windlass.errors import WindlassError

COLUMNS = (RelationColumn("id", 20, -1, True), RelationColumn("näme", 25, -1, False))
ORDERS = Relation(16_400, "shop", "orders", "d", COLUMNS)


def decoder() -> Decoder:
    found = Decoder()
    found.decode(HEADER + encoded(ORDERS))
    return found


SAMPLES: list[Message] = [
    Begin(lsn.Lsn(0x16B3748), 812_000_000_000_000, 4711),
    Commit(lsn.Lsn(0x16B3748), lsn.Lsn(0x16B3778), -5),
    Origin(lsn.Lsn(1), "elsewhere"),
    TypeName(16_500, "shop", "mood"),
    Insert(ORDERS, (b"7", "schön".encode())),
    Insert(ORDERS, (b"", None)),
    Update(ORDERS, None, False, (b"7", UNCHANGED)),
    Update(ORDERS, (b"6", None), True, (b"7", b"x")),
    Update(ORDERS, (b"6", b"y"), False, (b"7", None)),
    Delete(ORDERS, (b"7", None), True),
    Delete(ORDERS, (b"7", b"all of it"), False),
    Truncate((ORDERS,), True, False),
    Truncate((ORDERS, ORDERS), False, True),
    LogicalMessage(True, lsn.Lsn(9), "windlass", b"\0\1\2"),
    LogicalMessage(False, lsn.Lsn(9), "", b""),
]


@pytest.mark.parametrize("message", SAMPLES, ids=lambda one: type(one).__name__)
def test_every_kind_of_message_is_read(message: Message) -> None:
    found = decoder()
    # changes refer to the decoder's own object for the relation
    known = found.decode(HEADER + encoded(ORDERS))
    assert isinstance(known, Relation)
    assert known.describes_the_same(ORDERS)
    expected = tuple(
        known if part is ORDERS else (known,) * len(part) if part in ((ORDERS,), (ORDERS,) * 2)
        else part
        for part in message  # type: ignore[union-attr]
    )  # fmt: skip
    result = found.decode(HEADER + encoded(message))
    assert type(result) is type(message)
    assert tuple(result) == expected  # type: ignore[arg-type]


values = st.none() | st.just(UNCHANGED) | st.binary(max_size=300)


@given(st.tuples(values, values))
def test_any_row_is_read_as_it_was_sent(row: Row) -> None:
    found = decoder().decode(HEADER + encoded(Insert(ORDERS, row)))
    assert isinstance(found, Insert)
    assert found.new == row


def test_a_value_of_many_megabytes_is_read() -> None:
    large = b"x" * 20_000_000
    found = decoder().decode(HEADER + encoded(Insert(ORDERS, (b"1", large))))
    assert isinstance(found, Insert)
    assert found.new == (b"1", large)


@pytest.mark.parametrize("message", [ORDERS, *SAMPLES], ids=lambda one: type(one).__name__)
def test_a_message_that_is_cut_short_or_too_long_is_refused(message: Message) -> None:
    whole = HEADER + encoded(message)
    found = decoder()
    for frame in [*(whole[:length] for length in range(len(whole))), whole + b"\0"]:
        with pytest.raises(WindlassError, match="the change stream cannot be read"):
            found.decode(frame)


@pytest.mark.parametrize(
    ("contents", "wrong"),
    [
        (b"S" + bytes(5), "its kind is not one of protocol version 1"),
        (b"I" + struct.pack("!I", 9) + b"N\0\0", "about a relation that was not described before"),
        (b"T" + struct.pack("!IBI", 1, 0, 9), "about a relation that was not described before"),
        (b"I" + struct.pack("!I", ORDERS.id) + b"N\0\3nnn", "not as many columns as the relation"),
        (b"I" + struct.pack("!I", ORDERS.id) + b"N\0\2nb", "neither text, NULL nor unchanged"),
        (b"I" + struct.pack("!I", ORDERS.id) + b"O\0\2nn", "not a new one"),
        (b"U" + struct.pack("!I", ORDERS.id) + b"K\0\2nnO\0\2nn", "no new row"),
        (b"U" + struct.pack("!I", ORDERS.id) + b"X\0\2nn", "neither old nor new"),
        (b"D" + struct.pack("!I", ORDERS.id) + b"N\0\2nn", "not an old one"),
    ],
)
def test_a_message_that_makes_no_sense_is_refused_with_what_and_where(
    contents: bytes, wrong: str
) -> None:
    with pytest.raises(WindlassError, match=wrong) as caught:
        decoder().decode(HEADER + contents)
    assert "at 1/6B374800" in str(caught.value)


def test_a_refusal_shows_no_values() -> None:
    with pytest.raises(WindlassError) as caught:
        decoder().decode(HEADER + encoded(Insert(ORDERS, (b"secret", b"secret")))[:-1])
    assert "secret" not in str(caught.value)
    assert "secret" not in caught.value.hint


def test_a_relation_is_the_same_object_until_it_is_described_differently() -> None:
    found = decoder()
    first = found.decode(HEADER + encoded(ORDERS))
    assert found.decode(HEADER + encoded(ORDERS)) is first
    other = Relation(ORDERS.id, "shop", "orders", "f", COLUMNS)
    second = found.decode(HEADER + encoded(other))
    assert second is not first
    change = found.decode(HEADER + encoded(Insert(other, (b"1", None))))
    assert isinstance(change, Insert)
    assert change.relation is second


@pytest.mark.parametrize(
    ("text", "number"), [("0/0", 0), ("0/16B3748", 0x16B3748), ("1A/FF", 0x1A_0000_00FF)]
)
def test_positions_are_read_and_written_as_the_server_does(text: str, number: int) -> None:
    assert lsn.parse(text) == number
    assert lsn.text(number) == text


@pytest.mark.parametrize("text", ["", "0", "0/", "x/1", "0/123456789", "1.5"])
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"position|invalid literal"):
        lsn.parse(text)


TABLES = st.integers(2, 4).flatmap(
    lambda width: st.tuples(
        st.just(width),
        st.lists(
            st.tuples(*[st.sampled_from([None, UNCHANGED, b"", b"a", b"b", b"tt", b"nu"])] * width),
            max_size=40,
        ),
    )
)


@given(TABLES)
def test_rows_of_shapes_that_came_before_are_read_as_they_are(
    table: tuple[int, list[Row]],
) -> None:
    width, rows = table
    columns = tuple(RelationColumn(f"c{at}", 25, -1, at == 0) for at in range(width))
    relation = Relation(16_401, "shop", "wide", "f", columns)
    found = Decoder()
    found.decode(HEADER + encoded(relation))
    for row in [*rows, *rows]:
        for message in (Insert(relation, row), Update(relation, row, False, row)):
            read = found.decode(HEADER + encoded(message))
            assert type(read) is type(message)
            assert read[1:] == message[1:]


def test_more_shapes_than_are_kept() -> None:
    found = decoder()
    for size in [*range(600), *range(600)]:
        row = (b"7", b"x" * size)
        assert found.decode(HEADER + encoded(Insert(ORDERS, row)))[1] == row  # type: ignore[index]


@pytest.mark.parametrize("wrong", [b"\0\3", b"\0\1"])
def test_a_known_size_does_not_hide_a_wrong_count_of_columns(wrong: bytes) -> None:
    found = decoder()
    frame = HEADER + encoded(Insert(ORDERS, (b"7", b"x")))
    found.decode(frame)
    at = len(HEADER) + 6
    with pytest.raises(WindlassError, match="as many columns"):
        found.decode(frame[:at] + wrong + frame[at + 2 :])
