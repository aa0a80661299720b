"""Records of an input that cannot be read. If the user wants that, they are set aside, up to a
limit. Whoever stages the other records counts these as well."""

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

MOST_SHOWN = 20  # how many an error names
LONGEST_TEXT = 10_000  # characters of a record that are kept


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that could not be read: why, where, and its text as far as it was kept."""

    bad: BadValue
    text: str


@dataclass(slots=True)
class Aside:
    """What was set aside while an input was read once, in the order of the input."""

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
        """The numbers of the next records that could be read, after the `last` one."""
        skipped = set(self.records)
        later: Iterator[int] = count(last + 1)
        if skipped:
            later = (one for one in later if one not in skipped)
        return list(islice(later, rows))


def _kept(text: str) -> str:
    """The text in a form that every database can store."""
    text = text[:LONGEST_TEXT].encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return text.replace("\0", "\ufffd").rstrip("\r\n")


def setting_aside(source: Input, aside: Aside) -> Input:
    """The same input, which passes records that it cannot read to `aside`. Unchanged if its format
    has no such records, or if none may be set aside."""
    made = getattr(source, "setting_aside", None)
    return cast("Input", made(aside)) if made and aside.most else source
