"""Copies an input into the file of staged rows, with every value as its column is to hold it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from psycopg import sql

from windlass.engines.embedded.arriving import user_sql
from windlass.engines.embedded.marks import highest, mark_text
from windlass.engines.embedded.names import (
    INPUT,
    NUMBER,
    RECORD,
    bad_rows,
    done_inputs,
    staged_rows,
)
from windlass.engines.embedded.shape import assigned, column_of
from windlass.engines.landing import Input
from windlass.engines.sqlite.identifiers import strictly_named
from windlass.engines.sqlite.landing.catalog import collations, column
from windlass.engines.sqlite.landing.values import Plain, Unfit, converter, plain
from windlass.engines.statements import each, listed, names, statement
from windlass.engines.stopping import Stops
from windlass.errors import BadRecord, Interrupted
from windlass.model.load import Assigned, BadValue, Load, Mask, Staged, TableColumn

if TYPE_CHECKING:
    import pyarrow as pa

MOST_SHOWN = 20  # bad values of an input
PER_INPUT = 10**12  # numbers of rows, so that they are in the inputs' order
_BATCH = sql.SQL("temp.windlass_batch")


def target_column(load: Load, one: Assigned) -> TableColumn:
    """What a value is converted for."""
    return column(one.column, one.type) if load.creates else column_of(load, one.column)


def prepare(session: sqlite3.Connection, load: Load) -> None:
    """Make the tables of staged rows. Their columns are declared as the table's, so that values
    are changed by neither; those of keys compare as there."""
    odd = collations(session, load.table.name)
    columns = []
    for one in load.assigned:
        type_ = target_column(load, one).type
        parts = [names(one.column)]
        if type_:
            parts.append(names(type_))
        text = sql.SQL(" ").join(parts)
        if one.column in odd and one.column in load.words.key:
            text = sql.SQL("{} collate {}").format(text, names(odd[one.column]))
        columns.append(text)
    session.execute(
        statement(
            "create table if not exists {staged} ({number} integer primary key, {input} integer,"
            " {record} integer, {columns})",
            staged=staged_rows(), number=names(NUMBER), input=names(INPUT),
            record=names(RECORD), columns=listed(columns),
        )
    )  # fmt: skip
    session.execute(
        statement(
            "create table if not exists {bad} (input integer, record integer, line integer,"
            " field text, reason text, row text)", bad=bad_rows(),
        )
    )  # fmt: skip
    session.execute(
        statement(
            "create table if not exists {done} (number integer primary key, place text,"
            " rows integer, refused integer, watermark text)", done=done_inputs(),
        )
    )  # fmt: skip


def find_done(session: sqlite3.Connection, number: int) -> Staged | None:
    query = statement("select rows, refused from {done} where number = ?", done=done_inputs())
    row = session.execute(query, (number,)).fetchone()
    return Staged(*row) if row else None


@dataclass
class Filling:
    """One input on its way."""

    session: sqlite3.Connection
    load: Load
    number: int
    source: Input
    stops: Stops
    record: int = 0  # the last one that was read
    rows: int = 0
    marks: str = ""
    bad: list[BadValue] = field(default_factory=list)
    refused: int = 0
    refused_before: int = 0  # in other inputs

    def fill(self) -> Staged:
        """Raises:
        BadRecord: more records are bad than may be.
        """
        self._forget_earlier()
        self._make_batch()
        for batch in self.source.batches():
            if self.stops.cancelled:
                raise Interrupted("stopped on request")
            self.session.execute("begin")
            self._add(batch)
            self.session.execute("commit")
            if self._too_many and len(self.bad) >= MOST_SHOWN:
                break
        if self._too_many:
            most = self.load.bad.most
            hint = f"nothing was loaded; correct the input, or set up to N aside (now {most})"
            raise BadRecord(self.bad[:MOST_SHOWN], hint=hint)
        self.session.execute(
            statement("insert into {done} values (?, ?, ?, ?, ?)", done=done_inputs()),
            (self.number, self.source.place, self.rows, self.refused, self.marks),
        )
        return Staged(self.rows, self.refused, tuple(self.bad[:MOST_SHOWN]))

    @property
    def _too_many(self) -> bool:
        return self.refused + self.refused_before > self.load.bad.most

    def _forget_earlier(self) -> None:
        """What a killed process has staged of this input."""
        for table, by in ((staged_rows(), INPUT), (bad_rows(), "input")):
            query = statement("delete from {table} where {by} = ?", table=table, by=names(by))
            self.session.execute(query, (self.number,))
        count = statement("select coalesce(sum(refused), 0) from {done}", done=done_inputs())
        self.refused_before = self.session.execute(count).fetchone()[0]

    @property
    def _has_sql(self) -> bool:
        return any(one.sql for one in self.load.assigned)

    def _make_batch(self) -> None:
        if not self._has_sql:
            return
        fields = [one.name for one in self.source.fields]
        self.session.execute(
            statement(
                "create temp table windlass_batch ({record} integer primary key, {fields})",
                record=names(RECORD), fields=each("{}", map(names, fields)),
            )
        )  # fmt: skip

    def _add(self, batch: pa.RecordBatch) -> None:
        first = self.record + 1
        self.record += batch.num_rows
        fields = {
            name: [None if one is None else plain(one) for one in values.to_pylist()]
            for name, values in zip(batch.schema.names, batch.columns, strict=True)
        }
        self._mark(batch)
        computed = self._computed(fields, first, batch.num_rows) if self._has_sql else {}
        columns: list[Sequence[Any]] = []
        faults: dict[int, list[tuple[str, str]]] = {}
        for one in self.load.assigned:
            given = computed[one.column] if one.sql else self._given(one, fields, batch.num_rows)
            columns.append(self._converted(one, given, faults))
        numbers = range(batch.num_rows)
        rows = (
            (self.number * PER_INPUT + first + at, self.number, first + at, *values)
            for at, values in zip(numbers, zip(*columns, strict=True), strict=True)
            if at not in faults
        )
        marks = each("{}", [sql.SQL("?")] * (3 + len(columns)))
        insert = statement(
            "insert into {staged} ({columns}) values ({marks})", staged=staged_rows(),
            columns=each("{}", map(names, [NUMBER, INPUT, RECORD, *assigned(self.load)])),
            marks=marks,
        )  # fmt: skip
        self.session.executemany(insert, rows)
        self.rows += batch.num_rows - len(faults)
        self._refuse(faults, fields, first)

    def _mark(self, batch: pa.RecordBatch) -> None:
        if not self.load.watermark:
            return
        values = batch.column(self.load.watermark).to_pylist()
        texts = [mark_text(one) for one in values if one is not None]
        self.marks = highest(self.load, [one for one in (self.marks, *texts) if one])

    def _given(
        self, one: Assigned, fields: dict[str, list[Plain | None]], rows: int
    ) -> Sequence[Plain | None]:
        if one.mask is Mask.NULL or not one.field:
            return [None] * rows
        values = fields[one.field]
        return [_hashed(value) for value in values] if one.mask is Mask.HASH else values

    def _computed(
        self, fields: dict[str, list[Plain | None]], first: int, rows: int
    ) -> dict[str, list[Plain | None]]:
        """The expressions over the batch, by column."""
        self.session.execute("delete from temp.windlass_batch")
        marks = each("{}", [sql.SQL("?")] * (1 + len(fields)))
        self.session.executemany(
            statement("insert into temp.windlass_batch values ({marks})", marks=marks),
            zip(range(first, first + rows), *fields.values(), strict=True),
        )
        some = [one for one in self.load.assigned if one.sql]
        query = statement(
            "select {values} from temp.windlass_batch as s order by {record}",
            values=each("{}", [user_sql(strictly_named(one.sql)) for one in some]),
            record=names(RECORD),
        )
        found = self.session.execute(query).fetchall()
        return {one.column: [row[at] for row in found] for at, one in enumerate(some)}

    def _converted(
        self,
        one: Assigned,
        given: Sequence[Plain | None],
        faults: dict[int, list[tuple[str, str]]],
    ) -> list[Plain | None]:
        convert = converter(target_column(self.load, one))
        made: list[Plain | None] = []
        for at, value in enumerate(given):
            try:
                made.append(None if value is None else convert(value))
            except Unfit as error:
                made.append(None)
                faults.setdefault(at, []).append((one.column, str(error)))
        return made

    def _refuse(
        self,
        faults: dict[int, list[tuple[str, str]]],
        fields: dict[str, list[Plain | None]],
        first: int,
    ) -> None:
        columns = {one.column: one for one in self.load.assigned}
        for at, found in sorted(faults.items()):
            self.refused += 1
            shown = len(self.bad) < MOST_SHOWN
            line = self.source.line_of(first + at) if shown else 0
            row = {name: values[at] for name, values in fields.items()}
            for name, reason in found:
                value = row.get(columns[name].field) if columns[name].field else None
                text = str(value) if self.load.bad.shows_values and value is not None else ""
                named = columns[name].field or name
                self.bad.append(BadValue(self.source.place, first + at, reason, line, named, text))
                if self.refused + self.refused_before <= self.load.bad.most:
                    self.session.execute(
                        statement("insert into {bad} values (?, ?, ?, ?, ?, ?)", bad=bad_rows()),
                        (self.number, first + at, line, named, reason,
                         json.dumps(row, ensure_ascii=False, default=_hexadecimal)),
                    )  # fmt: skip


def _hexadecimal(value: Any) -> str:
    return "\\x" + bytes(value).hex()


def _hashed(value: Plain | None) -> str | None:
    if value is None:
        return None
    data = value if isinstance(value, bytes) else str(value).encode()
    return sha256(data).hexdigest()
