"""Exports as DAGs, including an export of Airflow's own database."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from configparser import ConfigParser
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest

from airflow_runs import Ended, run_dag
from airflow_server import up
from demo.airflow.local import LocalAirflow
from exporting import export, rows
from paths import EXAMPLE_DAGS
from reading_dags import Read, serialized
from servers import Database
from windlass.airflow.presets.metadata_columns import HARMLESS
from windlass.airflow.presets.metadata_tables import sort_out, start_minute, tables_of
from windlass.engines.postgres.snapshot import SnapshotHolder
from windlass.errors import BadSpec

GOOGLE = {
    "BQ_PROJECT": "acme",
    "BQ_DATASET": "raw",
    "GCS_BUCKET": "lake",
    "GCS_OBJECT_PATH": "airflow",
}


# what each version has


@pytest.mark.parametrize(
    ("version", "count", "has", "lacks"),
    [
        ("2.4", 40, "sla_miss", "dag_run_note"),
        ("2.5.3", 42, "dag_run_note", "task_instance_history"),
        ("2.9", 42, "dataset_event", "dataset_alias"),
        ("2.10", 48, "dataset_alias", "asset"),
        ("2.11", 48, "dag_pickle", "dag_version"),
        ("3.0", 45, "asset", "dataset"),
        ("3.1", 50, "hitl_detail", "callback"),
        ("3.2", 55, "callback", "callback_request"),
        ("3.3.2", 58, "task_state_store", "session"),
    ],
)
def test_the_tables_of_a_version(version: str, count: int, has: str, lacks: str) -> None:
    found = tables_of(version)
    assert has in found and lacks not in found
    assert len(found) == count


def test_a_version_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match=r"known are 2\.4 to 3\.3"):
        tables_of("1.10")


def test_a_table_that_no_version_has_is_left_out_unless_it_is_listed() -> None:
    there = ["ab_user", "dag", "of_a_plugin", "xcom"]
    assert sort_out(there, ["dag"]) == (["ab_user", "dag", "xcom"], ["of_a_plugin"])
    assert sort_out(there, ["of_a_plugin", "gone"]) == (there, [])


def test_starts_are_spread_over_half_an_hour() -> None:
    minutes = [start_minute(place) for place in range(58)]
    assert set(minutes) == set(range(31)) and minutes[:3] == [1, 3, 5]
    assert max(minutes.count(one) for one in minutes) == 2


# the DAGs


def made(words: dict[str, Any]) -> dict[str, str]:
    from windlass.airflow.presets.metadata_export import airflow_metadata_export

    return {name: serialized(dag) for name, dag in airflow_metadata_export(**words).items()}


def faults(words: dict[str, Any]) -> list[str]:
    try:
        made(words)
    except BadSpec as error:
        return list(error.faults)
    return []


def words_of(variables: dict[str, str]) -> dict[str, Any]:
    from windlass.airflow.presets.metadata_export import metadata_words

    given = {"preset": {"variables": variables, "to": "", "warehouse": ""}, "format": "csv"}
    return metadata_words({"source_conn_id": "airflow_db"}, given)


def test_a_dag_for_each_table_of_this_airflow(process: Executor) -> None:
    found = process.submit(made, GOOGLE).result()
    assert set(found) == {
        *(f"export_{table}" for table in tables_of("3.3")),
        "refresh_source_tables",
    }


def test_a_dag_is_as_the_original_was(process: Executor) -> None:
    found = process.submit(made, {**GOOGLE, "SOURCE_TABLES": ["dag", "session"]}).result()
    dag = Read.of(found["export_session"])
    assert dag.words["tags"] == ["airflow_db"]
    assert dag.words["dagrun_timeout"] == 30 * 60
    assert dag.words["timetable"]["__var"]["expression"] == "3 0 * * *"
    assert not dag.words["catchup"]
    # none waits for another that runs: an executor with one slot is enough
    order = ["read_source", "extract", "check_objects", "load", "check_rows", "clean_up"]
    for before, after in pairwise(order):
        assert dag.just_before(after) == {before}
    task = dag.tasks["extract"]
    assert (task["retries"], task["retry_delay"], task["execution_timeout"]) == (1, 120.0, 900.0)
    assert dag.tasks["clean_up"]["is_teardown"]
    assert dag.tasks["extract"]["trigger_rule"] == "none_failed"


def test_secrets_are_masked_unless_asked_for(process: Executor) -> None:
    words = {**GOOGLE, "SOURCE_TABLES": ["variable"], "include_secrets": ["variable.val"]}
    harmless = [f"!variable.{column}" for column in HARMLESS["variable"]]
    assert process.submit(masked, words).result() == ["*", *harmless, "!variable.val"]
    words["include_secrets"] = ["xcom.value"]
    assert process.submit(masked, words).result() == ["*", *harmless]


def masked(words: dict[str, Any]) -> list[str]:
    from windlass.airflow.presets.metadata_export import airflow_metadata_export

    task: Any = airflow_metadata_export(**words)["export_variable"].get_task("extract")
    return list(task.given["mask"])


def test_all_wrong_options_are_reported(process: Executor) -> None:
    words = {**GOOGLE, "WRITE_DISPOSITION": "WRITE_EMPTY", "include_secrets": ["nothing.*"]}
    found = process.submit(faults, words).result()
    assert len(found) == 2 and "WRITE_EMPTY" in found[0] and "nothing.*" in found[1]


MERGES: dict[str, Any] = {
    "to": "file:///tmp/lake",
    "relations": [{"name": "shop.orders", "watermark": "at"}],
    "disposition": "merge",
}


def exporting(words: dict[str, Any], **options: Any) -> dict[str, Any] | list[str]:
    """What the tasks are given, or what is wrong."""
    from windlass.airflow import export_dag

    try:
        task: Any = export_dag("shop", spec=words, **options).get_task("load")
    except BadSpec as error:
        return list(error.faults)
    return dict(task.given)


def test_a_warehouse_may_be_a_connection_with_all_that_a_warehouse_can(process: Executor) -> None:
    found = process.submit(exporting, MERGES, warehouse_conn_id="lake").result()
    assert found == {**MERGES, "warehouse": "lake"}
    there = {**MERGES, "warehouse": "postgresql://there/x"}
    (fault,) = process.submit(exporting, there, warehouse_conn_id="lake").result()
    assert fault == "warehouse: give the id of a connection instead"


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://me:hunter2@there/x",
        "postgresql://there/x?password=hunter2",
        "host=there password=hunter2",
    ],
)
def test_a_password_does_not_stand_in_a_dag(process: Executor, address: str) -> None:
    (fault,) = process.submit(exporting, {**MERGES, "warehouse": address}).result()
    assert "warehouse_conn_id" in fault and "hunter2" not in fault


def test_arguments_become_the_spec(process: Executor) -> None:
    found = process.submit(words_of, {**GOOGLE, "WRITE_DISPOSITION": "WRITE_APPEND"}).result()
    assert found == {
        "format": "csv",
        "to": "gs://lake/airflow",
        "warehouse": "bigquery://acme/raw",
        "disposition": "append",
        "source": "airflow_db",
    }


def test_a_list_is_read_from_the_file_that_was_refreshed(process: Executor, tmp_path: Path) -> None:
    file = tmp_path / "source_tables.json"
    words = {**GOOGLE, "SOURCE_TABLES": file}
    assert len(process.submit(made, words).result()) == 59
    file.write_text(json.dumps(["dag", "log"]))
    found = process.submit(made, words).result()
    assert set(found) == {"export_dag", "export_log", "refresh_source_tables"}


@pytest.mark.parametrize(
    ("variable", "tables"),
    [
        ('["dag", "log"]', {"dag", "log"}),
        ("dag, log\nxcom", {"dag", "log", "xcom"}),
        ("2.4", set(tables_of("2.4"))),
        ("", set()),
    ],
)
def test_a_list_is_read_from_the_variable(
    process: Executor, variable: str, tables: set[str]
) -> None:
    words = {**GOOGLE, "before_refresh": []}
    found = process.submit(made_with, variable, words).result()
    assert found == {*(f"export_{table}" for table in tables), "refresh_source_tables"}


def made_with(variable: str, words: dict[str, Any]) -> set[str]:
    from windlass.airflow.presets.metadata_export import airflow_metadata_export

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_VAR_SOURCE_TABLES", variable)
        return set(airflow_metadata_export(**words))


def test_the_example_is_one_dag_until_the_list_is_read(process: Executor) -> None:
    assert process.submit(example).result() == ["refresh_source_tables"]


def example() -> list[str]:
    import runpy

    from airflow.sdk import DAG

    path = EXAMPLE_DAGS / "airflow_metadata_export.py"
    return [one.dag_id for one in runpy.run_path(str(path)).values() if isinstance(one, DAG)]


def test_one_more_pattern_to_mask_is_one_pattern(process: Executor) -> None:
    words = {**GOOGLE, "SOURCE_TABLES": ["variable"], "spec": {"mask": "*.email"}}
    assert process.submit(masked, words).result()[-1] == "*.email"


def test_the_preset_stands_twice_in_one_airflow(process: Executor) -> None:
    words = {**GOOGLE, "SOURCE_TABLES": ["dag", "log"]}
    first = process.submit(made, words).result()
    second = process.submit(made, {**words, "prefix": "eu_", "to": "gs://eu"}).result()
    assert set(second) == {"eu_export_dag", "eu_export_log", "eu_refresh_source_tables"}
    assert not set(first) & set(second)


def test_each_use_of_the_preset_has_variables_of_its_own(process: Executor) -> None:
    variables = {"SOURCE_TABLES": "dag", "EU_SOURCE_TABLES": "log, xcom", "BQ_PROJECT": "acme",
                 "BQ_DATASET": "raw", "GCS_BUCKET": "lake", "EU_BQ_PROJECT": "acme_eu"}  # fmt: skip
    found = process.submit(with_variables, variables, "EU_").result()
    assert found == (
        {"EU_export_log", "EU_export_xcom", "EU_refresh_source_tables"},
        "bigquery://acme_eu/raw",
    )
    dags, warehouse = process.submit(with_variables, variables, "").result()
    assert dags == {"export_dag", "refresh_source_tables"} and warehouse == "bigquery://acme/raw"


def with_variables(variables: dict[str, str], prefix: str) -> tuple[set[str], str]:
    """The DAGs, and the warehouse of their tasks."""
    from windlass.airflow.presets.metadata_export import airflow_metadata_export, metadata_words

    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(f"AIRFLOW_VAR_{name.upper()}", value)
        dags = airflow_metadata_export(prefix=prefix)
        task: Any = next(iter(dags.values())).get_task("extract")
        return set(dags), metadata_words({"source_conn_id": "x"}, task.given)["warehouse"]


# a real Airflow, and its own database while it runs


TABLES = """
# an Airflow DAG for each table
from windlass.airflow.presets.metadata_export import airflow_metadata_export

folder = {folder!r}
globals().update(
    airflow_metadata_export(
        before_refresh=["alembic_version"],
        to=f"file://{{folder}}/files",
        warehouse=f"duckdb:///{{folder}}/w.duckdb",
        WRITE_DISPOSITION="WRITE_TRUNCATE",
    )
)
"""
CONNECTIONS = "select conn_id from connection"
OTHERS = """
# an Airflow DAG that fails, and one that loses something
from windlass.airflow import Ending, export_dag

folder = {folder!r}
broken = export_dag(
    "export_broken",
    spec={{
        "to": f"file://{{folder}}/files",
        "warehouse": f"duckdb:///{{folder}}/broken.duckdb",
        "relations": [{{"name": "public.connection", "key": "conn_type"}}],
        "disposition": "merge",
    }},
    source_conn_id="airflow_db",
)
lossy = export_dag(
    "export_lossy",
    spec={{
        "to": f"file://{{folder}}/files",
        "relations": [{{"name": "never", "query": "select date 'infinity' as at"}}],
    }},
    source_conn_id="airflow_db",
    ending=Ending(report_folder=f"{{folder}}/reports"),
)
"""


@dataclass(frozen=True)
class Own:
    """Airflow's own database."""

    url: str

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url) as connection:
            return connection.execute(query.encode()).fetchall()


@dataclass(frozen=True)
class Exporter:
    airflow: LocalAirflow
    folder: Path  # where exports go
    own: Own
    refreshed: Ended  # the list of its tables


@pytest.fixture(scope="module")
def exporter(stopped_airflow: LocalAirflow) -> Exporter:
    """The run's Airflow, which has the connection to its own database, and exports it."""
    airflow = up(stopped_airflow)
    out = airflow.dags.parent / "out"
    out.mkdir()
    out.chmod(0o777)
    # the first takes the place of the example, whose DAGs have the same names
    for name, text in (("airflow_metadata_export", TABLES), ("others", OTHERS)):
        (airflow.dags / f"{name}.py").write_text(text.format(folder=str(out)))
    settings = ConfigParser(interpolation=None)
    settings.read(airflow.folder / "airflow.cfg")
    address = settings["database"]["sql_alchemy_conn"].replace("+psycopg2", "", 1)
    airflow.client.set_connection("airflow_db", address.replace("postgresql:", "postgres:", 1))
    refreshed = run_dag(airflow, "refresh_source_tables", {})
    os.utime(airflow.dags / "airflow_metadata_export.py")  # else it is read again after minutes
    return Exporter(airflow, out, Own(address), refreshed)


def test_the_list_of_tables_is_read_from_the_catalog(exporter: Exporter) -> None:
    exporter.refreshed.expect("success")
    reported = exporter.refreshed.xcom("read_catalog")
    assert tuple(reported["return_value"]) == tables_of("3.3") and "notices" not in reported


def test_a_table_is_exported_by_a_real_airflow(exporter: Exporter) -> None:
    """The DAG of one that only the refreshed list has."""
    ended = run_dag(exporter.airflow, "export_connection", {})
    ended.expect("success")
    query = "select conn_id, password from connection where conn_id = 'airflow_db'"
    assert rows(exporter.folder, query) == [("airflow_db", "***")]
    (asset,) = ended.xcom("check_rows")["assets"]
    uri = f"duckdb:///{str(exporter.folder)[1:]}/w.duckdb/main/connection"
    assert (asset.pop("uri"), asset.pop("rows")) == (uri, len(exporter.own.rows(CONNECTIONS)))
    assert sorted(asset) == ["bytes", "run", "snapshot"] and all(asset.values())
    assert list((exporter.folder / "files").rglob("part*")) == []


def test_a_loss_is_reported_and_in_the_report(exporter: Exporter) -> None:
    ended = run_dag(exporter.airflow, "export_lossy", {})
    ended.expect("success")
    (loss,) = ended.xcom("check_rows")["losses"]
    assert loss.startswith("never.at: 1 value")
    (report,) = (exporter.folder / "reports").glob("*.json")
    assert json.loads(report.read_text())["losses"] == [loss]


def test_a_load_that_fails_fails_the_run_and_cleans_up(exporter: Exporter) -> None:
    """Two rows have the same key."""
    exporter.airflow.client.set_connection("other", "postgres://nobody:secret@nowhere/x")
    ended = run_dag(exporter.airflow, "export_broken", {})
    ended.expect("failed")
    states = ended.states()
    assert states["clean_up"] == {"success"} and states["load"] == {"failed"}
    assert list((exporter.folder / "files" / "public.connection").rglob("part*")) == []


def test_all_of_airflows_tables_arrive_with_every_value_while_it_runs(
    exporter: Exporter, database: Callable[[int], Database], tmp_path: Path
) -> None:
    """Compared with what the export's own snapshot holds, as the snapshot's holder sees it."""
    exporter.airflow.client.set_connection("other", "postgres://nobody:secret@nowhere/x")
    there = database(18)
    columns = columns_of(exporter.own)
    assert tuple(columns) == tables_of("3.3")
    words: dict[str, Any] = {
        "relations": [f"public.{table}" for table in columns],
        "mask": ["*", *(f"!{table}.{one}" for table in columns for one in HARMLESS[table])],
        "unmatched": "ignore",
    }
    values = {table: values_of(table, columns[table]) for table in columns}
    with seen_by_the_holder(values) as found:
        export(exporter.own, tmp_path, **words, warehouse=there.url).expect(0)
    with there.connect(options="-c timezone=UTC") as connection:
        for table, query in values.items():
            arrived = sorted(connection.execute(query.encode()).fetchall())
            assert arrived == sorted(found[table]), table
    full = {table for table, held in found.items() if held}
    assert full >= {"connection", "dag", "dag_run", "job", "log", "task_instance", "xcom"}
    assert "other" in str(found["connection"])
    for table, column in (
        ("connection", "password"),
        ("connection", "login"),
        ("xcom", "value"),
        ("log", "extra"),
    ):
        query = f'select distinct "{column}" from "{table}" where "{column}" is not null'
        assert there.rows(query) == [("***",)], table
    counts = {table: counts_of(table, columns[table]) for table in columns}
    with seen_by_the_holder(counts) as found:
        export(exporter.own, tmp_path, **words).expect(0)
    for table, query in counts.items():
        assert rows(tmp_path, query.replace("public.", "main.", 1)) == found[table], table


def columns_of(own: Own) -> dict[str, list[str]]:
    """By table, in their order."""
    found: dict[str, list[str]] = {}
    for table, column in own.rows(
        "select table_name, column_name from information_schema.columns"
        " where table_schema = 'public' order by table_name, ordinal_position"
    ):
        found.setdefault(table, []).append(column)
    return found


def values_of(table: str, columns: Sequence[str]) -> str:
    hidden = "".join(f" - '{one}'" for one in columns if one not in HARMLESS[table])
    return f'select (to_jsonb(t){hidden})::text from public."{table}" t'


def counts_of(table: str, columns: Sequence[str]) -> str:
    counts = ", ".join(f'count("{column}")' for column in columns)
    return f'select count(*), {counts} from public."{table}"'


@contextmanager
def seen_by_the_holder(queries: Mapping[str, str]) -> Iterator[dict[str, list[Any]]]:
    """What the queries find in the snapshot of an export, just before it ends."""
    found: dict[str, list[Any]] = {}
    close = SnapshotHolder.close

    def look(holder: SnapshotHolder) -> None:
        for name, query in queries.items():
            found[name] = holder.connection.execute(query.encode()).fetchall()
        close(holder)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SnapshotHolder, "close", look)
        yield found
