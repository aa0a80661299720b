"""A folder of YAML files: its defaults, the environment's variables, templates, and no secrets."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reading_dags import Shelf
from windlass.airflow.templates import check_same
from windlass.errors import WindlassError

DEFAULTS = """
    source-conn-id: shop_old
    retries: 7
    tags: [shared]
    params: {region: north}
    flows:
      migrate: {spec: {jobs: 3, exclude: ['*.tmp']}}
      rewrite: {connections: {connection: shop_new}}
"""


@pytest.fixture
def shelf(tmp_path: Path, process: Executor) -> Shelf:
    return Shelf(tmp_path, process)


# defaults


def test_defaults_go_for_every_file_that_says_nothing_else(shelf: Shelf) -> None:
    shelf.put(
        defaults=DEFAULTS,
        plain="",
        other="retries: 1\nspec: {exclude: ['*.old']}",
        rows="flow: rewrite\nspec: {table: review, select: 'true'}",
    )
    found = shelf.read()
    assert set(found) == {"plain", "other", "rows"}
    retries = {name: dag.tasks[next(iter(dag.tasks))]["retries"] for name, dag in found.items()}
    assert retries == {"plain": 7, "other": 1, "rows": 7}
    assert found["plain"].form["source_conn_id"] == "shop_old"
    assert found["plain"].form["region"] == "north"
    assert found["plain"].given == {"jobs": 3, "exclude": ["*.tmp"]}
    assert found["other"].given == {"jobs": 3, "exclude": ["*.old"]}
    assert found["rows"].form["connection_conn_id"] == "shop_new"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("retrys: 3", "unknown key 'retrys'; did you mean 'retries'?"),
        ("dag-id: x", "dag-id: each file has its own"),
        (
            "flows: {copy: {retries: 1}}",
            "flows.copy: is not a flow; there are migrate, translate, validate",
        ),
        ("flows: {migrate: {retrys: 1}}", "flows.migrate: unknown key 'retrys'"),
        ("flows: 3", "flows: not a mapping"),
        ("retries: many", "retries: input should be a valid integer"),
    ],
)
def test_a_fault_of_the_defaults_is_reported_once_with_their_file(
    shelf: Shelf, text: str, said: str
) -> None:
    ((file, reported),) = shelf.faults(defaults=text, a="", b="")
    assert file == "defaults.yaml"
    assert reported.startswith(said)


def test_a_fault_of_a_file_is_its_own_whatever_the_defaults_are(shelf: Shelf) -> None:
    ((file, _),) = shelf.faults(defaults="retries: 3", a="retries: many", b="")
    assert file == "a.yaml"


# variables of the environment


def test_variables_of_the_environment_are_filled_in(shelf: Shelf) -> None:
    shelf.env = {"WINDLASS_TEST_STAGE": "test", "WINDLASS_TEST_JOBS": "5"}
    shelf.put(
        a="source-conn-id: shop_${WINDLASS_TEST_STAGE}\n"
        "target-conn-id: ${WINDLASS_TEST_NOWHERE:-shop_new}\n"
        "retries: ${WINDLASS_TEST_JOBS}\n"
        "spec: {schema: ['$${not}'], jobs: '${WINDLASS_TEST_JOBS}'}"
    )
    dag = shelf.read()["a"]
    assert dag.form["source_conn_id"] == "shop_test"
    assert dag.form["target_conn_id"] == "shop_new"
    assert dag.tasks["create_indexes"]["retries"] == 5
    assert dag.given == {"schema": ["${not}"], "jobs": "5"}


def test_a_variable_that_is_missing_is_named_with_its_key(shelf: Shelf) -> None:
    (fault,) = shelf.faults(a="spec: {schema: ['x_${WINDLASS_TEST_NOWHERE}']}")
    assert fault[0] == "a.yaml"
    assert fault[1].startswith(
        "schema.0: there is no variable WINDLASS_TEST_NOWHERE in the environment"
    )


# templates


def test_templates_reach_the_tasks_that_render_them(shelf: Shelf) -> None:
    shelf.put(
        a="params: {region: north, require_approval: true}\n"
        "spec: {schema: ['shop_{{ params.region }}'], jobs: '{{ var.value.jobs }}',"
        ' chunk-size: \'{{ var.value.get("size", "64MB") }}\'}'
    )
    dag = shelf.read()["a"]
    assert dag.given["schema"] == ["shop_{{ params.region }}"]
    assert dag.given["jobs"] == "{{ var.value.jobs }}"
    assert dag.form["region"] == "north"
    assert dag.form["require_approval"] is True


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("spec: {schema: 'x_{{ dss }}'}", "schema: Airflow has no 'dss' in templates"),
        ("spec: {schema: '{{ ds'}", "schema: is not a template that Jinja can read"),
        ("spec: {schema: '{{1,2}}'}", "schema: has braces, but is not a template"),
        ("spec: {schema: 'a{# b #}'}", "schema: has braces, but is not a template"),
        ("pool: '{{ var.value.pool }}'", "pool: is not rendered"),
        ("source-conn-id: '{{ ds }}'", "source-conn-id: is not rendered"),
        ("params: {retries: 1, require_approval: maybe}", "params.require_approval: "),
    ],
)
def test_what_would_not_be_rendered_as_it_was_meant_is_a_fault(
    shelf: Shelf, text: str, said: str
) -> None:
    ((file, reported),) = shelf.faults(a=text)
    assert file == "a.yaml"
    assert reported.startswith(said)


def test_braces_that_are_no_template_can_be_written(shelf: Shelf) -> None:
    shelf.put(
        a="flow: rewrite\nconnections: {connection: shop}\n"
        "spec: {table: t, select: \"x = '{% raw %}{{1,2}}{% endraw %}'\"}"
    )
    assert "raw" in shelf.read()["a"].given["select"]


@dataclass
class Pushed:
    """What the first task of a run has pushed."""

    ti: Any = None
    found: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ti = SimpleNamespace(xcom_push=lambda key, value: self.found.update({key: value}))

    def pushed(self, task: str, key: str) -> str | None:
        return self.found.get(key)


def test_a_template_that_gives_something_else_in_the_same_run_stops_the_task() -> None:
    board: Any = Pushed()
    check_same(board, "first", {"schema": ["a"]}, is_first=True)
    check_same(board, "first", {"schema": ["a"]}, is_first=False)
    with pytest.raises(WindlassError, match="renders to something else than when this run began"):
        check_same(board, "first", {"schema": ["b"]}, is_first=False)
    check_same(board, "first", {"schema": ["b"]}, is_first=True)  # the run is cleared as a whole
    check_same(board, "first", {"schema": ["b"]}, is_first=False)


# secrets


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("description: postgresql://me:hush@old/shop", "description: holds a password"),
        ("spec: {schema: 'postgresql://me:hush@old/shop'}", "schema: holds a password"),
        ("spec: {schema: '{{ conn.shop.password }}'}", "schema: takes a secret from a connection"),
        (
            "spec: {schema: '{{ var.value.shop_password }}'}",
            "schema: takes a secret from the Variable shop_password",
        ),
        (
            "spec: {schema: '{{ var.json.shop.password }}'}",
            "schema: takes a secret from the Variable shop.password",
        ),
        (
            "target-conn-id: host=new password=hush",
            "target_conn_id: an address was given in place of a connection",
        ),
        ("spec: {schema: '${SHOP_PASSWORD:-hush}'}", "schema: SHOP_PASSWORD looks like a"),
    ],
)
def test_a_secret_in_a_file_is_refused_without_being_shown(
    shelf: Shelf, text: str, said: str
) -> None:
    ((file, reported),) = shelf.faults(a=text)
    assert file == "a.yaml"
    assert reported.startswith(said)
    assert "hush" not in reported


# every flow

SPECS = {
    "translate": "",
    "migrate": "",
    "validate": "",
    "repair": "",
    "rewrite": "connections: {connection: shop}\nspec: {table: review, select: 'true'}",
    "export": "connections: {source: shop}\nspec: {to: 'file:///x'}",
    "load": "connections: {target: shop}\nspec: {from: /x.csv, into: a, load: append}",
}


def test_a_file_can_be_for_every_flow_of_the_registry(shelf: Shelf) -> None:
    from windlass.flows.registry import FLOWS

    # windlass_follow is a DAG for the first two, in which people decide; the others are those of
    # `migrate` and `validate` with a side of another engine
    others = {"follow", "cutover", "compare", "convert", "compare_converted"}
    assert set(SPECS) == set(FLOWS) - others
    shelf.put(**{name: f"flow: {name}\n{text}" for name, text in SPECS.items()})
    found = shelf.read()
    assert set(found) == set(SPECS)
    assert tuple(found["repair"].tasks) == ("compare_both_sides", "approve_repair", "repair")
