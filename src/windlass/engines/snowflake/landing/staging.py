"""Stages an input: its values, converted here, become Parquet files, which PUT uploads and COPY
INTO reads, in the transaction of their journal line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from psycopg import sql

from windlass.engines.aside import setting_aside
from windlass.engines.base import arrow_type
from windlass.engines.incoming.names import INPUT, NUMBER, PER_INPUT, RECORD
from windlass.engines.incoming.refusing import Fault, Refusing, shown
from windlass.engines.incoming.values import converted
from windlass.engines.landing import Input
from windlass.engines.snowflake.landing.staged import Kept, kept, staged_table
from windlass.engines.snowflake.landing.values import converter, staged_as
from windlass.engines.snowflake.names import named
from windlass.engines.snowflake.session import Session
from windlass.engines.snowflake.staging import Held, look_into, put, unlike
from windlass.engines.snowflake.types import type_of
from windlass.engines.statements import listed, names, statement, verbatim
from windlass.engines.stopping import Stops
from windlass.errors import Interrupted, WindlassError
from windlass.model.export import Column, Kind
from windlass.model.load import Load, Staged

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

FILE_BYTES = 128 << 20  # of Arrow's memory: Snowflake advises files of 100 to 250 MB
_NUMBER = Kind.DECIMAL
_HEAD = tuple(
    Column(one, "NUMBER(38,0)", _NUMBER, precision=38) for one in ("N", "I", "R")
)  # of order, input and record


@dataclass
class Filling:
    """One input that is being staged."""

    session: Session
    run: str
    load: Load
    number: int
    source: Input
    stops: Stops
    refusing: Refusing
    record: int = 0
    rows: int = 0
    held: list[Held] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._kept = kept(self.load)
        self._columns = [*_HEAD, *(_named(one) for one in self._kept)]
        self.held = [Held() for _ in self._columns]
        self._stage = f"_WINDLASS_LOAD_{uuid4().hex[:16].upper()}"

    def upload(self) -> None:
        """Convert and upload. Defines a stage, which is the session's: no transaction is open.

        Raises:
            BadRecord: more records are bad than may be.
        """
        doing = f"staging {self.source.place}"
        text = statement("create temporary stage {stage}", stage=verbatim(self._stage))
        self.session.run(text, doing=doing)
        with TemporaryDirectory(prefix="windlass-") as folder:
            for at, path in enumerate(self._files(Path(folder))):
                put(self.session, path, f"{self._stage}/{at}", doing)
                look_into(path, self._columns, self.held)
                path.unlink()
        self.refusing.check()

    def copy(self) -> Staged:
        """Copy what was uploaded, in the caller's transaction, in place of what an earlier attempt
        has copied.

        Raises:
            WindlassError: the rows are not those of the files.
        """
        table, doing = staged_table(self.run, self.load), f"staging {self.source.place}"
        where = {"table": table, "input": named(INPUT)}
        text = statement("delete from {table} where {input} = ?", **where)
        self.session.run(text, [self.number], doing=doing)
        if self.rows:
            self.session.run(self._copy(table), doing=doing)
        self._check(table, doing)
        return Staged(self.rows, self.refusing.rows, tuple(self.refusing.shown))

    def leave(self) -> None:
        """Drop the stage, outside of transactions."""
        text = statement("drop stage if exists {stage}", stage=verbatim(self._stage))
        self.session.run(text, doing=f"staging {self.source.place}")

    def _copy(self, table: sql.Identifier) -> str:
        """With the options of `windlass.engines.snowflake.staging`."""
        into = [*(named(one) for one in (NUMBER, INPUT, RECORD)),
                *(names(one.name) for one in self._kept)]  # fmt: skip
        types = [type_of(one) for one in _HEAD] + [one.wanted.type for one in self._kept]
        values = listed(
            sql.SQL("$1:{}::{}").format(names(one.name), verbatim(type_))
            for one, type_ in zip(self._columns, types, strict=True)
        )
        return statement(
            "copy into {table} ({columns}) from (select {values} from @{stage})"
            " file_format = (type = parquet use_logical_type = true binary_as_text = false)"
            " on_error = abort_statement",
            table=table, columns=listed(into), values=values, stage=verbatim(self._stage),
        )  # fmt: skip

    def _check(self, table: sql.Identifier, doing: str) -> None:
        into = [*(named(one) for one in (NUMBER, INPUT, RECORD)),
                *(names(one.name) for one in self._kept)]  # fmt: skip
        where = sql.SQL("{} where {} = {}").format(
            table, named(INPUT), verbatim(str(int(self.number)))
        )
        found = unlike(self.session, where, into, self.held, doing)
        if found.rows != self.rows or found.fault:
            at, what = found.fault or (0, f"{self.rows:,} rows became {found.rows:,}")
            column = f"column {self._kept[at - 3].field}: " if at > 2 else ""
            raise WindlassError(
                f"{self.load.name}: Snowflake reads the staged files otherwise than they are:"
                f" {column}{what}",
                hint="nothing was loaded; please report it",
            )

    # what becomes of the records

    def _files(self, folder: Path) -> Iterator[Path]:
        """Files of Parquet. Each is to be uploaded before the next is asked for."""
        import pyarrow.parquet as pq

        writer: pq.ParquetWriter | None = None
        path, size, number = folder / "0.parquet", 0, 0
        for batch in setting_aside(self.source, self.refusing.aside).batches():
            if self.stops.cancelled:
                raise Interrupted("stopped on request")
            made = self._converted(batch)
            if made.num_rows:
                if writer is None:
                    path = folder / f"{number}.parquet"
                    writer, number = pq.ParquetWriter(path, made.schema), number + 1
                writer.write_table(made)
                size += made.nbytes
            if writer is not None and size >= FILE_BYTES:
                writer.close()
                yield path
                writer, size = None, 0
            if self.refusing.is_over:
                break
        if writer is not None:
            writer.close()
            yield path

    def _converted(self, batch: pa.RecordBatch) -> pa.Table:
        import pyarrow as pa

        records = self.refusing.aside.numbers(self.record, batch.num_rows)
        self.record = records[-1] if records else self.record
        faults: dict[int, list[Fault]] = {}
        fields: dict[str, Sequence[Any]] = {}
        columns: list[list[Any]] = []
        for one in self._kept:
            if one.field not in fields:
                fields[one.field] = batch.column(one.field).to_pylist()
            columns.append(_values(one, fields[one.field], faults))
        good = [at for at in range(batch.num_rows) if at not in faults]
        for at, found in sorted(faults.items()):
            row = {name: batch.column(name)[at].as_py() for name in batch.schema.names}
            self.refusing.add(records[at], list(dict.fromkeys(found)), _shown(row))
        self.rows += len(good)
        head: list[list[int]] = [
            [self.number * PER_INPUT + records[at] for at in good],
            [self.number] * len(good),
            [records[at] for at in good],
        ]
        chosen = [*head, *([column[at] for at in good] for column in columns)]
        types = [arrow_type(one) for one in self._columns]
        arrays = [
            pa.array(values, pa.int64()).cast(type_) if at < len(head) else pa.array(values, type_)
            for at, (values, type_) in enumerate(zip(chosen, types, strict=True))
        ]
        return pa.table(dict(zip([one.name for one in self._columns], arrays, strict=True)))


def _named(one: Kept) -> Column:
    found = staged_as(one.wanted)
    return Column(one.name, found.type, found.kind, precision=found.precision, scale=found.scale)


def _values(one: Kept, given: Sequence[Any], faults: dict[int, list[Fault]]) -> list[Any]:
    not_null = one.wanted.not_null and one.name.startswith("C")
    return converted(one.field, given, converter(one.wanted), faults, not_null=not_null)


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: None if one is None else shown(one) for name, one in row.items()}
