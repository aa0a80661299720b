"""Records that an input cannot read as records: set aside, if that is wanted, while there are few
enough of them. Whoever stages the others counts these with them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count, islice
from typing import TYPE_CHECKING, cast

from windlass.errors import BadRecord
from windlass.model.load import BadValue
from windlass.model.wording import word

if TYPE_CHECKING:
    from windlass.engines.landing import Input

MOST_SHOWN = 20  # of which one error tells
LONGEST_TEXT = 10_000  # characters of a record that are kept


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that is none: why, where, and its text as far as it is kept."""

    bad: BadValue
    text: str


@dataclass(slots=True)
class Aside:
    """What one reading of an input has set aside, in the order of the input."""

    most: int
    found: list[Unreadable] = field(default_factory=list)

    def take(self, bad: BadValue, text: str) -> None:
        """Raises:
        BadRecord: this is one more than may be.
        """
        self.found.append(Unreadable(bad, _kept(text)))
        if len(self.found) > self.most:
            hint = f"nothing was loaded; correct them: there are more than {word('max-bad')}"
            raise BadRecord([one.bad for one in self.found[:MOST_SHOWN]], hint=hint)

    @property
    def records(self) -> list[int]:
        return [one.bad.record for one in self.found]

    def numbers(self, last: int, rows: int) -> list[int]:
        """The numbers of the next records that were read, after the `last` one."""
        skipped = set(self.records)
        later: Iterator[int] = count(last + 1)
        if skipped:
            later = (one for one in later if one not in skipped)
        return list(islice(later, rows))


def _kept(text: str) -> str:
    """Text that every database stores."""
    text = text[:LONGEST_TEXT].encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return text.replace("\0", "\ufffd").rstrip("\r\n")


def setting_aside(source: Input, aside: Aside) -> Input:
    """The same input, which gives `aside` the records that it cannot read. One whose format has
    none, and one that may set nothing aside, stays as it is."""
    made = getattr(source, "setting_aside", None)
    return cast("Input", made(aside)) if made and aside.most else source
