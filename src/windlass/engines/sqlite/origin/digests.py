"""Digests of rows: the text of each as `windlass.model.translation.Digest` has it, which SQLite
makes, hashed here."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from hashlib import md5 as hashlib_md5

from psycopg import sql

from windlass.engines.sqlite.origin.blocks import batches
from windlass.engines.sqlite.origin.forms import form_of, has_length, hashed
from windlass.engines.sqlite.origin.printing import Printed, printed
from windlass.engines.sqlite.origin.ranges import Order
from windlass.engines.sqlite.origin.seen import Seen, unseen
from windlass.engines.statements import names, verbatim
from windlass.model.chunk import Range, Whole
from windlass.model.translation import Digest, Field, Row

md5 = partial(hashlib_md5, usedforsecurity=False)
_HALF = (1 << 60) - 1  # fifteen hexadecimal digits
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
    for rows in batches(session, order, range_, row_text(fields, seen)):
        numbers = [from_bytes(md5(text).digest()[:15], "big") for (text,) in rows]
        first += sum([number >> 60 for number in numbers])
        second += sum([number & _HALF for number in numbers])
        count += len(rows)
    return Digest(count, first, second)


def buckets(
    session: sqlite3.Connection,
    order: Order,
    fields: Sequence[Field],
    key: Sequence[Field],
    seen: Seen,
) -> Mapping[int, Digest]:
    """By the key's text; by the row's without a key."""
    found: dict[int, list[int]] = {}
    wanted = row_text(fields, seen)
    identifying = row_text(key, seen) if key else sql.SQL("null")
    for rows in batches(session, order, Whole(), sql.SQL(", ").join([wanted, identifying])):
        for text, of_key in rows:
            hash_ = md5(text).digest()
            number = int.from_bytes(hash_[:15], "big")
            sums = found.setdefault(_bucket(md5(of_key).digest() if key else hash_), [0, 0, 0])
            sums[0] += 1
            sums[1] += number >> 60
            sums[2] += number & _HALF
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
