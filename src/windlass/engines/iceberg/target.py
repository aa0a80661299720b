"""Iceberg as the warehouse. A load is one commit of the table. The catalog accepts it only if
nobody has changed the table since the load began. Its snapshot holds the record of the load."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Self

import pyarrow as pa
from pyarrow import parquet
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import NoSuchTableError
from pyiceberg.table import Table, Transaction

from windlass.engines import fitting
from windlass.engines.iceberg import records
from windlass.engines.iceberg.altering import alter
from windlass.engines.iceberg.catalog import explaining, has_tables, place_of
from windlass.engines.iceberg.facts import FACTS
from windlass.engines.iceberg.types import (
    arrow_schema,
    holds_all,
    misnamed,
    schema_of,
    type_of,
    written,
)
from windlass.engines.loads import check_arrived, check_fit
from windlass.engines.objects.store import ObjectStore, fetched
from windlass.errors import Interrupted, WindlassError
from windlass.model.export import Export, Loaded, Manifest
from windlass.model.fit import Fit, Survey, TableColumn
from windlass.model.report import Problem

_ROWS = 64 << 10  # of a batch
# Set for this process's view of a table, not for the table. If pyiceberg retried a commit, it would
# add the rows to those of another process, perhaps of the same run.
_OURS = {"commit.retry.num-retries": "0", "write.target-file-size-bytes": str(64 << 20)}


class IcebergTarget:
    """Tables in one namespace of a catalog."""

    facts = FACTS

    def __init__(self, url: str, namespace: str = "") -> None:
        """Connects to nothing yet.

        Raises:
            BadSpec: the URL cannot be understood.
        """
        self._place, self._namespace = place_of(url), namespace or "default"
        self.place = f"Iceberg {self._place.label} ({self._place.name})"
        self._opened: SqlCatalog | None = None
        self._opening = threading.Lock()
        # one load at a time, as pyiceberg holds the rows of a file in memory
        self._loading = threading.Lock()
        self._stopped = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *fault: object) -> None:
        if self._opened is not None:
            self._opened.close()

    def cancel(self) -> None:
        self._stopped.set()

    @property
    def _catalog(self) -> SqlCatalog:
        with self._opening:
            if self._opened is None:
                self._opened = self._place.open()
            return self._opened

    @contextmanager
    def _connected(self, doing: str) -> Iterator[SqlCatalog]:
        with explaining(self.place, doing):
            yield self._catalog

    def _table(self, catalog: SqlCatalog, name: str) -> Table | None:
        try:
            return catalog.load_table((self._namespace, name))
        except NoSuchTableError:
            return None

    @property
    def _is_there(self) -> bool:
        """Whether the catalog exists. A load creates it; reading does not."""
        if self._place.file is not None and not self._place.file.exists():
            return False
        with self._connected("reading the catalog") as catalog:
            return has_tables(catalog)

    def survey(self, exports: Sequence[Export]) -> Survey:
        problems = [problem for one in exports for problem in misnamed(one)]
        hint = "check the path, and the folder's owner and mode"
        faults = [Problem(self.place, fault, hint) for fault in self._place.faults]
        fits: dict[str, Fit] = {}
        if faults:
            return Survey((*problems, *faults))
        try:
            if not self._is_there:
                return Survey(tuple(problems))
            with self._connected("reading the catalog") as catalog:
                for one in exports:
                    if (there := self._table(catalog, one.table)) is not None:
                        fits[one.name] = self._fit(one, there)
        except WindlassError as error:
            if error.retryable:
                raise
            problems.append(Problem(self.place, str(error), error.hint))
        return Survey(tuple(problems), fits)

    def _fit(self, export: Export, there: Table) -> Fit:
        """How an existing table fits."""
        fields = there.schema().fields
        found = {one.name: TableColumn(written(one.field_type), one.required) for one in fields}
        types = [written(type_of(column)) for column in export.columns]
        faults = []
        if not there.spec().is_unpartitioned():
            hint = "load into another: `table` of the relation"
            faults.append(Problem(export.table, "is partitioned, which loads cannot write", hint))
        exported = {one.name for one in export.columns}
        needed = [one.name for one in fields if one.required and one.name in exported]
        if needed and export.rules.schema != "replace":
            message = f"is required, and exported columns can be NULL: {', '.join(needed)}"
            faults.append(Problem(export.table, message, "make it optional"))
        before = records.loaded_columns(there, export)
        return fitting.fit(
            export, types, found, holds_all, loaded=before, faults=faults, by_case=False
        )

    def watermark(self, export: Export) -> str:
        """There are no watermarks: a load could not distinguish new rows from those of the
        table."""
        return ""

    def loaded(self, run: str, export: Export) -> Loaded | None:
        if not self._is_there:
            return None
        with self._connected("reading the records") as catalog:
            there = self._table(catalog, export.table)
            return records.loaded(there, run, export) if there is not None else None

    def run_once(self, run: str, source: str, when: str, texts: Sequence[str]) -> bool:
        """A spec with hooks is refused: a catalog runs no statements."""
        raise WindlassError(f"{self.place} does not support hooks")

    def count(self, table: str) -> int:
        with self._connected(f"counting {table}") as catalog:
            return int(catalog.load_table((self._namespace, table)).scan().count())

    def assets(self, table: str) -> list[dict[str, str]]:
        return [{"uri": f"{self._place.warehouse}/{self._namespace}/{table}"}]

    def clean_up(self, export: Export, run: str) -> None:
        """Nothing to do: a load is one commit."""

    def load(self, export: Export, manifest: Manifest, store: ObjectStore) -> Loaded:
        with self._loading, ExitStack() as stack:
            paths = [str(stack.enter_context(fetched(store, one.path))) for one in manifest.files]
            with self._connected(f"loading {export.table}") as catalog:
                there = self._made(catalog, export)
                if done := records.loaded(there, manifest.run, export):
                    return done
                fit = self._fit(export, there)
                check_fit(fit)
                self._fill(there, export, manifest, fit, paths)
                done = records.loaded(there.refresh(), manifest.run, export)
                assert done is not None
                return replace(done, is_new=True)

    def _made(self, catalog: SqlCatalog, export: Export) -> Table:
        """The table, with this process's settings. Creates it if it is missing, with the catalog
        and its folder."""
        if self._place.file is not None:
            self._place.file.parent.mkdir(parents=True, exist_ok=True)
        catalog.create_tables()
        if (there := self._table(catalog, export.table)) is None:
            catalog.create_namespace_if_not_exists(self._namespace)
            name = (self._namespace, export.table)
            there = catalog.create_table_if_not_exists(name, schema_of(export))
        seen = {**there.metadata.properties, **_OURS}
        there.metadata = there.metadata.model_copy(update={"properties": seen})
        return there

    def _fill(
        self, there: Table, export: Export, manifest: Manifest, fit: Fit, paths: Sequence[str]
    ) -> None:
        """Commit the rows together with the changed columns and the record."""
        words = records.summary(export, manifest)
        counted = [0]
        with there.transaction() as work:
            alter(work, export, fit)
            names = [one.name for one in work.table_metadata.schema().fields]
            rows = pa.RecordBatchReader.from_batches(
                _ordered(arrow_schema(export), names), self._batches(export, names, paths, counted)
            )
            write(work, export, rows, words)
            check_arrived(export, manifest.rows, counted[0])

    def _batches(
        self, export: Export, names: Sequence[str], paths: Sequence[str], counted: list[int]
    ) -> Iterator[pa.RecordBatch]:
        """The rows of the files, with the columns in the table's order. Other columns stay NULL."""
        schema = _ordered(arrow_schema(export), names)
        for path in paths:
            with parquet.ParquetFile(path) as file:
                for batch in file.iter_batches(_ROWS):
                    if self._stopped.is_set():
                        raise Interrupted("stopped on request")
                    counted[0] += batch.num_rows
                    yield pa.RecordBatch.from_arrays(
                        [_cast(batch.column(one.name), one.type) for one in schema], schema=schema
                    )


def write(
    work: Transaction, export: Export, rows: pa.RecordBatchReader, words: dict[str, str]
) -> None:
    """Add the rows. If they replace existing ones, remove those first."""
    if export.disposition == "truncate" and work.table_metadata.current_snapshot() is not None:
        work.overwrite(rows, snapshot_properties=words)
    else:
        work.append(rows, snapshot_properties=words)


def _ordered(schema: pa.Schema, names: Sequence[str]) -> pa.Schema:
    return pa.schema([schema.field(name) for name in names if name in schema.names])


def _cast(column: pa.Array, type_: pa.DataType) -> pa.Array:
    return column if column.type == type_ else column.cast(type_)
