"""What an Airflow tells others of its runs: lineage to OpenLineage, metrics to StatsD and to
OpenTelemetry, each received by a listener."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_runs import SHOP, Ended, connect, expect_no_secret, until, wait
from demo.airflow.local import LocalAirflow, Setup
from demo.airflow.settings import Sections
from needs import needs_airflow
from receiving import Received, http_receiver, udp_receiver
from rooms import make_room
from servers import Pair, Server
from web_server import serving, with_ranges

DAGS = """
# DAGs of flows that write
from windlass.airflow import export_dag, load_dag, rewrite_dag

exported = export_dag(
    "exported",
    spec={{
        "to": "file://{folder}/files",
        "mask": ["shop.item.raw"],
        "load_columns": ["run"],
        "metrics_file": "{folder}/texts/windlass.prom",
        "relations": [{{
            "name": "shop.item",
            "rename": {{"note": "remark"}},
            "cast": {{"price": "text"}},
        }}],
    }},
    source_conn_id={source!r},
)
rewritten = rewrite_dag(
    "rewritten",
    spec={{"schema": "shop", "table": "sale", "set": {{"n": {{"sql": "n + item"}}}},
           "select": "item = 2", "metrics_file": "{folder}/texts/windlass.prom"}},
    db_conn_id={source!r},
)
loaded = load_dag(
    "loaded",
    spec={{"from": "{web}/notes.csv", "into": "notes", "load": "append", "create": True,
           "types": {{"id": "int", "remark": "text", "secret": "text"}},
           "columns": {{"note": "remark", "secret": {{"mask": "hash"}}}},
           "metrics_file": "{folder}/texts/windlass.prom"}},
    target_conn_id={target!r},
)
"""
NOTES = b"id,note,secret\n1,a,x\n2,b,y\n3,c,z\n"
ITEMS, SALES, LOADED = 400, 50, 3
Datasets = Mapping[str, Mapping[str, Any]]  # by name


@dataclass(frozen=True)
class Observed:
    """An Airflow and its listeners, after a run of each DAG."""

    airflow: LocalAirflow
    pair: Pair
    folder: Path
    lineage: Received
    metrics: Received
    runs: Mapping[str, Ended]

    def outputs(self, dag_id: str, task_id: str) -> tuple[Datasets, Datasets]:
        """Inputs and outputs of the event that ends a task; it comes after that."""

        def ends() -> list[dict[str, Any]]:
            found = [one for one in self.lineage.events if one["eventType"] == "COMPLETE"]
            return [one for one in found if one["job"]["name"] == f"{dag_id}.{task_id}"]

        (event,) = until(ends, "the task's event has come")
        inputs, outputs = ({one["name"]: one for one in event[side]} for side in
                           ("inputs", "outputs"))  # fmt: skip
        return inputs, outputs


@pytest.fixture(scope="module")
def observed(server: Callable[[int], Server]) -> Iterator[Observed]:
    needs_airflow()
    pair = Pair(server(16).create_database(), server(18).create_database())
    pair.source.run(SHOP.format(items=ITEMS, sales=SALES))
    room = make_room()
    environment = pytest.MonkeyPatch()
    environment.setenv("WINDLASS_HASH_KEY", "0123456789abcdef, long")
    try:
        with http_receiver() as lineage, udp_receiver() as metrics:
            url = f"http://127.0.0.1:{lineage.port}"
            settings: Sections = {
                "openlineage": {"transport": f'{{"type": "http", "url": "{url}"}}'},
                "metrics": {"statsd_on": True, "statsd_port": metrics.port},
            }
            setup = Setup(settings=settings)
            with LocalAirflow(room / "airflow", room / "dags", setup) as airflow:
                runs = dict(run_each(airflow, pair, room))
                yield Observed(airflow, pair, room, lineage, metrics, runs)
    finally:
        environment.undo()
        shutil.rmtree(room, ignore_errors=True)
        server(16).drop_database(pair.source)
        server(18).drop_database(pair.target)


def run_each(airflow: LocalAirflow, pair: Pair, room: Path) -> Iterator[tuple[str, Ended]]:
    names = connect(airflow, pair)
    for name in ("files", "texts"):
        (room / name).mkdir(mode=0o777)
    source, target = names["source_conn_id"], names["target_conn_id"]
    with serving(with_ranges(NOTES)) as web:
        text = DAGS.format(source=source, target=target, folder=room, web=web.url)
        (airflow.dags / "each.py").write_text(text)
        for dag_id in ("exported", "rewritten", "loaded"):  # the second changes the source
            yield dag_id, wait(airflow, dag_id, airflow.client.trigger(dag_id)).expect("success")


def place(server: Server) -> str:
    return f"postgres://127.0.0.1:{server.port}"


def origins(output: Mapping[str, Any]) -> dict[str, list[tuple[object, ...]]]:
    """Of each column: its origins, each with what became of it."""
    return {
        column: [(one["field"], one["transformations"][0]["subtype"],
                  one["transformations"][0]["masking"]) for one in field["inputFields"]]
        for column, field in output["facets"]["columnLineage"]["fields"].items()
    }  # fmt: skip


def test_an_export_s_lineage_tells_renamed_masked_and_cast_columns(observed: Observed) -> None:
    source = observed.pair.source
    inputs, outputs = observed.outputs("exported", "check_rows")
    assert set(inputs) == {f"{source.name}.shop.item"}
    ((name, files),) = outputs.items()
    assert (files["namespace"], name) == ("file", f"{observed.folder}/files/shop.item")
    assert files["outputFacets"]["outputStatistics"]["rowCount"] == ITEMS
    assert files["outputFacets"]["outputStatistics"]["fileCount"] == 1
    found = origins(files)
    assert found["remark"] == [("note", "IDENTITY", False)]
    assert found["raw"] == [("raw", "TRANSFORMATION", True)]
    assert found["price"] == [("price", "TRANSFORMATION", False)]
    assert found["id"] == [("id", "IDENTITY", False)]
    assert not [column for column in found if "run" in column]  # which no source has


def test_a_rewrite_s_lineage_has_the_columns_that_an_expression_reads(observed: Observed) -> None:
    name = f"{observed.pair.source.name}.shop.sale"
    inputs, outputs = observed.outputs("rewritten", "updating_exported_at")
    assert set(inputs) == set(outputs) == {name}
    assert outputs[name]["outputFacets"]["outputStatistics"]["rowCount"] == SALES / 10
    changed = [("item", "TRANSFORMATION", False), ("n", "TRANSFORMATION", False)]
    assert origins(outputs[name]) == {"n": changed}


def test_a_load_s_lineage_tells_from_where_its_rows_came(observed: Observed) -> None:
    inputs, outputs = observed.outputs("loaded", "clean_up")
    assert set(inputs) == {"notes.csv"}
    ((name, table),) = outputs.items()
    assert (table["namespace"], name) == (
        place(observed.pair.target.server), f"{observed.pair.target.name}.public.notes"
    )  # fmt: skip
    assert table["outputFacets"]["outputStatistics"]["rowCount"] == LOADED
    assert origins(table) == {
        "id": [("id", "IDENTITY", False)],
        "remark": [("note", "IDENTITY", False)],
        "secret": [("secret", "TRANSFORMATION", True)],
    }


def test_no_secret_is_in_an_event_or_in_a_metric(observed: Observed) -> None:
    assert observed.lineage.events and observed.metrics.bodies
    expect_no_secret(iter([("an event", observed.lineage.text)]))
    expect_no_secret(iter([("a metric", observed.metrics.text)]))


def test_statsd_receives_rows_bytes_seconds_and_differences(observed: Observed) -> None:
    numbers = observed.metrics.numbers
    until(lambda: numbers("airflow.windlass.run.seconds.loaded"), "the last run's end has come")
    assert sum(numbers("airflow.windlass.rows.exported")) == ITEMS
    assert sum(numbers("airflow.windlass.rows.loaded")) == LOADED
    assert sum(numbers("airflow.windlass.rows")) == ITEMS + LOADED  # of every DAG
    assert sum(numbers("airflow.windlass.bytes.exported")) > 0
    assert numbers("airflow.windlass.run.rows.exported") == [ITEMS]
    assert numbers("airflow.windlass.run.bytes.exported")[0] > 0
    assert numbers("airflow.windlass.run.differences.exported") == [0]
    (milliseconds,) = numbers("airflow.windlass.run.seconds.exported")
    assert 10 < milliseconds < 240_000
    assert numbers("airflow.windlass.run.rows.rewritten") == [SALES / 10]


def test_a_metrics_file_has_the_same_of_all_flows(observed: Observed) -> None:
    text = (observed.folder / "texts" / "windlass.prom").read_text()
    expect_no_secret(iter([("a file", text)]))
    assert re.findall(r'(?m)^windlass_runs_total\{flow="(\w+)",.*state="done".*\} (\d)$', text) == [
        ("export", "1"),
        ("load", "1"),
        ("rewrite", "1"),
    ]
    rows = dict(re.findall(r'(?m)^windlass_run_rows\{flow="(\w+)",.*\} (\d+)$', text))
    assert rows == {"export": f"{ITEMS}", "load": f"{LOADED}", "rewrite": f"{SALES // 10}"}


SENDING = """
from datetime import timedelta
from airflow.sdk._shared.observability.metrics import stats
from airflow.sdk.observability.metrics import stats_utils
from windlass.airflow.metrics import Metrics
from windlass.flows.migrate.outline import MIGRATE
from windlass.model.event import ItemFinished
from windlass.model.outcome import Outcome, State

stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=False)
metrics = Metrics(MIGRATE, "a_dag")
metrics.counting(print)(ItemFinished("copy_tables", "shop.item", "", 1.0, rows=7654, size_bytes=9))
metrics.end(Outcome("run", State.DONE, seconds=2.5))
"""


def test_opentelemetry_receives_the_same(tmp_path: Path) -> None:
    needs_airflow()
    with http_receiver() as received:
        variables = {
            "AIRFLOW_HOME": str(tmp_path),
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "AIRFLOW__METRICS__OTEL_ON": "True",
            "AIRFLOW__METRICS__OTEL_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__OTEL_PORT": str(received.port),
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{received.port}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }
        words = [sys.executable, "-c", SENDING]
        done = subprocess.run(words, env=variables, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    for name in ("windlass.rows", "windlass.bytes", "windlass.run.seconds",
                 "windlass.run.differences", "windlass.run.losses"):  # fmt: skip
        assert f"airflow.{name}" in received.text, done.stderr
    assert "a_dag" in received.text and "migrate" in received.text
