"""Any flow as a DAG, and what Airflow learns of this package."""

from __future__ import annotations

import pkgutil
import tomllib
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from paths import ROOT
from reading_dags import (
    MIGRATION,
    VALIDATION,
    Evening,
    Instance,
    Read,
    airflow_process,
    both,
    dag_of,
    greet,
    guests,
    party,
    party_dag,
    write_diary,
)
from windlass.model.flow import Flow, Step


def tuned_party() -> str:
    from windlass.airflow import Ending, Tuning

    tuning = Tuning("few", 3, 5, 7, timedelta(seconds=9), False, "far")
    return party(tuning=tuning, ending=Ending(report_folder="/tmp"), tags=["fun"])


def gated_party() -> str:
    from airflow.sdk import BaseOperator

    return party(gates={"light_candles": lambda: BaseOperator(task_id="ask_neighbours")})


def test_any_flow_becomes_a_dag_with_a_task_for_each_step_and_a_list_for_each_fan_out(
    process: Executor,
) -> None:
    dag = Read.of(process.submit(party).result())
    assert {task: dag.just_before(task) for task in dag.tasks} == {
        "light_candles": set(),
        "prepare_greet": {"light_candles"},
        "greet": {"light_candles", "prepare_greet"},
        "write_diary": {"greet"},
    }
    assert {task: words["task_type"] for task, words in dag.tasks.items()} == {
        "light_candles": "StepOperator",
        "prepare_greet": "ListOperator",
        "greet": "ShareOperator",
        "write_diary": "EndOperator",
    }
    assert dag.mapped == {"greet"}


def test_a_gate_comes_between_a_step_and_all_that_comes_after_it(process: Executor) -> None:
    dag = Read.of(process.submit(gated_party).result())
    assert dag.just_before("ask_neighbours") == {"light_candles"}
    assert dag.next("light_candles") == {"ask_neighbours"}
    assert dag.just_before("prepare_greet") == {"ask_neighbours"}


def test_tuning_and_options_reach_the_tasks(process: Executor) -> None:
    dag = Read.of(process.submit(tuned_party).result())
    greet, diary = dag.tasks["greet"], dag.tasks["write_diary"]
    assert (greet["pool"], greet["max_active_tis_per_dagrun"]) == ("few", 3)
    assert (diary["retries"], diary["retry_delay"], diary["queue"]) == (7, 9.0, "far")
    assert not diary.get("retry_exponential_backoff")
    assert dag.words["tags"] == ["fun"]


def test_the_tasks_of_any_flow_do_its_steps_and_find_each_other_s_results(
    process: Executor,
) -> None:
    assert process.submit(celebrate).result() == {
        "shares": [["ann", "cay"], ["bob"]],
        "diary": {"candles": 3, "greetings": ["hello ann", "hello bob", "hello cay"]},
        "external_run": "airflow party tonight",
    }


def celebrate() -> dict[str, Any]:
    dag, ti = party_dag(), Instance()
    context: Any = {"ti": ti, "params": dag.params}

    def do(name: str) -> Any:
        task: Any = dag.get_task(name)
        ti.results[name] = task.execute(context)
        return ti.results[name]

    external_run = do("light_candles")["external_run"]
    shares = do("prepare_greet")
    greet: Any = dag.get_task("greet")
    ti.results["greet"] = [greet.unmap({"share": share}).execute(context) for share in shares]
    return {
        "shares": [share["items"] for share in shares],
        "diary": do("write_diary"),
        "external_run": external_run,
    }


# what Airflow asks a provider


def provider_info() -> dict[str, Any]:
    """What Airflow's own check lets pass."""
    info: dict[str, Any] = pkgutil.resolve_name(_entry())()
    check = "airflow.providers_manager:_create_provider_info_schema_validator"
    pkgutil.resolve_name(check)().validate(info)
    return info


def _entry() -> str:
    """The entry point's place, as it will be installed."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    return str(groups["apache_airflow_provider"]["provider_info"])


def links(names: Sequence[str]) -> list[str]:
    from airflow.sdk import BaseOperatorLink

    return [name for name in names if issubclass(pkgutil.resolve_name(name), BaseOperatorLink)]


def links_of_operators() -> set[str]:
    tasks = [task for dag_id in (MIGRATION, VALIDATION) for task in dag_of(dag_id).tasks]
    classes = {type(link) for task in tasks for link in task.operator_extra_links}
    return {f"{one.__module__}.{one.__qualname__}" for one in classes}


def known_to_airflow() -> tuple[str, list[str]]:
    """The first thing that is done in a process that has imported nothing of ours or Airflow's."""
    manager = pkgutil.resolve_name("airflow.providers_manager:ProvidersManager")()
    version = str(manager.providers["windlass-db"].version)
    return version, [name for name in manager.extra_links_class_names if "windlass" in name]


def test_airflow_takes_what_the_provider_says_of_itself(process: Executor) -> None:
    info = process.submit(provider_info).result()
    assert (info["package-name"], info["name"]) == ("windlass-db", "Windlass")


def test_every_link_that_is_named_is_one_and_none_is_missing(process: Executor) -> None:
    named = process.submit(provider_info).result()["extra-links"]
    assert process.submit(links, named).result() == named
    assert process.submit(links_of_operators).result() <= set(named)


def test_airflow_finds_the_provider_when_it_looks_for_what_is_installed(tmp_path: Path) -> None:
    """It asks while it is itself being imported, so an answer that imports Airflow breaks it."""
    installed = tmp_path / "packages" / "windlass_db-1.2.3.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: windlass-db\nVersion: 1.2.3\n"
    )
    (installed / "entry_points.txt").write_text(
        f"[apache_airflow_provider]\nprovider_info = {_entry()}\n"
    )
    with airflow_process(tmp_path / "home", installed.parent) as process:
        version, named = process.submit(known_to_airflow).result()
    assert version == "1.2.3"
    assert named == [
        "windlass.airflow.gates.ValidationLink",
        "windlass.airflow.links.ReportLink",
    ]


# what a flow's DAG is not


READER = Flow(
    "reader",
    (
        Step("greet", greet, items=guests),
        Step("read", write_diary, ("greet",), reads=("greet",)),
    ),
    context=Evening,
    spec="reading_dags:Party",
)


def refused_dags() -> list[str]:
    from windlass.airflow import Tuning, flow_dag

    words = {"words": "reading_dags:party_words", "connections": ()}
    gates: Any = dict.fromkeys(["light_candle", "hold_snapshot"], object)
    tuning = Tuning(timeouts={"hold": timedelta(1)})
    said = []
    for flow, more in (
        ("reading_dags:PARTY", {"gates": gates, "tuning": tuning}),
        ("windlass.flows.migrate.outline:MIGRATE", {"gates": gates}),
        (f"{__name__}:READER", {}),
    ):
        try:
            flow_dag(flow, "refused", **words, **more)  # type: ignore[arg-type]
        except ValueError as error:
            said.append(str(error))
    return said


def test_what_would_be_left_out_of_a_dag_in_silence_is_refused(process: Executor) -> None:
    assert process.submit(refused_dags).result() == [
        "gates: flow party has no step light_candle; did you mean light_candles?; "
        "gates: flow party has no step hold_snapshot; "
        "timeouts: flow party has no step hold",
        "gates: flow migrate has no step light_candle; "
        "gates: hold_snapshot lasts as long as the run; nothing can come after it",
        "read reads greet, but a task does not keep the results of its items",
    ]


@pytest.mark.parametrize(
    ("place", "found"),
    [
        ("new.example.com:5432", "postgres://new.example.com:5432/shop/a%20b/c"),
        ("2001:db8::1:5432", "postgres://[2001:db8::1]:5432/shop/a%20b/c"),
        ("::1:6000", "postgres://[::1]:6000/shop/a%20b/c"),
        ("/var/run/postgresql:5432", None),
        ("@abstract:5432", None),
    ],
)
def test_a_relation_is_an_asset_wherever_its_server_has_an_address(
    process: Executor, place: str, found: str | None
) -> None:
    assert process.submit(assets_at, place).result() == ([found] if found else [])


def assets_at(place: str) -> list[str]:
    from airflow.sdk import Asset, AssetAlias

    from windlass.airflow.assets import publish_assets

    reported: list[Any] = []
    alias = AssetAlias("it")
    relation = {"place": place, "database": "shop", "schema": "a b", "table": "c"}
    add = lambda asset, extra: reported.append((asset, extra))  # noqa: E731
    events: Any = {"outlet_events": {alias: SimpleNamespace(add=add)}}
    known = {"rows": 7, "bytes": 90, "snapshot": "2026-01-01T00:00:00Z", "lsn": "0/16B3748"}
    publish_assets(events, [alias], {"run": "20260101_0000_abcd", "assets": [relation | known]})
    assert all(isinstance(asset, Asset) for asset, _ in reported)
    assert all(extra == {"run": "20260101_0000_abcd", **known} for _, extra in reported)
    return [asset.uri for asset, _ in reported]


# what the page shows, and what Airflow's settings say


@both
def test_every_task_says_what_it_does(dags: Mapping[str, str], dag_id: str) -> None:
    for name, task in Read.of(dags[dag_id]).tasks.items():
        assert task.get("doc_md", "").endswith("."), name
