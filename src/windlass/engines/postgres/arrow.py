"""Reads rows as Arrow batches through ADBC and converts them to the types of every source's
batches.

What Arrow cannot hold (NaN in a decimal) becomes NULL, and is counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from psycopg import sql

from windlass.engines.base import BATCH_BYTES, arrow_type, schema
from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.nested_text import NestedReader
from windlass.engines.postgres.selecting import arrow_list, select
from windlass.engines.postgres.session import Address, Connection, Role, session_settings
from windlass.engines.postgres.snapshot import IMPORT, SINCE, lost, overtaken
from windlass.engines.postgres.users_sql import setting
from windlass.errors import Interrupted, WindlassError
from windlass.model.export import Column, Export, Kind, Losses, Lost

if TYPE_CHECKING:
    import pyarrow as pa


LEAST_BATCH_BYTES = 4 << 20  # a batch is a row group, which should not be small


class ArrowReader:
    """A session that reads one snapshot as Arrow batches. Owned by one thread, but for `cancel`."""

    def __init__(self, address: Address, like: Connection, snapshot: str, purpose: str) -> None:
        # not its `dbapi`, which loads pandas and polars as well: 0.6 s and 90 MB
        import adbc_driver_postgresql
        from adbc_driver_manager import AdbcConnection, Error

        self._statement: Any = None
        self._is_cancelled = False
        self._database = adbc_driver_postgresql.connect(address.conninfo(like, purpose))
        try:
            self._connection = AdbcConnection(self._database)
        except Error as error:
            self._database.close()
            raise explain_adbc(error, str(address)) from None
        try:
            self._enter([_settings(like.info.server_version), *_entering(snapshot)])
        except WindlassError:
            self.close()
            raise

    def enter_again(self, snapshot: str) -> None:
        """End the transaction, which releases its locks, and begin another one in the snapshot."""
        self._enter(["commit", *_entering(snapshot)])

    def _enter(self, texts: Sequence[str]) -> None:
        from adbc_driver_manager import Error

        try:
            for text in texts:
                with self._stated(text) as statement:
                    statement.execute_update()
        except Error as error:
            if error.sqlstate in ("22023", "42704", "55000"):
                raise lost(error) from None
            raise explain_adbc(error, "entering the snapshot") from None

    @contextmanager
    def _stated(self, words: str) -> Iterator[Any]:
        from adbc_driver_manager import AdbcStatement

        with AdbcStatement(self._connection) as statement:
            statement.set_sql_query(words)
            yield statement

    def batches(
        self, export: Export, settings: Mapping[str, str], share: int = 1
    ) -> Iterator[pa.RecordBatch]:
        """The rows of an export as ADBC returns them; `Canonical` converts their types. `settings`
        are of this transaction. `share` readers share the memory of one."""
        from adbc_driver_manager import Error
        from adbc_driver_manager._reader import AdbcRecordBatchReader

        query = select(export, arrow_list(export)).as_string(None)
        if settings:
            with self._stated(setting(settings).as_string(None)) as statement:
                statement.execute_update()
        with self._stated(query) as statement:
            self._statement = statement
            key = "adbc.postgresql.batch_size_hint_bytes"
            statement.set_options(**{key: str(max(BATCH_BYTES // share, LEAST_BATCH_BYTES))})
            try:
                handle, _ = statement.execute_query()
                # not pyarrow's own reader, whose errors have lost their SQLSTATE
                with AdbcRecordBatchReader._import_from_c(handle.address) as reader:
                    yield from reader
            except (Error, OSError) as error:
                if self._is_cancelled:
                    raise Interrupted("stopped on request") from None
                raise explain_adbc(error, f"reading {export.name}") from None
            finally:
                self._statement = None

    def check_seen(self) -> None:
        """See `windlass.engines.postgres.snapshot.SINCE`. The last statement of the transaction.

        Raises:
            SnapshotLost: rows that were read may be incomplete.
        """
        from adbc_driver_manager import Error
        from adbc_driver_manager._reader import AdbcRecordBatchReader

        try:
            with self._stated(setting({"search_path": ""}).as_string(None)) as statement:
                statement.execute_update()
            with self._stated(SINCE.as_string(None)) as statement:
                handle, _ = statement.execute_query()
                with AdbcRecordBatchReader._import_from_c(handle.address) as reader:
                    found = [row for batch in reader for row in batch.to_pylist()]
        except (Error, OSError) as error:
            raise explain_adbc(error, "checking what was read") from None
        if found:
            raise overtaken([(one["name"], one["has_left"]) for one in found])

    def cancel(self) -> None:
        self._is_cancelled = True
        if self._statement is not None:
            self._statement.cancel()

    def close(self) -> None:
        self._connection.close()
        self._database.close()


def _settings(version: int) -> str:
    settings = session_settings(Role.SOURCE, version)
    calls = [
        sql.SQL("pg_catalog.set_config({}, {}, false)").format(sql.Literal(k), sql.Literal(v))
        for k, v in settings.items()
    ]
    return sql.SQL("select {}").format(sql.SQL(", ").join(calls)).as_string(None)


def _entering(snapshot: str) -> list[str]:
    begin, _, enter = IMPORT.partition("; ")
    return [begin, sql.SQL(enter).format(sql.Literal(snapshot)).as_string(None)]


class _Said(OSError):
    """The server's message, in the shape of a driver's error."""

    def __init__(self, message: str, sqlstate: str | None) -> None:
        super().__init__(message)
        self.message, self.sqlstate = message, sqlstate


def explain_adbc(error: BaseException, doing: str, *, side: str = "source") -> WindlassError:
    """Our error for one of ADBC, whose text contains the server's message. The SQLSTATE decides
    whether it is retryable."""
    text, state = str(error), getattr(error, "sqlstate", None) or None
    said = re.search(r"(?:ERROR|FATAL|PANIC):\s+(.*)", text)
    line = said[1].strip() if said else (text.strip().splitlines() or ["?"])[0]
    line = re.sub(r'(: |value )".*"', r'\1"…"', line)  # which may quote a row's value
    if state is None and said and said[0].startswith("ERROR"):
        return WindlassError(f"{doing}: {line}", side=side)
    return explain(_Said(line, state), doing, side=side)


# What ADBC makes of infinity: PostgreSQL's largest and smallest numbers, moved from its epoch to
# Arrow's, which wraps around. No date or time that PostgreSQL knows becomes one of these.
_DAYS, _MICROS = 10_957, 946_684_800_000_000
_WRAPPED = {
    32: (_DAYS - (1 << 31) - 1, _DAYS - (1 << 31)),
    64: (_MICROS - (1 << 63) - 1, _MICROS - (1 << 63)),
}
_EARLIEST = {32: -3_000_000, 64: -230_000_000_000_000_000}  # before 4713 BC, PostgreSQL's first


class Canonical:
    """Converts batches to the types of every source, and counts the values that these cannot
    hold."""

    def __init__(self, export: Export) -> None:
        self._export = export
        self._schema = schema(export.columns)
        self._nested = {
            one.name: NestedReader(export.name, one) for one in export.columns if one.inside
        }
        self.losses = Losses()

    def batch(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Raises:
        WindlassError: a list has more than one dimension.
        """
        import pyarrow as pa

        columns = self._export.columns
        self._check_lists(batch, [one for one in columns if one.is_list])
        arrays = [self._array(one, batch.column(at)) for at, one in enumerate(columns)]
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    def _check_lists(self, batch: pa.RecordBatch, lists: Sequence[Column]) -> None:
        import pyarrow.compute as pc

        for at, column in enumerate(lists, start=len(self._export.columns)):
            highest = pc.max(batch.column(at)).as_py() or 0
            if highest == 2:
                raise WindlassError(
                    f"{self._export.name}.{column.name} holds arrays of more than one dimension,"
                    " which a list cannot keep",
                    hint=f"give the relation `text: [{column.name}]`: they are written as text;"
                    f" or `nested: nested` and `dimensions: {{{column.name}: 2}}` if all have two",
                )
            if highest == 1:
                moved = pc.sum(pc.equal(batch.column(at), 1)).as_py()
                self.losses[column.name, Lost.FIRST_INDEX] += moved

    def _array(self, column: Column, array: Any) -> Any:
        import pyarrow as pa

        if column.inside:
            return self._nested[column.name].read(array, self.losses)
        if isinstance(array, pa.ExtensionArray) and column.kind is not Kind.UUID:
            array = array.storage
        if column.is_list:
            return array
        if column.kind is Kind.DECIMAL:
            return self._decimal(column, array)
        if column.kind is Kind.DATE:
            return self._unwrapped(column, array, 32)
        if column.kind in (Kind.TIMESTAMP, Kind.INSTANT):
            return self._unwrapped(column, array, 64)
        return array

    def _decimal(self, column: Column, array: Any) -> Any:
        import pyarrow as pa
        import pyarrow.compute as pc

        wanted = arrow_type(column)
        try:
            return pc.cast(array, wanted)
        except pa.ArrowInvalid:
            number = pc.match_substring_regex(array, r"^-?[0-9]")
            self._count(column, pc.and_(pc.invert(number), pc.is_valid(array)))
            return pc.cast(pc.if_else(number, array, None), wanted)

    def _unwrapped(self, column: Column, array: Any, bits: int) -> Any:
        """Dates and times with infinity restored."""
        import pyarrow as pa
        import pyarrow.compute as pc

        plain = pa.int32() if bits == 32 else pa.int64()
        numbers, lowest = array.view(plain), _EARLIEST[bits]
        if (pc.min(numbers).as_py() or 0) >= lowest:
            return array
        most = (1 << (bits - 1)) - 1
        for wrapped, meant in zip(_WRAPPED[bits], (most, -most), strict=True):
            same = pc.equal(numbers, pa.scalar(wrapped, plain))
            numbers = pc.if_else(same, pa.scalar(meant, plain), numbers)
        beyond = pc.and_(pc.less(numbers, lowest), pc.not_equal(numbers, pa.scalar(-most, plain)))
        self._count(column, beyond)
        return pc.if_else(beyond, pa.scalar(None, plain), numbers).view(array.type)

    def _count(self, column: Column, lost: Any) -> None:
        import pyarrow.compute as pc

        if found := pc.sum(lost).as_py():
            self.losses[column.name, Lost.NO_PLACE] += found
