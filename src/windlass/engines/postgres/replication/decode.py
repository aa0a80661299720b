"""`pgoutput` into messages: protocol version 1, and the logical messages of 14 and newer.

Formats: the manual's "Logical Replication Message Formats". Values stay the bytes that came.

A follower spends much of its time here. Measured with rows of four columns: reading a length by
`Struct.unpack_from` is 1.4 times as fast as `int.from_bytes` of a slice. Lengths are checked once
per message, at its end. Most rows have the same shape as an earlier row of their relation: reading
such a row at once instead of value by value makes inserts of three columns 1.9 times as fast.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from struct import Struct
from struct import error as StructError

from windlass.engines.postgres.replication.lsn import Lsn, text
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
    Value,
)
from windlass.errors import WindlassError

# of a frame: 'w', where its data begin in the log, where the log ends, the server's clock
HEADER_BYTES = 25

_BEGIN = Struct("!QqI")
_COMMIT = Struct("!BQQq")
_POSITION = Struct("!Q")
_ID = Struct("!I")
_length = _ID.unpack_from
_COUNT = Struct("!H")
_TRUNCATE = Struct("!IB")
_MESSAGE = Struct("!BQ")
_COLUMN_TYPE = Struct("!Ii")

_TEXT, _NULL, _SAME = b"tnu"
_NEW, _KEY, _OLD = b"NKO"
_CASCADE, _RESTART = 1, 2
_SHAPES = 256  # kept for each relation
# so many rows must fit no shape before one of them replaces the known shape of its size
_MISSES = 64

_make = tuple.__new__  # a named tuple's own constructor takes 1.4 times as long


class _Wrong(Exception):
    """What is wrong with a message."""


class Decoder:
    """Decodes one stream, in order: changes refer to relations that came before them."""

    def __init__(self) -> None:
        self._rows: dict[int, _Rows] = {}  # by their relation's id
        self._by_kind: dict[int, Callable[[bytes, int], Message]] = {
            ord("I"): self._insert,
            ord("U"): self._update,
            ord("D"): self._delete,
            ord("B"): _begin,
            ord("C"): _commit,
            ord("R"): self._relation,
            ord("Y"): _type_name,
            ord("T"): self._truncate,
            ord("O"): _origin,
            ord("M"): _logical_message,
        }

    def decode(self, frame: bytes) -> Message:
        """The message in a frame of the stream ('w', with its header).

        Raises:
            WindlassError: it is not one that we know, or not whole; with what and where.
        """
        try:
            return self._by_kind[frame[HEADER_BYTES]](frame, HEADER_BYTES + 1)
        except _Wrong as wrong:
            raise _broken(frame, str(wrong)) from None
        except (IndexError, StructError, UnicodeDecodeError, ValueError):
            raise _broken(frame, "it is cut short or damaged") from None
        except KeyError:
            raise _broken(frame, self._what_is_unknown(frame)) from None

    def _what_is_unknown(self, frame: bytes) -> str:
        if frame[HEADER_BYTES] in self._by_kind:
            return "it is about a relation that was not described before"
        return "its kind is not one of protocol version 1"

    def _insert(self, data: bytes, at: int) -> Insert:
        if data[at + 4] != _NEW:
            raise _Wrong("its row is not a new one")
        rows = self._rows[_length(data, at)[0]]
        return _make(Insert, (rows.relation, rows.last(data, at + 5)))

    def _update(self, data: bytes, at: int) -> Update:
        rows = self._rows[_length(data, at)[0]]
        kind = data[at + 4]
        at += 5
        old = None
        if kind in (_KEY, _OLD):
            old, at = _row(data, at, rows.count)
            if data[at] != _NEW:
                raise _Wrong("it has no new row")
            at += 1
        elif kind != _NEW:
            raise _Wrong("its rows are neither old nor new")
        return _make(Update, (rows.relation, old, kind == _KEY, rows.last(data, at)))

    def _delete(self, data: bytes, at: int) -> Delete:
        kind = data[at + 4]
        if kind not in (_KEY, _OLD):
            raise _Wrong("its row is not an old one")
        rows = self._rows[_length(data, at)[0]]
        return _make(Delete, (rows.relation, rows.last(data, at + 5), kind == _KEY))

    def _relation(self, data: bytes, at: int) -> Relation:
        (id,) = _ID.unpack_from(data, at)
        schema, at = _string(data, at + 4)
        name, at = _string(data, at)
        identity = chr(data[at])
        (count,) = _COUNT.unpack_from(data, at + 1)
        at += 3
        columns = []
        for _ in range(count):
            is_key = bool(data[at] & 1)
            column, at = _string(data, at + 1)
            type_id, modifier = _COLUMN_TYPE.unpack_from(data, at)
            columns.append(RelationColumn(column, type_id, modifier, is_key))
            at += 8
        _end(data, at)
        found = Relation(id, schema or "pg_catalog", name, identity, tuple(columns))
        known = self._rows.get(id)
        if known is not None and known.relation.describes_the_same(found):
            return known.relation
        self._rows[id] = _Rows(found)
        return found

    def _truncate(self, data: bytes, at: int) -> Truncate:
        count, options = _TRUNCATE.unpack_from(data, at)
        at += 5
        _end(data, at + 4 * count)
        ids = [int.from_bytes(data[one : one + 4], "big") for one in range(at, len(data), 4)]
        relations = tuple(self._rows[id].relation for id in ids)
        return Truncate(relations, bool(options & _CASCADE), bool(options & _RESTART))


class _Rows:
    """The rows of a relation. Rows of the same size usually have the same shape."""

    __slots__ = ("_misses", "_shapes", "count", "relation")

    def __init__(self, relation: Relation) -> None:
        self.relation = relation
        self.count = len(relation.columns)
        self._shapes: dict[int, _Shape] = {}  # by the size of a row
        self._misses = 0

    def last(self, data: bytes, at: int) -> Row:
        """The row that makes up the rest of the message."""
        shape = self._shapes.get(len(data) - at)
        if shape is not None:
            unpack, heads, fill = shape
            found = unpack(data, at)
            if found[::2] == heads:
                return found[1::2] if fill is None else fill((*found, None, UNCHANGED))
        row, end = _row(data, at, self.count)
        if end != len(data):
            raise _Wrong("its length is not that of its row")
        self._learn(row, end - at, is_new=shape is None)
        return row

    def _learn(self, row: Row, size: int, *, is_new: bool) -> None:
        self._misses += 1
        is_due = self._misses % _MISSES == 0
        if is_due or (is_new and len(self._shapes) < _SHAPES):
            if len(self._shapes) >= _SHAPES:
                self._shapes.clear()
            if (shape := _shape(row)) is not None:
                self._shapes[size] = shape


# What reads a row as alternating heads and values; the heads that it must have; and what picks the
# values, to which NULL and UNCHANGED are appended, if some are not text. A head is a value's kind
# and, for a text, its length; the first head is preceded by the number of columns.
_Shape = tuple[
    Callable[[bytes, int], tuple[bytes, ...]],
    tuple[bytes, ...],
    Callable[[Sequence[Value]], Row] | None,
]


def _shape(row: Row) -> _Shape | None:
    """The shape of such a row; None for a row of one column or none."""
    count = len(row)
    if count < 2:
        return None
    heads, sizes = [], []
    for value in row:
        if isinstance(value, bytes):
            heads.append(b"t" + _ID.pack(len(value)))
            sizes.append(len(value))
        else:
            heads.append(b"n" if value is None else b"u")
            sizes.append(0)
    heads[0] = _COUNT.pack(count) + heads[0]
    parts = [f"{len(head)}s{size}s" for head, size in zip(heads, sizes, strict=True)]
    fill = None
    if not all(isinstance(value, bytes) for value in row):
        null, same = 2 * count, 2 * count + 1
        fill = itemgetter(
            *(
                null if value is None else same if value is UNCHANGED else 2 * at + 1
                for at, value in enumerate(row)
            )
        )
    return Struct("!" + "".join(parts)).unpack_from, tuple(heads), fill


def _row(data: bytes, at: int, count: int) -> tuple[Row, int]:
    """The row that begins at `at`, and where it ends: past the data if it is cut short."""
    if (data[at] << 8) + data[at + 1] != count:
        raise _Wrong("its row has not as many columns as the relation")
    at += 2
    values: list[Value] = []
    add = values.append
    for _ in range(count):
        kind = data[at]
        if kind == _TEXT:
            start = at + 5
            at = start + _length(data, at + 1)[0]
            add(data[start:at])
        elif kind == _NULL:
            add(None)
            at += 1
        elif kind == _SAME:
            add(UNCHANGED)
            at += 1
        else:
            raise _Wrong("it has a value that is neither text, NULL nor unchanged")
    return tuple(values), at


def _begin(data: bytes, at: int) -> Begin:
    _end(data, at + _BEGIN.size)
    commit_lsn, committed_at, xid = _BEGIN.unpack_from(data, at)
    return Begin(Lsn(commit_lsn), committed_at, xid)


def _commit(data: bytes, at: int) -> Commit:
    _end(data, at + _COMMIT.size)
    _, commit_lsn, end_lsn, committed_at = _COMMIT.unpack_from(data, at)
    return Commit(Lsn(commit_lsn), Lsn(end_lsn), committed_at)


def _origin(data: bytes, at: int) -> Origin:
    (commit_lsn,) = _POSITION.unpack_from(data, at)
    name, at = _string(data, at + 8)
    _end(data, at)
    return Origin(Lsn(commit_lsn), name)


def _type_name(data: bytes, at: int) -> TypeName:
    (id,) = _ID.unpack_from(data, at)
    schema, at = _string(data, at + 4)
    name, at = _string(data, at)
    _end(data, at)
    return TypeName(id, schema or "pg_catalog", name)


def _logical_message(data: bytes, at: int) -> LogicalMessage:
    flags, lsn = _MESSAGE.unpack_from(data, at)
    prefix, at = _string(data, at + _MESSAGE.size)
    (length,) = _ID.unpack_from(data, at)
    _end(data, at + 4 + length)
    return LogicalMessage(bool(flags & 1), Lsn(lsn), prefix, data[at + 4 :])


def _string(data: bytes, at: int) -> tuple[str, int]:
    end = data.index(0, at)
    return data[at:end].decode(), end + 1


def _end(data: bytes, at: int) -> None:
    if at != len(data):
        raise _Wrong("its length is not that of its contents")


def _broken(frame: bytes, wrong: str) -> WindlassError:
    """The error for a broken message. Its contents are not shown, because they are rows."""
    (start,) = _POSITION.unpack_from(frame, 1) if len(frame) >= HEADER_BYTES else (0,)
    kind = chr(frame[HEADER_BYTES]) if len(frame) > HEADER_BYTES else ""
    return WindlassError(
        f"the change stream cannot be read at {text(start)}: message {kind!r} of"
        f" {max(len(frame) - HEADER_BYTES, 0)} bytes: {wrong}",
        hint="nothing after this position was applied: report it",
        lsn=text(start),
    )
