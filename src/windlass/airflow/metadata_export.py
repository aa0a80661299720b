"""The preset `airflow_metadata_export`: Airflow's own database into BigQuery, a DAG per table.

What a table is, and which columns are secrets, `windlass.airflow.metadata` knows.
"""

from __future__ import annotations

import json
import logging
import re
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, BaseOperator

from windlass.airflow.factory import Ending, Tuning, export_dag
from windlass.airflow.metadata import CONDITIONS, SECRETS, sort_out, start_minute, tables_of
from windlass.errors import BadSpec, WindlassError

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)

# as the DAGs that this preset replaces
RETRIES, RETRY_DELAY = 1, timedelta(minutes=2)
RUN_TIMEOUT = timedelta(minutes=30)
TIMEOUTS = {
    "extract": timedelta(minutes=15),
    "check_objects": timedelta(minutes=3),
    "load": timedelta(minutes=10),
    "check_rows": timedelta(minutes=3),
    "clean_up": timedelta(minutes=5),
}
DISPOSITIONS = {"WRITE_TRUNCATE": "truncate", "WRITE_APPEND": "append"}
VARIABLES = ("BQ_PROJECT", "BQ_DATASET", "GCS_BUCKET", "GCS_OBJECT_PATH", "WRITE_DISPOSITION")
_VERSION = re.compile(r"\d+\.\d+[\d.]*$")
_DEFAULTS = {"WRITE_DISPOSITION": "WRITE_TRUNCATE"}


def airflow_metadata_export(
    *,
    BQ_PROJECT: str = "",
    BQ_DATASET: str = "",
    GCS_BUCKET: str = "",
    GCS_OBJECT_PATH: str = "",
    WRITE_DISPOSITION: str = "",
    SOURCE_TABLES: Sequence[str] | Path | str = (),
    before_refresh: Sequence[str] | None = None,
    source_conn_id: str = "airflow_db",
    include_secrets: Sequence[str] = (),
    to: str = "",
    warehouse: str = "",
    spec: Mapping[str, Any] | None = None,
    ending: Ending | None = None,
    **dag_options: Any,
) -> dict[str, DAG]:
    """A DAG ``export_{table}`` for each table, by its id, and one that refreshes the list.

    What is not given is read from the Airflow Variables of the same names, in the task; only
    `SOURCE_TABLES` where the DAG file is parsed. That is a list, a version whose tables are meant
    ("2.4" to "3.3"), or a file; the refreshing DAG writes the file, or else the Variable. Until
    there is one, the tables are `before_refresh`; default: those of this Airflow's version.
    `include_secrets` are shell patterns on ``table.column``: these secrets are exported in clear.
    `to` and `warehouse` go somewhere else than to Google; `spec` holds more keys of the export's
    spec, the same for every table.

    Raises:
        BadSpec: with every fault.
    """
    faults = []
    if WRITE_DISPOSITION and WRITE_DISPOSITION not in DISPOSITIONS:
        faults.append(f"WRITE_DISPOSITION: {WRITE_DISPOSITION} is not one of WRITE_TRUNCATE and"
                      " WRITE_APPEND")  # fmt: skip
    for pattern in include_secrets:
        if not any(fnmatchcase(secret, pattern) for secret in SECRETS):
            faults.append(f"include_secrets: {pattern} names none of {', '.join(SECRETS)}")
    if faults:
        raise BadSpec(faults)
    tables, file = _tables(SOURCE_TABLES, before_refresh)
    masked = [
        f"*.{secret}"
        for secret in SECRETS
        if not any(fnmatchcase(secret, pattern) for pattern in include_secrets)
    ]
    words = (BQ_PROJECT, BQ_DATASET, GCS_BUCKET, GCS_OBJECT_PATH, WRITE_DISPOSITION)
    variables = {name: word for name, word in zip(VARIABLES, words, strict=True) if word}
    found = {}
    for place, table in enumerate(tables):
        where = {"where": CONDITIONS[table]} if table in CONDITIONS else {}
        given = {
            # what a Variable says is not known where the DAG file is parsed
            "to": to or "gs://in-a-variable",
            "warehouse": warehouse or "bigquery://in-a-variable/in-a-variable",
            "unmatched": "ignore",  # no table has all of them
            **(spec or {}),
            "mask": [*masked, *_listed((spec or {}).get("mask", ()))],
            "relations": [{"name": f"public.{table}", **where}],
        }
        dag = export_dag(
            f"export_{table}",
            spec=given,
            source_conn_id=source_conn_id,
            words=f"{__name__}:metadata_words",
            tuning=Tuning(
                retries=RETRIES,
                retry_delay=RETRY_DELAY,
                retry_exponential_backoff=0,
                timeouts=TIMEOUTS,
            ),
            ending=ending,
            **{
                "schedule": f"{start_minute(place)} 0 * * *",
                "start_date": datetime(2023, 2, 5, tzinfo=UTC),
                "dagrun_timeout": RUN_TIMEOUT,
                "is_paused_upon_creation": True,
                "tags": ["airflow_db"],
                "description": f"All of {table} into BigQuery.",
                "default_args": {"owner": "auditing"},
                **dag_options,
            },
        )
        _give(dag, {"variables": variables, "to": to, "warehouse": warehouse})
        found[dag.dag_id] = dag
    found["refresh_source_tables"] = _refreshing(source_conn_id, file)
    return found


def _listed(words: Any) -> Sequence[str]:
    """As a spec takes them: one word is a list of one."""
    return [words] if isinstance(words, str) else list(words or ())


def _give(dag: DAG, preset: Mapping[str, Any]) -> None:
    for task in dag.tasks:
        if hasattr(task, "given"):
            task.given = {**task.given, "preset": dict(preset)}


def metadata_words(params: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The spec of one table. Runs in the task: here Variables may be asked.

    Raises:
        BadSpec: with every Variable that is missing.
    """
    words = {key: value for key, value in given.items() if key != "preset"}
    preset = given["preset"]
    asked = {name for name in VARIABLES if not _needless(name, preset)}
    found = {name: preset["variables"].get(name) or _variable(name) for name in sorted(asked)}
    missing = [
        f"{name}: give it to airflow_metadata_export, or set the Airflow Variable"
        for name, value in found.items()
        if not value and name != "GCS_OBJECT_PATH"
    ]
    disposition = found.get("WRITE_DISPOSITION", "")
    if disposition and disposition not in DISPOSITIONS:
        missing.append(f"WRITE_DISPOSITION: {disposition} is not WRITE_TRUNCATE or WRITE_APPEND")
    if missing:
        raise BadSpec(missing)
    if not preset["to"]:
        path = f"{found['GCS_BUCKET']}/{found['GCS_OBJECT_PATH'] or ''}".rstrip("/")
        words["to"] = f"gs://{path}"
    if not preset["warehouse"]:
        words["warehouse"] = f"bigquery://{found['BQ_PROJECT']}/{found['BQ_DATASET']}"
    words["disposition"] = DISPOSITIONS[disposition]
    return {**words, "source": params["source_conn_id"]}


def _needless(name: str, preset: Mapping[str, Any]) -> bool:
    side = "to" if name.startswith("GCS_") else "warehouse" if name.startswith("BQ_") else ""
    return bool(side and preset[side])


def _variable(name: str) -> str:
    from airflow.sdk import Variable

    return str(Variable.get(name, default=_DEFAULTS.get(name, "")))


def _tables(
    given: Sequence[str] | Path | str, before: Sequence[str] | None
) -> tuple[Sequence[str], Path | None]:
    """The tables, and the file that lists them. A file that is not there yet is no fault: the
    refreshing DAG writes it."""
    if isinstance(given, str) and _VERSION.match(given):
        return _known(given), None
    if isinstance(given, str | Path):
        path = Path(given)
        if not path.exists():
            return _before(before), path
        try:
            return _checked(json.loads(path.read_text())), path
        except (json.JSONDecodeError, OSError) as error:
            raise BadSpec([f"SOURCE_TABLES: {path} cannot be read: {error}"]) from None
    if given:
        return _checked(list(given)), None
    found = _variable("SOURCE_TABLES").strip()
    if not found:
        return _before(before), None
    if _VERSION.match(found):
        return _known(found), None
    return _checked(_words_of(found)), None


def _before(before: Sequence[str] | None) -> Sequence[str]:
    return _known("") if before is None else _checked(list(before))


def _words_of(text: str) -> Any:
    """A Variable's list: JSON, as the refreshing DAG writes it, or names with commas between."""
    if not text.startswith(("[", "{", '"')):
        return [name for name in re.split(r"[,\s]+", text) if name]
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise BadSpec([f"SOURCE_TABLES: the Variable is not a list: {error}"]) from None


def _known(version: str) -> Sequence[str]:
    import airflow

    try:
        return tables_of(version or airflow.__version__)
    except ValueError as error:
        raise BadSpec([f"SOURCE_TABLES: {error}"]) from None


def _checked(names: Any) -> Sequence[str]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BadSpec(["SOURCE_TABLES: a list of tables is what it has to be"])
    return list(dict.fromkeys(names))


def _refreshing(source_conn_id: str, file: Path | None) -> DAG:
    with DAG(
        "refresh_source_tables",
        description="The tables that Airflow's own database has, for the exports.",
        schedule="@weekly",
        start_date=datetime(2023, 2, 5, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=True,
        tags=["airflow_db"],
        default_args={"owner": "auditing", "retries": RETRIES, "retry_delay": RETRY_DELAY},
    ) as dag:
        RefreshOperator(
            task_id="read_catalog", source_conn_id=source_conn_id, file=str(file) if file else ""
        )
    return dag


class RefreshOperator(BaseOperator):
    """Reads the tables from the database's catalog, and writes them into a file, or else the
    Variable SOURCE_TABLES. A table that no known version has is not taken, unless it is listed
    already: nobody has said which of its columns are secrets."""

    ui_color = "#e4f0ee"

    def __init__(self, *, source_conn_id: str, file: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.source_conn_id, self.file = source_conn_id, file

    def execute(self, context: Context) -> list[str]:
        from airflow.sdk import Variable

        from windlass.airflow.connections import conninfo_of

        found = read_tables(conninfo_of(self.source_conn_id))
        tables, unknown = sort_out(found, self._listed())
        if unknown:
            notice = (
                f"not exported, as no known version of Airflow has them: {', '.join(unknown)};"
                " add those without secrets to SOURCE_TABLES"
            )
            log.warning("%s", notice)
            context["ti"].xcom_push(key="notices", value=[notice])
        if self.file:
            write_tables(Path(self.file), tables)
        else:
            Variable.set("SOURCE_TABLES", tables, serialize_json=True)
        return tables

    def _listed(self) -> Sequence[str]:
        """What the list names now, whether it is a known table or not."""
        return _tables(Path(self.file) if self.file else (), ())[0]


def read_tables(conninfo: str) -> list[str]:
    """The tables of the schema public, which is Airflow's.

    Raises:
        WindlassError: the database cannot be read, or there are none.
    """
    from windlass.engines.postgres.catalog import read_catalog
    from windlass.engines.postgres.session import Address, Role

    address = Address.parse("source", conninfo)
    with address.connect(Role.SOURCE, "windlass tables") as connection:
        found = read_catalog(connection)
    tables = [
        relation.name.name
        for relation in found.relations
        if relation.holds_rows
        and relation.name.schema == "public"
        and not relation.name.name.startswith("_")  # what a migration has set aside
    ]
    if "dag_run" not in tables:
        raise WindlassError(
            f"{address} is not Airflow's own database: there is no table dag_run",
            hint="give the connection to it as source_conn_id",
        )
    return sorted(tables)


def write_tables(path: Path, tables: Sequence[str]) -> None:
    """As a whole or not at all: a DAG file reads it at any moment."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as new:
        json.dump(list(tables), new, indent=1)
    Path(new.name).chmod(0o644)
    Path(new.name).replace(path)
