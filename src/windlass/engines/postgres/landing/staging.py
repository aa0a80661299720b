"""Copies the records of one input into a staging table, in one transaction with the journal's line.

First COPY converts the values to the columns' types. If one cannot be converted, all values are
staged again as texts, in which every bad value is found. A row's position in the table (ctid)
follows the order of the input: COPY and CREATE TABLE AS fill a table that their own transaction
created from beginning to end (TABLE_INSERT_SKIP_FSM in tableam.h).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import psycopg
from psycopg import sql

from windlass.engines.aside import Aside, setting_aside
from windlass.engines.landing import Input, RawCsv
from windlass.engines.postgres.copy_in import send
from windlass.engines.postgres.landing import names
from windlass.engines.postgres.landing.bad import Bad, BadRows, Trouble
from windlass.engines.postgres.landing.columns import listed
from windlass.engines.postgres.landing.staged_columns import StagedColumn, Staging
from windlass.engines.postgres.landing.watching import Look, Suspicious, watched
from windlass.engines.postgres.session import Connection
from windlass.model.flow import Result
from windlass.model.load import Load
from windlass.model.relation import Name


class Misfit(Exception):
    """A value is not of its type, or COPY might change it: the input will be staged as text, to
    find it."""


def stage_typed(
    connection: Connection, run: str, load: Load, number: int, source: Input, staging: Staging
) -> Result:
    """Raises:
    Misfit: some value is not of its column's type.
    BadRecord: values are bad otherwise.
    """
    table = names.staged(run, load.name, number)
    create(connection, table, [one.defined for one in staging.columns])
    aside = Aside(load.bad.most)
    try:
        rows = copy(connection, table, staging.columns, setting_aside(source, aside))
    except (psycopg.DataError, psycopg.IntegrityError, Suspicious) as error:  # a domain's CHECK
        raise Misfit from error
    analyze(connection, table)
    rows_of = BadRows(connection, run, load, number, source, staging, aside.found)
    bad = rows_of.find(table, staging.columns, [])
    return _staged(connection, rows_of, table, rows, bad)


def stage_texts(
    connection: Connection, run: str, load: Load, number: int, source: Input, staging: Staging
) -> Result:
    """Raises:
    BadRecord: more values are bad than may be.
    """
    raw, table = names.texts(run, load.name, number), names.staged(run, load.name, number)
    texts = [StagedColumn(one.field, one.name, "text") for one in staging.columns]
    create(connection, raw, [one.defined for one in texts])
    aside = Aside(load.bad.most)
    rows = copy(connection, raw, texts, setting_aside(source, aside), by_batches=True)
    analyze(connection, raw)
    rows_of = BadRows(connection, run, load, number, source, staging, aside.found)
    invalid = rows_of.invalid(raw)
    rows_of.set_aside(raw, invalid)
    values = listed(
        sql.SQL("{0}::{1}{2} as {0}").format(
            one.identifier,
            sql.SQL(one.type),
            sql.SQL(f" collate {one.collation}" if one.collation else ""),
        )
        for one in staging.columns
    )
    connection.execute(
        sql.SQL("create unlogged table {} as select {} from {} order by ctid").format(
            names.identifier(table), values, names.identifier(raw)
        )
    )
    analyze(connection, table)
    connection.execute(sql.SQL("drop table {}").format(names.identifier(raw)))
    bad = rows_of.find(table, staging.columns, invalid)
    return _staged(connection, rows_of, table, rows, [*invalid, *bad], aside=len(invalid))


def _staged(
    connection: Connection,
    rows_of: BadRows,
    table: Name,
    rows: int,
    bad: Sequence[Trouble],
    *,
    aside: int = 0,
) -> Result:
    rows_of.set_aside(table, bad[aside:])
    rows_of.keep_unreadable()
    found = Bad.of(bad)
    skipped = rows_of.unreadable_records
    return {
        "rows": rows - found.rows,
        "refused": found.rows + len(skipped),
        "table": str(table),
        "place": rows_of.source.place,
        "bad": rows_of.all_described(found.first),
        "bad_records": sorted({*skipped, *(one.record for one in bad)}),
    }


def create(connection: Connection, table: Name, columns: Sequence[sql.Composable]) -> None:
    """An empty staging table. An existing one is left by an attempt whose transaction is gone."""
    connection.execute(sql.SQL("drop table if exists {}").format(names.identifier(table)))
    connection.execute(
        sql.SQL("create unlogged table {} ({})").format(names.identifier(table), listed(columns))
    )


def analyze(connection: Connection, table: Name) -> None:
    connection.execute(sql.SQL("analyze {}").format(names.identifier(table)))


def copy(
    connection: Connection,
    table: Name,
    columns: Sequence[StagedColumn],
    source: Input,
    *,
    by_batches: bool = False,
) -> int:
    """The number of rows that arrived.

    Raises:
        psycopg.DataError: a value is not of its column's type.
        Suspicious: COPY might change a value.
        BadRecord: a record cannot be read.
    """
    raw = None if by_batches else source.raw()
    statement = copy_statement(table, [one.identifier for one in columns], raw)
    looks = {at: Look(one.certain, certain=True) for at, one in enumerate(columns) if one.certain}
    return feed(connection, statement, watched(source, raw, looks))


def feed(
    connection: Connection, statement: sql.Composed, blocks: Iterator[bytes] | Iterator[memoryview]
) -> int:
    """COPY from stdin; the number of rows that arrived. What the blocks raise is raised when the
    COPY has ended: psycopg would log the server's message, which shows a value."""
    failure: BaseException | None = None
    with connection.cursor() as cursor:
        with cursor.copy(statement) as out:
            while failure is None:
                try:
                    block = next(blocks, None)
                except BaseException as error:
                    failure = error
                    continue
                if block is None:
                    break
                send(out, block)
        if failure is not None:
            raise failure
        return cursor.rowcount


def copy_statement(
    table: Name, columns: Sequence[sql.Composable], raw: RawCsv | None
) -> sql.Composed:
    """COPY of a file as it is, or of `csv_of`."""
    into = (names.identifier(table), listed(columns))
    if raw is None:
        return sql.SQL("copy {} ({}) from stdin (format csv)").format(*into)
    # without a text for NULL nothing is NULL, not even an empty field
    null = (
        sql.SQL("force_not_null ({})").format(listed(columns))
        if raw.null is None
        else sql.SQL("null {}").format(sql.Literal(raw.null))
    )
    return sql.SQL(
        "copy {} ({}) from stdin (format csv, delimiter {}, quote {}, escape {}, {})"
    ).format(
        *into,
        sql.Literal(raw.delimiter),
        sql.Literal(raw.quote),
        sql.Literal(raw.escape),
        null,
    )
