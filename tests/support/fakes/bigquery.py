"""BigQuery's REST calls that google-cloud-bigquery makes, backed by DuckDB.

https://cloud.google.com/bigquery/docs/reference/rest/v2. Faithful in what is refused and with
which words: unknown projects' datasets and tables (404), a job's name used twice (409), no
permission (403), schemas that do not match and objects that are not there (a failed job), jobs
outside the US and the EU that are asked for without their location (404).
Jobs are done when they are inserted; those that `hold` counts still run when they are asked for.
"""

from __future__ import annotations

import json
import re
import tempfile
import threading
import urllib.error
import urllib.parse
import urllib.request
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import duckdb

from fakes.bigquery_types import Json, duck_type, field_of, has_lists, plain_type
from fakes.dialect import STORED, Fault, check_dialect, check_layout, check_table


def not_found(what: str, name: str) -> Fault:
    return Fault(404, "notFound", f"Not found: {what} {name}")


@dataclass
class FakeBigQuery:
    """Use as a context manager. Objects are read from a Cloud Storage at `storage`."""

    storage: str
    project: str = "acme"
    forbidden: bool = False
    fail_loads: int = 0  # as many load jobs end with a backend's error, half-way
    hold: int = (
        0  # as often a load job is asked for and still runs: it reads the objects at its end
    )
    fail_polls: int = 0  # as often asking for a job fails, whatever becomes of the job
    fail_queries: str = ""  # a query that holds this fails, once
    calls: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.database = duckdb.connect()
        self.database.execute("set timezone = 'UTC'")
        self.schemas: dict[tuple[str, str], list[Json]] = {}
        self.layouts: dict[tuple[str, str], Json] = {}  # partitions, clusters and keys of tables
        self.datasets: dict[str, str] = {}  # and their locations
        self.running: dict[str, Json] = {}
        self.jobs: dict[str, Json] = {}
        self.answers: dict[str, tuple[list[Json], list[tuple[Any, ...]]]] = {}
        self._lock = threading.RLock()

    def __enter__(self) -> FakeBigQuery:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                text = self.rfile.read(length)
                is_json = "json" in (self.headers.get("Content-Type") or "")
                body = json.loads(text) if text and is_json else {}
                code, found = fake.answer(self.command, self.path, body)
                text = json.dumps(found).encode() if found is not None else b""
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_DELETE = do_PUT = do_PATCH = _answer

            def log_message(self, *words: Any) -> None:
                """Nobody asks."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *fault: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def url(self, dataset: str) -> str:
        return f"bigquery://{self.project}/{dataset}?endpoint={self.endpoint}"

    def create_dataset(self, name: str, location: str = "US") -> None:
        self.datasets[name] = location
        self.database.execute(f'create schema "{name}"')

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """By DuckDB's own rules, for a test to look at."""
        with self._lock:
            return self.database.execute(query).fetchall()

    def change(self, statement: str) -> None:
        """As somebody else's statement would, by DuckDB's own rules."""
        with self._lock:
            self.database.execute(statement)
            self._note_schemas()

    def _note_schemas(self) -> None:
        """Fields of columns that a statement has made, changed or dropped."""
        found: dict[tuple[str, str], dict[str, str]] = {}
        for dataset, table, name, type_ in self.rows(
            "select schema_name, table_name, column_name, data_type from duckdb_columns()"
            " where not internal order by column_index"
        ):
            if dataset in self.datasets:
                found.setdefault((dataset, table), {})[name] = type_
        for place, columns in found.items():
            known = {one["name"]: one for one in self.schemas.get(place, [])}
            self.schemas[place] = [
                known[name]
                if name in known and duck_type(known[name]) == plain_type(type_)
                else {"name": name, **field_of(type_)}
                for name, type_ in columns.items()
            ]
        for place in self.schemas.keys() - found.keys():
            del self.schemas[place]

    # the calls

    def answer(self, method: str, path: str, body: Json) -> tuple[int, Json | None]:
        parts = urllib.parse.urlsplit(path)
        words = [urllib.parse.unquote(word) for word in parts.path.strip("/").split("/")]
        self.calls.append(f"{method} {parts.path}")
        if words == ["token"]:  # of a key that was revoked
            return 400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
        try:
            with self._lock:
                asked = dict(urllib.parse.parse_qsl(parts.query))
                return 200, self._route(method, words[words.index("projects") + 2 :], body, asked)
        except Fault as fault:
            error = {"reason": fault.reason, "message": fault.message, "domain": "global"}
            return fault.code, {
                "error": {"code": fault.code, "message": fault.message, "errors": [error]}
            }

    def _route(self, method: str, words: list[str], body: Json, asked: Json) -> Json | None:
        if self.forbidden:
            raise Fault(
                403, "accessDenied", "Access Denied: Permission bigquery.jobs.create denied"
            )
        match method, words:
            case "GET", ["datasets", dataset]:
                self._has_dataset(dataset)
                reference = {"projectId": self.project, "datasetId": dataset}
                return {"datasetReference": reference, "location": self.datasets[dataset]}
            case "GET", ["datasets", dataset, "tables", table]:
                return self._table(dataset, table)
            case "POST", ["datasets", dataset, "tables"]:
                table = body["tableReference"]["tableId"]
                self._has_dataset(dataset)
                if (dataset, table) in self.schemas:
                    name = f"{self.project}:{dataset}.{table}"
                    raise Fault(409, "duplicate", f"Already Exists: Table {name}")
                check_table(body)
                self._create(dataset, table, body["schema"]["fields"])
                self.layouts[dataset, table] = {key: body[key] for key in STORED if key in body}
                return self._table(dataset, table)
            case "DELETE", ["datasets", dataset, "tables", table]:
                self._table(dataset, table)
                self.database.execute(f'drop table "{dataset}"."{table}"')
                del self.schemas[dataset, table]
                self.layouts.pop((dataset, table), None)
                return None
            case "PATCH", ["datasets", dataset, "tables", table]:
                self._table(dataset, table)
                self._add_fields(dataset, table, body["schema"]["fields"])
                return self._table(dataset, table)
            case "POST", ["jobs"]:
                return self._insert_job(body)
            case "POST", ["queries"]:
                id_ = str(uuid.uuid4())
                config = {
                    "query": {"query": body["query"], **{k: body[k] for k in _ASKED if k in body}}
                }
                asked_for: Json = {"jobId": id_, "location": body.get("location")}
                job = self._insert_job({"jobReference": asked_for, "configuration": config})
                if "errorResult" in job["status"]:
                    self._raise(job)
                return self._results(id_)
            case "GET", ["jobs", id_]:
                return self._job(id_, asked)
            case "GET", ["queries", id_]:
                job = self._job(id_, asked)
                if "errorResult" in job["status"]:
                    self._raise(job)
                return self._results(id_)
        raise Fault(501, "notImplemented", f"{method} {words}")

    @staticmethod
    def _raise(job: Json) -> None:
        error = job["status"]["errorResult"]
        code = {"notFound": 404, "backendError": 503}.get(error["reason"], 400)
        raise Fault(code, error["reason"], error["message"])

    def _has_dataset(self, name: str) -> None:
        if name not in self.datasets:
            raise not_found("Dataset", f"{self.project}:{name}")

    def _table(self, dataset: str, table: str) -> Json:
        self._has_dataset(dataset)
        if (dataset, table) not in self.schemas:
            raise not_found("Table", f"{self.project}:{dataset}.{table}")
        return {
            "tableReference": self._reference(dataset, table),
            "schema": {"fields": self.schemas[dataset, table]},
            "type": "TABLE",
            **self.layouts.get((dataset, table), {}),
        }

    def _reference(self, dataset: str, table: str) -> Json:
        return {"projectId": self.project, "datasetId": dataset, "tableId": table}

    def _create(self, dataset: str, table: str, fields: list[Json]) -> None:
        columns = ", ".join(f'"{one["name"]}" {duck_type(one)}' for one in fields)
        self.database.execute(f'create table "{dataset}"."{table}" ({columns})')
        self.schemas[dataset, table] = fields

    def _add_fields(self, dataset: str, table: str, fields: list[Json]) -> None:
        """A table keeps its fields, in their order."""
        there = self.schemas[dataset, table]
        if [one["name"] for one in fields][: len(there)] != [one["name"] for one in there]:
            raise Fault(400, "invalid", f"Provided Schema does not match Table {table}")
        for one in fields[len(there) :]:
            self.database.execute(
                f'alter table "{dataset}"."{table}" add column "{one["name"]}" {duck_type(one)}'
            )
        self.schemas[dataset, table] = fields

    def _job(self, id_: str, asked: Json) -> Json:
        if self.fail_polls:
            self.fail_polls -= 1
            raise Fault(500, "unknown", "The answer was lost on its way")
        job = self.jobs.get(id_)
        lies = job["jobReference"]["location"] if job else ""
        if job is None or asked.get("location", lies if lies in ("US", "EU") else "") != lies:
            raise not_found("Job", f"{self.project}:{id_}")
        if id_ in self.running:
            if self.hold:
                self.hold -= 1
            else:
                self._do(job, self.running.pop(id_))
        return job

    def _insert_job(self, body: Json) -> Json:
        id_ = body["jobReference"]["jobId"]
        if id_ in self.jobs:
            raise Fault(409, "duplicate", f"Already Exists: Job {self.project}:US.{id_}")
        config = body["configuration"]
        location = self._location_of(config)
        if body["jobReference"].get("location") not in (None, location):
            raise not_found("Dataset", f"{self.project} in the job's location")
        reference = {"projectId": self.project, "jobId": id_, "location": location}
        if "query" in config:
            config["query"]["destinationTable"] = self._reference("_anonymous", id_)
        self.jobs[id_] = job = {
            "id": id_,
            "jobReference": reference,
            "configuration": config,
            "status": {"state": "RUNNING"},
            "statistics": {"startTime": "1", "creationTime": "1"},
        }
        if "load" in config and self.hold:
            self.running[id_] = config
        else:
            self._do(job, config)
        return job

    def _location_of(self, config: Json) -> str:
        """Of the first data set that a job has to do with."""
        found = re.search(r"`[^`.]+\.([^`.]+)\.", config.get("query", {}).get("query", ""))
        name = found[1] if found else config["load"]["destinationTable"]["datasetId"]
        return self.datasets.get(name, "US")

    def _do(self, job: Json, config: Json) -> None:
        id_, counted = job["id"], {}
        status: Json = {"state": "DONE"}
        self.database.execute("begin")
        try:
            if "load" in config:
                counted = {"load": {"outputRows": str(self._load(config["load"]))}}
            else:
                affected = self._query(id_, config["query"])
                counted = {"query": {"numDmlAffectedRows": affected}} if affected else {}
            self.database.execute("commit")
        except Fault as fault:
            self.database.execute("rollback")
            error = {"reason": fault.reason, "message": fault.message}
            status |= {"errorResult": error, "errors": [error]}
        job["status"] = status
        job["statistics"] |= {"endTime": "2", **counted}

    # load jobs

    def _load(self, config: Json) -> int:
        place = config["destinationTable"]
        dataset, table = place["datasetId"], place["tableId"]
        self._has_dataset(dataset)
        fields = config["schema"]["fields"]
        there = self.schemas.get((dataset, table))
        truncates = config["writeDisposition"] == "WRITE_TRUNCATE"
        if there is not None and not truncates:
            self._check_schema(f"{self.project}:{dataset}.{table}", there, fields)
        if there is not None and truncates:
            check_layout(self.layouts.get((dataset, table), {}), config)
        with tempfile.TemporaryDirectory() as folder:
            paths = [
                str(self._download(uri, Path(folder) / str(at)))
                for at, uri in enumerate(config["sourceUris"])
            ]
            source = self._source(config, fields, paths)
            made = ", ".join(f'"{one["name"]}" {duck_type(one)}' for one in fields)
            self.database.execute(f"create or replace temp table loading ({made})")
            try:
                self.database.execute(f"insert into loading {source}", [paths])
            except duckdb.Error as error:
                message = f"Error while reading data, error message: {str(error).splitlines()[0]}"
                raise Fault(400, "invalid", message) from None
            _check_ranges(self.database, fields)
        if self.fail_loads:
            self.fail_loads -= 1
            raise Fault(
                503, "backendError", "Error encountered during execution. Retrying may help"
            )
        if there is None:
            self._create(dataset, table, fields)
        elif truncates:
            self.database.execute(f'drop table "{dataset}"."{table}"')
            self._create(dataset, table, fields)
        self.database.execute(f'insert into "{dataset}"."{table}" by name from loading')
        found = self.database.execute("select count(*) from loading").fetchone()
        assert found is not None
        return int(found[0])

    @staticmethod
    def _check_schema(name: str, there: list[Json], fields: list[Json]) -> None:
        types = {one["name"]: one["type"] for one in there}
        for one in fields:
            if one["name"] not in types:
                message = f"Cannot add fields (field: {one['name']})"
            elif types[one["name"]] != one["type"]:
                old = types[one["name"]]
                message = f"Field {one['name']} has changed type from {old} to {one['type']}"
            else:
                continue
            text = f"Provided Schema does not match Table {name}. {message}"
            raise Fault(400, "invalid", text)

    def _download(self, uri: str, path: Path) -> Path:
        bucket, _, key = uri.removeprefix("gs://").partition("/")
        url = f"{self.storage}/{bucket}/{urllib.parse.quote(key)}"
        try:
            with urllib.request.urlopen(url) as answer:
                path.write_bytes(answer.read())
        except urllib.error.HTTPError as error:
            if error.code == 404:
                raise not_found("URI", uri) from None
            raise
        return path

    @staticmethod
    def _source(config: Json, fields: list[Json], paths: list[str]) -> str:
        if config["sourceFormat"] == "PARQUET":
            if any(has_lists(one) for one in fields):
                assert config["parquetOptions"]["enableListInference"], "lists would be records"
            held = duckdb.execute("describe from read_parquet(?)", [paths]).fetchall()
            names = ", ".join(
                f'"{one["name"]}"' if one["name"] in {row[0] for row in held} else "null"
                for one in fields
            )
            return f"select {names} from read_parquet(?)"
        columns = ", ".join(f"'{at}': 'VARCHAR'" for at, _ in enumerate(fields))
        packed = Path(paths[0]).read_bytes()[:2] == b"\x1f\x8b"
        values = ", ".join(
            f'from_base64("{at}")' if one["type"] == "BYTES" else f'"{at}"::{duck_type(one)}'
            for at, one in enumerate(fields)
        )
        return (
            f"select {values} from read_csv(?, columns = {{{columns}}}, auto_detect = false,"
            f" header = true, delim = ',', quote = '\"', escape = '\"',"
            f" skip = 0, nullstr = '{config.get('nullMarker', '')}', allow_quoted_nulls = true,"
            f" null_padding = {str(config.get('allowJaggedRows', False)).lower()},"
            f" compression = '{'gzip' if packed else 'none'}')"
        )

    # queries

    def _query(self, id_: str, config: Json) -> str:
        """How many rows it has changed, if that is what it does."""
        if self.fail_queries and self.fail_queries in config["query"]:
            self.fail_queries = ""
            raise Fault(400, "resourcesExceeded", "Query exceeded its resources")
        check_dialect(config["query"])
        text = re.sub(r"`[^`.]+\.([^`.]+)\.([^`]+)`", r'"\1"."\2"', config["query"])
        text = text.replace("`", '"').replace("current_timestamp()", "current_timestamp")
        text = re.sub(r"@(\w+)", r"$\1", text).replace("is_nan(", "isnan(")
        text = text.replace("BIGNUMERIC", "NUMERIC")
        words = {
            one["name"]: int(one["parameterValue"]["value"])
            if one["parameterType"]["type"] == "INT64"
            else one["parameterValue"]["value"]
            for one in config.get("queryParameters", ())
        }
        try:
            cursor = self.database.execute(text, words or None)
        except duckdb.CatalogException as error:
            raise Fault(404, "notFound", f"Not found: {str(error).splitlines()[0]}") from None
        except duckdb.Error as error:
            raise Fault(400, "invalidQuery", str(error).splitlines()[0]) from None
        rows = cursor.fetchall()
        if text.startswith("alter"):
            self._note_schemas()
        fields = [
            {"name": name, "type": _bigquery(str(type_)), "mode": "NULLABLE"}
            for name, type_, *_ in cursor.description or ()
        ]
        self.answers[id_] = (fields, rows)
        return str(rows[0][0]) if text.startswith(("merge", "insert")) else ""

    def _results(self, id_: str) -> Json:
        fields, rows = self.answers[id_]
        return {
            "jobReference": self.jobs[id_]["jobReference"],
            "jobComplete": True,
            "schema": {"fields": fields},
            "totalRows": str(len(rows)),
            "rows": [{"f": [{"v": _text(value)} for value in row]} for row in rows],
        }


_ASKED = ("queryParameters", "parameterMode", "useLegacySql")


def _bigquery(type_: str) -> str:
    same = {"BIGINT": "INTEGER", "INTEGER": "INTEGER", "BOOLEAN": "BOOLEAN", "DOUBLE": "FLOAT"}
    return same.get(type_, "STRING")


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)


def _check_ranges(database: duckdb.DuckDBPyConnection, fields: list[Json]) -> None:
    """BigQuery's years are 1 to 9999."""
    for one in fields:
        if one["type"] in ("DATE", "DATETIME", "TIMESTAMP") and not has_lists(one):
            name = one["name"]
            found = database.execute(
                f'select count(*) from loading where "{name}" is not null and'
                f' (not isfinite("{name}") or year("{name}") not between 1 and 9999)'
            ).fetchone()
            if found and found[0]:
                message = f"Cannot return an invalid {one['type'].lower()} value in column {name}"
                raise Fault(400, "invalid", message)
