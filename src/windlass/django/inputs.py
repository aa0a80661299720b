"""An input as a model's table needs it: its fields under the columns' names, and lookups resolved.
A `windlass.engines.landing.Input` around another one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.db import connections

from windlass.django.converting import Convert, Unfit, converter
from windlass.django.headers import Given, Looked
from windlass.django.lookups import Key, find_keys
from windlass.engines.aside import Aside, setting_aside
from windlass.engines.landing import Input, RawCsv
from windlass.errors import BadRecord
from windlass.model.load import BadValue, Field, Identity

if TYPE_CHECKING:
    import pyarrow as pa

SHOWN = 20


@dataclass(frozen=True, slots=True)
class Filling:
    """The part of an input that goes into one table."""

    given: tuple[Given, ...]
    looked: tuple[Looked, ...]
    extra: tuple[str, ...] = ()  # fields that only expressions use
    alias: str = "default"


class ModelInput:
    """Reads the other input each time."""

    def __init__(self, source: Input, filling: Filling) -> None:
        self._source, self._filling = source, filling
        by_name = {one.name: one for one in source.fields}
        connection = connections[filling.alias]
        self._fields = tuple(_fields(filling, by_name, connection))
        self._aside = Aside(0)

    def setting_aside(self, aside: Aside) -> ModelInput:
        """See `windlass.engines.aside`; also sets aside rows that the model would refuse."""
        made = copy(self)
        made._source, made._aside = setting_aside(self._source, aside), aside
        return made

    @property
    def place(self) -> str:
        return self._source.place

    @property
    def fields(self) -> Sequence[Field]:
        return self._fields

    @property
    def identity(self) -> Identity:
        return self._source.identity

    def line_of(self, record: int) -> int:
        return self._source.line_of(record)

    def raw(self) -> RawCsv | None:
        """The raw file, if all its fields go into columns one to one and unchanged."""
        given = self._filling.given
        sources = [one.source for one in given]
        if self._filling.looked or sources != [one.name for one in self._source.fields]:
            return None
        connection = connections[self._filling.alias]
        if any(_work(one, connection).is_needed for one in given):
            return None
        return self._source.raw()

    def batches(self) -> Iterator[pa.RecordBatch]:
        last = 0
        connection = connections[self._filling.alias]
        work = [_work(one, connection) for one in self._filling.given]
        try:
            for batch in self._source.batches():
                records = self._aside.numbers(last, batch.num_rows)
                last = records[-1] if records else last
                made = _Batch(self, batch, records).made(work, self._filling)
                if made.num_rows:
                    yield made
        finally:
            if self._filling.looked and not connection.in_atomic_block:
                connection.close()  # closes this thread's connection

    def refuse(self, bad: Sequence[Fault], rows: Mapping[int, Mapping[str, object]]) -> None:
        """Set records aside. `rows` has their values, by record.

        Raises:
            BadRecord: there are more than allowed.
        """
        if bad and not self._aside.most:
            found = [self._bad_value(one, at) for at, one in enumerate(bad[:SHOWN])]
            raise BadRecord(found, hint="correct them; nothing was loaded")
        first = {one.record: one for one in reversed(bad)}
        for at, (record, row) in enumerate(rows.items()):
            text = json.dumps(row, ensure_ascii=False, default=_text)
            self._aside.take(self._bad_value(first[record], at), text)

    def _bad_value(self, fault: Fault, at: int) -> BadValue:
        """The bad value, with its line. Finding the line means reading the file, so it is done only
        for values that are shown."""
        line = self.line_of(fault.record) if at < SHOWN else 0
        return BadValue(self.place, fault.record, fault.reason, line, fault.column)


@dataclass(frozen=True, slots=True)
class Fault:
    record: int
    column: str
    reason: str


def _fields(filling: Filling, by_name: Mapping[str, Field], connection: Any) -> Iterator[Field]:
    """The fields by column. Fields that are converted or checked arrive as text."""
    for one in filling.given:
        is_text = _work(one, connection).is_needed
        yield Field(one.column, None if is_text else by_name[one.source].column)
    for found in filling.looked:
        yield Field(found.column)
    for name in filling.extra:
        yield by_name[name]


@dataclass(frozen=True, slots=True)
class _Work:
    given: Given
    convert: Convert | None
    fills: bool  # whether a missing text is stored as an empty one

    @property
    def is_needed(self) -> bool:
        return self.fills or self.convert is not None


def _work(given: Given, connection: Any) -> _Work:
    one = given.field
    fills = bool(one.empty_strings_allowed and not one.null and one.blank and not one.primary_key)
    return _Work(given, converter(one, connection), fills)


@dataclass
class _Batch:
    """One batch that is being converted."""

    owner: ModelInput
    batch: pa.RecordBatch
    records: Sequence[int]  # the numbers of its records
    bad: dict[int, list[Fault]] = field(default_factory=dict)  # by position in the batch

    def made(self, work: Sequence[_Work], filling: Filling) -> pa.RecordBatch:
        import pyarrow as pa

        columns = [self._given(one) for one in work]
        columns += [self._looked(one, filling.alias) for one in filling.looked]
        columns += [self.batch.column(name) for name in filling.extra]
        names = [one.name for one in self.owner.fields]
        made = pa.RecordBatch.from_arrays(columns, names=names)
        if not self.bad:
            return made
        places = sorted(self.bad)
        rows = self.batch.take(pa.array(places, pa.int64())).to_pylist()
        faults = [one for at in places for one in self.bad[at]]
        self.owner.refuse(faults, dict(zip((self.records[at] for at in places), rows, strict=True)))
        good = [at for at in range(made.num_rows) if at not in self.bad]
        return made.take(pa.array(good, pa.int64()))

    def _given(self, work: _Work) -> pa.Array:
        import pyarrow as pa

        values = self.batch.column(work.given.source)
        if not work.is_needed:
            return values
        missing = "" if work.fills else None
        made: list[str | None] = []
        for at, value in enumerate(values.to_pylist()):
            try:
                text = missing if value is None else _text(value)
                made.append(work.convert(text) if work.convert and text is not None else text)
            except Unfit as error:
                made.append(None)
                self._refuse(at, work.given.source, str(error))
        return pa.array(made, pa.string())

    def _looked(self, looked: Looked, alias: str) -> pa.Array:
        """The foreign key's values. NULL if every part of the natural key is NULL."""
        import pyarrow as pa

        parts = [self.batch.column(name).to_pylist() for name in looked.by.values()]
        keys: list[Key] = [tuple(map(_text, one)) for one in zip(*parts, strict=True)]
        absent = (None,) * len(parts)
        found = find_keys(looked, dict.fromkeys(key for key in keys if key != absent), alias)
        made: list[str | None] = []
        for at, key in enumerate(keys):
            made.append(found.get(key))
            if key == absent:
                if not looked.field.null:
                    self._refuse(at, ", ".join(looked.by.values()), "is empty, and is needed")
            elif key not in found:
                label = looked.field.remote_field.model._meta.label
                self._refuse(at, ", ".join(looked.by.values()), f"no {label} has it")
        return pa.array(made, pa.string())

    def _refuse(self, at: int, column: str, reason: str) -> None:
        fault = Fault(self.records[at], column, reason)
        self.bad.setdefault(at, []).append(fault)


def _text(value: object) -> str | None:
    """A value of a typed input as text, exactly."""
    match value:
        case None | str():
            return value
        case bool():
            return "true" if value else "false"
        case bytes():
            return "\\x" + value.hex()
        case datetime() | date() | time():
            return value.isoformat()
    return format(value, "f") if isinstance(value, Decimal) else str(value)
