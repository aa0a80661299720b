"""Finds keys that differ in MongoDB and are the same on the target: 0.1 as a double and as a
decimal, an ObjectId and its text. Reads the documents again, but only where values of different
types can meet."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from hashlib import md5

from windlass.engines import scratch
from windlass.engines.mongodb.elements import DECIMAL, DOUBLE, OBJECT_ID, STRING
from windlass.engines.mongodb.selecting import Read
from windlass.engines.mongodb.values import EXTENDED
from windlass.model.report import Problem
from windlass.model.translation import Field, Sort, SourceTable
from windlass.model.units import plural
from windlass.model.wording import word

_TEXTS = ({STRING}, {OBJECT_ID})  # whose values are texts, each by itself


@dataclass(frozen=True, slots=True)
class Part:
    """A column of a key, what reads it, and the types of its values; None: not known."""

    field: Field
    read: Read
    kinds: Collection[int] | None
    is_ambiguous: bool = False  # Extended JSON of two values may be the same


@dataclass(frozen=True, slots=True)
class Keyed:
    """A key of the target; `name` is for people."""

    name: str
    parts: Sequence[Part]

    @property
    def is_doubtful(self) -> bool:
        """Whether two of its values may become one."""
        return any(map(_merges, self.parts))


def _merges(part: Part) -> bool:
    kinds = None if part.kinds is None else set(part.kinds)
    sort = part.field.type.sort
    if part.field.form == EXTENDED:
        return part.is_ambiguous
    if sort is Sort.INTEGER or kinds == set():
        return False  # MongoDB compares whole numbers of all types
    if sort is Sort.DECIMAL:
        return kinds is None or {DOUBLE, DECIMAL} <= kinds
    return not (sort is Sort.TEXT and kinds in _TEXTS)


def collisions(
    table: SourceTable,
    keys: Iterable[Keyed],
    documents: Callable[[], Iterator[bytes]],
    described: Callable[[bytes], str],
) -> Iterator[Problem]:
    """`described` is a document's `_id`, for people. Memory does not depend on the number of
    documents."""
    doubtful = [one for one in keys if one.is_doubtful]
    if not doubtful:
        return
    with scratch.new_file(".db") as path, closing(sqlite3.connect(path)) as seen:
        for setting in ("journal_mode = off", "synchronous = off", "locking_mode = exclusive"):
            seen.execute(f"pragma {setting}")
        seen.execute("create table seen (hash blob primary key) without rowid")
        many, first = [0] * len(doubtful), [""] * len(doubtful)
        for data in documents():
            for at, key in enumerate(doubtful):
                hashed = _hash(at, key, data)
                if hashed is None:
                    continue
                found = seen.execute("insert or ignore into seen values (?)", (hashed,))
                if not found.rowcount:
                    many[at] += 1
                    first[at] = first[at] or described(data)
    for key, count, where in zip(doubtful, many, first, strict=True):
        if count:
            yield _problem(table, key, count, where)


def _hash(number: int, key: Keyed, data: bytes) -> bytes | None:
    """None: rows with a NULL never collide. What does not fit is a problem by itself."""
    texts = []
    for part in key.parts:
        try:
            text = part.read(data)
        except ValueError:
            return None
        if text is None:
            return None
        if part.field.type.sort is Sort.DECIMAL:
            text = _number(text)
        texts.append(f"{len(text)}:{text}")
    return md5(f"{number}|{'|'.join(texts)}".encode(), usedforsecurity=False).digest()


def _number(text: str) -> str:
    """The same for numbers that are equal: without exponent, all of their digits count."""
    short = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if short in ("-0", "") else short


def _problem(table: SourceTable, key: Keyed, count: int, first: str) -> Problem:
    types = ", ".join(part.field.type.described for part in key.parts)
    others = "another's" if count == 1 else "others'"
    message = (
        f"{plural(count, 'document')} with a {key.name} that differs from {others} in MongoDB, and"
        f" is the same as {types} (first: {first})"
    )
    hint = f"correct them on the source, or keep them apart by another type: {word('types')}"
    return Problem(str(table.name), message, hint)
