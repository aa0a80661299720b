"""A folder of YAML files as DAGs: cheap to read, and every fault is reported with its file."""

from __future__ import annotations

import json
import os
import runpy
import sys
import textwrap
import time
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from paths import EXAMPLE_DAGS
from reading_dags import Shelf, airflow_process, read_folder
from windlass.errors import BadSpec

DRIVERS = ("psycopg", "asyncpg", "postgast", "pgdumplib", "windlass.engines")
STEPS = (
    "windlass.flows.migrate.steps",
    "windlass.flows.migrate.context",
    "windlass.flows.validate.context",
)
PLAIN = """
    source-conn-id: shop_old
    target-conn-id: shop_new
    spec:
      schema: shop
      chunk-size: 256MB
"""
FULL = """
    dag-id: nightly
    flow: migrate
    source-conn-id: shop_old
    target-conn-id: shop_new
    spec: {schema: [shop, crm], existing: replace, jobs: 3}
    schedule: 0 3 * * *
    tags: [shop]
    owner: crew
    description: The shop, every night.
    pool: few
    max-parallel: 3
    max-tasks: 9
    retries: 1
    retry-delay-seconds: 5
    patience-minutes: 90
    pool-patience-seconds: 240
    timeout-minutes: {create_indexes: 30, hold_snapshot: 600}
    queue: far
    email: [crew@ship.example]
    webhook-conn-id: ship_chat
    deadline-minutes: 90
    report-folder: /tmp/reports
"""


@pytest.fixture
def shelf(tmp_path: Path, process: Executor) -> Shelf:
    return Shelf(tmp_path, process)


# fifty files


EXAMPLE = EXAMPLE_DAGS / "airflow_metadata_export.py"


@dataclass(frozen=True)
class Parsed:
    """What was seen of a process that has read a folder."""

    dags: list[str]
    modules: list[str]
    addresses: list[str]  # that it has asked for, or tried to reach
    seconds: float  # of a processor


def parse(folder: Path) -> Parsed:
    addresses: list[str] = []

    def watch(event: str, words: tuple[Any, ...]) -> None:
        if event in ("socket.connect", "socket.getaddrinfo"):
            addresses.append(repr(words))
            raise AssertionError(f"{event} while a DAG file is parsed")

    sys.addaudithook(watch)
    from windlass.airflow import load_specs

    started = time.process_time()
    dags = load_specs(folder)
    seconds = time.process_time() - started
    runpy.run_path(str(EXAMPLE))  # it asks for a Variable
    return Parsed(list(dags), list(sys.modules), addresses, seconds)


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> Parsed:
    folder = tmp_path_factory.mktemp("migrations")
    for number in range(50):
        flow = "validate" if number % 10 == 9 else "migrate"
        text = FULL.replace("nightly", f"nightly_{number}") if number % 5 == 0 else PLAIN
        (folder / f"shop_{number}.yml").write_text(textwrap.dedent(text.replace("migrate", flow)))
    with airflow_process(tmp_path_factory.mktemp("airflow")) as process:
        return process.submit(parse, folder).result()


def test_50_files_are_50_dags(parsed: Parsed) -> None:
    plain = {f"shop_{number}" for number in range(50) if number % 5}
    assert set(parsed.dags) == plain | {f"nightly_{number}" for number in range(0, 50, 5)}


def test_reading_them_imports_no_driver_and_no_step(parsed: Parsed) -> None:
    heavy = (*DRIVERS, *STEPS)
    found = [
        name
        for name in parsed.modules
        if name in heavy or name.startswith(tuple(f"{one}." for one in heavy))
    ]
    assert found == []


def test_reading_them_takes_a_processor_less_than_a_tenth_of_a_second_each(parsed: Parsed) -> None:
    sys.stdout.write(f"{parsed.seconds / 50 * 1000:.1f} ms per DAG\n")
    assert parsed.seconds / 50 < 0.1


def test_reading_them_reaches_out_to_nobody(parsed: Parsed) -> None:
    assert parsed.addresses == []


# one file


def test_a_file_is_a_dag_of_its_name(shelf: Shelf) -> None:
    shelf.put(shop_move=PLAIN)
    (dag,) = shelf.read().values()
    assert dag.words["dag_id"] == "shop_move"
    assert dag.words["tags"] == ["windlass"]


def test_an_empty_file_is_a_migration_of_everything(shelf: Shelf) -> None:
    shelf.put(shop="")
    assert "create_target_schema" in shelf.read()["shop"].tasks


def test_files_of_other_kinds_are_not_read(shelf: Shelf) -> None:
    (shelf.folder / "README.md").write_text("chunk-sise")
    (shelf.folder / "one.yml").write_text("flow: validate")
    (shelf.folder / "more.yaml.d").mkdir()
    assert set(shelf.read()) == {"one"}


def test_an_empty_folder_is_no_dag(shelf: Shelf) -> None:
    assert shelf.read() == {}


@pytest.mark.parametrize(
    ("flow", "task"),
    [
        ("migrate", "generate_migration_summary"),
        ("validate", "generate_validation_report"),
        ("translate", "migrate_in_one_task"),
    ],
)
def test_a_file_says_which_flow(shelf: Shelf, flow: str, task: str) -> None:
    shelf.put(shop=f"flow: {flow}")
    assert task in shelf.read()["shop"].tasks


def test_a_file_can_be_for_any_flow(shelf: Shelf) -> None:
    spec = "spec: {table: review, select: 'true'}"
    shelf.put(a=f"flow: rewrite\nconnections: {{connection: shop_new}}\n{spec}")
    shelf.put(b="flow: export\nconnections: {source: shop_old}\nspec: {to: 'file:///x'}")
    found = shelf.read()
    assert "writing_to_database" in found["a"].tasks
    assert "check_rows" in found["b"].tasks
    assert found["b"].words["params"][0][0] == "source_conn_id"


def test_a_file_s_words_reach_its_dag(shelf: Shelf) -> None:
    shelf.put(a=FULL)
    dag = shelf.read()["nightly"]
    copy, end = dag.tasks["transfer_partition"], dag.tasks["generate_migration_summary"]
    assert sorted(dag.words["tags"]) == ["shop", "windlass"]
    assert dag.words["description"] == "The shop, every night."
    assert dag.words["timetable"]["__var"]["expression"] == "0 3 * * *"
    assert (copy["pool"], copy["max_active_tis_per_dagrun"]) == ("few", 3)
    assert (end["retries"], end["retry_delay"]) == (1, 5.0)
    assert {task["queue"] for task in dag.tasks.values()} == {"far"}
    assert copy["patience_seconds"] == 5400
    pool, patience, pooled = shelf.process.submit(hold_of, shelf.folder).result()
    assert (pool, patience) == ("few", 240.0)
    assert set(pooled) >= {"transfer_table_data", "transfer_partition"}
    limits = {name: task["execution_timeout"] for name, task in dag.tasks.items()
              if task.get("execution_timeout")}  # fmt: skip
    assert limits.keys() == {"create_indexes", "hold_snapshot"}
    assert limits["hold_snapshot"] == 36000.0


def hold_of(folder: Path) -> tuple[str, float, list[str]]:
    """What the holder knows of the pool."""
    from windlass.airflow import load_specs

    hold: Any = load_specs(folder)["nightly"].get_task("hold_snapshot")
    return hold.run_pool, hold.pool_patience_seconds, list(hold.pooled)


def test_a_file_s_owner_owns_its_tasks(shelf: Shelf) -> None:
    shelf.put(a=FULL)
    assert {task["owner"] for task in shelf.read()["nightly"].tasks.values()} == {"crew"}


def test_a_file_s_spec_goes_to_every_step(shelf: Shelf) -> None:
    shelf.put(a=PLAIN)
    given = shelf.read()["a"].tasks["transfer_partition"]["given"]["__var"]
    assert given == {"schema": "shop", "chunk_size": "256MB"}


def test_its_form_asks_for_connections_and_approval_alone(shelf: Shelf) -> None:
    shelf.put(a=PLAIN)
    form = dict(shelf.read()["a"].words["params"])
    assert {name: field["default"] for name, field in form.items()} == {
        "source_conn_id": "shop_old",
        "target_conn_id": "shop_new",
        "require_approval": False,
    }


def test_a_schedule_is_not_started_by_being_written_down(shelf: Shelf) -> None:
    """Airflow pauses it, unless it is set otherwise; without a schedule somebody has to ask."""
    shelf.put(asked="", daily="schedule: '@daily'")
    dags = shelf.read()
    assert dags["daily"].words.get("is_paused_upon_creation") is None
    assert dags["asked"].words["is_paused_upon_creation"] is False


def test_notices_and_a_deadline_are_the_same_dag_when_read_again(
    shelf: Shelf, another: Executor
) -> None:
    shelf.put(a=FULL, b=PLAIN)
    first = shelf.process.submit(read_folder, shelf.folder).result()
    assert shelf.process.submit(read_folder, shelf.folder).result() == first
    assert another.submit(read_folder, shelf.folder).result() == first
    assert json.loads(first["nightly"])["dag"]["deadline"]


# faults


def test_every_fault_of_every_file_is_reported(shelf: Shelf) -> None:
    reported = shelf.faults(
        a="spec: {chunk-sise: 64MB, jobs: 0}",
        b="scheduel: '@daily'\nretries: -1",
        c="spec: {verify: some}",
        good=PLAIN,
    )
    assert reported == [
        ("a.yaml", "jobs: input should be greater than or equal to 1, not 0"),
        ("a.yaml", "unknown key 'chunk-sise'; did you mean 'chunk-size'?"),
        ("b.yaml", "retries: input should be greater than or equal to 0, not -1"),
        ("b.yaml", "unknown key 'scheduel'; did you mean 'schedule'?"),
        ("c.yaml", "verify: input should be 'none', 'counts' or 'full'"),
    ]


def test_a_file_s_own_faults_do_not_hide_those_of_its_spec(shelf: Shelf) -> None:
    reported = shelf.faults(
        a="flwo: migrate\nspec: {schmea: shop, chunk-size: 12 parsecs}",
        b="flwo: rewrite\nconnections: {connection: shop}\nspec: {table: review, selct: 'true'}",
    )
    assert [(file, said.partition(";")[0]) for file, said in reported] == [
        ("a.yaml", "unknown key 'flwo'"),
        ("a.yaml", "chunk-size: '12 parsecs' is not a size such as 64MB"),
        ("a.yaml", "unknown key 'schmea'"),
        ("b.yaml", "unknown key 'flwo'"),
        ("b.yaml", "select: field required"),
        ("b.yaml", "unknown key 'selct'"),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("source: postgresql://me:secret@old/shop", "unknown key 'source'; did you mean"),
        ("spec: {source: old}", "source: give the id of a connection instead"),
        ("spec: {target: new}", "target: give the id of a connection instead"),
        ("spec: shop", "spec: input should be a valid dictionary"),
        (
            "flow: copy",
            "flow: 'copy' is not a flow; there are migrate, translate, validate, rewrite, export",
        ),
        ("flow: cutover", "flow: 'cutover' is not a flow; there are migrate"),
        ("flow: rewrite", "connections: connection: not given"),
        (
            "flow: export\nconnections: {source: old}\n"
            "spec: {to: 'file:///x', warehouse: 'postgresql://me:secret@w/x'}",
            "warehouse: holds a password; use a connection",
        ),
        ("connections: {source: old}", "connections: migrate has source-conn-id"),
        ("dag-id: my shop", "dag-id: string should match pattern"),
        ("max-parallel: 0", "max-parallel: input should be greater than or equal to 1"),
        ("retry-delay-seconds: 0", "retry-delay-seconds: input should be greater than 0"),
        ("email: me@ship.example", "email: input should be a valid list"),
        ("deadline-minutes: 5", "deadline-minutes: give email or webhook-conn-id"),
        ("timeout-minutes: {create_index: 5}", "timeouts: flow migrate has no step create_index"),
        ("- a", "a spec is a mapping of keys to values"),
        ("spec: {schema-only: true, data-only: true}", "schema-only and data-only exclude"),
        ("spec: {follow: true}", "follow: one process copies and follows; use follow_dag"),
        ("flow: validate\nspec: {follow: true}", "follow: both sides have to be compared as of"),
    ],
)
def test_a_fault_says_what_is_wrong_and_in_which_file(shelf: Shelf, text: str, said: str) -> None:
    ((file, reported),) = shelf.faults(shop=text)
    assert file == "shop.yaml"
    assert reported.startswith(said)


def test_a_file_that_is_not_yaml_is_reported_with_its_line(shelf: Shelf) -> None:
    ((file, _),) = shelf.faults(shop="flow: migrate\nspec: [\n")
    assert file == "shop.yaml line 3"


@pytest.mark.parametrize("text", ["spec: {source: 'host=old password=secret'}", "spec: secret"])
def test_a_fault_does_not_show_what_may_be_secret(shelf: Shelf, text: str) -> None:
    assert "secret" not in repr(shelf.faults(shop=text))


@pytest.mark.parametrize("text", ["deadline-minutes: 5", "deadline-minutes: 5\nemail: []"])
def test_a_deadline_needs_somebody_to_tell(shelf: Shelf, text: str) -> None:
    ((_, reported),) = shelf.faults(shop=text)
    assert "webhook-conn-id to notify" in reported


@pytest.mark.parametrize("who", ["email: [me@ship.example]", "webhook-conn-id: ship_chat"])
def test_a_deadline_notifies_everybody_configured(shelf: Shelf, who: str) -> None:
    shelf.put(shop=f"deadline-minutes: 5\n{who}")
    assert shelf.read()["shop"].words["deadline"]


def test_two_files_cannot_be_one_dag(shelf: Shelf) -> None:
    reported = shelf.faults(a="dag-id: shop", b="flow: validate", c="dag_id: shop")
    assert reported == [("c.yaml", "another file has the dag-id shop too")]


@pytest.mark.parametrize(
    "text",
    [
        "schedule: dialy",
        pytest.param(
            f"tags: [{'x' * 101}]",
            id="tags: [xxx...]",
        ),
    ],
)
def test_what_airflow_would_not_take_is_reported_with_the_others(shelf: Shelf, text: str) -> None:
    assert {file for file, _ in shelf.faults(a=text, b="flow: copy")} == {"a.yaml", "b.yaml"}


def test_a_folder_that_is_not_there_is_a_fault(tmp_path: Path, process: Executor) -> None:
    missing = tmp_path / "migrations"
    with pytest.raises(BadSpec, match="migrations: is not a folder"):
        Shelf(missing, process).read()


# what a fault does to the others


def bag(python: Path) -> tuple[list[str], list[str]]:
    """A DAG file as Airflow's dag-processor takes it: DAGs and import errors."""
    from airflow.dag_processing.dagbag import DagBag

    found = DagBag(dag_folder=str(python), bundle_path=python.parent, bundle_name="here")
    return sorted(found.dags), list(found.import_errors.values())


def read_for(folder: Path, dag_id: str) -> list[str]:
    """The DAGs that are made where one of their tasks is about to run."""
    from airflow.sdk.definitions._internal.dag_parsing_context import (
        _airflow_parsing_context_manager,
    )

    from windlass.airflow import load_specs

    before = dict(os.environ)
    try:
        with _airflow_parsing_context_manager(dag_id=dag_id, task_id="any"):
            return list(load_specs(folder))
    finally:  # Airflow leaves its variables if something is raised
        os.environ.clear()
        os.environ.update(before)


def test_a_faulty_file_is_an_import_error_and_takes_no_other_with_it(shelf: Shelf) -> None:
    shelf.put(good=PLAIN, bad="flow: copy", worse="[")
    python = shelf.folder / "dags.py"
    python.write_text(
        "# airflow DAGs\nfrom pathlib import Path\nfrom windlass.airflow import load_specs\n"
        "globals().update(load_specs(Path(__file__).parent))\n"
    )
    dags, (error,) = shelf.process.submit(bag, python).result()
    assert dags == ["good"]
    assert f"{shelf.folder}/bad.yaml: flow: 'copy' is not a flow" in error
    assert f"{shelf.folder}/worse.yaml line" in error


def test_a_task_makes_its_own_dag_alone_whatever_the_other_files_are(shelf: Shelf) -> None:
    shelf.put(good=PLAIN, other="dag_id: named", bad="flow: copy", worse="[")
    for dag_id, found in (("good", ["good"]), ("named", ["named"]), ("elsewhere", [])):
        assert shelf.process.submit(read_for, shelf.folder, dag_id).result() == found
    for dag_id in ("bad", "worse"):
        with pytest.raises(BadSpec, match=f"{dag_id}.yaml"):
            shelf.process.submit(read_for, shelf.folder, dag_id).result()
