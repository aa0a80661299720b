"""Inserts rows into a table: DuckDB casts their texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb
import pyarrow as pa
from psycopg import sql

from windlass.engines.columns import array_of
from windlass.engines.destination import Rows
from windlass.engines.duckdb.destination.forms import stored
from windlass.engines.duckdb.destination.statements import LATE_KEY
from windlass.engines.duckdb.memory import LEAST_MB
from windlass.engines.statements import listed, names, statement, verbatim
from windlass.errors import WindlassError
from windlass.model.conversion import Carried, Made, TableConversion
from windlass.model.relation import Name
from windlass.model.translation import Sort
from windlass.model.wording import word

_BATCH = "_windlass_batch"
# of a row in an index, measured with 1 million: numbers that count up have 9, repeated ones 19 to
# 25, short texts and UUIDs 41 to 47. If it needs more, it is built again
_BYTES_OF_COUNT, _BYTES_OF_NUMBER, _BYTES_OF_TEXT = 10, 24, 48
_NUMBERS = ("BOOLEAN", "SMALLINT", "INTEGER", "BIGINT", "UINTEGER", "DATE", "DECIMAL", "ENUM")
_BESIDE_MB = 16  # what else is needed while an index is built
_ARROW = {
    Sort.INTEGER: pa.int64(), Sort.FLOAT: pa.float64(), Sort.TEXT: pa.large_string(),
    Sort.BYTES: pa.large_binary(),
}  # fmt: skip


def memory_mb(table: TableConversion) -> int:
    """What inserting a table takes. Rows are written to the disk; DuckDB holds the keys of all new
    rows in memory, if they are not made later."""
    is_late = any(one.kind == LATE_KEY for one in table.indexes)
    if (is_late or not table.key) and not table.needs:
        return LEAST_MB
    return LEAST_MB + _rows_mb(
        table, _BYTES_OF_TEXT if _large(table) & set(table.key) else _BYTES_OF_NUMBER
    )


def index_mb(table: TableConversion, made: Made) -> int:
    """What an index of a table takes, which has to fit into memory until it is built."""
    of_numbers = _BYTES_OF_COUNT if made.kind == LATE_KEY else _BYTES_OF_NUMBER
    quoted = (names(one).as_string(None) for one in _large(table))
    each = _BYTES_OF_TEXT if any(one in made.statement for one in quoted) else of_numbers
    return max(LEAST_MB, _BESIDE_MB + _rows_mb(table, each))


def _large(table: TableConversion) -> set[str]:
    """Columns that take more of an index than numbers."""
    return {one.target for one in table.columns if not one.type.startswith(_NUMBERS)}


def _rows_mb(table: TableConversion, each_bytes: int) -> int:
    return max(table.rows, 0) * each_bytes >> 20


def fill(session: Any, table: Name, columns: Sequence[tuple[str, Carried]], rows: Rows) -> None:
    """`columns` are the table's, in the order of the rows' values."""
    places = [f"c{at}" for at in range(len(columns))]
    arrays = [
        array_of(values, _ARROW[carried.sort])
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
