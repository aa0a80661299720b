"""The staged rows of a load as they will arrive in the table: a FROM item with its columns.

If every column gets a field unchanged, these are the staging tables themselves. If something is
computed, or only the last of several rows counts, the rows are made once, in a table, so that the
rows that are checked are the rows that are loaded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from windlass.engines.postgres.landing import names
from windlass.engines.postgres.landing.bad import SHOWN, halved, reason_of, records_of
from windlass.engines.postgres.landing.columns import Column, listed, named
from windlass.engines.postgres.landing.staged_columns import Staging, kept_in
from windlass.engines.postgres.session import Connection
from windlass.errors import BadRecord
from windlass.model.load import Assigned, BadValue, Load
from windlass.model.load_words import Duplicates
from windlass.model.mask import Mask
from windlass.model.relation import Name

_LAST = "windlass_last"


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
    `windlass_place`, which say where a row comes from."""

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
    source = _of_table(shaped, staging) if shaped else _of_inputs(load, staging, inputs)
    return Rows(source, staging.given, key, tuple(inputs), shaped)


def _of_table(shaped: Name, staging: Staging) -> sql.Composed:
    values = listed(
        sql.SQL("{0}::{1} as {0}").format(one.identifier, one.cast) for one in staging.given
    )
    return sql.SQL("(select {}, {}, {} from {})").format(
        values,
        sql.Identifier(names.INPUT),
        sql.Identifier(names.PLACE),
        names.identifier(shaped),
    )


def _of_inputs(load: Load, staging: Staging, inputs: Sequence[StagedInput]) -> sql.Composed:
    values = listed(
        sql.SQL("{}::{} as {}").format(_direct(one, staging), column.cast, column.identifier)
        for one, column in zip(load.assigned, staging.given, strict=True)
    )
    parts = [
        sql.SQL("select {}, {} as {}, ctid as {} from {}").format(
            values,
            sql.Literal(one.number),
            sql.Identifier(names.INPUT),
            sql.Identifier(names.PLACE),
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
    connection.execute(sql.SQL("drop table if exists {}").format(names.identifier(table)))
    connection.execute(
        sql.SQL("create unlogged table {} ({})").format(
            names.identifier(table), listed(definitions(load, staging))
        )
    )
    for one in inputs:
        insert = sql.SQL("insert into {} {}").format(
            names.identifier(table), shaping(load, staging, one.table, one.number)
        )
        try:
            with connection.transaction():
                connection.execute(insert)
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            raise _failed(connection, load, staging, one) from error
    _check(connection, table, load, staging, inputs)
    if load.words.duplicates is Duplicates.LAST:
        _keep_last(connection, table, named(staging.given, load.words.key))
    connection.execute(sql.SQL("analyze {}").format(names.identifier(table)))
    row = connection.execute(
        sql.SQL("select pg_catalog.count(*) from {}").format(names.identifier(table))
    ).fetchone()
    return int(str(row[0])) if row else 0


def definitions(load: Load, staging: Staging) -> Iterator[sql.Composed]:
    for one in staging.given:
        wide, _, _ = kept_in(one, is_text=False)
        yield sql.SQL("{} {}{}").format(one.identifier, sql.SQL(wide), one.collated)
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
) -> sql.Composed:
    """The query that makes the rows of one input, with the fields under their names."""
    fields = listed(
        sql.SQL("{} as {}").format(one.value, sql.Identifier(one.field)) for one in staging.columns
    )
    values = [
        _computed(one, column)
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


def _computed(one: Assigned, column: Column) -> sql.Composable:
    if one.sql:
        return sql.SQL("(") + sql.SQL(one.sql) + sql.SQL("\n)")
    if one.mask is Mask.NULL or not one.field:
        return sql.SQL("null::{}").format(column.cast)
    value = sql.Identifier("staged", one.field)
    return sql.SQL("{}::{}").format(value, sql.SQL(kept_in(column, is_text=False)[0]))


def _failed(connection: Connection, load: Load, staging: Staging, one: StagedInput) -> BadRecord:
    """The records for which the expressions fail."""

    def probe(within: sql.Composed) -> sql.Composed:
        # counted after offset 0, so that every value is computed
        query = shaping(load, staging, one.table, one.number, within)
        return sql.SQL("select pg_catalog.count(rows::text) from ({} offset 0) rows").format(query)

    found = halved(connection, one.table, probe, SHOWN)
    places = [place for place, _ in found]
    records = records_of(connection, one.table, places, one.bad_records)
    return BadRecord(
        [
            BadValue(
                one.place,
                records[place],
                reason_of(error.sqlstate, error.diag.message_primary or "", "column of the table"),
            )
            for place, error in found
        ],
        hint="correct it, or the expressions of columns",
    )


def _check(
    connection: Connection,
    table: Name,
    load: Load,
    staging: Staging,
    inputs: Sequence[StagedInput],
) -> None:
    """Raises:
    BadRecord: a computed value does not fit its column.
    """
    by_number = {one.number: one for one in inputs}
    found: list[BadValue] = []
    for column in staging.given:
        tests = [
            (one.of(column.identifier), one.reason) for one in kept_in(column, is_text=False)[2]
        ]
        if column.not_null:
            absent = sql.SQL("{} is null").format(column.identifier)
            tests.append((absent, "is NULL, and the column is NOT NULL"))
        for test, reason in tests:
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
    connection.execute(
        sql.SQL(
            "delete from {table} where ctid in (select place from (select ctid as place,"
            " pg_catalog.row_number() over (partition by {key}"
            " order by {last} desc nulls last, {input} desc, {place} desc) as number"
            " from {table} where not ({absent})) rows where number > 1)"
        ).format(
            table=names.identifier(table),
            key=listed(one.identifier for one in key),
            absent=sql.SQL(" or ").join(
                sql.SQL("{} is null").format(one.identifier) for one in key
            ),
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
