"""Inserts rows into a table: DuckDB casts their texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb
import pyarrow as pa
from psycopg import sql

from windlass.engines.destination import Rows
from windlass.engines.duckdb.destination.forms import stored
from windlass.engines.duckdb.session import MEMORY_MB
from windlass.engines.statements import listed, names, statement, verbatim
from windlass.errors import WindlassError
from windlass.model.conversion import Carried, TableConversion
from windlass.model.relation import Name
from windlass.model.translation import Sort
from windlass.model.wording import word

_BATCH = "_windlass_batch"
_BYTES_OF_KEY = 64
_ARROW = {
    Sort.INTEGER: pa.int64(), Sort.FLOAT: pa.float64(), Sort.TEXT: pa.string(),
    Sort.BYTES: pa.binary(),
}  # fmt: skip


def memory_mb(table: TableConversion) -> int:
    """What inserting a table with a key takes: DuckDB holds the keys of all new rows in memory, and
    the commit again. Rows themselves are written to the disk."""
    return MEMORY_MB + (max(table.rows, 0) * _BYTES_OF_KEY >> 20)


def fill(session: Any, table: Name, columns: Sequence[tuple[str, Carried]], rows: Rows) -> None:
    """`columns` are the table's, in the order of the rows' values."""
    places = [f"c{at}" for at in range(len(columns))]
    arrays = [
        pa.array(values, _ARROW[carried.sort])
        for values, (_, carried) in zip(zip(*rows, strict=True), columns, strict=True)
    ]
    # DuckDB finds it among the local variables; a registered table would be kept until the
    # transaction ends, and with it all rows of the table
    _windlass_batch = pa.Table.from_arrays(arrays, places)
    try:
        session.execute(_statement(table, columns, places))
    except duckdb.ConstraintException as error:
        if "foreign key" not in str(error):
            raise
        raise no_such_row(table) from error


def no_such_row(table: Name) -> WindlassError:
    return WindlassError(
        f"{table}: a row refers to no row of another table",
        hint="tables were copied at different moments, or the source has such rows:"
        f" {word('restart')} reads all of them in one moment",
    )


def _statement(table: Name, columns: Sequence[tuple[str, Carried]], places: Sequence[str]) -> str:
    values = [
        verbatim(stored(carried, place))
        for place, (_, carried) in zip(places, columns, strict=True)
    ]
    return statement(
        "insert into {table} ({columns}) select {values} from {batch}",
        table=names(table.schema, table.name),
        columns=listed([names(one) for one, _ in columns]),
        values=sql.SQL(", ").join(values),
        batch=names(_BATCH),
    )
