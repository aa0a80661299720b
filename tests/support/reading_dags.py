"""DAG files read by another process, as Airflow's scheduler reads them."""

from __future__ import annotations

import json
import os
import runpy
import sys
import textwrap
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import pytest
from pydantic import Field

from needs import needs_airflow
from paths import EXAMPLE_DAGS
from windlass.errors import BadSpec, WindlassError
from windlass.model.event import Event
from windlass.model.flow import Flow, Item, Result, Step
from windlass.model.outcome import StartedBy
from windlass.spec.fields.entry import Entries
from windlass.spec.model import SpecModel

if TYPE_CHECKING:
    from airflow.sdk import DAG

MIGRATION = "postgres_to_postgres_migration"
VALIDATION = "validate_migration_env"

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

    @property
    def form(self) -> dict[str, Any]:
        """The defaults of its fields."""
        return {name: one["default"] for name, one in self.words["params"]}

    @property
    def given(self) -> dict[str, Any]:
        """The spec that its tasks have."""
        first = next(task for task in self.tasks.values() if "given" in task)
        found: dict[str, Any] = plain(first["given"])
        return found

    def next(self, task: str) -> set[str]:
        return set(self.tasks[task].get("downstream_task_ids", ()))

    def just_before(self, task: str) -> set[str]:
        return {one for one in self.tasks if task in self.next(one)}

    def before(self, task: str) -> set[str]:
        near = self.just_before(task)
        return near.union(*(self.before(one) for one in near))


def plain(value: Any) -> Any:
    """What Airflow has serialized, without the names of types."""
    if isinstance(value, dict):
        inner = value["__var"] if "__type" in value else value
        return {key: plain(one) for key, one in inner.items()} if isinstance(inner, dict) else inner
    return [plain(one) for one in value] if isinstance(value, list) else value


def serialized(dag: DAG) -> str:
    from airflow.serialization.serialized_objects import DagSerialization

    return json.dumps(DagSerialization.to_dict(dag), sort_keys=True)


def dag_of(dag_id: str) -> DAG:
    dag: DAG = runpy.run_path(str(EXAMPLE_DAGS / f"{dag_id}.py"))["dag"]
    return dag


def dag_from(file: str, dag_id: str) -> DAG:
    """One of the DAGs of a file."""
    found = runpy.run_path(str(EXAMPLE_DAGS / f"{file}.py")).values()
    dag: DAG = next(one for one in found if getattr(one, "dag_id", "") == dag_id)
    return dag


def dag_file(dag_id: str) -> str:
    return serialized(dag_of(dag_id))


# a folder of YAML files


@dataclass
class Shelf:
    """A folder of specs."""

    folder: Path
    process: Executor
    env: Mapping[str, str] = field(default_factory=dict)  # of the process that reads

    def put(self, **texts: str) -> None:
        """Files by name, without the ending."""
        for name, text in texts.items():
            (self.folder / f"{name}.yaml").write_text(textwrap.dedent(text))

    def read(self) -> dict[str, Read]:
        """Raises:
        BadSpec: what Airflow shows as import error.
        """
        texts = self.process.submit(read_folder, self.folder, self.env).result()
        return {name: Read.of(text) for name, text in texts.items()}

    def faults(self, **texts: str) -> list[tuple[str, str]]:
        """Of each fault the file, and what is said."""
        self.put(**texts)
        with pytest.raises(BadSpec) as caught:
            self.read()
        reported = [fault.removeprefix(f"{self.folder}/") for fault in caught.value.faults]
        return [(file, said) for file, _, said in (fault.partition(": ") for fault in reported)]


def read_folder(folder: Path, env: Mapping[str, str] | None = None) -> dict[str, str]:
    """The DAGs of its YAML files, serialized."""
    os.environ.update(env or {})
    from windlass.airflow import load_specs

    found = load_specs(folder)
    for dag in found.values():
        dag.validate()  # as Airflow does
    return {name: serialized(dag) for name, dag in found.items()}


# any flow


class Party(SpecModel):
    """What a user may ask for."""

    flow: ClassVar = "party"
    entries: ClassVar = Entries()

    guests: list[str]
    jobs: int = Field(default=2, ge=1)


class Evening:
    """The context of a flow that has nothing to do with databases."""

    def __init__(
        self,
        spec: Party,
        emit: Callable[[Event], None],
        *,
        started_by: StartedBy,
        patient: bool = False,
    ) -> None:
        self.spec, self.started_by = spec, started_by
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

    def conclude(self) -> None: ...

    def cancel(self) -> None: ...

    def leave(self) -> None: ...


def light_candles(run: Evening, _: Item) -> Result:
    return {"candles": 3, "external_run": run.started_by.external_run}


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


@dataclass
class Instance:
    """As much of a task instance as a task needs that is run by hand."""

    results: dict[str, Any] = field(default_factory=dict)  # XComs by task
    dag_id: str = "party"
    run_id: str = "tonight"
    try_number: int = 1

    def xcom_push(self, key: str, value: Any) -> None: ...

    def xcom_pull(
        self, task_ids: str | list[str], map_indexes: int | None = None, key: str = "return_value"
    ) -> Any:
        if key != "return_value":
            return None
        return self.results.get(task_ids if isinstance(task_ids, str) else task_ids[0])
