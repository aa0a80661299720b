"""Loads on Airflow: the DAG as it is read, and the operator in a process of Airflow."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import pytest

from reading_dags import Read, serialized
from servers import PASSWORD, Database
from windlass.errors import BadSpec

STEPS = ["read_inputs", "stage_rows", "check_rows", "judge_rows", "apply_rows", "clean_up"]
QUERY = {"source": "erp", "query": "select id, note from item"}


class Task:
    """As much of a task instance as an operator needs."""

    map_index = -1
    dag_id, run_id, task_id = "theirs", "tonight", "load"

    def xcom_push(self, key: str, value: Any) -> None: ...

    def xcom_pull(self, task_ids: list[str]) -> list[Any]:
        return []


class Events:
    """What a task says of assets."""

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}

    def __getitem__(self, outlet: Any) -> Events:
        self.alias = outlet.name
        return self

    def add(self, asset: Any, extra: Any) -> None:
        self.found[asset.uri] = extra


def dag_with(spec: Mapping[str, Any], **words: Any) -> str:
    from windlass.airflow import load_dag

    return serialized(load_dag("shop", spec=spec, **words))


def loaded(connections: Mapping[str, str], words: Mapping[str, Any]) -> tuple[Any, str, Any]:
    """The result of a task, its alias, and the events of assets."""
    from airflow.sdk import DAG

    from windlass.airflow import LoadOperator

    for name, url in connections.items():
        os.environ[f"AIRFLOW_CONN_{name.upper()}"] = url.replace("postgresql://", "postgres://")
    with DAG("theirs"):
        task: Any = LoadOperator(task_id="load", **words)
    events = Events()
    context: Any = {"ti": Task(), "params": {}, "run_id": "tonight", "outlet_events": events}
    task.render_template_fields(context)
    return task.execute(context), events.alias, events.found


def test_a_spec_is_a_dag_whose_tasks_are_the_steps(process: Executor) -> None:
    spec = {"from": QUERY, "into": "item", "load": "mirror", "key": "id"}
    dag = Read.of(process.submit(dag_with, spec, target_conn_id="new").result())
    assert list(dag.tasks) == STEPS
    assert dag.form == {"target_conn_id": "new"}
    assert dag.given["from"] == QUERY


@pytest.mark.parametrize(
    ("spec", "words", "fault"),
    [
        ({"into": "item"}, {}, "from: not given"),
        ({"from": "a.csv", "into": "item"}, {"target_conn_id": ""}, "target: not given"),
        ({"from": "a.csv", "into": "item", "target": "postgresql://x"}, {}, "give the id"),
        (
            {"from": {**QUERY, "source": "postgresql://me:hush@old/erp"}, "into": "item"},
            {},
            "from.source: holds a password",
        ),
        (
            {"loads": [{"from": ["https://me:hush@old/a.csv"], "into": "item"}]},
            {},
            "loads.0.from.0: holds a password",
        ),
        ({"from": "a.csv", "into": "item"}, {"store_conn_id": "s3"}, "no input is in an object"),
    ],
)
def test_what_cannot_be_is_an_import_error(
    process: Executor, spec: dict[str, Any], words: dict[str, Any], fault: str
) -> None:
    with pytest.raises(BadSpec) as caught:
        process.submit(dag_with, spec, **words).result()
    assert fault in str(caught.value) and "hush" not in str(caught.value)


def test_a_query_of_a_connection_is_loaded_once_and_its_table_is_an_asset(
    process: Executor, database: Callable[[int], Database]
) -> None:
    old, new = database(16), database(16)
    old.run("create table item (id int primary key, note text)",
            "insert into item values (1, 'a'), (2, 'b')")  # fmt: skip
    new.run("create table item (id int primary key, note text)", "insert into item values (3, 'c')")
    words = {
        "from_": QUERY,
        "into": "item",
        "load": "mirror",
        "key": "id",
        "target_conn_id": "shop",
    }
    connections = {"erp": old.url, "shop": new.url}
    for _ in range(2):  # as if it was cleared
        result, alias, assets = process.submit(loaded, connections, words).result()
        assert (alias, result["state"]) == ("theirs.load", "done")
        assert PASSWORD not in repr(result)
        assert new.rows("select id, note from item order by 1") == [(1, "a"), (2, "b")]
        (event,) = assets.values()
        assert (event["rows"], event["inserted"], event["deleted"]) == (2, 2, 1)
        assert event["run"] == result["run"]
    assert new.value("select count(*) from windlass.run") == 1


def test_a_file_is_loaded_into_a_file_without_connections(
    process: Executor, tmp_path: Path
) -> None:
    (tmp_path / "item.csv").write_text("id,note\n1,a\n")
    words = {"from_": str(tmp_path / "item.csv"), "into": "item", "load": "append", "create": True,
             "census": True,
             "target_conn_id": "", "spec": {"target": f"sqlite:///{tmp_path}/shop.db"}}  # fmt: skip
    result, _, assets = process.submit(loaded, {}, words).result()
    assert result["state"] == "done"
    assert [one["rows"] for one in assets.values()] == [1]
