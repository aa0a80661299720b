"""BigQuery as the warehouse. A load is recorded after it has run, never before: a load is a job,
which BigQuery runs once (`windlass.engines.bigquery.jobs`)."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field, replace
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from google.api_core import exceptions as faults
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from windlass.engines.bigquery import records
from windlass.engines.bigquery.errors import explaining
from windlass.engines.bigquery.facts import FACTS
from windlass.engines.bigquery.fields import (
    RECORDS_SCHEMA,
    field_of,
    fields_of,
    holds_all,
    misnamed,
    type_of,
)
from windlass.engines.bigquery.jobs import ROWS, Jobs, is_of, labels
from windlass.engines.bigquery.layout import (
    keep_layout,
    layout_problems,
    misfits,
    new_table,
    remarks,
)
from windlass.engines.bigquery.loading import load_config
from windlass.engines.bigquery.merging import count_present, merge, refusals, retype
from windlass.engines.fitting import fit
from windlass.engines.loads import (
    RECORDS,
    check_arrived,
    check_fit,
    column_names,
    loaded_names,
)
from windlass.engines.objects.google import load_google_credentials
from windlass.engines.objects.store import ObjectStore
from windlass.engines.statements import Backticks, statement
from windlass.errors import BadSpec, WindlassError
from windlass.model.export import Export, Loaded, Manifest
from windlass.model.fit import Fit, Survey, TableColumn
from windlass.model.report import Problem

CREDENTIALS = ("credentials_path", "credentials_base64")  # in a warehouse's URL


def open_target(url: str, _: str) -> BigQueryTarget:
    """Open ``bigquery://project/dataset?location=EU``; connects to nothing yet. Credentials come
    from the environment, unless the URL has `credentials_path` or `credentials_base64`.

    Raises:
        BadSpec: it is something else.
    """
    parts = urlsplit(url)
    dataset, options = parts.path.strip("/"), dict(parse_qsl(parts.query))
    wrong = sorted(set(options) - {"location", "endpoint", *CREDENTIALS})
    if not parts.netloc or not dataset or "/" in dataset or wrong:
        hint = f"; unknown: {', '.join(wrong)}" if wrong else ""
        raise BadSpec([f"warehouse: bigquery://project/dataset?location=EU is what it takes{hint}"])
    path, packed = (options.pop(key, "") for key in CREDENTIALS)
    try:
        info = b64decode(packed, validate=True).decode()
    except ValueError:
        raise BadSpec(["warehouse: credentials_base64 is not base64 of a JSON object"]) from None
    credentials = Credentials(path, info)
    return BigQueryTarget(parts.netloc, dataset, credentials=credentials, **options)


@dataclass(frozen=True, slots=True)
class Credentials:
    """A file with Google's credentials, or its content; if both are missing, the environment's."""

    path: str = ""
    info: str = field(default="", repr=False)

    def load(self) -> Any:
        """The credentials. None for those of the environment, which the client finds itself."""
        if not (self.path or self.info):
            return None
        return load_google_credentials(bigquery.Client.SCOPE, path=self.path, info=self.info)


class BigQueryTarget:
    """Tables in one dataset."""

    facts = FACTS

    def __init__(
        self,
        project: str,
        dataset: str,
        location: str | None = None,
        endpoint: str = "",
        credentials: Credentials | None = None,
    ) -> None:
        """Connects to nothing yet. `endpoint` replaces Google's server."""
        self._credentials = credentials or Credentials()
        self._project, self._dataset, self._location = project, dataset, location
        self._endpoint = endpoint
        self.place = f"BigQuery {project}.{dataset}"
        self._made: bigquery.Client | None = None
        self._jobs = Jobs(self.place, project, dataset, self._find_job)

    @property
    def _client(self) -> bigquery.Client:
        """A job can only be found by its location, unless that is the US or the EU:
        https://cloud.google.com/bigquery/docs/locations#specify_locations
        """
        if self._made is None:
            if self._location is None:
                with closing(self._connected(None)) as asking:
                    self._location = asking.get_dataset(self._dataset).location
            self._made = self._connected(self._location)
        return self._made

    def _connected(self, location: str | None) -> bigquery.Client:
        given: dict[str, Any] = {"credentials": self._credentials.load()}
        if self._endpoint:
            given["client_options"] = ClientOptions(api_endpoint=self._endpoint)
            if self._endpoint.startswith("http://") and given["credentials"] is None:
                given["credentials"] = AnonymousCredentials()  # type: ignore[no-untyped-call]
        return bigquery.Client(self._project, location=location, **given)

    def _find_job(self, id_: str) -> Any:
        return self._client.get_job(id_, location=self._location)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *fault: object) -> None:
        if self._made is not None:
            self._made.close()  # type: ignore[no-untyped-call]

    def cancel(self) -> None:
        """A job continues without us; the next attempt finds it."""

    def _explaining(self, doing: str) -> AbstractContextManager[None]:
        return explaining(self.place, doing)

    def survey(self, exports: Sequence[Export]) -> Survey:
        try:
            with self._explaining("reading the dataset"):
                self._client.get_dataset(self._dataset)
            problems = [problem for one in exports for problem in misnamed(one)]
            problems += [problem for one in exports for problem in layout_problems(one)]
            fits = {}
            for one in exports:
                there = self._there(one.table)
                if there is not None:
                    fits[one.name] = self._fit(one, there, self._loaded_columns(one))
            return Survey(tuple(problems), fits)
        except WindlassError as error:
            return Survey((Problem(self.place, str(error), error.hint),))

    def _fit(
        self,
        export: Export,
        there: bigquery.Table,
        loaded: Collection[str] = (),
    ) -> Fit:
        """How an existing table fits."""
        types = [type_of(field_of(column)) for column in export.columns]
        found = {
            one.name: TableColumn(type_of(one), one.mode == "REQUIRED") for one in there.schema
        }
        wrong = misfits(export, there)
        found_fit = fit(export, types, found, holds_all, loaded=loaded, faults=wrong, by_case=False)
        return replace(found_fit, remarks=tuple(remarks(export, there)))

    def _loaded_columns(self, export: Export) -> Collection[str]:
        if self._fields(RECORDS) is None:
            return ()
        words = {"table_name": export.table, "source": export.source, "relation": export.name}
        rows = self._query(records.loaded_columns(self._records), words)
        return loaded_names(one for (one,) in rows)

    def _fields(self, table: str) -> list[bigquery.SchemaField] | None:
        there = self._there(table)
        return None if there is None else list(there.schema)

    def _there(self, table: str) -> bigquery.Table | None:
        with self._explaining(f"looking at {table}"):
            try:
                return self._client.get_table(self._table(table))
            except faults.NotFound:
                return None

    def _prepare(self, export: Export) -> list[bigquery.SchemaField]:
        """Create the table if the job would not create it as requested; otherwise alter it as far
        as the export may. Returns the schema for a load. A load that replaces the rows also
        replaces the schema.

        Raises:
            WindlassError: the table does not fit (any more).
        """
        there = self._there(export.table)
        if there is None:
            if not (export.key or export.rules.layout):
                return [field_of(column) for column in export.columns]
            with self._explaining(f"making {export.table}"):
                made = new_table(export, self._table(export.table))
                there = self._client.create_table(made, exists_ok=True)
        found = self._fit(export, there)
        check_fit(found)
        if export.disposition == "truncate":
            return fields_of(export, there.schema, found)
        for query in retype(Backticks(self._table(export.table)), found):
            self._query(query, {})
        if found.added:
            with self._explaining(f"adding columns to {export.table}"):
                table = self._client.get_table(self._table(export.table))
                added = [field_of(one) for one in export.columns if one.name in found.added]
                table.schema = [*table.schema, *added]
                self._client.update_table(table, ["schema"])
        return fields_of(export, self._fields(export.table) or (), Fit(export.name, export.table))

    def _table(self, table: str) -> str:
        return f"{self._project}.{self._dataset}.{table}"

    @property
    def _records(self) -> Backticks:
        return Backticks(self._table(RECORDS))

    def watermark(self, export: Export) -> str:
        if self._fields(RECORDS) is None or self._fields(export.table) is None:
            return ""
        if not self.count(export.table):
            return ""
        rows = self._query(
            records.last_watermark(self._records),
            {"table_name": export.table, "mark": export.mark},
        )
        return str(rows[0][0]) if rows else ""

    def loaded(self, run: str, export: Export) -> Loaded | None:
        if self._fields(RECORDS) is None:
            return None
        rows = self._query(
            records.load_of_run(self._records),
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
                bigquery.Table(self._table(RECORDS), schema=RECORDS_SCHEMA), exists_ok=True
            )
        if export.key:
            counted, read = self._merge(export, manifest, store)
        else:
            schema = self._prepare(export)
            counted, read = self._load_job(
                export, manifest, store, export.table, export.disposition, schema
            )
        self._record(export, manifest, counted, read)
        found = self.loaded(manifest.run, export)
        assert found is not None
        return replace(found, is_new=True)

    def run_once(self, run: str, source: str, when: str, texts: Sequence[str]) -> bool:
        """A spec with hooks is refused: jobs are no transactions."""
        raise WindlassError(f"{self.place} does not support hooks")

    def assets(self, table: str) -> list[dict[str, str]]:
        return [{"uri": f"bigquery://{self._project}/{self._dataset}/{table}"}]

    def clean_up(self, export: Export, run: str) -> None:
        """Remove the table that a merge staged its rows in."""
        if export.key:
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
        schema: Sequence[bigquery.SchemaField],
    ) -> tuple[int, int]:
        """How many rows have arrived and how many were read, of the extract that is loaded."""
        config = load_config(export, manifest, disposition, schema)
        if disposition == "truncate" and (found := self._there(table)) is not None:
            keep_layout(config, found, [one.name for one in schema])
        places = [store.place(file.path) for file in manifest.files]

        def is_mine(job: Any) -> bool:
            """Whether a job has done this load. Appended rows stay, whichever extract they came
            from; others are replaced by those of this extract. A staged table may have been
            removed."""
            if disposition == "append":
                return True
            there = table == export.table or self._fields(table) is not None
            return there and is_of(job, manifest)

        job = self._jobs.once(
            self._jobs.name(export, manifest.run, "load" if table == export.table else "stage"),
            lambda id_: self._client.load_table_from_uri(
                places, self._table(table), job_id=id_, job_config=config
            ),
            f"loading {export.table}",
            is_mine,
        )
        return int(job.output_rows or 0), int(job.labels.get(ROWS, manifest.rows))

    def _staged(self, export: Export, run: str) -> str:
        return f"_windlass_{export.table[:200]}_{self._jobs.digest(export, run, 'table')}"

    def _merge(self, export: Export, manifest: Manifest, store: ObjectStore) -> tuple[int, int]:
        """Load into a separate table of this run, then merge from there in one statement. The table
        stays until the load is recorded; then `clean_up` removes it."""
        staged = self._staged(export, manifest.run)
        fields = [field_of(column) for column in export.columns]
        self._prepare(export)
        counted, read = self._load_job(export, manifest, store, staged, "truncate", fields)
        check_arrived(export, read, counted)
        places = (Backticks(self._table(export.table)), Backticks(self._table(staged)))
        for query, refusal in refusals(export, *places):
            if self._query(query, {}):
                raise refusal
        text = merge(export, *places)
        config = bigquery.QueryJobConfig(labels=labels(manifest))
        job = self._jobs.once(
            self._jobs.name(export, manifest.run, "merge"),
            lambda id_: self._client.query(text, config, job_id=id_, job_retry=None),
            f"merging into {export.table}",
            lambda job: is_of(job, manifest),
        )
        if count := count_present(export, *places):
            return int(self._query(count, {})[0][0]), read
        affected = job.num_dml_affected_rows
        return counted if affected is None else int(affected), read

    def _record(self, export: Export, manifest: Manifest, counted: int, read: int) -> None:
        self._query(
            records.add_load(self._records, Backticks(self._table(export.table))),
            {
                "run": manifest.run,
                "table_name": export.table,
                "source": export.source,
                "relation": export.name,
                "mark": manifest.mark,
                "rows": counted,
                "read": read,
                "watermark": manifest.watermark,
                "columns": column_names(export.columns),
            },
        )

    def _query(self, text: str, words: Mapping[str, str | int]) -> list[tuple[Any, ...]]:
        parameters = [
            bigquery.ScalarQueryParameter(key, "INT64" if isinstance(word, int) else "STRING", word)
            for key, word in words.items()
        ]
        config = bigquery.QueryJobConfig(query_parameters=parameters)
        with self._explaining("asking"):
            return [tuple(row.values()) for row in self._client.query(text, config).result()]
