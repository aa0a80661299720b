"""The staged rows of a load as they will arrive in the table: a FROM item with its columns.

If every column gets a field unchanged, these are the staging tables themselves. If something is
computed, or only the last of several rows counts, the rows are made once, in a table, so that the
rows that are checked are the rows that are loaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import psycopg
from psycopg import sql

from windlass.engines.postgres.landing import names
from windlass.engines.postgres.landing.bad import SHOWN, halved, reason_of, records_of
from windlass.engines.postgres.landing.columns import Column, listed, named
from windlass.engines.postgres.landing.narrowing import Unassigned, read_unassigned
from windlass.engines.postgres.landing.staged_columns import Staging, kept_in
from windlass.engines.postgres.session import Connection
from windlass.errors import BadRecord, WindlassError
from windlass.model.load import Assigned, BadValue, Load
from windlass.model.load_words import Duplicates
from windlass.model.mask import Mask
from windlass.model.relation import Name

_LAST = "windlass_last"
_OF_COLUMNS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class StagedInput:
    """One input of a load, whose rows are in a staging table."""

    number: int
    table: Name
    place: str
    rows: int
    refused: int
    bad_records: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Rows:
    """`source` is the FROM item. Besides the `columns` it has `windlass_input` and
    `windlass_place`, which say where a row comes from, and its position, `windlass_row`."""

    source: sql.Composable
    columns: tuple[Column, ...]
    key: tuple[Column, ...]
    inputs: tuple[StagedInput, ...]
    shaped: Name | None = None

    @property
    def read(self) -> int:
        return sum(one.rows + one.refused for one in self.inputs)

    @property
    def refused(self) -> int:
        return sum(one.refused for one in self.inputs)

    def described(self, connection: Connection, number: int, place: str) -> str:
        """Where a row comes from, for people."""
        found = next(one for one in self.inputs if one.number == number)
        records = records_of(connection, found.table, [place], found.bad_records)
        return f"{found.place}: record {records.get(place, 0):,}"


def is_computed(load: Load, staging: Staging) -> bool:
    """Whether its rows have to be made in a table."""
    types = {
        (one.field, given.type)
        for one, given in zip(load.assigned, staging.given, strict=True)
        if one.field and one.mask is None
    }
    has_several_types = len({name for name, _ in types}) < len(types)
    is_made = any(one.sql for one in load.assigned)
    return has_several_types or is_made or load.words.duplicates is Duplicates.LAST


def rows_of(
    run: str, load: Load, staging: Staging, inputs: Sequence[StagedInput], *, computed: bool
) -> Rows:
    """The rows of a staged load; made in a table if something is computed."""
    key = named(staging.given, load.words.key)
    shaped = names.shaped(run, load.name) if computed else None
    source = of_table(shaped, staging) if shaped else _of_inputs(load, staging, inputs)
    return Rows(source, staging.given, key, tuple(inputs), shaped)


def of_table(shaped: Name, staging: Staging) -> sql.Composed:
    """The FROM item of rows that were made: each value has the type of its column."""
    values = listed(
        sql.SQL("{0}::{1} as {0}").format(one.identifier, one.cast) for one in staging.given
    )
    return sql.SQL("(select {}, {}, {}, ctid as {} from {})").format(
        values,
        sql.Identifier(names.INPUT),
        sql.Identifier(names.PLACE),
        sql.Identifier(names.ROW),
        names.identifier(shaped),
    )


def _of_inputs(load: Load, staging: Staging, inputs: Sequence[StagedInput]) -> sql.Composed:
    values = listed(
        sql.SQL("{}::{} as {}").format(_direct(one, staging), column.cast, column.identifier)
        for one, column in zip(load.assigned, staging.given, strict=True)
    )
    parts = [
        sql.SQL("select {}, {} as {}, ctid as {}, ctid as {} from {}").format(
            values,
            sql.Literal(one.number),
            sql.Identifier(names.INPUT),
            sql.Identifier(names.PLACE),
            sql.Identifier(names.ROW),
            names.identifier(one.table),
        )
        for one in inputs
    ]
    return sql.SQL("({})").format(sql.SQL(" union all ").join(parts))


def _direct(one: Assigned, staging: Staging) -> sql.Composable:
    if one.mask is Mask.NULL or not one.field:
        return sql.SQL("null")
    return staging.by_field[one.field].value


# rows that are made in a table


def shape(
    connection: Connection, run: str, load: Load, staging: Staging, inputs: Sequence[StagedInput]
) -> int:
    """Make them; returns how many there are.

    Raises:
        BadRecord: an expression fails for a row, or its result does not fit.
    """
    table = names.shaped(run, load.name)
    try:
        with connection.transaction():
            _make(connection, table, load, staging, inputs)
            _refuse(connection, table, inputs, _bad_values(staging))
            _try_casts(connection, table, list(_not_cast(load, staging)))
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        raise _failed(connection, load, staging, inputs, error) from error
    if load.words.duplicates is Duplicates.LAST:
        _keep_last(connection, table, named(staging.given, load.words.key))
    connection.execute(sql.SQL("analyze {}").format(names.identifier(table)))
    row = connection.execute(
        sql.SQL("select pg_catalog.count(*) from {}").format(names.identifier(table))
    ).fetchone()
    return int(str(row[0])) if row else 0


def _make(
    connection: Connection,
    table: Name,
    load: Load,
    staging: Staging,
    inputs: Sequence[StagedInput],
) -> None:
    """Raises:
    BadRecord: a column would change a value.
    """
    first = shaping(load, staging, inputs[0].table, inputs[0].number)
    unassigned = read_unassigned(connection, load, staging, first)
    types = {one.column.name: one.type for one in unassigned}
    connection.execute(sql.SQL("drop table if exists {}").format(names.identifier(table)))
    connection.execute(
        sql.SQL("create unlogged table {} ({})").format(
            names.identifier(table), listed(definitions(load, staging, types))
        )
    )
    for one in inputs:
        query = shaping(load, staging, one.table, one.number, types=types)
        connection.execute(sql.SQL("insert into {} {}").format(names.identifier(table), query))
    if unassigned:
        _assign(connection, table, inputs, unassigned)


def _assign(
    connection: Connection,
    table: Name,
    inputs: Sequence[StagedInput],
    unassigned: Sequence[Unassigned],
) -> None:
    """Give the columns their types, which change no value."""
    tests = [
        (one.column, check.of(one.column.identifier), check.reason)
        for one in unassigned
        for check in one.checks
    ]
    _refuse(connection, table, inputs, tests)
    changes = listed(
        sql.SQL("alter column {0} type {1}{2} using {0}::{1}").format(
            one.column.identifier, sql.SQL(_wide(one.column)), one.column.collated
        )
        for one in unassigned
    )
    connection.execute(sql.SQL("alter table {} {}").format(names.identifier(table), changes))


def _not_cast(load: Load, staging: Staging) -> Iterator[Column]:
    """Columns whose values are not known to be of their types when the rows are made."""
    for one, column in zip(load.assigned, staging.given, strict=True):
        is_new = one.sql or (
            one.field and one.mask is None and staging.by_field[one.field].valid_for != column.type
        )
        if is_new and kept_in(column, is_text=False)[1]:
            yield column


def _try_casts(connection: Connection, table: Name, columns: Sequence[Column]) -> None:
    """Raises:
    psycopg.DataError: a value is not of its column's type.
    psycopg.IntegrityError: the CHECK of a domain is broken.
    """
    if columns:
        values = listed(sql.SQL("{}::{}").format(one.identifier, one.cast) for one in columns)
        connection.execute(
            # counted after offset 0, so that every value is computed
            sql.SQL(
                "select pg_catalog.count(rows::text) from (select {} from {} offset 0) rows"
            ).format(values, names.identifier(table))
        )


def _wide(column: Column) -> str:
    return kept_in(column, is_text=False)[0]


def _casts(column: Column) -> str:
    """Of a value on its way into the column: to the type that it is kept in, and from that."""
    wide, cast, _ = kept_in(column, is_text=False)
    return f"{wide}::{cast}" if cast else wide


def definitions(
    load: Load, staging: Staging, types: Mapping[str, str] = _OF_COLUMNS
) -> Iterator[sql.Composed]:
    """`types` are those of columns that do not have their own yet."""
    for one in staging.given:
        if own := types.get(one.name):
            yield sql.SQL("{} {}").format(one.identifier, sql.SQL(own))
        else:
            yield sql.SQL("{} {}{}").format(one.identifier, sql.SQL(_wide(one)), one.collated)
    yield sql.SQL("{} integer").format(sql.Identifier(names.INPUT))
    yield sql.SQL("{} tid").format(sql.Identifier(names.PLACE))
    last = staging.by_field.get(load.words.last_by)
    yield sql.SQL("{} {}").format(
        sql.Identifier(_LAST), sql.SQL(last.valid_for if last else "integer")
    )


def shaping(
    load: Load,
    staging: Staging,
    table: Name,
    number: int,
    where: sql.Composable | None = None,
    *,
    only: Assigned | None = None,
    types: Mapping[str, str] = _OF_COLUMNS,
) -> sql.Composed:
    """The query that makes the rows of one input, with the fields under their names. Values of some
    columns are cast to `types`."""
    fields = listed(
        sql.SQL("{} as {}").format(one.value, sql.Identifier(one.field)) for one in staging.columns
    )
    values = [
        _computed(one, column, types.get(column.name))
        for one, column in zip(load.assigned, staging.given, strict=True)
        if only in (None, one)
    ]
    last = load.words.last_by
    return sql.SQL(
        "select {}, {}, {place}, {} from (select {}, ctid as {place} from {} where {}) as staged"
    ).format(
        listed(values),
        sql.Literal(number),
        sql.Identifier(last) if last else sql.SQL("null"),
        fields,
        names.identifier(table),
        where or sql.SQL("true"),
        place=sql.Identifier(names.PLACE),
    )


def _computed(one: Assigned, column: Column, type_: str | None) -> sql.Composable:
    if one.sql:
        made = sql.SQL("(") + sql.SQL(one.sql) + sql.SQL("\n)")
        return sql.SQL("{}::{}").format(made, sql.SQL(type_)) if type_ else made
    if one.mask is Mask.NULL or not one.field:
        return sql.SQL("null::{}").format(column.cast)
    value = sql.Identifier("staged", one.field)
    return sql.SQL("{}::{}").format(value, sql.SQL(type_ or _wide(column)))


def _failed(
    connection: Connection,
    load: Load,
    staging: Staging,
    inputs: Sequence[StagedInput],
    error: psycopg.Error,
) -> BadRecord:
    """The records for which the expressions fail, or their results are no values of the columns."""
    types = {one.name: _casts(one) for one in staging.given}
    found: list[BadValue] = []
    for one in inputs:

        def probe(within: sql.Composed, one: StagedInput = one) -> sql.Composed:
            # counted after offset 0, so that every value is computed
            query = shaping(load, staging, one.table, one.number, within, types=types)
            return sql.SQL("select pg_catalog.count(rows::text) from ({} offset 0) rows").format(
                query
            )

        bad = halved(connection, one.table, probe, SHOWN - len(found))
        records = records_of(connection, one.table, [place for place, _ in bad], one.bad_records)
        found += [BadValue(one.place, records[place], _reason(fault)) for place, fault in bad]
    if not found:
        raise WindlassError(
            f"{load.name}: a computed value does not fit: {_reason(error)}",
            hint="correct the expressions of columns",
        ) from error
    return BadRecord(found, hint="correct it, or the expressions of columns")


def _reason(error: psycopg.Error) -> str:
    return reason_of(error.sqlstate, error.diag.message_primary or "", "column of the table")


def _bad_values(staging: Staging) -> Iterator[tuple[Column, sql.Composable, str]]:
    for column in staging.given:
        for one in kept_in(column, is_text=False)[2]:
            yield column, one.of(column.identifier), one.reason
        if column.not_null:
            absent = sql.SQL("{} is null").format(column.identifier)
            yield column, absent, "is NULL, and the column is NOT NULL"


def _refuse(
    connection: Connection,
    table: Name,
    inputs: Sequence[StagedInput],
    tests: Iterable[tuple[Column, sql.Composable, str]],
) -> None:
    """Raises:
    BadRecord: a computed value does not fit its column, as one of the tests says.
    """
    by_number = {one.number: one for one in inputs}
    found: list[BadValue] = []
    for column, test, reason in tests:
        query = sql.SQL(
            "select {}, {place}::text from {} where {} order by 1, {place} limit {}"
        ).format(
            sql.Identifier(names.INPUT),
            names.identifier(table),
            test,
            sql.Literal(SHOWN),
            place=sql.Identifier(names.PLACE),
        )
        for number, place in connection.execute(query).fetchall():
            one = by_number[int(str(number))]
            record = records_of(connection, one.table, [str(place)], one.bad_records)
            found.append(BadValue(one.place, record[str(place)], reason, column=column.name))
    if found:
        raise BadRecord(found[:SHOWN], hint="correct them, or the expressions of columns")


def _keep_last(connection: Connection, table: Name, key: Sequence[Column]) -> None:
    """The keys are compared as those of the table: equal ones may be different texts."""
    keys = [sql.SQL("{}::{}{}").format(one.identifier, one.cast, one.collated) for one in key]
    connection.execute(
        sql.SQL(
            "delete from {table} where ctid in (select place from (select ctid as place,"
            " pg_catalog.row_number() over (partition by {key}"
            " order by {last} desc nulls last, {input} desc, {place} desc) as number"
            " from {table} where not ({absent})) rows where number > 1)"
        ).format(
            table=names.identifier(table),
            key=listed(keys),
            absent=sql.SQL(" or ").join(sql.SQL("{} is null").format(one) for one in keys),
            last=sql.Identifier(_LAST),
            input=sql.Identifier(names.INPUT),
            place=sql.Identifier(names.PLACE),
        )
    )


def staged_inputs(load: Load, notes: Mapping[str, Mapping[str, object]]) -> list[StagedInput]:
    """The staged inputs, from the journal's notes, in order."""
    found = []
    for item, note in notes.items():
        name, _, number = item.rpartition(" ")
        if name == load.name and note.get("table"):
            bad = note.get("bad_records")
            found.append(
                StagedInput(
                    int(number),
                    Name.read(str(note["table"])),
                    str(note.get("place", "")),
                    int(str(note["rows"])),
                    int(str(note["refused"])),
                    tuple(bad) if isinstance(bad, list) else (),
                )
            )
    return sorted(found, key=lambda one: one.number)
