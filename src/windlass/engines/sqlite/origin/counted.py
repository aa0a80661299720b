"""What is known of a column's values once all of them were read. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from windlass.engines.sqlite.origin.choosing import Choice
from windlass.engines.sqlite.origin.forms import FORMS
from windlass.engines.sqlite.types import Affinity, affinity_of

_VALUE_BYTES = 8  # of what is no text
SHORT_BYTES = 325  # of a short text; an index of PostgreSQL holds eight of them
BETWEEN = b"\x1f"  # joined texts: rarely part of a text, and never of a longer character
SPECIAL = (b"\\", b"\t", b"\n", b"\r")  # what COPY's text form escapes


@dataclass
class Counted:
    """What was counted of a column's values."""

    values: int = 0  # without NULLs
    fitting: list[int] = field(default_factory=list)  # by the choice's fields
    bytes: int = 0
    is_text_fine: bool = True  # all texts are UTF-8 without NUL
    has_special: bool = False
    odd: int = 0  # floats that are odd as in `windlass.engines.sqlite.origin.seen.Seen`
    fractional: int = 0
    small: int = 0
    negative: int = 0
    is_short: bool = False  # it is known that no text has more than `SHORT_BYTES`


Pair = tuple[Choice, Counted]


def look_at(one: Counted, text: bytes | None) -> None:
    """Look at some of the column's texts, which are joined."""
    if not text:
        return
    one.bytes += len(text)
    if one.is_text_fine:
        one.is_text_fine = b"\0" not in text and is_utf8(text)
    if not one.has_special:
        one.has_special = any(special in text for special in SPECIAL)


def are_short(text: bytes | None, count: int) -> bool:
    """Whether it is `count` short texts, joined; false if one has a `BETWEEN`."""
    if text is None:
        return not count
    if text.count(BETWEEN) != count - 1:
        return False
    start = 0
    while len(text) - start > SHORT_BYTES:
        end = text.rfind(BETWEEN, start, start + SHORT_BYTES + 1)
        if end < 0:
            return False
        start = end + 1
    return True


def is_utf8(text: bytes) -> bool:
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def may_be_text(choice: Choice) -> bool:
    return any(FORMS[one.type.sort, one.form].is_text for one in choice.fields)


def has_one_zero(choice: Choice) -> bool:
    """Whether SQLite never stores a negative zero in it."""
    return affinity(choice) is Affinity.REAL


def affinity(choice: Choice) -> Affinity:
    return affinity_of(choice.column.type.upper().strip())


def estimate(pairs: Sequence[Pair]) -> None:
    """Add the approximate size of values that are not text."""
    for choice, one in pairs:
        one.bytes += 0 if may_be_text(choice) else one.values * _VALUE_BYTES
