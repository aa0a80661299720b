"""Rows of a DuckDB file as Arrow batches."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import duckdb
from psycopg import sql

from windlass.engines.base import schema
from windlass.engines.duckdb.memory import Growing
from windlass.engines.duckdb.session import explaining, has_too_little_memory
from windlass.engines.duckdb.types import value_of
from windlass.engines.statements import listed, names, statement, verbatim, where_within
from windlass.engines.stopping import Stops
from windlass.errors import ConnectionLost
from windlass.model.export import Export, Losses

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 16_384


class DuckDbRows:
    """See `windlass.engines.base.Rows`. `mark_type` is that of the watermark that rows begin at."""

    def __init__(
        self,
        place: str,
        session: Any,
        export: Export,
        mark_type: str,
        stops: Stops,
        memory: Growing,
    ) -> None:
        self._place, self._session, self._stops = place, session, stops
        self._memory = memory
        self._export, self._mark_type = export, mark_type
        self.losses = Losses()

    def batches(self) -> Generator[pa.RecordBatch, None, None]:
        import pyarrow as pa

        wanted = schema(self._export.columns)
        with explaining(self._place, f"reading {self._export.name}", self._stops):
            for batch in self._with_memory():
                pairs = zip(batch.columns, wanted, strict=True)
                arrays = [_canonical(array, field.type) for array, field in pairs]
                yield pa.RecordBatch.from_arrays(arrays, schema=wanted)

    def _with_memory(self) -> Iterator[pa.RecordBatch]:
        """A batch of long rows needs more memory than DuckDB begins with.

        Raises:
            ConnectionLost: the query has to be read again, from its beginning.
        """
        while True:
            is_begun = False
            try:
                for batch in self._reader():
                    is_begun = True
                    yield batch
                return
            except (duckdb.Error, OSError) as error:
                if not has_too_little_memory(error) or not self._memory.more(self._session):
                    raise
                if is_begun:
                    message = f"{self._place}: DuckDB needs more memory for the rows of"
                    raise ConnectionLost(f"{message} {self._export.name}", side="source") from error

    def _reader(self) -> Any:
        """A relation streams its rows, which a result of `execute` does not in every version."""
        export, item = self._export, verbatim(self._export.query)
        columns = listed(
            sql.SQL("{} as {}").format(value_of(one), names(one.name)) for one in export.columns
        )
        given: list[str] = []

        def value(text: str) -> sql.Composable:
            given.append(text)
            return sql.SQL("cast(? as {})").format(verbatim(self._mark_type))

        mark = names(export.watermark or "none")
        where = where_within(export.span, mark, value) if self._mark_type else sql.SQL("")
        text = statement(
            "select {columns} from {item}{where}", columns=columns, item=item, where=where
        )
        relation = self._session.sql(text, params=given or None)
        # older versions have no `to_arrow_reader`, and newer ones deprecate the other
        read = getattr(relation, "to_arrow_reader", None) or relation.fetch_arrow_reader
        return read(BATCH_ROWS)

    def lines(self) -> None:
        """It writes no CSV of the form that is asked for: the batches are written."""


def _canonical(array: Any, wanted: pa.DataType) -> Any:
    import pyarrow as pa

    if wanted == pa.uuid():
        return pa.ExtensionArray.from_storage(wanted, array.cast(wanted.storage_type))
    return array if array.type == wanted else array.cast(wanted)
