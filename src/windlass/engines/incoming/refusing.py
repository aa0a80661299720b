"""Bad records of one input, while it is staged: how many may be set aside, and what people are
shown of them. Leaves it to the engine where they are kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from windlass.engines.aside import Aside, Unreadable
from windlass.engines.landing import Input, ways_with_bad_records
from windlass.errors import BadRecord
from windlass.model.load import BadValue, Load

MOST_SHOWN = 20  # bad values of an input


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a record cannot be loaded. `field` is the input's field, or the column if no field goes
    into it."""

    field: str
    reason: str
    value: str | None = None


@dataclass(frozen=True, slots=True)
class BadRow:
    """What is kept of a bad record."""

    record: int
    line: int
    field: str
    reason: str
    fields: str  # JSON


@dataclass
class Refusing:
    """The bad records of one input. `others` counts those of the run's other inputs."""

    load: Load
    source: Input
    others: Callable[[], int]
    keep: Callable[[BadRow], object]
    rows: int = 0  # how many were set aside
    shown: list[BadValue] = field(default_factory=list)
    aside: Aside = field(init=False)  # malformed records, which are not among the rows
    _before: int = 0  # in other inputs
    _some_empty: bool = False  # of the bad values

    def __post_init__(self) -> None:
        self.aside = Aside(self.load.bad.most)
        self._before = self.others()

    @property
    def is_over(self) -> bool:
        """Whether too many records are bad, and enough of them are known."""
        return self._too_many and len(self.shown) >= MOST_SHOWN

    @property
    def _too_many(self) -> bool:
        return self.rows + self._before > self.load.bad.most

    def check(self) -> None:
        """Check the limit once an input is staged: others may have been staged at the same time.

        Raises:
            BadRecord: more records are bad than allowed.
        """
        for one in self.aside.found:
            self._add_unreadable(one)
        self._before = self.others()
        if not self._too_many:
            return
        ways = ways_with_bad_records(self.rows + self._before, some_empty=self._some_empty)
        hint = f"nothing was loaded; {ways}"
        if self.is_over:  # the rest was not read
            hint = "nothing was loaded; correct the input"
        raise BadRecord(self.shown[:MOST_SHOWN], hint=hint)

    def _add_unreadable(self, one: Unreadable) -> None:
        self.rows += 1
        self.shown = sorted([*self.shown, one.bad], key=lambda bad: bad.record)[:MOST_SHOWN]
        self._keep(one.bad.record, one.bad.line, Fault("", one.bad.reason), one.text)

    def _keep(self, record: int, line: int, fault: Fault, fields: object) -> None:
        if not self._too_many:
            text = json.dumps(fields, ensure_ascii=False, default=shown)
            self.keep(BadRow(record, line, fault.field, fault.reason, text))

    def add(self, record: int, faults: Sequence[Fault], row: Mapping[str, Any]) -> None:
        """Add one record, with its fields as text."""
        self.rows += 1
        is_shown = len(self.shown) < MOST_SHOWN
        line = self.source.line_of(record) if is_shown else 0
        for one in faults:
            self._some_empty |= one.value == ""
            if is_shown:
                value = one.value or "" if self.load.bad.shows_values else ""
                self.shown.append(
                    BadValue(self.source.place, record, one.reason, line, one.field, value)
                )
            self._keep(record, line, one, row)


def shown(value: Any) -> str:
    """A value for people, and in JSON."""
    return "\\x" + value.hex() if isinstance(value, bytes) else str(value)
