"""Flows as DAGs: a step is a task, and a fan-out that is worth it a mapped task.

Flows are only read as data: parsing a DAG file connects to nothing and imports no driver.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, BaseOperator, Param
from airflow.sdk.definitions.param import ParamsDict

from windlass.airflow import params as forms
from windlass.airflow.checking import (
    PLACED,
    SpecLike,
    check_inputs,
    check_store,
    checked,
    checked_export,
    checked_load,
    has_password,
    read_spec,
    take_logins,
)
from windlass.airflow.clouds import STORE, WAREHOUSE
from windlass.airflow.findings import VALIDATION_DAG
from windlass.airflow.inputs import is_file
from windlass.airflow.notices import Notices, macros
from windlass.airflow.operators import resolve_place
from windlass.airflow.others import ONE_TASK, check_follow
from windlass.airflow.tasks import Build, Gate
from windlass.airflow.tuning import Ending, Tuning
from windlass.errors import BadSpec
from windlass.flows.registry import FLOWS, entries_of, flow_named
from windlass.model.flow import Flow

MIGRATE, VALIDATE = FLOWS["migrate"], FLOWS["validate"]
REWRITE, EXPORT, LOAD = FLOWS["rewrite"], FLOWS["export"], FLOWS["load"]
_PARAMS = "windlass.airflow.params"
_CALLBACKS = {"on_success_callback", "on_failure_callback"}
_MERGED = {"default_args", "params", *_CALLBACKS}
_COMPLETE = "create_event_triggers"  # after this step nothing is changed
# tasks of a run that may be active in addition to the mapped ones: the holder, short steps
BESIDE = 8
REWRITE_TIMEOUT = timedelta(hours=1)  # for a run; the next one finishes what it has begun


def flow_dag(
    flow: str,
    dag_id: str,
    *,
    words: str,
    given: Mapping[str, Any] | None = None,
    connections: Sequence[str] = ("source", "target"),
    params: Mapping[str, Param] | None = None,
    tuning: Tuning | None = None,
    ending: Ending | None = None,
    gates: Mapping[str, Gate] | None = None,
    **dag_options: Any,
) -> DAG:
    """Any flow as a DAG.

    `flow` is its import path, ``package.module:NAME``. `words` is the import path of a pure
    function that returns the options of the flow's spec, from the run's params and `given`. Those
    in `connections` hold ids of Airflow connections, or name Variables. `gates` are tasks that come
    directly after a step, before everything else that comes after it. `dag_options` are passed to
    Airflow's `DAG`.

    Raises:
        ValueError: with every fault of the flow, the gates and the timeouts.
    """
    tuning, ending = tuning or Tuning(), ending or Ending()
    outline: Flow[Any] = resolve_place(flow)
    faults = list(flow_faults(outline, gates or {}, tuning.timeouts))
    if faults:
        raise ValueError("; ".join(faults))
    last = outline.last.task
    options = dag_options_of(dag_id, last, tuning, ending, params or {}, dag_options)
    with new_dag(dag_id, options) as dag:
        every = step_words(flow, words, given or {}, connections, tuning)
        Build(outline, every, tuning, ending, gates or {}, dag_id).make()
    return dag


@contextmanager
def new_dag(dag_id: str, options: Mapping[str, Any]) -> Iterator[DAG]:
    """A DAG whose tasks are made inside the block; it gets its params after them.

    Airflow copies a DAG's params into each task when the task is made, although a run takes those
    of the DAG. Serializing the copies took a second of CPU, and the DAG became eight times as
    large.
    """
    given = dict(options)
    params = given.pop("params", None) or {}
    with DAG(dag_id, **given) as dag:
        yield dag
    dag.params = ParamsDict({**params, **dag.params})  # it already has those of default_args


def dag_options_of(
    dag_id: str,
    last: str,
    tuning: Tuning,
    ending: Ending,
    params: Mapping[str, Param],
    given: Mapping[str, Any],
) -> dict[str, Any]:
    """The arguments for Airflow's `DAG` whose last task is `last`: ours, and the given ones."""
    options = _dag_options(dag_id, last, tuning, ending)
    options["default_args"] |= given.get("default_args", {})
    for name in _CALLBACKS & given.keys():  # in addition to those of the ending
        own = given[name]
        options[name] = [*options.get(name, ()), *(own if isinstance(own, list) else [own])]
    options["params"] = forms.with_params(params, given.get("params") or {})
    if not given.get("schedule"):
        options["is_paused_upon_creation"] = False
    return {**options, **{key: one for key, one in given.items() if key not in _MERGED}}


def _dag_options(dag_id: str, last: str, tuning: Tuning, ending: Ending) -> dict[str, Any]:
    """The default arguments of Airflow's `DAG`."""
    options: dict[str, Any] = {
        "schedule": None,
        "catchup": False,
        "max_active_runs": 1,
        "max_active_tasks": tuning.max_parallel + BESIDE,
        "tags": ["windlass"],
        "user_defined_macros": macros(last),
        "default_args": {
            "owner": "windlass",
            "trigger_rule": "none_failed",  # a step without items is skipped
            **tuning.task_defaults(),
        },
    }
    options |= ending.callbacks()
    if ending.deadline:
        options["deadline"] = (ending.notices or Notices()).deadline(dag_id, ending.deadline)
    return options


def step_words(
    flow: str,
    words: str,
    given: Mapping[str, Any],
    connections: Sequence[str],
    tuning: Tuning,
) -> dict[str, Any]:
    """The arguments of every task of a flow; for the others see `flow_dag`.

    Raises:
        BadSpec: the flow's steps would ignore an option.
    """
    check_follow(resolve_place(flow), given.get("follow"))
    return {
        "flow": flow,
        "words": words,
        "given": dict(given),
        "connections": tuple(connections),
        "patience_seconds": tuning.patience.total_seconds(),
    }


def flow_faults(
    flow: Flow[Any], gates: Mapping[str, Any], timeouts: Mapping[str, Any]
) -> Iterator[str]:
    """Names that match no step, which would be ignored silently, even an approval; and that the
    flow cannot be tasks."""
    if flow.name in ONE_TASK:
        yield f"flow {flow.name}: one process has to do all of it; use {ONE_TASK[flow.name]}"
    names = [step.task for step in flow.steps]
    for what, keys in (("gates", gates), ("timeouts", timeouts)):
        for name in (key for key in keys if key not in names):
            near = difflib.get_close_matches(name, names, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            yield f"{what}: flow {flow.name} has no step {name}{hint}"
    for step in flow.steps:
        if step.lasting and step.task in gates:
            yield f"gates: {step.task} lasts as long as the run; nothing can come after it"
        for name in step.reads:
            read = flow.step(name)
            if read.items and not read.spread:
                why = "but a task does not keep the results of its items"
                yield f"{step.task} reads {read.task}, {why}"


def migration_dag(
    dag_id: str,
    *,
    spec: SpecLike | None = None,
    source_conn_id: str = "postgres_source",
    target_conn_id: str = "postgres_target",
    validation_dag_id: str = VALIDATION_DAG,
    tuning: Tuning | None = None,
    ending: Ending | None = None,
    **dag_options: Any,
) -> DAG:
    """The flow `migrate`. Without a spec, its trigger form asks for everything. With a spec, which
    is a mapping or a YAML file without source and target, the form only asks for the connections
    and the approval.

    Raises:
        BadSpec: with every fault of the spec.
    """
    params = forms.connection_params(source_conn_id, target_conn_id)
    words = f"{_PARAMS}:{'migration_words' if spec is None else 'spec_words'}"
    gates: dict[str, Gate] = {"extract_source_schema": _approval}
    if spec is None:
        params |= forms.migration_params()
        patience = (tuning or Tuning()).patience.total_seconds()
        gates = {
            "extract_source_schema": lambda: _approval(validation_dag_id),
            _COMPLETE: lambda: _validation(validation_dag_id, words, patience),
        }
    else:
        params |= forms.approval_param()
    return flow_dag(
        MIGRATE,
        dag_id,
        words=words,
        given=checked(MIGRATE, spec),
        params=forms.with_params(params, dag_options.pop("params", {})),
        tuning=tuning,
        ending=ending,
        gates=gates,
        **{"description": "One Postgres database into another, verified.", **dag_options},
    )


def validation_dag(
    dag_id: str,
    *,
    spec: SpecLike | None = None,
    source_conn_id: str = "postgres_source",
    target_conn_id: str = "postgres_target",
    tuning: Tuning | None = None,
    ending: Ending | None = None,
    **dag_options: Any,
) -> DAG:
    """The flow `validate`: reads both sides, and fails with every difference named.

    Raises:
        BadSpec: with every fault of the spec.
    """
    params = forms.connection_params(source_conn_id, target_conn_id)
    if spec is None:
        params |= forms.validation_params()
    return flow_dag(
        VALIDATE,
        dag_id,
        words=f"{_PARAMS}:{'validation_words' if spec is None else 'spec_words'}",
        given=checked(VALIDATE, spec),
        params=forms.with_params(params, dag_options.pop("params", {})),
        tuning=tuning,
        ending=ending,
        **{
            "description": "Compares two Postgres databases, and names what differs.",
            **dag_options,
        },
    )


def rewrite_dag(
    dag_id: str,
    *,
    spec: SpecLike,
    db_conn_id: str = "postgres_default",
    tuning: Tuning | None = None,
    ending: Ending | None = None,
    **dag_options: Any,
) -> DAG:
    """The flow `rewrite` with a spec: a mapping or a YAML file, without the connection.

    `db_conn_id` is the id of an Airflow connection, or ``variable:`` and the name of a Variable
    that holds a connection string. A run is stopped after an hour, unless you give another
    `dagrun_timeout`.

    Raises:
        BadSpec: with every fault of the spec.
    """
    return flow_dag(
        REWRITE,
        dag_id,
        words=f"{_PARAMS}:rewrite_words",
        given=checked(REWRITE, spec, ("connection",)),
        connections=("connection",),
        params=forms.with_params(forms.rewrite_params(db_conn_id), dag_options.pop("params", {})),
        tuning=tuning,
        ending=ending,
        **{
            "description": "Changes rows of a table in place, with a backup first.",
            "dagrun_timeout": REWRITE_TIMEOUT,
            **dag_options,
        },
    )


def export_dag(
    dag_id: str,
    *,
    spec: SpecLike,
    source_conn_id: str = "postgres_source",
    warehouse_conn_id: str = "",
    store_conn_id: str = "",
    words: str = f"{_PARAMS}:connected_words",
    tuning: Tuning | None = None,
    ending: Ending | None = None,
    **dag_options: Any,
) -> DAG:
    """The flow `export`. `warehouse_conn_id` is the connection of a PostgreSQL warehouse, or has
    the credentials for the BigQuery dataset or the Snowflake that the spec names. Other warehouses
    are named in the spec, which must not contain a password. `store_conn_id` has the credentials
    for the store: a connection of type `google_cloud_platform`, `aws` or `wasb`. `words` is for
    presets: see `flow_dag`.

    Raises:
        BadSpec: with every fault of the spec.
    """
    given = checked_export(spec, warehouse_conn_id, store_conn_id)
    is_database = bool(warehouse_conn_id) and WAREHOUSE not in given
    params = {"source_conn_id": forms.connection(source_conn_id, forms.ONLY_READ)}
    return flow_dag(
        EXPORT,
        dag_id,
        words=words,
        given=given,
        connections=("source", "warehouse") if is_database else ("source",),
        params=forms.with_params(params, dag_options.pop("params", {})),
        tuning=tuning,
        ending=ending,
        **{"description": "From PostgreSQL into files and a warehouse.", **dag_options},
    )


def load_dag(
    dag_id: str,
    *,
    spec: SpecLike,
    target_conn_id: str = "postgres_target",
    store_conn_id: str = "",
    tuning: Tuning | None = None,
    ending: Ending | None = None,
    **dag_options: Any,
) -> DAG:
    """The flow `load`. `target_conn_id` is the connection of the database; if it is empty, the
    spec's `target` is a file. ``from: {source: ...}`` is also the id of a connection, or
    ``variable:NAME``, or a file. `store_conn_id` has the credentials for object stores that are
    read. Loaded tables are assets.

    Raises:
        BadSpec: with every fault of the spec.
    """
    params = {}
    if target_conn_id:
        params["target_conn_id"] = forms.connection(target_conn_id, "The database to load into.")
    return flow_dag(
        LOAD,
        dag_id,
        words=f"{_PARAMS}:connected_words",
        given=checked_load(spec, target_conn_id, store_conn_id),
        connections=("target",) if target_conn_id else (),
        params=forms.with_params(params, dag_options.pop("params", {})),
        tuning=tuning,
        ending=ending,
        **{"description": "Files, URLs and queries into tables in use.", **dag_options},
    )


def spec_dag(
    flow: str,
    dag_id: str,
    *,
    spec: SpecLike,
    connections: Mapping[str, str],
    tuning: Tuning | None = None,
    ending: Ending | None = None,
    **dag_options: Any,
) -> DAG:
    """Any flow that a spec can be for, by name. `connections` has ids of Airflow connections, or
    ``variable:`` and a name, by the words of the spec that they replace. Connections of clouds are
    credentials: `store` for the spec's store, `warehouse` for the BigQuery dataset or the Snowflake
    that it names.

    Raises:
        BadSpec: with every fault of the spec, and every database without a connection.
    """
    place, entries = FLOWS[flow], entries_of(flow_named(flow))
    spec = read_spec(spec)
    given = {key.replace("-", "_"): value for key, value in connections.items()}
    logins = take_logins(given, spec) if {"to", "from"} & entries.keys() else {}
    databases = [entry.key for entry in entries.values() if entry.variable]
    lacking = [f"connections: {key}: not given" for key in databases
               if key not in given and not is_file(spec.get(key))]  # fmt: skip
    if lacking:
        raise BadSpec(lacking)
    params = {f"{key}_conn_id": forms.connection(value, entries[key.replace("_", "-")].help)
              for key, value in given.items()}  # fmt: skip
    if place == REWRITE:
        dag_options = {"dagrun_timeout": REWRITE_TIMEOUT, **dag_options}
    words = checked(place, spec, list(given), dict.fromkeys(given, PLACED))
    secret = [key for key, value in words.items() if has_password(str(value or ""))]
    if secret:
        raise BadSpec([f"{key}: holds a password; use a connection" for key in secret])
    check_store(words)
    if place == LOAD:
        check_inputs(words, logins.get(STORE, ""))
    return flow_dag(
        place,
        dag_id,
        words=f"{_PARAMS}:connected_words",
        given={**words, **logins},
        connections=tuple(given),
        params=forms.with_params(params, dag_options.pop("params", {})),
        tuning=tuning,
        ending=ending,
        **dag_options,
    )


def _approval(validation_dag_id: str = "") -> BaseOperator:
    from windlass.airflow.gates import PlanApproval

    return PlanApproval(
        task_id="approve_migration",
        subject="Migrate {{ params.source_conn_id }} to {{ params.target_conn_id }}?",
        body="{{ ti.xcom_pull(task_ids='extract_source_schema', key='plan', map_indexes=-1) }}",
        fail_on_reject=True,
        plan_task="extract_source_schema",
        validation_dag_id=validation_dag_id,
        doc_md="Shows the plan and waits for a person's answer, if the run asks for one. Fails if"
        " the validation DAG is missing or paused.",
        retries=0,
    )


def _validation(dag_id: str, words: str, patience_seconds: float) -> BaseOperator:
    from windlass.airflow.gates import ValidationTrigger

    return ValidationTrigger(
        task_id="trigger_validation_dag",
        flow=MIGRATE,
        step=_COMPLETE,
        words=words,
        patience_seconds=patience_seconds,
        validation_dag_id=dag_id,
        doc_md="Triggers the validation DAG in this run's snapshot, and waits for it.",
        retries=0,
    )
