"""BigQuery: jobs under names made from source, run, relation and table, which it takes once.

A retry that meets its own job waits for it. A job that failed has changed nothing, so the next
one gets the next number; so does a job that replaces what an earlier extract of the run has put
there, and never before that one is over. Labels say which extract a job has loaded. What a load
has done is recorded after it, never before.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from typing import Any, Self, TypeVar

from google.api_core import exceptions as faults
from google.api_core.client_options import ClientOptions
from google.auth import exceptions as auth
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from windlass.engines.objects.store import ObjectStore
from windlass.engines.warehouse.base import (
    RECORDS,
    check_arrived,
    misfits,
    not_unique,
    without_key,
)
from windlass.engines.warehouse.statements import Backticks, each, listed, statement
from windlass.errors import ConnectionLost, WindlassError
from windlass.model.export import Column, Export, Kind, Loaded, Manifest
from windlass.model.report import Problem

T = TypeVar("T")
ATTEMPTS = 50  # names of one load's jobs, each after one that failed
_EXTRACT, _ROWS = "windlass_extract", "windlass_rows"  # labels of a job: what it has loaded
MOST_FILES = 10_000  # of one load job: BigQuery's own limit
_FIT = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,299}")
_TYPES = {
    Kind.BOOLEAN: "BOOLEAN",
    Kind.INT16: "INTEGER",
    Kind.INT32: "INTEGER",
    Kind.INT64: "INTEGER",
    Kind.FLOAT32: "FLOAT",
    Kind.FLOAT64: "FLOAT",
    Kind.TEXT: "STRING",
    Kind.JSON: "STRING",  # Parquet files cannot be loaded into columns of type JSON
    Kind.UUID: "STRING",
    Kind.BYTES: "BYTES",
    Kind.DATE: "DATE",
    Kind.TIME: "TIME",
    Kind.TIMESTAMP: "DATETIME",
    Kind.INSTANT: "TIMESTAMP",
}
_SAME = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN"}
_RECORDS_SCHEMA = [
    bigquery.SchemaField("run", "STRING"),
    bigquery.SchemaField("table_name", "STRING"),
    bigquery.SchemaField("source", "STRING"),
    bigquery.SchemaField("relation", "STRING"),
    bigquery.SchemaField("mark", "STRING"),
    bigquery.SchemaField("rows", "INTEGER"),
    bigquery.SchemaField("read_rows", "INTEGER"),
    bigquery.SchemaField("total", "INTEGER"),
    bigquery.SchemaField("watermark", "STRING"),
    bigquery.SchemaField("loaded_at", "TIMESTAMP"),
]


def field_of(column: Column) -> bigquery.SchemaField:
    if column.kind is not Kind.DECIMAL:
        return bigquery.SchemaField(column.name, _TYPES[column.kind])
    fits = column.scale <= 9 and column.precision - column.scale <= 29
    return bigquery.SchemaField(
        column.name,
        "NUMERIC" if fits else "BIGNUMERIC",
        precision=column.precision,
        scale=column.scale,
    )


def _type_of(field: bigquery.SchemaField) -> str:
    """As people write it."""
    name = _SAME.get(field.field_type, field.field_type)
    if field.precision:
        return f"{name}({field.precision},{field.scale or 0})"
    return f"{name} (repeated)" if field.mode == "REPEATED" else str(name)


class BigQuery:
    """Tables in one dataset."""

    def __init__(
        self, project: str, dataset: str, location: str | None = None, endpoint: str = ""
    ) -> None:
        """Connects to nothing yet. `endpoint` is a server that stands in for Google's."""
        self._project, self._dataset, self._location = project, dataset, location
        self._endpoint = endpoint
        self.place = f"BigQuery {project}.{dataset}"
        self._made: bigquery.Client | None = None
        self._job: Any = None

    @property
    def _client(self) -> bigquery.Client:
        """A job can only be asked for by its location, unless that is the US or the EU:
        https://cloud.google.com/bigquery/docs/locations#specify_locations
        """
        if self._made is None:
            if self._location is None:
                with closing(self._connected(None)) as asking:
                    self._location = asking.get_dataset(self._dataset).location
            self._made = self._connected(self._location)
        return self._made

    def _connected(self, location: str | None) -> bigquery.Client:
        given: dict[str, Any] = {}
        if self._endpoint:
            given["client_options"] = ClientOptions(api_endpoint=self._endpoint)
            if self._endpoint.startswith("http://"):
                given["credentials"] = AnonymousCredentials()  # type: ignore[no-untyped-call]
        return bigquery.Client(self._project, location=location, **given)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *fault: object) -> None:
        if self._made is not None:
            self._made.close()  # type: ignore[no-untyped-call]

    def cancel(self) -> None:
        """A job continues without us; the next attempt meets it."""

    @contextmanager
    def _explaining(self, doing: str) -> Iterator[None]:
        """Raises:
        ConnectionLost: trying again can help.
        """
        try:
            yield
        except auth.DefaultCredentialsError as error:
            raise WindlassError(
                f"{self.place}: no credentials",
                hint="give GOOGLE_APPLICATION_CREDENTIALS, or run"
                " `gcloud auth application-default login`",
            ) from error
        except (faults.Forbidden, faults.Unauthorized) as error:
            raise WindlassError(
                f"{self.place}: {doing}: no permission: {_said(error)}",
                hint="the account needs the roles BigQuery Data Editor and BigQuery Job User",
            ) from error
        except faults.NotFound as error:
            hint = "make it, or check the names in the warehouse's URL"
            raise WindlassError(f"{self.place}: {doing}: {_said(error)}", hint=hint) from error
        except (faults.ServerError, faults.TooManyRequests, faults.RetryError,
                auth.TransportError, OSError) as error:  # fmt: skip
            raise ConnectionLost(
                f"{self.place}: {doing}: {_said(error)}", hint="see the status of BigQuery"
            ) from error
        except auth.GoogleAuthError as error:
            raise WindlassError(
                f"{self.place}: the credentials are not accepted: {_said(error)}",
                hint="renew them: give another GOOGLE_APPLICATION_CREDENTIALS, or run"
                " `gcloud auth application-default login`",
            ) from error
        except faults.GoogleAPICallError as error:
            raise WindlassError(f"{self.place}: {doing}: {_said(error)}") from error

    def problems(self, exports: Sequence[Export]) -> list[Problem]:
        try:
            with self._explaining("reading the dataset"):
                self._client.get_dataset(self._dataset)
            found = []
            for one in exports:
                found += self._misnamed(one)
                there = self._columns(one.table)
                if there is not None:
                    types = [_type_of(field_of(column)) for column in one.columns]
                    found += misfits(one.table, one.columns, types, there)
            return found
        except WindlassError as error:
            return [Problem(self.place, str(error), error.hint)]

    def _misnamed(self, export: Export) -> list[Problem]:
        names = [one.name for one in export.columns if not _FIT.fullmatch(one.name)]
        told = [f"column {name!r}" for name in names]
        if not re.fullmatch(r"[\w-]{1,300}", export.table, re.ASCII):
            told.append(f"table {export.table!r}")
        hint = "give the relation a `table`, or a `query` that renames the columns"
        return [Problem(export.name, f"BigQuery has no {one}", hint) for one in told]

    def _columns(self, table: str) -> dict[str, tuple[str, bool]] | None:
        with self._explaining(f"looking at {table}"):
            try:
                found = self._client.get_table(self._table(table))
            except faults.NotFound:
                return None
            return {one.name: (_type_of(one), one.mode == "REQUIRED") for one in found.schema}

    def _table(self, table: str) -> str:
        return f"{self._project}.{self._dataset}.{table}"

    @property
    def _records(self) -> Backticks:
        return Backticks(self._table(RECORDS))

    def watermark(self, export: Export) -> str:
        if self._columns(RECORDS) is None or self._columns(export.table) is None:
            return ""
        if not self.count(export.table):
            return ""
        # a later load whose rows were all that the table had: what was there before is gone
        rows = self._query(
            statement(
                "select watermark from {records} as l where table_name = @table_name"
                " and mark = @mark and watermark <> '' and not exists (select 1 from {records} as n"
                "  where n.table_name = l.table_name and n.loaded_at > l.loaded_at"
                "  and n.mark <> l.mark and n.`rows` = n.total)"
                " order by loaded_at desc limit 1",
                records=self._records,
            ),
            {"table_name": export.table, "mark": export.mark},
        )
        return str(rows[0][0]) if rows else ""

    def loaded(self, run: str, export: Export) -> Loaded | None:
        if self._columns(RECORDS) is None:
            return None
        rows = self._query(
            statement(
                "select run, table_name, `rows`, read_rows, total, watermark,"
                " not exists (select 1 from {records} as n"
                "  where n.table_name = l.table_name and n.loaded_at > l.loaded_at)"
                " from {records} as l where run = @run and table_name = @table_name"
                " and source = @source and relation = @relation",
                records=self._records,
            ),
            {
                "run": run,
                "table_name": export.table,
                "source": export.source,
                "relation": export.name,
            },
        )
        return Loaded(*rows[0]) if rows else None

    def count(self, table: str) -> int:
        query = statement("select count(*) from {table}", table=Backticks(self._table(table)))
        return int(self._query(query, {})[0][0])

    def load(self, export: Export, manifest: Manifest, store: ObjectStore) -> Loaded:
        done = self.loaded(manifest.run, export)
        if done:
            return done
        with self._explaining(f"loading {export.table}"):
            self._client.create_table(
                bigquery.Table(self._table(RECORDS), schema=_RECORDS_SCHEMA), exists_ok=True
            )
        if export.disposition == "merge":
            counted, read = self._merge(export, manifest, store)
        else:
            counted, read = self._load_job(
                export, manifest, store, export.table, export.disposition
            )
        self._record(export, manifest, counted, read)
        found = self.loaded(manifest.run, export)
        assert found is not None
        return replace(found, is_new=True)

    def clean_up(self, export: Export, run: str) -> None:
        """The table that a merge has staged its rows in."""
        if export.disposition == "merge":
            staged = self._staged(export, run)
            with self._explaining(f"removing {staged}"):
                self._client.delete_table(self._table(staged), not_found_ok=True)

    def _load_job(
        self,
        export: Export,
        manifest: Manifest,
        store: ObjectStore,
        table: str,
        disposition: str,
    ) -> tuple[int, int]:
        """The rows that have arrived, and those that were read: of the extract that is there."""
        if len(manifest.files) > MOST_FILES:
            raise WindlassError(
                f"{export.name}: {len(manifest.files):,} files are too many for one load job",
                hint=f"raise file-size: {MOST_FILES:,} is the most",
            )
        is_csv = manifest.format == "csv"
        config = bigquery.LoadJobConfig(
            source_format="CSV" if is_csv else "PARQUET",
            write_disposition=f"WRITE_{disposition.upper()}",
            create_disposition="CREATE_IF_NEEDED",
            schema=[field_of(column) for column in export.columns],
            autodetect=False,
            labels=_labels(manifest),
        )
        if is_csv:
            config.skip_leading_rows = 1
            config.allow_quoted_newlines = True
            config.null_marker = r"\N"  # so that an empty text is not taken for it
            config.encoding = "UTF-8"
        places = [store.place(file.path) for file in manifest.files]

        def is_mine(job: Any) -> bool:
            """Rows that were appended stay, whichever extract they are of; others are replaced by
            those of this one. A staged table may have been removed."""
            if disposition == "append":
                return True
            there = table == export.table or self._columns(table) is not None
            return there and _is_of(job, manifest)

        job = self._once(
            self._job_name(export, manifest.run, "load" if table == export.table else "stage"),
            lambda id_: self._client.load_table_from_uri(
                places, self._table(table), job_id=id_, job_config=config
            ),
            f"loading {export.table}",
            is_mine,
        )
        return int(job.output_rows or 0), int(job.labels.get(_ROWS, manifest.rows))

    def _staged(self, export: Export, run: str) -> str:
        return f"_windlass_{export.table[:200]}_{self._digest(export, run, 'table')}"

    def _merge(self, export: Export, manifest: Manifest, store: ObjectStore) -> tuple[int, int]:
        """Into a table of this run's own, then from there in one statement. That table stays until
        the record is there: `clean_up` removes it."""
        staged = self._staged(export, manifest.run)
        fields = [field_of(column) for column in export.columns]
        with self._explaining(f"making {export.table}"):
            self._client.create_table(
                bigquery.Table(self._table(export.table), schema=fields), exists_ok=True
            )
        counted, read = self._load_job(export, manifest, store, staged, "truncate")
        check_arrived(export, read, counted)
        self._check_keys(export, Backticks(self._table(staged)))
        columns = [Backticks(one.name) for one in export.columns]
        merge = statement(
            "merge into {table} as old using {staged} as new on {same}"
            " when matched then update set {changes}"
            " when not matched then insert ({columns}) values ({values})",
            table=Backticks(self._table(export.table)),
            staged=Backticks(self._table(staged)),
            same=each("old.{0} = new.{0}", map(Backticks, export.key), " and "),
            changes=each("{0} = new.{0}", columns),
            columns=listed(columns),
            values=each("new.{}", columns),
        )
        config = bigquery.QueryJobConfig(labels=_labels(manifest))
        job = self._once(
            self._job_name(export, manifest.run, "merge"),
            lambda id_: self._client.query(merge, config, job_id=id_, job_retry=None),
            f"merging into {export.table}",
            lambda job: _is_of(job, manifest),
        )
        affected = job.num_dml_affected_rows
        return counted if affected is None else int(affected), read

    def _check_keys(self, export: Export, staged: Backticks) -> None:
        """Raises:
        WindlassError: the new rows cannot be told apart.
        """
        keys = [Backticks(key) for key in export.key]
        twice = "select 1 from {staged} group by {keys} having count(*) > 1 limit 1"
        if self._query(statement(twice, staged=staged, keys=listed(keys)), {}):
            raise not_unique(export)
        without = "select 1 from {staged} where {missing} limit 1"
        missing = each("{} is null", keys, " or ")
        if self._query(statement(without, staged=staged, missing=missing), {}):
            raise without_key(export)

    def _record(self, export: Export, manifest: Manifest, counted: int, read: int) -> None:
        self._query(
            statement(
                "insert into {records} (run, table_name, source, relation, mark, `rows`,"
                " read_rows, total, watermark, loaded_at)"
                " select @run, @table_name, @source, @relation, @mark, @rows, @read,"
                " (select count(*) from {table}), @watermark, current_timestamp()"
                " from (select 1) as one where not exists"
                " (select 1 from {records} where run = @run and table_name = @table_name"
                "  and source = @source and relation = @relation)",
                records=self._records,
                table=Backticks(self._table(export.table)),
            ),
            {
                "run": manifest.run,
                "table_name": export.table,
                "source": export.source,
                "relation": export.name,
                "mark": manifest.mark,
                "rows": counted,
                "read": read,
                "watermark": manifest.watermark,
            },
        )

    def _digest(self, export: Export, run: str, step: str) -> str:
        """A name of a job is the project's: it tells data sets, sources and relations apart."""
        words = (self._project, self._dataset, export.table, export.source, export.name, run, step)
        return hashlib.sha256(json.dumps(words).encode()).hexdigest()[:20]

    def _job_name(self, export: Export, run: str, step: str) -> str:
        told = re.sub(r"[^\w-]", "_", f"windlass_{run}_{export.table}"[:200], flags=re.ASCII)
        return f"{told}_{step}_{self._digest(export, run, step)}"

    def _once(
        self,
        name: str,
        start: Callable[[str], Any],
        doing: str,
        is_mine: Callable[[Any], bool],
    ) -> Any:
        """A job under a name; one that is there already is waited for. One that failed, or has
        done something else than what is asked for now, is followed by the next number.

        Raises:
            WindlassError: the job has failed, and with what words.
            ConnectionLost: how it ended is not known.
        """
        for number in range(1, ATTEMPTS + 1):
            id_ = f"{name}_{number}"
            with self._explaining(doing):
                is_new = True
                try:
                    job = start(id_)
                except faults.Conflict:
                    is_new = False
                    job = self._client.get_job(id_, location=self._location)
                fault = self._fault_of(job, doing)
                if fault is None and (is_new or is_mine(job)):
                    return job
                if fault is not None and is_new:
                    raise self._failed(job, fault, doing) from fault
        raise WindlassError(
            f"{self.place}: {doing}: this run has had {ATTEMPTS} jobs",
            hint=f"see the jobs {name}_1 and following, and begin another run",
        )

    def _fault_of(self, job: Any, doing: str) -> BaseException | None:
        """Wait for a job; why it has failed, if it has.

        Raises:
            ConnectionLost: asking for it has failed; it continues.
        """
        try:
            job.result()
        except faults.GoogleAPICallError as error:
            if not job.error_result:
                with suppress(faults.GoogleAPIError, auth.GoogleAuthError, OSError):
                    job.reload(retry=None, timeout=30)
            if not job.error_result and isinstance(error, faults.Forbidden | faults.Unauthorized):
                raise
            if not job.error_result:
                raise ConnectionLost(
                    f"{self.place}: {doing}: asking for the job {job.job_id}: {_said(error)}",
                    hint="the job continues, and the same run finds it",
                ) from error
            return error
        return None

    def _failed(self, job: Any, error: BaseException, doing: str) -> WindlassError:
        told = [str(one.get("message", "")) for one in job.errors or []] or [_said(error)]
        reason = (job.error_result or {}).get("reason", "")
        message = f"{self.place}: {doing}: {'; '.join(dict.fromkeys(told))[:1000]}"
        if reason in ("backendError", "internalError", "rateLimitExceeded"):
            return ConnectionLost(message, hint="BigQuery's own fault; trying again can help")
        if "serialize access" in message:  # another statement has changed the table meanwhile
            return ConnectionLost(message, hint="others write the table; trying again can help")
        return WindlassError(message, hint=f"nothing was loaded; see the job {job.job_id}")

    def _query(self, text: str, words: dict[str, str | int]) -> list[tuple[Any, ...]]:
        parameters = [
            bigquery.ScalarQueryParameter(key, "INT64" if isinstance(word, int) else "STRING", word)
            for key, word in words.items()
        ]
        config = bigquery.QueryJobConfig(query_parameters=parameters)
        with self._explaining("asking"):
            return [tuple(row.values()) for row in self._client.query(text, config).result()]


def _labels(manifest: Manifest) -> dict[str, str]:
    return {_EXTRACT: manifest.id, _ROWS: str(manifest.rows)}


def _is_of(job: Any, manifest: Manifest) -> bool:
    return bool(job.labels.get(_EXTRACT) == manifest.id)


def _said(error: BaseException) -> str:
    return str(getattr(error, "message", "") or error).splitlines()[0][:300]
