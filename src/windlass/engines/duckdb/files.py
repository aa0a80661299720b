"""How a load reads the files of an export: Parquet by its types, CSV from PostgreSQL's text."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import sql

from windlass.engines.duckdb.types import type_of
from windlass.engines.statements import listed, names, verbatim
from windlass.errors import WindlassError
from windlass.model.export import Column, Kind, Manifest

_BUFFER_BYTES = 32 << 20  # as DuckDB has it by itself


def source_of(manifest: Manifest, line_mb: int) -> str:
    """A table function that reads the files, whose paths are its parameter. `line_mb` is the
    greatest length of a line."""
    if manifest.format == "parquet":
        return "read_parquet(?)"
    columns = ", ".join(f"'{at}': 'VARCHAR'" for at in range(len(manifest.columns)))
    # "" is an empty text; an empty field is NULL
    return (
        "read_csv(?, header = true, auto_detect = false, delim = ',', quote = '\"', escape = '\"',"
        " nullstr = '', allow_quoted_nulls = false, columns = {" + columns + "},"
        f" max_line_size = {line_mb << 20}, buffer_size = {max(line_mb << 21, _BUFFER_BYTES)})"
    )


def read_list(columns: Sequence[Column], manifest: Manifest) -> sql.Composed:
    """The columns as read. CSV columns are read by position: the header is for people."""
    if manifest.format == "parquet":
        return listed(
            sql.SQL("{0}::{1} as {0}").format(names(one.name), verbatim(type_of(one)))
            for one in columns
        )
    return listed(
        sql.SQL("{} as {}").format(_from_text(one, names(str(at))), names(one.name))
        for at, one in enumerate(columns)
    )


def _from_text(column: Column, name: sql.Identifier) -> sql.Composed:
    """PostgreSQL's text into a value."""
    if column.kind is Kind.BYTES:
        return sql.SQL("unhex(substr({}, 3))").format(name)
    if column.is_list and column.kind is Kind.TEXT:
        raise WindlassError(
            f"column {column.name} is a list of texts, which DuckDB cannot read from CSV",
            hint="export Parquet, or give the relation `text: [...]` with its name",
        )
    if column.is_list:
        message = (
            f"column {column.name} holds arrays of more than one dimension, or whose first index"
            f" is not 1: export Parquet, or give the relation `text: [{column.name}]`"
        )
        return sql.SQL(
            "case when {0} like '[%' or {0} like '{{{{%' then error({1})"
            " else translate({0}, '{{}}', '[]') end::{2}"
        ).format(name, sql.Literal(message), verbatim(type_of(column)))
    if column.kind in (Kind.DATE, Kind.TIMESTAMP, Kind.INSTANT):
        # DuckDB writes the era after the day, but reads PostgreSQL's notation
        return sql.SQL(
            "case when {0} like '% BC' then regexp_replace({0}, '^(\\S+)(.*) BC$', '\\1 (BC)\\2')"
            " else {0} end::{1}"
        ).format(name, verbatim(type_of(column)))
    return sql.SQL("{}::{}").format(name, verbatim(type_of(column)))
