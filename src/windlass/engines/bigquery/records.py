"""The queries about loads that are recorded in BigQuery. Pure.

Their subqueries do not refer to the outer row: BigQuery runs only what it can de-correlate.
"""

from __future__ import annotations

from windlass.engines.statements import Backticks, statement


def last_watermark(records: Backticks) -> str:
    # a later load of all the table's rows: the earlier rows are gone
    return statement(
        "select watermark from {records} where table_name = @table_name"
        " and mark = @mark and watermark <> '' and loaded_at >= coalesce("
        "  (select max(loaded_at) from {records} where table_name = @table_name"
        "   and mark <> @mark and `rows` = total), timestamp '0001-01-01 00:00:00+00')"
        " order by loaded_at desc limit 1",
        records=records,
    )


def load_of_run(records: Backticks) -> str:
    return statement(
        "select run, table_name, `rows`, read_rows, total, watermark,"
        " loaded_at = (select max(loaded_at) from {records} where table_name = @table_name)"
        " from {records} where run = @run and table_name = @table_name"
        " and source = @source and relation = @relation",
        records=records,
    )


def loaded_columns(records: Backticks) -> str:
    return statement(
        "select distinct columns from {records} where table_name = @table_name"
        " and source = @source and relation = @relation",
        records=records,
    )


def add_load(records: Backticks, table: Backticks) -> str:
    """Unless it is there already."""
    return statement(
        "insert into {records} (run, table_name, source, relation, mark, `rows`,"
        " read_rows, total, watermark, columns, loaded_at)"
        " select @run, @table_name, @source, @relation, @mark, @rows, @read,"
        " (select count(*) from {table}), @watermark, @columns, current_timestamp()"
        " from (select 1) as one where not exists"
        " (select 1 from {records} where run = @run and table_name = @table_name"
        "  and source = @source and relation = @relation)",
        records=records,
        table=table,
    )
