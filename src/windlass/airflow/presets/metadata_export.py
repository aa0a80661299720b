"""The preset `airflow_metadata_export`: Airflow's own database into BigQuery, a DAG per table.

Which columns are exported in clear is decided by `windlass.airflow.presets.metadata_columns`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

from airflow.sdk import DAG

from windlass.airflow.factory import export_dag
from windlass.airflow.presets import metadata_refresh
from windlass.airflow.presets.metadata_columns import HARMLESS
from windlass.airflow.presets.metadata_tables import CONDITIONS, start_minute
from windlass.airflow.presets.table_list import Tables, read_list
from windlass.airflow.tuning import Ending, Tuning
from windlass.errors import BadSpec

# as in the DAGs that this preset replaces
RETRIES, RETRY_DELAY = 1, timedelta(minutes=2)
RUN_TIMEOUT = timedelta(minutes=30)
TIMEOUTS = {
    "extract": timedelta(minutes=15),
    "check_objects": timedelta(minutes=3),
    "load": timedelta(minutes=10),
    "check_rows": timedelta(minutes=3),
    "clean_up": timedelta(minutes=5),
}
_TUNING = Tuning(
    retries=RETRIES, retry_delay=RETRY_DELAY, retry_exponential_backoff=0, timeouts=TIMEOUTS
)
OWNER, TAGS = "auditing", ("airflow_db",)
DISPOSITIONS = {"WRITE_TRUNCATE": "truncate", "WRITE_APPEND": "append"}
VARIABLES = ("BQ_PROJECT", "BQ_DATASET", "GCS_BUCKET", "GCS_OBJECT_PATH", "WRITE_DISPOSITION")
_DEFAULTS = {"WRITE_DISPOSITION": "WRITE_TRUNCATE"}


def airflow_metadata_export(
    *,
    BQ_PROJECT: str = "",
    BQ_DATASET: str = "",
    GCS_BUCKET: str = "",
    GCS_OBJECT_PATH: str = "",
    WRITE_DISPOSITION: str = "",
    SOURCE_TABLES: Tables = (),
    before_refresh: Sequence[str] | None = None,
    source_conn_id: str = "airflow_db",
    include_secrets: Sequence[str] = (),
    to: str = "",
    warehouse: str = "",
    store_conn_id: str = "",
    warehouse_conn_id: str = "",
    prefix: str = "",
    spec: Mapping[str, Any] | None = None,
    ending: Ending | None = None,
    **dag_options: Any,
) -> dict[str, DAG]:
    """A DAG ``export_{table}`` for each table, by its id, and one that refreshes the list.

    What is not given is read from Airflow Variables of the same names, in the task; only
    `SOURCE_TABLES` is read when the DAG file is parsed. It is a list, a version whose tables are
    meant ("2.4" to "3.3"), or a file. The refreshing DAG writes the file, or else the Variable.
    Until then the tables are `before_refresh`; by default those of this Airflow's version. Columns
    that are not known to be harmless are masked; `include_secrets` are shell patterns on
    ``table.column`` for columns to export in clear. `to` and `warehouse` replace Google's;
    `store_conn_id` and `warehouse_conn_id` are connections with their credentials. `spec` holds
    more keys of the export's spec, the same for every table. A `prefix`, for a second use of this
    preset in one Airflow, precedes every DAG's id and the names of Variables; if there is no
    Variable of such a name, the one without the prefix is read.

    Raises:
        BadSpec: with every fault.
    """
    tables, file = read_list(SOURCE_TABLES, before_refresh, prefix)
    faults = [*_faults(WRITE_DISPOSITION, include_secrets, tables)]
    if faults:
        raise BadSpec(faults)
    values = (BQ_PROJECT, BQ_DATASET, GCS_BUCKET, GCS_OBJECT_PATH, WRITE_DISPOSITION)
    variables = {name: value for name, value in zip(VARIABLES, values, strict=True) if value}
    preset = {"variables": variables, "to": to, "warehouse": warehouse, "prefix": prefix}
    common, found = _common_spec(preset, spec or {}), {}
    for place, table in enumerate(tables):
        mask = masks(table, include_secrets, common.get("mask", ()))
        dag = export_dag(
            f"{prefix}export_{table}",
            spec=_table_spec(table, {**common, "mask": mask}),
            source_conn_id=source_conn_id,
            store_conn_id=store_conn_id,
            warehouse_conn_id=warehouse_conn_id,
            ending=ending,
            **{**_dag_options(place, table), **dag_options},
        )
        _give(dag, preset)
        found[dag.dag_id] = dag
    refreshing = metadata_refresh.refreshing_dag(source_conn_id, file, prefix, _refresh_options())
    return {**found, refreshing.dag_id: refreshing}


def _faults(
    disposition: str, include_secrets: Sequence[str], tables: Sequence[str]
) -> Iterator[str]:
    if disposition and disposition not in DISPOSITIONS:
        choices = " and ".join(DISPOSITIONS)
        yield f"WRITE_DISPOSITION: {disposition} is not one of {choices}"
    known = {*HARMLESS, *tables}
    for pattern in include_secrets:
        table, dot, _ = pattern.partition(".")
        if not dot:
            yield f"include_secrets: {pattern} is not a pattern on table.column"
        elif not any(fnmatchcase(one, table) for one in known):
            yield f"include_secrets: {pattern} names no table of Airflow"


def _common_spec(preset: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """The part of the spec that is the same for all tables; `more` wins."""
    return {
        # Variables are not read when the DAG file is parsed
        "to": preset["to"] or "gs://in-a-variable",
        "warehouse": preset["warehouse"] or "bigquery://in-a-variable/in-a-variable",
        "unmatched": "ignore",  # no version has all columns
        **more,
    }


def masks(table: str, include_secrets: Sequence[str] = (), more: Any = ()) -> list[str]:
    """The patterns for the export of a table: mask everything except harmless columns and requested
    ones. `more` come last, and win."""
    harmless = [f"!{table}.{column}" for column in HARMLESS.get(table, ())]
    asked = [f"!{one}" for one in include_secrets if fnmatchcase(table, one.partition(".")[0])]
    return ["*", *harmless, *asked, *_listed(more)]


def _listed(given: Any) -> Sequence[str]:
    """The value as a list; in a spec, one name is a list of one."""
    return [given] if isinstance(given, str) else list(given or ())


def _table_spec(table: str, common: Mapping[str, Any]) -> dict[str, Any]:
    condition = {"where": CONDITIONS[table]} if table in CONDITIONS else {}
    return {**common, "relations": [{"name": f"public.{table}", **condition}]}


def _dag_options(place: int, table: str) -> dict[str, Any]:
    return {
        "words": f"{__name__}:metadata_words",
        "tuning": _TUNING,
        "schedule": f"{start_minute(place)} 0 * * *",
        "start_date": datetime(2023, 2, 5, tzinfo=UTC),
        "dagrun_timeout": RUN_TIMEOUT,
        "is_paused_upon_creation": True,
        "tags": [*TAGS],
        "description": f"All of {table} into BigQuery.",
        "default_args": {"owner": OWNER},
    }


def _refresh_options() -> dict[str, Any]:
    again = {"retries": RETRIES, "retry_delay": RETRY_DELAY}
    return {"tags": [*TAGS], "default_args": {"owner": OWNER, **again}}


def _give(dag: DAG, preset: Mapping[str, Any]) -> None:
    for task in dag.tasks:
        if hasattr(task, "given"):
            task.given = {**task.given, "preset": dict(preset)}


def metadata_words(params: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The spec of one table. Runs in the task, where Variables may be read.

    Raises:
        BadSpec: with every Variable that is missing.
    """
    words = {key: value for key, value in given.items() if key != "preset"}
    preset = given["preset"]
    asked = {name for name in VARIABLES if not _needless(name, preset)}
    prefix = preset.get("prefix", "")
    found = {
        name: preset["variables"].get(name) or _variable(name, prefix) for name in sorted(asked)
    }
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


def _variable(name: str, prefix: str) -> str:
    from airflow.sdk import Variable

    own = str(Variable.get(f"{prefix}{name}", default="")) if prefix else ""
    return own or str(Variable.get(name, default=_DEFAULTS.get(name, "")))
