"""The DAGs as Airflow's scheduler reads them, and what else Airflow asks of this package.

Airflow is imported in separate processes only: it writes into the folder where it is at home,
and changes much of the process that imports it.
"""

from __future__ import annotations

import json
import os
import pkgutil
import runpy
import sys
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from graphlib import TopologicalSorter
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self

import pytest
from pydantic import BaseModel, Field

from needs import needs_airflow
from paths import EXAMPLE_DAGS, ROOT
from windlass.errors import WindlassError
from windlass.model.event import Event
from windlass.model.flow import Flow, Item, Result, Step

if TYPE_CHECKING:
    from airflow.sdk import DAG

MIGRATION = "postgres_to_postgres_migration"
VALIDATION = "validate_migration_env"
LISTS = {
    "transfer_table_data": "prepare_regular_tables",
    "transfer_partition": "prepare_large_table_partitions",
    "create_indexes": "prepare_indexes",
    "validate_content": "prepare_validation",
}
MIGRATION_TASKS = {
    *("extract_source_schema", "approve_migration", "hold_snapshot"),
    *("create_target_schema", "create_target_tables"),
    *LISTS,
    *LISTS.values(),
    *("transfer_large_objects", "collect_all_results", "convert_tables_to_logged"),
    *("create_primary_keys", "analyze_tables", "attach_indexes", "analyze_partitioned"),
    *("create_foreign_keys", "validate_foreign_keys", "set_sequences"),
    *("create_triggers_and_rules", "grant_privileges", "refresh_materialized_views"),
    *(
        "repoint_dependents",
        "create_event_triggers",
        "find_differences",
        "validate_schema",
        "validate_sequences",
    ),
    *("validate_large_objects", "trigger_validation_dag", "generate_migration_summary"),
}
VALIDATION_TASKS = {
    *("read_both_sides", "prepare_validation", "validate_content", "find_differences"),
    *("validate_schema", "validate_sequences", "validate_large_objects"),
    "generate_validation_report",
}
# what Windlass's forerunner did, in its order; what is in one line is done side by side
ORIGINAL = [
    {"extract_source_schema"},
    {"create_target_schema"},
    {"create_target_tables"},
    {"transfer_table_data", "transfer_partition"},
    {"collect_all_results"},
    {"convert_tables_to_logged"},
    {"create_primary_keys"},
    {"trigger_validation_dag"},
    {"generate_migration_summary"},
]

both = pytest.mark.parametrize("dag_id", [MIGRATION, VALIDATION])


# a process for Airflow


@contextmanager
def airflow_process(home: Path, *packages: Path) -> Iterator[Executor]:
    """One process that knows no other Airflow than one in `home`; `packages` come first there."""
    needs_airflow()
    words = (str(home), [str(folder) for folder in packages])
    with ProcessPoolExecutor(1, get_context("spawn"), _move_in, words) as process:
        yield process


def _move_in(home: str, packages: Sequence[str]) -> None:
    for key in [key for key in os.environ if key.lstrip("_").startswith("AIRFLOW")]:
        del os.environ[key]
    os.environ["AIRFLOW_HOME"] = home
    sys.path[:0] = packages


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("airflow")


@pytest.fixture(scope="module")
def process(home: Path) -> Iterator[Executor]:
    with airflow_process(home) as found:
        yield found


# DAGs as plain data


@dataclass(frozen=True)
class Read:
    """A DAG as the scheduler has it."""

    words: dict[str, Any]
    tasks: dict[str, dict[str, Any]]  # by id; a mapped one with what all its instances have

    @classmethod
    def of(cls, serialized: str) -> Read:
        words = json.loads(serialized)["dag"]
        tasks = [task["__var"] for task in words.pop("tasks")]
        return cls(
            words, {task["task_id"]: {**task, **task.get("partial_kwargs", {})} for task in tasks}
        )

    @property
    def mapped(self) -> set[str]:
        return {name for name, task in self.tasks.items() if task.get("_is_mapped")}

    def next(self, task: str) -> set[str]:
        return set(self.tasks[task].get("downstream_task_ids", ()))

    def just_before(self, task: str) -> set[str]:
        return {one for one in self.tasks if task in self.next(one)}

    def before(self, task: str) -> set[str]:
        near = self.just_before(task)
        return near.union(*(self.before(one) for one in near))


def serialized(dag: DAG) -> str:
    from airflow.serialization.serialized_objects import DagSerialization

    return json.dumps(DagSerialization.to_dict(dag), sort_keys=True)


def dag_of(dag_id: str) -> DAG:
    dag: DAG = runpy.run_path(str(EXAMPLE_DAGS / f"{dag_id}.py"))["dag"]
    return dag


def dag_file(dag_id: str) -> str:
    return serialized(dag_of(dag_id))


@pytest.fixture(scope="module")
def dags(process: Executor) -> dict[str, str]:
    """Both files, serialized."""
    return {name: process.submit(dag_file, name).result() for name in (MIGRATION, VALIDATION)}


@pytest.fixture(scope="module")
def migration(dags: Mapping[str, str]) -> Read:
    return Read.of(dags[MIGRATION])


@pytest.fixture(scope="module")
def validation(dags: Mapping[str, str]) -> Read:
    return Read.of(dags[VALIDATION])


# both DAGs


def test_every_file_of_the_folder_is_one_of_these() -> None:
    """`config` is what `migrate_to_db` imports; both have tests in test_rewrite_airflow. Airflow's
    own database has them in test_export_airflow."""
    files = {file.stem for file in EXAMPLE_DAGS.glob("*.py")}
    assert files == {
        MIGRATION, VALIDATION, "migrate_to_db", "config", "airflow_metadata_export",
    }  # fmt: skip


@both
def test_a_file_holds_the_dag_of_its_name(dags: Mapping[str, str], dag_id: str) -> None:
    assert Read.of(dags[dag_id]).words["dag_id"] == dag_id


@both
def test_a_dag_runs_once_at_a_time_when_somebody_asks(dags: Mapping[str, str], dag_id: str) -> None:
    words = Read.of(dags[dag_id]).words
    assert words["max_active_runs"] == 1
    assert words["timetable"]["__type"].endswith(".NullTimetable")
    assert not words["catchup"]
    assert not words["is_paused_upon_creation"]


@both
def test_no_task_waits_for_itself(dags: Mapping[str, str], dag_id: str) -> None:
    dag = Read.of(dags[dag_id])
    TopologicalSorter({task: dag.just_before(task) for task in dag.tasks}).prepare()


@both
def test_a_skipped_task_holds_up_none_and_a_failed_one_all_after_it(
    dags: Mapping[str, str], dag_id: str
) -> None:
    assert {task["trigger_rule"] for task in Read.of(dags[dag_id]).tasks.values()} == {
        "none_failed"
    }


def test_a_file_is_the_same_dag_wherever_and_however_often_it_is_read(
    process: Executor, dags: Mapping[str, str], home: Path
) -> None:
    """Else Airflow would write down a new version of it again and again."""
    assert {dag_id: process.submit(dag_file, dag_id).result() for dag_id in dags} == dags
    with airflow_process(home) as another:
        assert {dag_id: another.submit(dag_file, dag_id).result() for dag_id in dags} == dags


@both
def test_what_is_read_back_has_the_same_tasks(
    process: Executor, dags: Mapping[str, str], dag_id: str
) -> None:
    there = process.submit(read_back, dags[dag_id]).result()
    assert there == {task: sorted(Read.of(dags[dag_id]).next(task)) for task in there}
    assert set(there) == set(Read.of(dags[dag_id]).tasks)


def read_back(text: str) -> dict[str, list[str]]:
    from airflow.serialization.serialized_objects import DagSerialization

    tasks = DagSerialization.from_dict(json.loads(text)).tasks
    return {task.task_id: sorted(task.downstream_task_ids) for task in tasks}


# the migration


def test_the_migration_has_these_tasks(migration: Read) -> None:
    assert set(migration.tasks) == MIGRATION_TASKS


def test_the_migration_does_things_in_the_order_that_it_used_to(migration: Read) -> None:
    for earlier, later in pairwise(ORIGINAL):
        for task in later:
            assert earlier <= migration.before(task), task
            assert not later & migration.before(task), task


@pytest.mark.parametrize(("mapped", "listing"), LISTS.items())
def test_a_mapped_task_takes_the_shares_of_its_list(
    migration: Read, mapped: str, listing: str
) -> None:
    share = migration.tasks[mapped]["expand_input"]["value"]["__var"]["share"]["__var"]
    assert share == {"task_id": listing, "key": "return_value"}
    assert listing in migration.just_before(mapped)


def test_only_what_is_worth_a_task_each_is_mapped(migration: Read, validation: Read) -> None:
    assert migration.mapped == set(LISTS)
    assert validation.mapped == {"validate_content"}


def test_lists_are_made_beside_the_first_steps(migration: Read) -> None:
    assert {task: migration.just_before(task) for task in LISTS.values()} == {
        task: {"approve_migration"} for task in LISTS.values()
    }


def test_nothing_but_the_plan_is_made_before_the_approval(migration: Read) -> None:
    assert migration.before("approve_migration") == {"extract_source_schema"}
    others = MIGRATION_TASKS - {"approve_migration", "extract_source_schema"}
    assert all("approve_migration" in migration.before(task) for task in others)


def test_the_approval_is_asked_for_once(migration: Read) -> None:
    assert migration.tasks["approve_migration"].get("retries", 0) == 0


def test_the_snapshot_is_held_beside_all_others_until_the_summary(
    process: Executor, migration: Read
) -> None:
    """Its task ends last: what came after it would wait for ever."""
    assert migration.next("hold_snapshot") == set()
    assert process.submit(last_of_hold, MIGRATION, "hold_snapshot").result() == (
        "generate_migration_summary",
    )


def last_of_hold(dag_id: str, task: str) -> Any:
    hold: Any = dag_of(dag_id).get_task(task)
    return hold.last


def test_the_snapshot_is_held_before_anything_else_that_is_ready(migration: Read) -> None:
    weights = {name: task.get("priority_weight", 1) for name, task in migration.tasks.items()}
    assert max(weights, key=lambda name: weights[name]) == "hold_snapshot"
    assert sorted(weights.values())[-2] < weights["hold_snapshot"]


def test_the_other_dag_validates_when_the_schema_is_whole_and_before_the_summary(
    migration: Read,
) -> None:
    assert migration.just_before("trigger_validation_dag") == {"validate_schema"}
    assert migration.next("trigger_validation_dag") == {"generate_migration_summary"}


def test_the_summary_comes_after_all_others_and_tells_other_dags(migration: Read) -> None:
    others = MIGRATION_TASKS - {"hold_snapshot", "generate_migration_summary"}
    assert migration.before("generate_migration_summary") == others
    told = {name for name, task in migration.tasks.items() if task.get("outlets")}
    assert told == {"generate_migration_summary"}


# the validation


def test_the_validation_has_these_tasks(validation: Read) -> None:
    assert set(validation.tasks) == VALIDATION_TASKS


def test_the_validation_compares_side_by_side_and_reports_when_all_is_compared(
    validation: Read,
) -> None:
    beside = {"validate_schema", "validate_sequences", "validate_large_objects"}
    assert validation.just_before("generate_validation_report") == {*beside, "find_differences"}
    assert validation.just_before("find_differences") == {"validate_content"}
    assert validation.just_before("validate_content") == {"prepare_validation"}
    assert not any(validation.just_before(task) for task in beside)


def test_both_sides_are_held_beside_all_others_until_the_report(
    process: Executor, validation: Read
) -> None:
    assert validation.next("read_both_sides") == set()
    assert process.submit(last_of_hold, VALIDATION, "read_both_sides").result() == (
        "generate_validation_report",
    )


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


# any flow


class Party(BaseModel):
    """What a user may ask for."""

    guests: list[str]
    jobs: int = Field(default=2, ge=1)


class Evening:
    """The context of a flow that has nothing to do with databases."""

    def __init__(
        self, spec: Party, emit: Callable[[Event], None], *, caller: str, patient: bool = False
    ) -> None:
        self.spec, self.caller = spec, caller
        self.results: dict[str, dict[str, Result]] = defaultdict(dict)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def emit(self, event: Event) -> None: ...

    def finished(self, step: str) -> Mapping[str, Result]:
        return {}

    def collect(self, step: str, item: Item, result: Result) -> None:
        self.results[step][item.id] = result

    def recover(self, error: WindlassError) -> None: ...

    def cancel(self) -> None: ...

    def leave(self) -> None: ...


def light_candles(run: Evening, _: Item) -> Result:
    return {"candles": 3, "caller": run.caller}


def guests(run: Evening) -> list[Item]:
    return [Item(name, name) for name in run.spec.guests]


def greet(_: Evening, item: Item) -> Result:
    return {"greeting": f"hello {item.id}"}


def write_diary(run: Evening, _: Item) -> Result:
    greetings = [str(run.results["greet"][name]["greeting"]) for name in run.spec.guests]
    return {"candles": run.results["light_candles"][""]["candles"], "greetings": greetings}


PARTY = Flow(
    "party",
    (
        Step("light_candles", light_candles),
        Step("greet", greet, ("light_candles",), items=guests, spread=True),
        Step("write_diary", write_diary, ("greet",), reads=("light_candles", "greet")),
    ),
    context=Evening,
    spec=f"{__name__}:Party",
)


def party_words(params: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    return {"guests": list(params["guests"]), **given}


def party_dag(**words: Any) -> DAG:
    from airflow.sdk import Param

    from windlass.airflow import flow_dag

    return flow_dag(
        f"{__name__}:PARTY",
        "party",
        words=f"{__name__}:party_words",
        params={"guests": Param(["ann", "bob", "cay"], type="array")},
        connections=(),
        **words,
    )


def party(**words: Any) -> str:
    return serialized(party_dag(**words))


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
        "caller": "airflow party tonight",
    }


@dataclass
class Instance:
    """As much of a task instance as a task needs that is run by hand."""

    results: dict[str, Any] = field(default_factory=dict)  # XComs by task
    dag_id: str = "party"
    run_id: str = "tonight"
    try_number: int = 1

    def xcom_pull(self, task_ids: str | list[str], map_indexes: int | None = None) -> Any:
        return self.results.get(task_ids if isinstance(task_ids, str) else task_ids[0])


def celebrate() -> dict[str, Any]:
    dag, ti = party_dag(), Instance()
    context: Any = {"ti": ti, "params": dag.params}

    def do(name: str) -> Any:
        task: Any = dag.get_task(name)
        ti.results[name] = task.execute(context)
        return ti.results[name]

    caller = do("light_candles")["caller"]
    shares = do("prepare_greet")
    greet: Any = dag.get_task("greet")
    ti.results["greet"] = [greet.unmap({"share": share}).execute(context) for share in shares]
    return {
        "shares": [share["items"] for share in shares],
        "diary": do("write_diary"),
        "caller": caller,
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
        "windlass.airflow.operators.ReportLink",
    ]


# what is told when a run ends


@dataclass
class Over(Instance):
    """The task that Airflow names when a run is over: the last one that ended like the run."""

    task_id: str = "light_candles"
    states: dict[str, str] = field(default_factory=dict)
    problems: dict[str, list[str]] = field(default_factory=dict)
    task: Any = None

    def xcom_pull(
        self, task_ids: str | list[str], map_indexes: int | None = None, key: str = "return_value"
    ) -> Any:
        found = self.problems if key == "problems" else self.results
        if isinstance(task_ids, str):
            return found.get(task_ids)
        return [found[one] for one in task_ids if one in found]

    def get_task_states(self, **_: Any) -> dict[str, Any]:
        return {self.run_id: self.states}


def ending(callback: str, over: Over | None) -> list[tuple[str, str]]:
    """What Airflow has the notifiers of a DAG say: subject and text, of each."""
    from windlass.airflow import Ending, Notices

    notices = Notices(email=("a@example.com",), webhook_conn_id="chat")
    dag = party_dag(ending=Ending(notices))
    if over:
        over.task = dag.get_task(over.task_id)
    told = []
    notifiers: Any = getattr(dag, callback)
    for notifier in notifiers:
        context: Any = {"dag": dag, "run_id": "tonight", **({"ti": over} if over else {})}
        notifier.render_template_fields(context)
        text = getattr(notifier, "html_content", None) or notifier.text
        told.append((getattr(notifier, "subject", ""), text))
    return told


def test_a_run_whose_only_failed_task_is_the_one_airflow_names_is_told_as_failed(
    process: Executor,
) -> None:
    over = Over(states={"light_candles": "failed"}, problems={"light_candles": ["no <matches> &"]})
    mail, chat = process.submit(ending, "on_failure_callback", over).result()
    assert mail == (
        "party: failed",
        "<pre>party tonight: failed\nlight_candles: no &lt;matches&gt; &amp;</pre>",
    )
    assert chat[1] == "party tonight: failed\nlight_candles: no <matches> &"


def test_a_failure_without_words_names_the_task(process: Executor) -> None:
    over = Over(states={"light_candles": "failed", "greet_0": "upstream_failed"})
    (_, text), _ = process.submit(ending, "on_failure_callback", over).result()
    assert "see the log of: light_candles" in text


def test_a_run_that_fails_without_a_failed_task_is_told_as_failed(process: Executor) -> None:
    """It took too long, or somebody failed it; Airflow may then name no task at all."""
    for over in (Over(states={"light_candles": "running"}), None):
        mail, _ = process.submit(ending, "on_failure_callback", over).result()
        assert mail == ("party: failed", "<pre>party tonight: failed\nsee the web UI</pre>")


def test_a_good_end_is_told_with_the_summary(process: Executor) -> None:
    over = Over(results={"write_diary": {"candles": 3, "losses": ["a <b> loss"], "greetings": []}})
    mail, chat = process.submit(ending, "on_success_callback", over).result()
    assert mail == (
        "party: done",
        "<pre>party tonight: done\ncandles: 3\nloss: a &lt;b&gt; loss</pre>",
    )
    assert chat[1] == "party tonight: done\ncandles: 3\nloss: a <b> loss"


# what comes between a migration's steps


@dataclass
class Asked(Over):
    """A task that asks Airflow for other DAGs."""

    pauses: dict[str, bool] = field(default_factory=dict)  # by DAG
    others: dict[str, list[str]] = field(default_factory=dict)  # problems of the other run's tasks
    told: dict[str, Any] = field(default_factory=dict)

    def get_dag(self, dag_id: str) -> Any:
        from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
        from airflow.sdk.execution_time.comms import ErrorResponse

        if dag_id not in self.pauses:
            missing = ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": 404})
            raise AirflowRuntimeError(missing)
        return SimpleNamespace(is_paused=self.pauses[dag_id])

    def xcom_pull(
        self, task_ids: Any, map_indexes: Any = None, key: str = "return_value", **_: Any
    ) -> Any:
        return [self.others[one] for one in task_ids if one in self.others]

    def xcom_push(self, key: str, value: Any) -> None:
        self.told[key] = value


def gate(task_id: str, method: str, ti: Asked, *more: Any) -> tuple[str, list[str]]:
    """How a gate of the example DAG fails, and the problems that it tells."""
    from airflow.sdk.exceptions import AirflowFailException

    task: Any = dag_of(MIGRATION).get_task(task_id)
    params = {"trigger_validation": True, "require_approval": False}
    try:
        found = getattr(task, method)({"ti": ti, "params": params}, *more)
    except AirflowFailException as error:
        return str(error), ti.told["problems"]
    return repr(found), []


@pytest.mark.parametrize(
    ("pauses", "said"), [({}, "there is no DAG"), ({VALIDATION: True}, f"{VALIDATION} is paused")]
)
def test_that_a_run_could_not_be_validated_is_told_before_anything_is_written(
    process: Executor, pauses: dict[str, bool], said: str
) -> None:
    summary, problems = process.submit(
        gate, "approve_migration", "execute", Asked(pauses=pauses)
    ).result()
    assert summary.startswith(said)
    assert problems == [summary]
    late, _ = process.submit(
        gate, "trigger_validation_dag", "execute", Asked(pauses=pauses)
    ).result()
    assert late.startswith(said)
    assert late.endswith("then clear hold_snapshot and this task together")


def test_a_validation_dag_that_is_there_is_no_obstacle(process: Executor) -> None:
    there = Asked(pauses={VALIDATION: False})
    found, _ = process.submit(gate, "approve_migration", "execute", there).result()
    assert "not asked for" in found


@pytest.mark.parametrize("task", ["generate_validation_report", "read_both_sides"])
def test_a_failed_validation_says_why_wherever_it_stopped(process: Executor, task: str) -> None:
    ti = Asked(others={task: [f"row {n}" for n in range(7)]})
    event = ("", {"run_ids": ["there"], "there": "failed"})
    words = ("trigger_validation_dag", "execute_complete", ti, event)
    _, problems = process.submit(gate, *words).result()
    assert problems[0] == f"{VALIDATION} failed: row 0"
    assert problems[-1] == f"{VALIDATION} failed: and 2 more in run there"


# what a flow's DAG is not


READER = Flow(
    "reader",
    (
        Step("greet", greet, items=guests),
        Step("read", write_diary, ("greet",), reads=("greet",)),
    ),
    context=Evening,
    spec=f"{__name__}:Party",
)


def refused_dags() -> list[str]:
    from windlass.airflow import Tuning, flow_dag

    words = {"words": f"{__name__}:party_words", "connections": ()}
    gates: Any = dict.fromkeys(["light_candle", "hold_snapshot"], object)
    tuning = Tuning(timeouts={"hold": timedelta(1)})
    said = []
    for flow, more in (
        (f"{__name__}:PARTY", {"gates": gates, "tuning": tuning}),
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

    told: list[Any] = []
    alias = AssetAlias("it")
    relation = {"place": place, "database": "shop", "schema": "a b", "table": "c"}
    events: Any = {"outlet_events": {alias: SimpleNamespace(add=told.append)}}
    publish_assets(events, [alias], {"assets": [relation]})
    assert all(isinstance(one, Asset) for one in told)
    return [one.uri for one in told]


# what the page shows, and what Airflow's settings say


@both
def test_every_task_says_what_it_does(dags: Mapping[str, str], dag_id: str) -> None:
    for name, task in Read.of(dags[dag_id]).tasks.items():
        assert task.get("doc_md", "").endswith("."), name


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


def places(dag_id: str, settings: Mapping[str, str]) -> tuple[Any, ...]:
    """Of an example DAG where Airflow's settings have a section `windlass`: the pool and the width
    of its mapped tasks, and its folder of reports."""
    names = {f"AIRFLOW__WINDLASS__{key.upper()}": value for key, value in settings.items()}
    os.environ.update(names)
    try:
        dag = dag_of(dag_id)
    finally:
        for name in names:
            del os.environ[name]
    read = Read.of(serialized(dag))
    mapped = [read.tasks[name] for name in read.mapped]
    folders: list[str] = [one.report_folder for one in dag.tasks if hasattr(one, "report_folder")]
    return (
        {task.get("pool", "default_pool") for task in mapped},
        {task["max_active_tis_per_dagrun"] for task in mapped},
        *folders,
    )


@both
def test_the_example_dags_use_the_pool_and_the_folder_that_the_settings_name(
    process: Executor, dag_id: str
) -> None:
    plain = process.submit(places, dag_id, {}).result()
    assert plain == ({"default_pool"}, {16}, "")
    words = {"pool": "windlass", "max_parallel": "44", "report_folder": "/reports"}
    assert process.submit(places, dag_id, words).result() == ({"windlass"}, {44}, "/reports")


def differ(folder: str) -> dict[str, Any]:
    """What the end of a comparison leaves behind that has found differences."""
    from airflow.sdk.exceptions import AirflowFailException

    from windlass.errors import Different
    from windlass.model.report import Difference, DifferenceKind

    class Part:
        step = Step("end", light_candles)

        def run(self) -> None:
            found = Difference(DifferenceKind.COUNT, "shop.item", "has too few rows")
            raise Different([found], {"state": "different", "relations": 2})

    dag = dag_of(VALIDATION)
    task: Any = dag.get_task("generate_validation_report")
    task.report_folder = folder
    task.part = lambda *_: Part()
    ti = Asked()
    with pytest.raises(AirflowFailException):
        task.execute({"ti": ti, "params": dag.params})
    return ti.told


def test_a_report_is_written_of_differences_too(process: Executor, tmp_path: Path) -> None:
    told = process.submit(differ, str(tmp_path / "reports")).result()
    result = json.loads(Path(told["report_url"].removeprefix("file://")).read_text())
    assert (result["state"], result["relations"]) == ("different", 2)
    assert [one["object"] for one in result["differences"]] == ["shop.item"]
    assert told["return_value"] == result
    assert told["problems"] == [
        "1 difference(s) between the two sides",
        "shop.item: has too few rows",
    ]


def test_differences_are_told_where_no_report_can_be_written(
    process: Executor, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    told = process.submit(differ, str(tmp_path / "file")).result()
    assert told["return_value"]["state"] == "different"
    assert told["problems"]


# what a task says that fails


def overtime() -> tuple[str, list[str]]:
    """A task that Airflow stops at its time limit."""
    from airflow.sdk.exceptions import AirflowTaskTimeout

    def part(*_: Any) -> Any:
        raise AirflowTaskTimeout

    dag = party_dag()
    task: Any = dag.get_task("light_candles")
    task.execution_timeout, task.part = timedelta(minutes=5), part
    ti = Asked()
    with pytest.raises(WindlassError) as caught:  # which is retried; `on_kill` is not reached
        task.execute({"ti": ti, "params": dag.params})
    return str(caught.value), ti.told["problems"]


def test_a_task_beyond_its_time_limit_says_so(process: Executor) -> None:
    said, problems = process.submit(overtime).result()
    assert problems == [said] == ["not finished within its time limit of 0:05:00"]


def waits() -> dict[str, bool]:
    """Of tasks that find no server: whether they wait for it without a slot."""
    from airflow.sdk.exceptions import AirflowRescheduleException

    from windlass.errors import ConnectionLost

    def part(*_: Any) -> Any:
        raise ConnectionLost("gone")

    found = {}
    dags = {dag_id: dag_of(dag_id) for dag_id in (MIGRATION, VALIDATION)}
    for dag_id, name, number in (
        (MIGRATION, "extract_source_schema", 1),
        (MIGRATION, "hold_snapshot", 1),
        (MIGRATION, "create_target_schema", 1),
        (VALIDATION, "read_both_sides", 1),
        (VALIDATION, "read_both_sides", 2),
    ):
        task: Any = dags[dag_id].get_task(name)
        task.part = part
        try:
            task.execute({"ti": Asked(try_number=number), "params": dags[dag_id].params})
        except AirflowRescheduleException:
            found[f"{name} {number}"] = True
        except WindlassError as error:
            found[f"{name} {number}"] = not error.args
    return found


def test_a_server_is_waited_for_but_by_the_first_task_at_first(process: Executor) -> None:
    assert process.submit(waits).result() == {
        "extract_source_schema 1": False,
        "hold_snapshot 1": True,
        "create_target_schema 1": True,
        "read_both_sides 1": False,
        "read_both_sides 2": True,
    }
