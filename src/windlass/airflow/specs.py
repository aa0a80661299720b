"""A folder of YAML files as DAGs: one file, one DAG.

The values in ``defaults.yaml`` apply to every file that does not give others.

dag_id: shop_to_the_new_server   # default: the file's name
flow: migrate                    # or another: rewrite and export take `connections`
source_conn_id: shop_old
target_conn_id: shop_new
spec:                            # what `windlass spec` shows
  schema: shop
  chunk-size: 256MB
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from airflow.sdk import DAG, get_parsing_context
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from windlass.airflow.checking import PLACED, checked
from windlass.airflow.factory import migration_dag, spec_dag, validation_dag
from windlass.airflow.maintenance import repair_dag
from windlass.airflow.notices import Notices
from windlass.airflow.notifiers import NotifierSpec
from windlass.airflow.one_task import translation_dag
from windlass.airflow.others import ONE_TASK
from windlass.airflow.pools import PATIENCE
from windlass.airflow.spec_files import Defaults, merged, read_defaults, read_words, yaml_files
from windlass.airflow.tuning import Ending, Tuning
from windlass.errors import BadSpec
from windlass.flows.registry import FLOWS, spec_flows
from windlass.spec.model import validated

# flows with source_conn_id and target_conn_id
_TWO_SIDES = ("migrate", "translate", "validate", "repair")
_PRESETS = {"@once", "@continuous", "@hourly", "@daily", "@weekly", "@monthly", "@quarterly",
            "@yearly"}  # fmt: skip


def _schedule(text: str) -> str:
    """Check a schedule here: Airflow would report a wrong one only when it builds all DAGs."""
    from croniter import croniter

    if text not in _PRESETS and not croniter.is_valid(text):
        raise ValueError(f"{text!r} is neither a cron expression nor one of @daily and the like")
    return text


def flow_names() -> list[str]:
    """The flows that a file can be for."""
    others = (flow.name for flow in spec_flows() if flow.name not in ONE_TASK)
    own = ["migrate", "translate", "validate", *others, "repair"]
    return list(dict.fromkeys(own))


def _flow(name: str) -> str:
    if name not in flow_names():
        raise ValueError(f"{name!r} is not a flow; there are {', '.join(flow_names())}")
    return name


class DagSpec(BaseModel):
    """One file of the folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dag_id: Annotated[str, Field(pattern=r"^[\w.-]+$", max_length=250)]
    flow: Annotated[str, AfterValidator(_flow)] = "migrate"
    source_conn_id: str = "postgres_source"
    target_conn_id: str = "postgres_target"
    # for other flows: by the spec's word for the database
    connections: dict[str, str] = Field(default_factory=dict)
    spec: dict[str, Any] = Field(default_factory=dict)
    # for the form: other defaults for its fields, and additional fields for templates
    params: dict[str, Any] = Field(default_factory=dict)
    schedule: Annotated[str, AfterValidator(_schedule)] | None = None
    tags: list[Annotated[str, Field(max_length=100)]] = Field(default_factory=list)
    owner: str = "windlass"
    description: str | None = None
    pool: str = "default_pool"
    max_parallel: Annotated[int, Field(ge=1)] = 16
    max_tasks: Annotated[int, Field(ge=1)] = 256
    retries: Annotated[int, Field(ge=0)] = 3
    retry_delay_seconds: Annotated[float, Field(gt=0)] = 30
    hold_in: Annotated[str, Field(pattern="^(worker|triggerer)$")] = "worker"
    pool_patience_seconds: Annotated[float, Field(gt=0)] = PATIENCE.total_seconds()
    patience_minutes: Annotated[float, Field(ge=0)] = 10
    timeout_minutes: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    queue: str | None = None
    email: list[str] = Field(default_factory=list)
    smtp_conn_id: str = "smtp_default"
    webhook_conn_id: str = ""
    notifiers: list[NotifierSpec] = Field(default_factory=list)
    deadline_minutes: Annotated[float, Field(gt=0)] | None = None
    report_folder: str = ""
    report_url: str = ""

    def _tuning(self) -> Tuning:
        return Tuning(
            pool=self.pool,
            max_parallel=self.max_parallel,
            max_tasks=self.max_tasks,
            retries=self.retries,
            retry_delay=timedelta(seconds=self.retry_delay_seconds),
            queue=self.queue,
            hold_in=self.hold_in,
            pool_patience=timedelta(seconds=self.pool_patience_seconds),
            patience=timedelta(minutes=self.patience_minutes),
            timeouts={
                step: timedelta(minutes=minutes) for step, minutes in self.timeout_minutes.items()
            },
        )

    def dag(self) -> DAG:
        """The DAG of this file.

        Raises:
            BadSpec: with every fault of the inner spec.
        """
        notices = Notices(tuple(self.email), self.smtp_conn_id, self.webhook_conn_id)
        deadline = timedelta(minutes=self.deadline_minutes) if self.deadline_minutes else None
        if deadline and not (self.email or self.webhook_conn_id):
            raise BadSpec(["deadline-minutes: give email or webhook-conn-id to notify"])
        return self._make()(
            self.dag_id,
            spec={key.replace("-", "_"): value for key, value in self.spec.items()},
            tuning=self._tuning(),
            ending=Ending(
                notices if self.email or self.webhook_conn_id else None,
                deadline,
                self.report_folder,
                self.report_url,
                **self._notifiers(),
            ),
            schedule=self.schedule,
            tags=["windlass", *self.tags],
            default_args={"owner": self.owner},
            params=self.params,
            **({"description": self.description} if self.description else {}),
        )

    def _notifiers(self) -> dict[str, tuple[Any, ...]]:
        """The notifiers of this file.

        Raises:
            BadSpec: with every fault of every notifier.
        """
        found: dict[str, tuple[Any, ...]] = {"on_success": (), "on_failure": ()}
        faults: list[str] = []
        for place, one in enumerate(self.notifiers):
            try:
                for when in one.when:
                    found[f"on_{when}"] += (one.made(when),)
            except BadSpec as error:
                faults += [f"notifiers.{place}: {fault}" for fault in error.faults]
        if faults:
            raise BadSpec(list(dict.fromkeys(faults)))
        return found

    def _make(self) -> Callable[..., DAG]:
        """Make the DAG. Migrations, comparisons and repairs have forms of different kinds."""
        own: dict[str, Callable[..., DAG]] = {
            "migrate": migration_dag,
            "translate": translation_dag,
            "validate": validation_dag,
            "repair": repair_dag,
        }
        if self.flow not in own:
            return partial(spec_dag, self.flow, connections=self.connections)
        if self.connections:
            raise BadSpec([f"connections: {self.flow} has source-conn-id and target-conn-id"])
        source, target = self.source_conn_id, self.target_conn_id
        return partial(own[self.flow], source_conn_id=source, target_conn_id=target)


def load_specs(folder: Path | str) -> dict[str, DAG]:
    """Every ``*.yaml`` and ``*.yml`` of a folder, by DAG id. In a DAG file, which has to contain
    the words "airflow" and "dag" for Airflow to look at it::

        # each file of the folder is an Airflow DAG
        globals().update(load_specs(Path(__file__).parent / "migrations"))

    A faulty file does not affect the others: its faults become an additional DAG, for which
    Airflow's check of DAGs reports an import error. A task only makes its own DAG.

    Raises:
        BadSpec: there is no such folder; in a task: with every fault of its file.
    """
    wanted = get_parsing_context().dag_id
    paths = yaml_files(Path(folder))
    return _one(paths, wanted) if wanted else _all(Path(folder), paths)


class Faults(DAG):
    """The faults of files that could not become DAGs."""

    faults: Sequence[str] = ()

    @classmethod
    def of(cls, dag_id: str, faults: Sequence[str]) -> Faults:
        found = cls(dag_id, schedule=None)
        found.faults = faults
        return found

    def validate(self) -> None:
        """Called by Airflow before it accepts a DAG.

        Raises:
            BadSpec: always.
        """
        raise BadSpec(self.faults)


def _all(folder: Path, paths: Sequence[Path]) -> dict[str, DAG]:
    faults: list[str] = []
    found: dict[str, DAG] = {}
    try:
        defaults = _defaults(folder)
    except BadSpec as error:
        return {_fault_id(folder): Faults.of(_fault_id(folder), error.faults)}
    for path in paths:
        try:
            dag = _dag(path, _words(path), defaults)
        except BadSpec as error:
            faults += error.faults
            continue
        if dag.dag_id in found:
            faults.append(f"{path}: another file has the dag-id {dag.dag_id} too")
        else:
            found[dag.dag_id] = dag
    if faults:
        reported = Faults.of(_fault_id(folder), list(dict.fromkeys(faults)))
        found[reported.dag_id] = reported
    return found


def _fault_id(folder: Path) -> str:
    return f"faults_in_{re.sub(r'[^A-Za-z0-9_.-]', '_', folder.name)}"


def _defaults(folder: Path) -> Defaults:
    return read_defaults(folder, DagSpec.model_fields, flow_names())


def _one(paths: Sequence[Path], dag_id: str) -> dict[str, DAG]:
    """The DAG of one id. The file of that name is tried first, and is usually the only one that is
    read."""
    for path in sorted(paths, key=lambda path: path.stem != dag_id):
        try:
            words = _words(path)
        except BadSpec:
            if path.stem == dag_id:
                raise
            continue
        if words["dag_id"] == dag_id:
            return {dag_id: _dag(path, words, _defaults(path.parent))}
    return {}


def _words(path: Path) -> dict[str, Any]:
    with _named(path):
        return {"dag_id": path.stem, **read_words(path, DagSpec.model_fields)}


def _dag(path: Path, own: Mapping[str, Any], defaults: Defaults) -> DAG:
    flow = str(own.get("flow") or defaults.words.get("flow") or "migrate")
    words = merged(defaults.of(flow), own)
    with _named(path):
        try:
            spec = validated(DagSpec, words)
        except BadSpec as error:
            found = [*error.faults, *_inner_faults(words)]
            shared = [fault for fault in found if defaults.names(fault, flow, own)]
            faults = [fault for fault in found if fault not in shared]
            raise BadSpec([*(f"{defaults.path}: {one}" for one in shared), *faults]) from None
        return spec.dag()


def _inner_faults(words: Mapping[str, Any]) -> Sequence[str]:
    """Faults of the spec in a file that is faulty itself, so that all are reported at once."""
    spec = words.get("spec")
    if not isinstance(spec, Mapping):
        return ()
    near = difflib.get_close_matches("flow", [str(key) for key in words], 1)
    flow = words[near[0]] if near else "migrate"
    if flow not in FLOWS:
        return ()
    sides = None if flow in _TWO_SIDES else words.get("connections")
    given = [str(key) for key in sides] if isinstance(sides, Mapping) else []
    try:
        words = {str(key).replace("-", "_"): value for key, value in spec.items()}
        checked(FLOWS[flow], words, given, dict.fromkeys(given, PLACED))
    except BadSpec as error:
        return error.faults
    return ()


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """The faults, each with the name of its file."""
    try:
        yield
    except BadSpec as error:
        of_folder = f"{path.parent}/"
        faults = [one if one.startswith(of_folder) else f"{path}: {one}" for one in error.faults]
        raise BadSpec(faults) from None
    # from making the DAG: for example a timeout of a step that does not exist
    except ValueError as error:
        raise BadSpec([f"{path}: {error}"]) from None
