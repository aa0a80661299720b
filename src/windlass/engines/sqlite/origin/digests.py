"""Digests of rows. SQLite makes the text of each row, as `windlass.model.translation.Digest`
defines it; it is hashed here."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence

from psycopg import sql

from windlass.engines.hashed_lines import HALF, md5
from windlass.engines.sqlite.origin.blocks import Blocks, batches
from windlass.engines.sqlite.origin.forms import form_of, has_length, hashed
from windlass.engines.sqlite.origin.printing import Printed, printed
from windlass.engines.sqlite.origin.ranges import Order
from windlass.engines.sqlite.origin.seen import Seen, unseen
from windlass.engines.statements import names, verbatim
from windlass.errors import WindlassError
from windlass.model.chunk import Range, Whole
from windlass.model.translation import Digest, Field, Row

_SIZE = "length(cast({0} as blob))"


def field_text(field: Field) -> sql.Composable:
    """The hashed text of a field; NULL for NULL."""
    made = hashed(field)
    if has_length(field):
        made = verbatim(_SIZE + " || ':' || {0}").format(made)
    return verbatim("case when {0} is not null then {1} end").format(names(field.name), made)


def row_text(fields: Sequence[Field], seen: Seen) -> sql.Composable:
    return printed([_part(field, seen) for field in fields])


def _part(field: Field, seen: Seen) -> Printed:
    made, form = hashed(field), form_of(field)
    if field.name in seen.nullable:
        if not has_length(field):
            return Printed("|%s", (verbatim("ifnull({}, 'N')").format(field_text(field)),))
        size = verbatim("ifnull(" + _SIZE + " || ':', 'N')").format(made)
        return Printed("|%s%s", (size, verbatim("ifnull({}, '')").format(made)))
    if has_length(field):
        return Printed("|%d:%s", (verbatim(_SIZE).format(made), made))
    if form.printed and not form.hashed:
        return Printed(f"|{form.printed.format(scale=field.type.scale)}", (names(field.name),))
    return Printed("|%s", (made,))


def digest(
    session: sqlite3.Connection, order: Order, range_: Range, fields: Sequence[Field], seen: Seen
) -> Digest:
    count = first = second = 0
    from_bytes = int.from_bytes
    for (texts,) in _texts(session, order, range_, [row_text(fields, seen)]):
        numbers = [from_bytes(md5(text).digest()[:15], "big") for text in texts]
        first += sum([number >> 60 for number in numbers])
        second += sum([number & HALF for number in numbers])
        count += len(texts)
    return Digest(count, first, second)


def _texts(
    session: sqlite3.Connection, order: Order, range_: Range, made: Sequence[sql.Composable]
) -> Iterator[Sequence[Sequence[bytes]]]:
    """The texts of many rows at once, joined by a byte that never occurs in UTF-8.

    Raises:
        WindlassError: a text is not UTF-8.
    """
    if not order.number:
        for rows in batches(session, order, range_, sql.SQL(", ").join(made)):
            yield list(zip(*rows, strict=True))
        return
    joined = [verbatim("group_concat({}, cast(x'ff' as text))").format(one) for one in made]
    blocks = Blocks(session, order, sql.SQL(", ").join([verbatim("count(*)"), *joined]))
    for count, *found in blocks.read(range_, lambda row: sum(map(len, row[1:]))):
        texts = [one.split(b"\xff") for one in found]
        if any(len(one) != count for one in texts):
            raise WindlassError(f"main.{order.table}: a text is not UTF-8", side="source")
        yield texts


def buckets(
    session: sqlite3.Connection,
    order: Order,
    fields: Sequence[Field],
    key: Sequence[Field],
    seen: Seen,
) -> Mapping[int, Digest]:
    """Digests by bucket: of the key's text, or of the row's text if there is no key."""
    found: dict[int, list[int]] = {}
    wanted = row_text(fields, seen)
    made = [wanted, row_text(key, seen)] if key else [wanted]
    for texts, *of_key in _texts(session, order, Whole(), made):
        hashes = [md5(text).digest() for text in texts]
        by = [md5(text).digest() for text in of_key[0]] if key else hashes
        for hash_, of in zip(hashes, by, strict=True):
            number = int.from_bytes(hash_[:15], "big")
            sums = found.setdefault(_bucket(of), [0, 0, 0])
            sums[0] += 1
            sums[1] += number >> 60
            sums[2] += number & HALF
    return {bucket: Digest(*sums) for bucket, sums in found.items()}


def _bucket(hash_: bytes) -> int:
    return hash_[0] << 4 | hash_[1] >> 4


def rows_of(
    session: sqlite3.Connection,
    order: Order,
    fields: Sequence[Field],
    key: Sequence[Field],
    wanted: Collection[int],
) -> Iterator[Row]:
    """The rows of these buckets."""
    chosen = frozenset(wanted)
    identifying = list(key) or list(fields)
    every = unseen(field.name for field in identifying)
    columns = [
        row_text(identifying, every),
        *map(field_text, identifying),
        *map(field_text, fields),
    ]
    many = len(identifying)
    for rows in batches(session, order, Whole(), sql.SQL(", ").join(columns)):
        for text, *texts in rows:
            if _bucket(md5(text).digest()) in chosen:
                shown = tuple(map(_shown, texts))
                yield Row(shown[:many], shown[many:])


def _shown(text: bytes | int | None) -> str | None:
    if isinstance(text, bytes):
        return text.decode(errors="backslashreplace")
    return None if text is None else str(text)
