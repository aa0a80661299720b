"""BigQuery as the warehouse. A load is recorded after it has run, never before: a load is a job,
which BigQuery runs once (`windlass.engines.bigquery.jobs`)."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field, replace
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from google.api_core import exceptions as faults
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from windlass.engines.bigquery.errors import explaining
from windlass.engines.bigquery.facts import FACTS
from windlass.engines.bigquery.fields import RECORDS_SCHEMA, field_of, misnamed, type_of
from windlass.engines.bigquery.jobs import ROWS, Jobs, is_of, labels
from windlass.engines.loads import (
    RECORDS,
    check_arrived,
    misfits,
    not_unique,
    without_key,
)
from windlass.engines.objects.google import load_google_credentials
from windlass.engines.objects.store import ObjectStore
from windlass.engines.statements import Backticks, each, listed, statement
from windlass.errors import BadSpec, WindlassError
from windlass.model.export import Export, Loaded, Manifest
from windlass.model.report import Problem

CREDENTIALS = ("credentials_path", "credentials_base64")  # in a warehouse's URL
MOST_FILES = 10_000  # of one load job: BigQuery's own limit


def open_target(url: str, _: str) -> BigQueryTarget:
    """Of ``bigquery://project/dataset?location=EU``, which connects to nothing yet. Credentials
    are the environment's, unless the URL has `credentials_path` or `credentials_base64`.

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
    """A file of Google's, or what is in one; neither: the environment's."""

    path: str = ""
    info: str = field(default="", repr=False)

    def load(self) -> Any:
        """None for the environment's, which the client itself finds."""
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

    def problems(self, exports: Sequence[Export]) -> list[Problem]:
        try:
            with self._explaining("reading the dataset"):
                self._client.get_dataset(self._dataset)
            found = []
            for one in exports:
                found += misnamed(one)
                there = self._columns(one.table)
                if there is not None:
                    types = [type_of(field_of(column)) for column in one.columns]
                    found += misfits(one.table, one.columns, types, there)
            return found
        except WindlassError as error:
            return [Problem(self.place, str(error), error.hint)]

    def _columns(self, table: str) -> dict[str, tuple[str, bool]] | None:
        with self._explaining(f"looking at {table}"):
            try:
                found = self._client.get_table(self._table(table))
            except faults.NotFound:
                return None
            return {one.name: (type_of(one), one.mode == "REQUIRED") for one in found.schema}

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
        # a later load of all the table's rows: the earlier rows are gone
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
                bigquery.Table(self._table(RECORDS), schema=RECORDS_SCHEMA), exists_ok=True
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

    def assets(self, table: str) -> list[dict[str, str]]:
        return [{"uri": f"bigquery://{self._project}/{self._dataset}/{table}"}]

    def clean_up(self, export: Export, run: str) -> None:
        """Remove the table that a merge staged its rows in."""
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
            labels=labels(manifest),
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
        config = bigquery.QueryJobConfig(labels=labels(manifest))
        job = self._jobs.once(
            self._jobs.name(export, manifest.run, "merge"),
            lambda id_: self._client.query(merge, config, job_id=id_, job_retry=None),
            f"merging into {export.table}",
            lambda job: is_of(job, manifest),
        )
        affected = job.num_dml_affected_rows
        return counted if affected is None else int(affected), read

    def _check_keys(self, export: Export, staged: Backticks) -> None:
        """Raises:
        WindlassError: the new rows have no unique key.
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

    def _query(self, text: str, words: dict[str, str | int]) -> list[tuple[Any, ...]]:
        parameters = [
            bigquery.ScalarQueryParameter(key, "INT64" if isinstance(word, int) else "STRING", word)
            for key, word in words.items()
        ]
        config = bigquery.QueryJobConfig(query_parameters=parameters)
        with self._explaining("asking"):
            return [tuple(row.values()) for row in self._client.query(text, config).result()]
