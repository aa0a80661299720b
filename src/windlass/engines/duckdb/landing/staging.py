"""Copies an input into the file of staged rows, converting each value as its column will store it.

Arrow's batches of texts become DuckDB's table of a batch; SQL converts, and says what is bad.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from psycopg import sql

from windlass.engines.aside import setting_aside
from windlass.engines.duckdb.landing.catalog import column
from windlass.engines.duckdb.landing.values import Converted, from_text, from_value, not_null
from windlass.engines.embedded import staged
from windlass.engines.embedded.names import staged_rows
from windlass.engines.embedded.refused import refusing
from windlass.engines.incoming.names import INPUT, NUMBER, PER_INPUT, RECORD, user_sql
from windlass.engines.incoming.refusing import MOST_SHOWN, Fault, Refusing
from windlass.engines.incoming.shape import assigned, column_of, field_column
from windlass.engines.landing import Input
from windlass.engines.statements import each, listed, names, statement, verbatim
from windlass.engines.stopping import Stops
from windlass.errors import Interrupted
from windlass.model.load import Assigned, Load, Staged, TableColumn
from windlass.model.mask import Mask

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 20_000
BATCH_BYTES = 4 << 20
_TEXT = "VARCHAR"


def target_column(load: Load, one: Assigned) -> TableColumn:
    """What a value is converted for."""
    return column(one.column, one.type) if load.creates else column_of(load, one.column)


def prepare(session: Any, load: Load) -> None:
    """Make the tables of staged rows."""
    columns = listed(
        sql.SQL("{} {}").format(names(one.column), verbatim(target_column(load, one).type))
        for one in load.assigned
    )
    session.execute(
        statement(
            "create table if not exists {staged} ({number} bigint, {input} integer,"
            " {record} bigint, {columns})",
            staged=staged_rows(), number=names(NUMBER), input=names(INPUT),
            record=names(RECORD), columns=columns,
        )
    )  # fmt: skip
    staged.prepare(session)


@dataclass
class Filling:
    """One input that is being staged, in one transaction of the caller's."""

    session: Any
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
        self.refusing = refusing(self.session, self.load, self.number, self.source)
        for table in self._tables():
            if self.stops.cancelled:
                raise Interrupted("stopped on request")
            self._add(table)
            if self.refusing.is_over:
                break
        self.refusing.check()
        found = Staged(self.rows, self.refusing.rows, tuple(self.refusing.shown))
        staged.note_done(self.session, self.number, self.source.place, found)
        return found

    def _tables(self) -> Iterator[pa.Table]:
        """Batches of a size that DuckDB handles quickly."""
        import pyarrow as pa

        some: list[pa.RecordBatch] = []
        rows = size = 0
        for batch in setting_aside(self.source, self.refusing.aside).batches():
            some.append(batch)
            rows, size = rows + batch.num_rows, size + batch.nbytes
            if rows >= BATCH_ROWS or size >= BATCH_BYTES:
                yield pa.Table.from_batches(some)
                some, rows, size = [], 0, 0
        if rows:
            yield pa.Table.from_batches(some)

    def _add(self, table: pa.Table) -> None:
        records = self.refusing.aside.numbers(self.record, table.num_rows)
        self.record = records[-1]
        numbered = table.append_column(RECORD, _integers(records))
        new = self._converted(numbered)
        inserted = self._insert(new, numbered)
        if inserted < table.num_rows:
            self._refuse(new, numbered)
        self.rows += inserted

    # what becomes of a batch

    def _fetch(self, query: str, batch: pa.Table) -> Any:
        """All rows of a query of `_windlass_batch`, which DuckDB finds among the local variables. A
        registered table would be kept until the transaction ends, and with it all of the input."""
        _windlass_batch = batch
        return self.session.execute(query).fetchall()

    def _converted(self, batch: pa.Table) -> sql.Composed:
        """A query of the values `c0`..., of what is wrong with them, `x0`..., and of the fields
        that expressions read, `f0`... Not a table: the tables of all batches would stay in memory
        until the transaction ends."""
        types = self._types(batch)
        parts: list[sql.Composable] = []
        for at, one in enumerate(self.load.assigned):
            if one.sql:
                given = names("e", f"e{at}")
                found = _converted(
                    given, self._type_of(one, types, batch), target_column(self.load, one)
                )
            else:
                found = self._given(one, types)
            parts += [
                sql.SQL("{} as {}").format(found.value, names(f"c{at}")),
                sql.SQL("{} as {}").format(found.fault, names(f"x{at}")),
            ]
        joined: sql.Composable = sql.SQL("_windlass_batch as s")
        if self._has_sql:
            joined = sql.SQL("_windlass_batch as s join {} as e using ({})").format(
                self._expressions(types), names(RECORD)
            )
            parts += [
                sql.SQL("{} as {}").format(self._as_field(name, type_).fault, names(f"f{at}"))
                for at, (name, type_) in enumerate(types.items())
            ]
        return sql.SQL("(select s.{}, {} from {})").format(names(RECORD), listed(parts), joined)

    @property
    def _has_sql(self) -> bool:
        return any(one.sql for one in self.load.assigned)

    def _fields(self, types: dict[str, str]) -> sql.Composable:
        """The batch with its fields as expressions see them."""
        values = [
            sql.SQL("{} as {}").format(self._as_field(name, type_).value, names(name))
            for name, type_ in types.items()
        ]
        return sql.SQL("(select {}, {} from _windlass_batch as s)").format(
            names(RECORD), listed(values)
        )

    def _expressions(self, types: dict[str, str]) -> sql.Composable:
        values = [
            sql.SQL("{} as {}").format(user_sql(one.sql), names(f"e{at}"))
            for at, one in enumerate(self.load.assigned)
            if one.sql
        ]
        return sql.SQL("(select {}, {} from {} as s)").format(
            names(RECORD), listed(values), self._fields(types)
        )

    def _type_of(self, one: Assigned, types: dict[str, str], batch: pa.Table) -> str:
        """Of an expression."""
        query = statement(
            "describe select {text} as v from {item} as s",
            text=user_sql(one.sql), item=self._fields(types),
        )  # fmt: skip
        return str(self._fetch(query, batch)[0][1])

    def _types(self, batch: pa.Table) -> dict[str, str]:
        """Of the fields, as DuckDB reads the batch."""
        found = self._fetch("describe _windlass_batch", batch)
        return {name: type_ for name, type_, *_ in found if name != RECORD}

    def _as_field(self, name: str, type_: str) -> Converted:
        """A field as expressions see it."""
        given = names("s", name)
        wanted = field_column(self.load, name)
        if wanted is None:
            return Converted(given, sql.SQL("cast(null as varchar)"))
        return _converted(given, type_, wanted)

    def _given(self, one: Assigned, types: dict[str, str]) -> Converted:
        wanted = target_column(self.load, one)
        if one.mask is Mask.NULL or not one.field:
            null = sql.SQL("cast(null as {})").format(verbatim(wanted.type))
            return _needed(Converted(null, sql.SQL("null")), null, wanted)
        given = names("s", one.field)
        return _converted(given, types[one.field], wanted)

    def _faulty(self) -> list[tuple[str, str]]:
        """The columns that say what is wrong, each with its field."""
        found = [(f"x{at}", one.field or one.column) for at, one in enumerate(self.load.assigned)]
        if self._has_sql:
            found += [(f"f{at}", one.name) for at, one in enumerate(self.source.fields)]
        return found

    def _refuse(self, new: sql.Composed, batch: pa.Table) -> None:
        faulty = self._faulty()
        bad = each("{} is not null", [names("w", name) for name, _ in faulty], " or ")
        fields = [one.name for one in self.source.fields]
        query = statement(
            "select w.{record}, {faults}, {fields} from {new} as w join _windlass_batch as s"
            " using ({record}) where {bad} order by 1 limit {most}",
            record=names(RECORD), new=new,
            faults=each("{}", [names("w", one) for one, _ in faulty]),
            fields=each("cast({} as varchar)", [names("s", one) for one in fields]), bad=bad,
            most=sql.Literal(self.load.bad.most + MOST_SHOWN + 1),
        )  # fmt: skip
        for record, *values in self._fetch(query, batch):
            row = dict(zip(fields, values[len(faulty) :], strict=True))
            faults = [
                Fault(name, reason, row.get(name))
                for (_, name), reason in zip(faulty, values, strict=False)
                if reason is not None
            ]
            self.refusing.add(record, list(dict.fromkeys(faults)), row)

    def _insert(self, new: sql.Composed, batch: pa.Table) -> int:
        """How many of the rows are good."""
        good = each("{} is null", [names(name) for name, _ in self._faulty()], " and ")
        columns = [NUMBER, INPUT, RECORD, *assigned(self.load)]
        values = [names(f"c{at}") for at in range(len(self.load.assigned))]
        ((count,),) = self._fetch(
            statement(
                "insert into {staged} ({columns}) select {base} + {record}, {input}, {record},"
                " {values} from {new} where {good}",
                staged=staged_rows(), columns=each("{}", map(names, columns)),
                base=sql.Literal(self.number * PER_INPUT), record=names(RECORD),
                input=sql.Literal(self.number), values=listed(values), new=new, good=good,
            ),
            batch,
        )  # fmt: skip
        return int(count)


def _integers(values: Sequence[int]) -> pa.Array:
    """The integers as an array. `pyarrow.array` would import pandas if it is installed, which takes
    45 MB."""
    import pyarrow as pa

    values = array("q", values)
    return pa.Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(values)])


def _converted(given: sql.Composable, type_: str, wanted: TableColumn) -> Converted:
    found = from_text(given, wanted) if type_ == _TEXT else from_value(given, type_, wanted)
    return _needed(found, given, wanted)


def _needed(found: Converted, given: sql.Composable, wanted: TableColumn) -> Converted:
    return not_null(found, given) if wanted.not_null else found
