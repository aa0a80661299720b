"""The trigger forms of DAGs: valid by default, and limited to their bounds."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import pytest

from reading_dags import MIGRATION, VALIDATION, Read, both, dag_of

# forms


def form(text: str, conf: Mapping[str, Any]) -> dict[str, Any] | str:
    """What a run of a DAG would get that is triggered with `conf`; or why it is refused."""
    from airflow.exceptions import ParamValidationError
    from airflow.serialization.serialized_objects import DagSerialization

    params = DagSerialization.from_dict(json.loads(text)).params
    try:
        return params.deep_merge(conf).validate()
    except ParamValidationError as error:
        return str(error)


@both
def test_a_form_is_right_as_it_stands(
    process: Executor, dags: Mapping[str, str], dag_id: str
) -> None:
    given = process.submit(form, dags[dag_id], {}).result()
    assert isinstance(given, dict)
    assert (given["source_conn_id"], given["target_conn_id"]) == (
        "postgres_source",
        "postgres_target",
    )


@both
def test_every_field_of_a_form_says_what_it_is_and_where_it_belongs(
    dags: Mapping[str, str], dag_id: str
) -> None:
    for name, field_ in Read.of(dags[dag_id]).words["params"]:
        assert field_["description"].endswith("."), name
        assert field_["schema"]["__var"]["section"] in {"Databases", "What", "How", "Proof"}, name


BOUNDS = [
    (MIGRATION, "partition_threshold", 100_000, 99_999),
    (MIGRATION, "max_partitions", 2, 1),
    (MIGRATION, "max_partitions", 100_000, 100_001),
    (MIGRATION, "chunk_size", 100, 99),
    (MIGRATION, "chunk_size", 100_000_000, 100_000_001),
    (MIGRATION, "jobs", 1, 0),
    (MIGRATION, "jobs", 256, 257),
    (MIGRATION, "verify", "none", "some"),
    (MIGRATION, "use_unlogged_tables", None, "yes"),
    (MIGRATION, "use_unlogged_tables", False, 0),
    (MIGRATION, "drop_existing_tables", True, "true"),
    (MIGRATION, "fill_existing_tables", True, None),
    (MIGRATION, "accept", ["constraints"], ["owners"]),
    (MIGRATION, "one_snapshot", True, 1),
    (MIGRATION, "allow_empty_source", True, 1),
    (MIGRATION, "trigger_validation", False, None),
    (MIGRATION, "require_approval", True, "yes"),
    (MIGRATION, "source_conn_id", "x", ""),
    (MIGRATION, "exclude_tables", ["a", "b.c"], "a"),
    (VALIDATION, "level", "schema", "none"),
    (VALIDATION, "include_tables", [], [1]),
    (VALIDATION, "snapshot", "00000003-1", 3),
    (VALIDATION, "target_conn_id", "x", None),
]


@pytest.mark.parametrize(("dag_id", "field_", "right", "wrong"), BOUNDS)
def test_a_form_takes_what_is_within_bounds_and_nothing_else(
    process: Executor,
    dags: Mapping[str, str],
    dag_id: str,
    field_: str,
    right: Any,
    wrong: Any,
) -> None:
    taken = process.submit(form, dags[dag_id], {field_: right}).result()
    assert isinstance(taken, dict)
    assert taken[field_] == right
    refused = process.submit(form, dags[dag_id], {field_: wrong}).result()
    assert isinstance(refused, str)
    assert field_ in refused


def test_the_form_shows_a_text_where_a_switch_would_show_what_is_not_so(migration: Read) -> None:
    """Airflow's page shows a boolean that is unset as a switch that is off."""
    unlogged = dict(migration.words["params"])["use_unlogged_tables"]
    assert unlogged["default"] == "auto"
    schema = unlogged["schema"]["__var"]
    assert schema["type"][0] == "string"
    assert schema["examples"] == ["auto", "always", "never"]
    assert "enum" not in schema


@pytest.mark.parametrize("value", ["auto", "always", "never", True, False, None])
def test_unlogged_is_taken_as_it_used_to_be_given(
    process: Executor, dags: Mapping[str, str], value: Any
) -> None:
    taken = process.submit(form, dags[MIGRATION], {"use_unlogged_tables": value}).result()
    assert isinstance(taken, dict)
    assert taken["use_unlogged_tables"] == value


def threshold(folder: str) -> tuple[int, int]:
    """The form's default for `partition_threshold`, without settings and with those of `make
    airflow`."""
    from demo.airflow.__main__ import settings

    plain = dag_of(MIGRATION).params["partition_threshold"]
    found = settings(Path(folder))
    names = {f"AIRFLOW__WINDLASS__{key.upper()}": str(value) for key, value in found.items()}
    os.environ.update(names)
    try:
        return plain, dag_of(MIGRATION).params["partition_threshold"]
    finally:
        for name in names:
            del os.environ[name]


def test_the_first_run_of_make_airflow_has_mapped_partitions(process: Executor) -> None:
    plain, demo = process.submit(threshold, "/tmp").result()
    assert plain == 1_000_000
    assert demo <= 300_000  # the shop's order_line has more rows
