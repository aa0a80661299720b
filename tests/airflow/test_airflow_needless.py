"""Tasks that have nothing to do are not started: their processes would be most of a small run."""

from __future__ import annotations

from concurrent.futures import Executor
from types import SimpleNamespace
from typing import Any

import pytest

from command import DONE, migrate
from reading_dags import MIGRATION, Read, dag_of
from servers import Pair
from windlass.flows.migrate.context import Migration
from windlass.flows.migrate.outline import MIGRATE
from windlass.journal import records
from windlass.model.flow import resolve
from windlass.model.outcome import StartedBy
from windlass.run.local import run_flow
from windlass.spec.migrate import Spec
from windlass.spec.model import validated

SKIPPED = list(MIGRATE.needless)
OF_STEP = {
    "copy_large_objects": "select lo_create(4711)",
    "attach_indexes": "create table p (id int primary key) partition by range (id);"
    " create table p1 partition of p for values from (0) to (9)",
    "validate_foreign_keys": "create table f (t int references t)",
    "create_triggers_and_rules": "create rule r as on delete to t do instead nothing",
    "refresh_materialized_views": "create materialized view m as select * from t",
    "create_event_triggers": "create function e() returns event_trigger language plpgsql"
    " as 'begin end'; create event trigger e on ddl_command_end execute function e()",
}


def needless(pair: Pair, **words: Any) -> set[str]:
    """The steps of a run that have nothing to do, as its holder knows them."""
    addresses = {"source": pair.source.url, "target": pair.target.url}
    spec = validated(Spec, {**addresses, **words})
    with Migration(spec, lambda _: None, started_by=StartedBy("a test")) as run:
        run_flow(MIGRATE.only("extract_source_schema", "hold_snapshot"), run, jobs=1, emit=run.emit)
        return {step for step, place in MIGRATE.needless.items() if resolve(place)(run)}


def test_a_plain_table_needs_none_of_them(pair: Pair) -> None:
    pair.source.run("create table t (id int primary key)")
    assert needless(pair) == set(SKIPPED)


def test_a_step_that_has_something_to_do_is_not_left_out(pair: Pair) -> None:
    pair.source.run("create table t (id int primary key)", *OF_STEP.values())
    assert needless(pair, unlogged="always") == {"repoint_dependents"}


def test_what_refers_to_tables_that_are_set_aside_is_not_left_out(pair: Pair) -> None:
    pair.source.run("create table t (id int primary key)")
    pair.target.run("create table t (id int primary key)", "create schema mine",
                    "create view mine.v as select * from public.t")  # fmt: skip
    assert "repoint_dependents" not in needless(pair, schema=["public"], existing="replace")


def test_steps_without_work_leave_nothing_in_the_journal(pair: Pair) -> None:
    """So a run without them is the same run, and comes to its end."""
    pair.source.run("create table t (id int primary key)")
    migrate(pair).expect(DONE)
    with pair.target.connect() as target:
        (run,) = records.read_runs(target)
        steps = {line.step for line in records.read_lines(target, run.run)}
    assert steps.isdisjoint(SKIPPED)


def test_a_task_that_is_skipped_early_lets_nothing_start_early(migration: Read) -> None:
    """Airflow takes a skipped task for one that has ended: what comes after it has to wait for what
    comes before it as well."""
    skippable = {MIGRATE.step(name).task for name in SKIPPED} | {"approve_migration"}
    waited = {task: migration.before(task) for task in migration.tasks}
    for task in migration.tasks.keys() - skippable:
        assert waiting(migration, task, skippable) == waited[task] - skippable


def waiting(dag: Read, task: str, skipped: set[str]) -> set[str]:
    """All that a task comes after if some have been skipped before anything has begun."""
    near = dag.just_before(task) - skipped
    return near.union(*(waiting(dag, one, skipped) for one in near))


# the approval


def asked(**params: Any) -> bool:
    """Whether the gate has nothing to do; the validation DAG is paused."""
    gate: Any = dag_of(MIGRATION).get_task("approve_migration")
    ti = SimpleNamespace(get_dag=lambda _: SimpleNamespace(is_paused=True))
    return bool(gate.is_needless({"params": params, "ti": ti}))


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"require_approval": True, "trigger_validation": False}, False),
        ({"require_approval": False, "trigger_validation": False}, True),
        ({"require_approval": False, "trigger_validation": True}, False),  # it has to refuse
    ],
)
def test_an_approval_is_left_out_only_if_it_would_pass(
    process: Executor, params: dict[str, bool], expected: bool
) -> None:
    assert process.submit(asked, **params).result() is expected
