"""Bad records that are set aside: counted while an input is staged, and kept by the load."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from windlass.engines.aside import Aside
from windlass.engines.embedded.refusing import MOST_SHOWN, Fault
from windlass.engines.landing import Input, ways_with_bad_records
from windlass.errors import BadRecord
from windlass.model.load import BadValue, Load

Row = tuple[int, int, str, str, str]  # record, line, field, reason, fields


@dataclass
class Refusing:
    """The bad records of one input. `before` are those of the run's other inputs."""

    load: Load
    source: Input
    before: int
    rows: int = 0
    shown: list[BadValue] = field(default_factory=list)
    kept: list[Row] = field(default_factory=list)
    aside: Aside = field(init=False)  # malformed records, which are not among the rows
    _some_empty: bool = False

    def __post_init__(self) -> None:
        self.aside = Aside(self.load.bad.most)

    @property
    def is_over(self) -> bool:
        """Whether too many records are bad, and enough of them are known."""
        return self._too_many and len(self.shown) >= MOST_SHOWN

    @property
    def _too_many(self) -> bool:
        return self.rows + self.before > self.load.bad.most

    def check(self) -> None:
        """Raises:
        BadRecord: more records are bad than may be.
        """
        for one in self.aside.found:
            self.rows += 1
            self.shown = sorted([*self.shown, one.bad], key=lambda bad: bad.record)[:MOST_SHOWN]
            self._keep(one.bad.record, one.bad.line, Fault("", one.bad.reason), one.text)
        if not self._too_many:
            return
        ways = ways_with_bad_records(self.rows + self.before, some_empty=self._some_empty)
        hint = f"nothing was loaded; {ways}"
        if self.is_over:  # the rest was not read
            hint = "nothing was loaded; correct the input"
        raise BadRecord(self.shown[:MOST_SHOWN], hint=hint)

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

    def _keep(self, record: int, line: int, fault: Fault, fields: object) -> None:
        if not self._too_many:
            text = json.dumps(fields, ensure_ascii=False, default=str)
            self.kept.append((record, line, fault.field, fault.reason, text))
