"""Bad records that are set aside: staged like the others, then kept in the file by the load."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from windlass.engines.aside import Aside, Unreadable
from windlass.engines.embedded.dialect import Session, number
from windlass.engines.embedded.names import REFUSED, bad_rows, done_inputs
from windlass.engines.landing import Input, ways_with_bad_records
from windlass.engines.statements import names, statement
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


@dataclass
class Refusing:
    """The bad records of one input, while it is staged."""

    session: Session
    load: Load
    number: int
    source: Input
    rows: int = 0  # how many were set aside
    shown: list[BadValue] = field(default_factory=list)
    aside: Aside = field(init=False)  # malformed records, which are not among the rows
    _before: int = 0  # in other inputs
    _some_empty: bool = False  # of the bad values

    def __post_init__(self) -> None:
        self.aside = Aside(self.load.bad.most)

    def begin(self) -> None:
        query = statement("select coalesce(sum(refused), 0) from {done}", done=done_inputs())
        self._before = number(self.session, query)

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
        self.begin()
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
            self.session.execute(
                statement("insert into {bad} values (?, ?, ?, ?, ?, ?)", bad=bad_rows()),
                [self.number, record, line, fault.field, fault.reason, _json(fields)],
            )

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


def _json(row: object) -> str:
    return json.dumps(row, ensure_ascii=False, default=_text)


def _text(value: Any) -> str:
    return "\\x" + value.hex() if isinstance(value, bytes) else str(value)


def keep_refused(session: Session, schema: str, run: str, load: Load) -> None:
    session.execute(
        statement(
            "insert into {kept} (run, load, input, record, line, field, reason, fields)"
            " select ?, ?, d.place, b.record, b.line, b.field, b.reason, b.fields"
            " from {bad} as b join {done} as d on d.number = b.input",
            kept=names(schema, REFUSED), bad=bad_rows(), done=done_inputs(),
        ),
        [run, load.name],
    )  # fmt: skip
