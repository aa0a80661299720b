"""Copies an input into the file of staged rows, converting each value as its column will store
it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from psycopg import sql

from windlass.engines.aside import setting_aside
from windlass.engines.embedded import staged
from windlass.engines.embedded.names import bad_rows, staged_rows
from windlass.engines.embedded.refused import refusing
from windlass.engines.incoming.names import INPUT, NUMBER, PER_INPUT, RECORD, user_sql
from windlass.engines.incoming.refusing import Fault, Refusing
from windlass.engines.incoming.shape import assigned, column_of, field_column
from windlass.engines.incoming.values import Plain, converted, plain
from windlass.engines.landing import Input
from windlass.engines.sqlite.identifiers import strictly_named
from windlass.engines.sqlite.landing.catalog import collations, column
from windlass.engines.sqlite.landing.quick import quickly
from windlass.engines.sqlite.landing.values import converter
from windlass.engines.statements import each, listed, names, statement
from windlass.engines.stopping import Stops
from windlass.errors import Interrupted
from windlass.model.load import Assigned, Load, Staged, TableColumn
from windlass.model.mask import Mask

if TYPE_CHECKING:
    import pyarrow as pa

Values = Sequence[Plain | None]
Faults = dict[int, list[Fault]]  # by place in a batch


def target_column(load: Load, one: Assigned) -> TableColumn:
    """What a value is converted for."""
    return column(one.column, one.type) if load.creates else column_of(load, one.column)


def prepare(session: sqlite3.Connection, load: Load) -> None:
    """Create the tables of staged rows. Their columns are declared like the table's, so that values
    are not changed differently; keys also have the table's collations."""
    odd = collations(session, load.table.name)
    columns = []
    for one in load.assigned:
        type_ = target_column(load, one).type
        text: sql.Composable = names(one.column)
        if type_:
            text = sql.SQL("{} {}").format(text, names(type_))
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
    staged.prepare(session)


class Fields:
    """The requested values of a batch, by field."""

    def __init__(self, batch: pa.RecordBatch) -> None:
        self._batch, self._made = batch, dict[str, Values]()
        self.names = list(batch.schema.names)

    def __getitem__(self, name: str) -> Values:
        if name not in self._made:
            values = self._batch.column(name).to_pylist()
            self._made[name] = [None if one is None else plain(one) for one in values]
        return self._made[name]


@dataclass
class Filling:
    """One input that is being staged. Each batch is a transaction, so that the table, which
    expressions may read, is not locked for longer."""

    session: sqlite3.Connection
    load: Load
    number: int
    source: Input
    stops: Stops
    record: int = 0  # the last one that was read
    rows: int = 0
    refusing: Refusing = field(init=False)

    def fill(self) -> Staged:
        """Raises:
        BadRecord: more records are bad than may be.
        """
        self._forget_earlier()
        self.refusing = refusing(self.session, self.load, self.number, self.source)
        if self._has_sql:
            self._make_batch()
        for batch in setting_aside(self.source, self.refusing.aside).batches():
            if self.stops.cancelled:
                raise Interrupted("stopped on request")
            self.session.execute("begin")
            self._add(batch)
            self.session.execute("commit")
            if self.refusing.is_over:
                break
        # so that each of two inputs counts the other's bad records
        self.session.execute("begin immediate")
        self.refusing.check()
        found = Staged(self.rows, self.refusing.rows, tuple(self.refusing.shown))
        staged.note_done(self.session, self.number, self.source.place, found)
        self.session.execute("commit")
        return found

    def _forget_earlier(self) -> None:
        """Remove what a killed process has staged of this input."""
        for table, by in ((staged_rows(), INPUT), (bad_rows(), "input")):
            query = statement("delete from {table} where {by} = ?", table=table, by=names(by))
            self.session.execute(query, (self.number,))

    @property
    def _has_sql(self) -> bool:
        return any(one.sql for one in self.load.assigned)

    def _make_batch(self) -> None:
        fields = []
        for one in self.source.fields:
            type_ = self._type_of(one.name)
            fields.append(
                sql.SQL("{} {}").format(names(one.name), names(type_)) if type_ else names(one.name)
            )
        self.session.execute(
            statement(
                "create temp table windlass_batch ({record} integer primary key, {fields})",
                record=names(RECORD), fields=listed(fields),
            )
        )  # fmt: skip

    def _type_of(self, name: str) -> str:
        """The type of a field in expressions."""
        found = field_column(self.load, name)
        return found.type if found else ""

    def _add(self, batch: pa.RecordBatch) -> None:
        count = batch.num_rows
        records = self.refusing.aside.numbers(self.record, count)
        self.record = records[-1] if records else self.record
        fields = Fields(batch)
        faults: Faults = {}
        computed = self._computed(fields, records, faults) if self._has_sql else {}
        columns = []
        for one in self.load.assigned:
            wanted = target_column(self.load, one)
            quick: Values | None = None
            if one.field and not one.sql and not one.mask:
                quick = quickly(batch.column(one.field), wanted)
            if quick is None:
                given = computed[one.column] if one.sql else _given(one, fields, count)
                quick = _converted(one.field or one.column, wanted, given, faults)
            columns.append(quick)
        rows = (
            (self.number * PER_INPUT + record, self.number, record, *row)
            for at, record, row in zip(
                range(count), records, zip(*columns, strict=True), strict=True
            )
            if at not in faults
        )
        marks = each("{}", [sql.SQL("?")] * (3 + len(columns)))
        insert = statement(
            "insert into {staged} ({columns}) values ({marks})", staged=staged_rows(),
            columns=each("{}", map(names, [NUMBER, INPUT, RECORD, *assigned(self.load)])),
            marks=marks,
        )  # fmt: skip
        self.session.executemany(insert, rows)
        self.rows += count - len(faults)
        for at, found in sorted(faults.items()):
            row = {name: fields[name][at] for name in fields.names}
            self.refusing.add(records[at], list(dict.fromkeys(found)), row)

    def _computed(
        self, fields: Fields, records: Sequence[int], faults: Faults
    ) -> dict[str, Values]:
        """The expressions' results for the batch, by column. Fields that go into a column, or have
        its name, have that column's type."""
        self.session.execute("delete from temp.windlass_batch")
        columns = []
        for name in fields.names:
            values, wanted = fields[name], field_column(self.load, name)
            columns.append(_converted(name, wanted, values, faults) if wanted else values)
        marks = each("{}", [sql.SQL("?")] * (1 + len(fields.names)))
        self.session.executemany(
            statement("insert into temp.windlass_batch values ({marks})", marks=marks),
            zip(records, *columns, strict=True),
        )
        some = [one for one in self.load.assigned if one.sql]
        query = statement(
            "select {values} from temp.windlass_batch as s order by {record}",
            values=each("{}", [user_sql(strictly_named(one.sql)) for one in some]),
            record=names(RECORD),
        )
        found = self.session.execute(query).fetchall()
        return {one.column: [row[at] for row in found] for at, one in enumerate(some)}


def _given(one: Assigned, fields: Fields, count: int) -> Values:
    if one.mask is Mask.NULL or not one.field:
        return [None] * count
    return fields[one.field]


def _converted(name: str, wanted: TableColumn, given: Values, faults: Faults) -> Values:
    return converted(name, given, converter(wanted), faults, not_null=wanted.not_null)
