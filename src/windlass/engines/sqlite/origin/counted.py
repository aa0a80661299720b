"""What is known of a column's values once all of them were read. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from windlass.engines.sqlite.origin.choosing import Choice
from windlass.engines.sqlite.origin.forms import FORMS
from windlass.engines.sqlite.types import Affinity, affinity_of

_VALUE_BYTES = 8  # of what is no text
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
