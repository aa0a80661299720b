"""Reads a table as lines for COPY and as digests. The server builds and hashes the texts; where
`windlass.engines.mysql.forms.needs_client` says so, the client does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import md5

from psycopg import sql

from windlass.engines.mysql.forms import Written, absence, hashed, in_row, needs_client, travelling
from windlass.engines.mysql.quoting import Quoted, Whole, listed, part, rows_of
from windlass.engines.mysql.session import Session
from windlass.errors import WindlassError
from windlass.model.chunk import KeyRange, Range
from windlass.model.chunk import Whole as AllRows
from windlass.model.translation import Digest, Field, Reading, Row, Sort

BLOCK_BYTES = 256 << 10
_HASHES_AT_ONCE = 4000
_LOWER = (1 << 60) - 1


def within(range_: Range) -> sql.Composable:
    """The WHERE clause of a range of whole numbers.

    Raises:
        WindlassError: it is another kind of range.
    """
    match range_:
        case AllRows():
            return sql.SQL("")
        case KeyRange(key=(name,), low=low, high=high):
            ends = [part("{} >= {}", Quoted(name), Whole(int(low[0])))] if low else []
            ends += [part("{} < {}", Quoted(name), Whole(int(high[0])))] if high else []
            return part(" where {}", listed(ends, " and ")) if ends else sql.SQL("")
    raise WindlassError(f"MySQL does not read {range_}", side="source")


def read_lines(session: Session, reading: Reading, range_: Range) -> Iterator[bytes]:
    """Blocks of whole lines."""
    written = [travelling(one) for one in reading.fields]
    end = part(" from {}{}", rows_of(reading.table, reading.selected), within(range_))
    if any(one.finish for one in written):
        yield from _finished_lines(session, reading, written, end)
        return
    line = listed((one.expression for one in written), ", x'09', ")
    query = part("select concat({}, x'0a'){}", line, end)
    blocks: list[bytes] = []
    size = 0
    for rows in session.stream(query, slice_rows(reading)):
        lines = [one for (one,) in rows]
        if None in lines:
            raise _too_long(reading)
        blocks.append(b"".join(filter(None, lines)))
        size += len(blocks[-1])
        if size >= BLOCK_BYTES:
            yield b"".join(blocks)
            blocks, size = [], 0
    if blocks:
        yield b"".join(blocks)


def _finished_lines(
    session: Session, reading: Reading, written: Sequence[Written], end: sql.Composable
) -> Iterator[bytes]:
    wrong = _wrong(reading, [one.expression if one.finish else None for one in written])
    query = part("select {}, {}{}", wrong, listed(one.expression for one in written), end)
    block: list[bytes] = []
    size = 0
    for rows in session.stream(query, slice_rows(reading)):
        for is_wrong, *values in rows:
            if is_wrong != b"0":
                raise _too_long(reading)
            pairs = zip(written, values, strict=True)
            line = b"\t".join(_copied(reading, one, value) for one, value in pairs)
            block += [line, b"\n"]
            size += len(line)
            if size >= BLOCK_BYTES:
                yield b"".join(block)
                block, size = [], 0
    if block:
        yield b"".join(block)


def _copied(reading: Reading, one: Written, value: bytes | None) -> bytes:
    if one.finish:
        return rb"\N" if value is None else one.finish(value)
    if value is None:
        raise _too_long(reading)
    return value


def _wrong(reading: Reading, expressions: Sequence[sql.Composable | None]) -> sql.Composable:
    """Whether a text is NULL although its value is not, because it was too long for the server."""
    each = [
        part("({} is null) <> {}", one, absence(field))
        for field, one in zip(reading.fields, expressions, strict=True)
        if one
    ]
    return part("({})", listed(each, " or ")) if each else part("0")


def _too_long(reading: Reading) -> WindlassError:
    return WindlassError(
        f"{reading.table}: the server could not build the text of a row",
        hint="raise max_allowed_packet on the server to four times its longest row",
        side="source",
    )


def read_digest(session: Session, reading: Reading, range_: Range) -> Digest:
    """The digest of all rows of a range."""
    if any(needs_client(one) for one in reading.fields):
        whole = Digest()
        for _, hash_, _ in _hashed_rows(session, reading, [], within(range_)):
            whole += _of(hash_)
        return whole
    sums = _Sums()
    query = part(
        "select {} from {}{}",
        _hash(reading),
        rows_of(reading.table, reading.selected),
        within(range_),
    )
    for rows in session.stream(query, _HASHES_AT_ONCE):
        sums.add(reading, [one for (one,) in rows])
    return sums.digest


def read_buckets(session: Session, reading: Reading) -> dict[int, Digest]:
    """The digests of all rows, by bucket."""
    if any(needs_client(one) for one in reading.fields):
        found: defaultdict[int, Digest] = defaultdict(Digest)
        for bucket, hash_, _ in _hashed_rows(session, reading, _keys(reading), sql.SQL("")):
            found[bucket] += _of(hash_)
        return dict(found)
    sums: defaultdict[int, _Sums] = defaultdict(_Sums)
    query = part(
        "select {}, {} from {}",
        _bucket(reading),
        _hash(reading),
        rows_of(reading.table, reading.selected),
    )
    for rows in session.stream(query, _HASHES_AT_ONCE):
        for place, two in rows:
            sums[int(place or _no_bucket(reading))].add(reading, [two])
    return {bucket: one.digest for bucket, one in sums.items()}


def read_rows(session: Session, reading: Reading, buckets: Sequence[int]) -> Iterator[Row]:
    """The rows of some buckets."""
    keys, wanted = _keys(reading), set(buckets)
    if not wanted:
        return
    some: sql.Composable = sql.SQL("")
    if not any(needs_client(reading.fields[at]) for at in keys):
        places = listed(Whole(one) for one in sorted(wanted))
        some = part(" where {} in ({})", _bucket(reading), places)
    for bucket, _, texts in _hashed_rows(session, reading, keys, some):
        if bucket in wanted:
            decoded = tuple(None if one is None else one.decode() for one in texts)
            yield Row(tuple(decoded[at] for at in keys), decoded)


def _keys(reading: Reading) -> list[int]:
    """The positions of the key's fields; of all fields if there is no key."""
    names = [one.name for one in reading.fields]
    return [names.index(one) for one in reading.key] or list(range(len(names)))


def _hashed_rows(
    session: Session, reading: Reading, keys: Sequence[int], where: sql.Composable
) -> Iterator[tuple[int, str, tuple[bytes | None, ...]]]:
    """Bucket (0 without `keys`), MD5 and texts of each row, computed here."""
    written = [hashed(one) for one in reading.fields]
    expressions = [one.expression for one in written]
    wrong = _wrong(reading, expressions)
    query = part(
        "select {}, {} from {}{}",
        wrong,
        listed(expressions),
        rows_of(reading.table, reading.selected),
        where,
    )
    for rows in session.stream(query, slice_rows(reading)):
        for is_wrong, *values in rows:
            if is_wrong != b"0":
                raise _too_long(reading)
            texts = tuple(
                one.finish(value) if one.finish and value is not None else value
                for one, value in zip(written, values, strict=True)
            )
            key = md5(_row_text([texts[at] for at in keys])).hexdigest() if keys else "000"
            yield int(key[:3], 16), md5(_row_text(texts)).hexdigest(), texts


def _row_text(texts: Sequence[bytes | None]) -> bytes:
    return b"".join(b"|N" if one is None else b"|" + one for one in texts)


def _of(hash_: str) -> Digest:
    return Digest(1, int(hash_[:15], 16), int(hash_[15:30], 16))


def _hash(reading: Reading) -> sql.Composable:
    """The two numbers of a row, 15 bytes. They are summed here, which saves the server two fifths
    of its time."""
    return part("unhex(left(md5({}), 30))", _joined(reading.fields))


def _bucket(reading: Reading) -> sql.Composable:
    key = _joined([reading.fields[at] for at in _keys(reading)])
    return part("cast(conv(left(md5({}), 3), 16, 10) as unsigned)", key)


def _joined(fields: Sequence[Field]) -> sql.Composable:
    """The text of a row; NULL if it is too long for the server."""
    return part("concat('|', {})", listed((in_row(one) for one in fields), ", '|', "))


def _no_bucket(reading: Reading) -> int:
    raise _too_long(reading)


@dataclass(slots=True)
class _Sums:
    """Sums of hashes: of both numbers as one of 120 bits, and of the lower half."""

    rows: int = 0
    whole: int = 0
    lower: int = 0

    def add(self, reading: Reading, hashes: Sequence[bytes | None]) -> None:
        if None in hashes:
            raise _too_long(reading)
        numbers = [int.from_bytes(one or b"", "big") for one in hashes]
        self.rows += len(numbers)
        self.whole += sum(numbers)
        self.lower += sum([one & _LOWER for one in numbers])

    @property
    def digest(self) -> Digest:
        return Digest(self.rows, (self.whole - self.lower) >> 60, self.lower)


def slice_rows(reading: Reading) -> int:
    """How many rows are held at once. A row of MySQL has at most 65,535 bytes, not counting values
    without a maximum length."""
    if any("long" in one.form.split() for one in reading.fields):
        return 1
    endless = {Sort.TEXT, Sort.BYTES, Sort.JSON}
    return (
        16
        if any(one.type.sort in endless and not one.type.length for one in reading.fields)
        else 500
    )
