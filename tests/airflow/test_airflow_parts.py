"""One task's part in a flow, with servers and without an Airflow."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import Queue
from types import SimpleNamespace
from typing import Any

import pytest

from locking import SECONDS, blocked_by, holding
from other_tasks import TaskTimes
from pages import Page
from servers import Pair, free_port
from windlass.airflow.board import Board
from windlass.airflow.connections import _conninfo
from windlass.airflow.ending import block_lines
from windlass.airflow.lineage import operator_lineage
from windlass.airflow.work import Part
from windlass.errors import (
    ConnectionLost,
    Different,
    Refused,
    RunLost,
    SnapshotLost,
    WindlassError,
)
from windlass.flows.migrate.context import Migration
from windlass.flows.migrate.outline import MIGRATE
from windlass.model.flow import ONE, Result, Step
from windlass.model.outcome import StartedBy
from windlass.model.report import Difference, DifferenceKind
from windlass.report.page import run_page
from windlass.run.local import run_flow
from windlass.run.published import outcome_json
from windlass.spec.migrate import Spec
from windlass.spec.model import validated

EXTRACT, HOLD = "extract_source_schema", "hold_snapshot"
STARTED = StartedBy("a test", "https://airflow.example.com/dags/a/runs/test")


@dataclass
class Others(TaskTimes):
    """The other tasks, as Airflow would show them to a task."""

    started_by: StartedBy = STARTED
    failures: dict[str, list[str]] = field(default_factory=dict)
    handles: dict[str, Result] = field(default_factory=dict)
    ended: bool = False

    def has_ended(self, task: str) -> bool:
        return self.ended

    def result(self, task: str) -> Result | None:
        return self.handles.get(task)

    def problems(self, task: str) -> list[str]:
        return self.failures.get(task, [])

    def results(self, step: Step[Any]) -> Mapping[str, Result]:
        found = self.result(step.task)
        return {ONE.id: found} if found else {}


def part(pair: Pair, step: str, others: Others | None = None, **words: Any) -> Part:
    addresses = {"source": pair.source.url, "target": pair.target.url}
    spec = validated(Spec, {**addresses, **words})
    board: Any = others or Others()
    return Part(MIGRATE, MIGRATE.step(step), spec, board, patience_seconds=0)


@contextmanager
def held(pair: Pair, *steps: str) -> Iterator[tuple[Migration, Others]]:
    """A run of Airflow's, its holder at work."""
    pair.source.run("create table if not exists sale as select 1 as n")
    others = Others()
    with Migration(part(pair, HOLD).spec, started_by=others.started_by) as run:
        run_flow(MIGRATE.only(EXTRACT, HOLD, *steps), run, jobs=1, emit=run.emit)
        others.handles[HOLD] = run.handle
        yield run, others


@pytest.mark.parametrize("step", [EXTRACT, HOLD])
def test_a_server_that_is_down_is_no_refusal_and_a_wrong_password_is_one(
    pair: Pair, step: str
) -> None:
    others = Others(handles={EXTRACT: {"run": "20260101_0000_abcd", "fingerprint": ""}})
    nobody = f"postgresql://postgres@127.0.0.1:{free_port()}/none"
    with pytest.raises(ConnectionLost, match="source"):
        begin(part(pair, step, others, source=nobody))
    wrong = pair.source.url.replace("Sw0rdfish", "Herring")
    for target in (pair.target.url, nobody):
        with pytest.raises(Refused):
            begin(part(pair, step, others, source=wrong, target=target))


def begin(part: Part) -> None:
    part.hold(lambda _: None, []) if part.step.lasting else part.run()


def test_the_snapshot_that_another_task_holds_is_found(pair: Pair) -> None:
    with held(pair) as (run, others):
        assert part(pair, "validate_schema", others).held_snapshot() == run.snapshot.id


def test_a_run_whose_spec_was_changed_since_is_not_resumed(pair: Pair) -> None:
    with held(pair) as (_, others), pytest.raises(Refused) as caught:
        part(pair, EXTRACT, others, exclude=["public.sale"]).run()
    assert "began with other options" in str(*caught.value.problems)


def test_a_run_that_is_over_does_not_stand_for_another_spec(pair: Pair) -> None:
    with done_but_the_end(pair) as others:
        part(pair, "generate_migration_summary", others).run()
    with pytest.raises(Refused) as caught:
        part(pair, EXTRACT, others, exclude=["public.sale"]).run()
    assert "began with other options" in str(*caught.value.problems)


def test_a_snapshot_is_waited_for_until_its_holder_reports_it(pair: Pair) -> None:
    with pytest.raises(RunLost, match=f"waiting for {HOLD}"):
        part(pair, "validate_schema").held_snapshot()
    with held(pair) as (_, others):
        pass
    with pytest.raises(RunLost):  # of an earlier attempt, and the next has not come so far
        part(pair, "validate_schema", others).held_snapshot()


def test_a_finished_run_s_old_snapshot_is_none(pair: Pair) -> None:
    every = [step.name for step in MIGRATE.steps]
    with held(pair, *every) as (_, others):
        pass
    assert pair.target.value("select state from windlass.run") == "done"
    with pytest.raises(SnapshotLost):
        part(pair, "validate_schema", others).held_snapshot()


@pytest.mark.parametrize("handle", [{}, {"run": "1"}])
def test_a_snapshot_whose_holder_has_ended_says_what_to_clear(pair: Pair, handle: Result) -> None:
    others = Others(handles={HOLD: handle} if handle else {}, ended=True)
    with pytest.raises(WindlassError, match=f"{HOLD} has ended") as caught:
        part(pair, "validate_schema", others).held_snapshot()
    assert not caught.value.retryable
    assert caught.value.hint == f"clear {HOLD} as well"


def test_a_holder_that_has_failed_is_named_with_what_it_said(pair: Pair) -> None:
    others = Others(ended=True, failures={HOLD: ["plan: table shop.item has changed"]})
    with pytest.raises(WindlassError, match=f"{HOLD} has failed: plan: table shop.item") as caught:
        part(pair, "create_target_schema", others).run()
    assert not caught.value.retryable


def test_a_plan_that_is_no_more_the_databases_names_what_has_changed(pair: Pair) -> None:
    pair.source.run("create table sale as select 1 as n", "create table item (id int)")
    planned = part(pair, EXTRACT).run()[ONE.id]
    pair.source.run("alter table item add note text", "create table late (id int)")
    others = Busy(handles={EXTRACT: planned})
    with pytest.raises(Refused) as caught:
        part(pair, HOLD, others).hold(lambda _: None, [])
    assert {problem.object for problem in caught.value.problems} == {
        "table public.item",
        "table public.late",
    }
    assert all("begin a new run" in problem.hint for problem in caught.value.problems)
    assert pair.target.value("select to_regnamespace('windlass')") is None


def test_what_an_old_list_names_and_the_plan_has_no_more_says_what_to_clear(pair: Pair) -> None:
    with held(pair) as (_, others):
        with pytest.raises(WindlassError, match="source 9/7 of validate_content is not") as caught:
            part(pair, "validate_content", others).run(["source 9/7"])
        assert caught.value.hint == "clear prepare_validation"


def test_what_a_longer_list_has_left_behind_is_none_of_the_step_s_results() -> None:
    """Airflow keeps the XComs of mapped tasks that a shorter list has no more."""
    step = MIGRATE.step("validate_content")
    shares = [{"source 1": {"rows": 1}}, {"target 1": {"rows": 1}}, {"source 1": {"rows": 7}}]
    found: dict[str, Any] = {step.listing: [{}, {}], step.task: shares}
    ti: Any = SimpleNamespace(
        xcom_pull=lambda task_ids, map_indexes=None: found[
            task_ids if isinstance(task_ids, str) else task_ids[0]
        ]
    )
    assert Board(ti).results(step) == {"source 1": {"rows": 1}, "target 1": {"rows": 1}}


# whom a run waits for


def logged(caplog: pytest.LogCaptureFixture, words: str, running: Future[Any]) -> None:
    deadline = time.monotonic() + SECONDS
    while words not in caplog.text:
        assert time.monotonic() < deadline and not running.done(), caplog.text
        time.sleep(0.01)


def test_the_task_that_plans_names_who_keeps_it_waiting(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    pair.source.run("create table sale as select 1 as n")
    with ThreadPoolExecutor(1) as pool:
        with holding(pair.source, "lock table sale in access exclusive mode") as other:
            running = pool.submit(part(pair, EXTRACT).run)
            logged(caplog, f"waiting for a lock on public.sale, {blocked_by(other)}", running)
        running.result()


@dataclass
class Busy(Others):
    """Others are at work until they are over."""

    over: threading.Event = field(default_factory=threading.Event)
    left_out: list[str] = field(default_factory=list)

    def others_are_over(self, last: Sequence[str]) -> bool:
        return self.over.wait(0.01)

    def failed(self) -> list[str]:
        return []

    def skipped(self, tasks: Sequence[str]) -> list[str]:
        return self.left_out


def test_the_task_that_holds_a_run_names_who_keeps_the_others_waiting(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    pair.source.run("create table sale as select 1 as n")
    pair.target.run("create table other (id int)")
    planned = part(pair, EXTRACT).run()[ONE.id]
    busy, begun = Busy(handles={EXTRACT: planned}), Queue[Result]()
    with ThreadPoolExecutor(2) as pool:
        running = pool.submit(part(pair, HOLD, busy).hold, begun.put, [])
        run = begun.get(timeout=SECONDS)["run"]
        with holding(pair.target, "lock table other") as blocking:
            session = pair.target.connect(application_name=f"windlass {run}")
            waiting = pool.submit(session.execute, "select from other")
            logged(caplog, f"waiting for a lock on public.other, {blocked_by(blocking)}", running)
        waiting.result()
        session.close()
        busy.over.set()
        running.result()


def test_a_run_whose_end_was_skipped_is_not_green(pair: Pair) -> None:
    """As after a pool gave it no slot, if only the holder is cleared."""
    pair.source.run("create table sale as select 1 as n")
    planned = part(pair, EXTRACT).run()[ONE.id]
    busy = Busy(handles={EXTRACT: planned}, left_out=["generate_migration_summary"])
    busy.over.set()
    holder = part(pair, HOLD, busy)
    with pytest.raises(WindlassError, match="generate_migration_summary was skipped") as caught:
        holder.hold(lambda _: None, [])
    assert not caught.value.retryable
    found = Page(run_page(outcome_json(holder.outcome))).text if holder.outcome else ""
    assert found.index("Stopped") < found.index("was skipped") < found.index("public.sale")
    assert pair.target.value("select state from windlass.run") == "running"


# connections


def conninfo(**words: Any) -> str:
    plain = {"host": "h", "port": 5432, "schema": "d", "login": "u", "password": "p"}
    extra = words.pop("extra", {})
    connection: Any = SimpleNamespace(**{**plain, **words}, extra_dejson=extra)
    return _conninfo("shop", connection)


HOOK_S_OWN = [
    *("iam", "redshift", "redshift-serverless", "cursor", "cluster-identifier", "workgroup-name"),
    *("aws_conn_id", "sqlalchemy_scheme", "sqlalchemy_query", "azure_conn_id"),
]


def test_what_airflow_s_hook_keeps_for_itself_is_no_word_of_libpq() -> None:
    extra = dict.fromkeys(HOOK_S_OWN, "") | {"sqlalchemy_query": {"a": "b"}, "sslmode": "require"}
    assert "sslmode=require" in conninfo(extra=extra)


@pytest.mark.parametrize("key", ["iam", "azure_conn_id"])
def test_a_token_of_a_cloud_is_not_fetched_and_that_is_said(key: str) -> None:
    with pytest.raises(WindlassError, match=f"'shop' asks for a cloud token.*{key}"):
        conninfo(password="", extra={key: "true"})
    assert "password=p" in conninfo(extra={key: "true"})


def test_an_extra_that_libpq_does_not_know_is_named_without_its_value() -> None:
    with pytest.raises(WindlassError, match=r"'shop' has extras.*: other, tell-tale$") as caught:
        conninfo(extra={"tell-tale": "secret", "sslmode": "require", "other": "secret"})
    assert not caught.value.retryable
    assert "secret" not in str(caught.value) + caught.value.hint


# how a run ends


STANDING: dict[str, Any] = {"allow_unmatched": True}  # as every DAG has it: test_airflow_params
EVERY = [step.name for step in MIGRATE.steps]
SHOP = [
    "create table item (id int primary key, note text)",
    "insert into item select n, 'note' from generate_series(1, 1000) n",
    "create index item_note on item (note)",
    "create table sale (id int primary key, item int not null references item)",
    "insert into sale select n, n from generate_series(1, 500) n",
]


@contextmanager
def done_but_the_end(pair: Pair, *, planted: Sequence[str] = ()) -> Iterator[Others]:
    """A run of which only the last step is left. `planted` is what others do on the target after
    the copy."""
    pair.source.run(*SHOP)
    before, after = EVERY[: EVERY.index("validate_content")], EVERY[len(EVERY) - 6 : -1]
    with held(pair, *before[2:]) as (run, others):
        pair.target.run(*planted)
        run_flow(MIGRATE.only(*after), run, jobs=1, emit=run.emit)
        for step in MIGRATE.steps:
            others.handles[step.task] = run.results[step.name].get(ONE.id, {})
        yield others


def test_the_last_task_knows_what_the_command_line_shows_at_the_end(pair: Pair) -> None:
    with done_but_the_end(pair) as others:
        last = part(pair, "generate_migration_summary", others)
        last.run()
    assert last.outcome is not None
    lines = list(block_lines(last.outcome, MIGRATE.words))
    text = "\n".join(lines)
    assert lines[0].startswith("✓ Migrated ")
    assert "Verified: schema, sequences, row counts and the content of every row" in text
    assert re.search(r"rows +1,500  [\d.]+k? rows/s", text), text
    assert re.search(r"copy tables +[\d.]+ s", text), text
    assert re.search(r"public\.item +1,000 .* ✓ full", text), text


def test_the_lineage_of_a_migration_has_its_tables_columns_rows_and_bytes(pair: Pair) -> None:
    with done_but_the_end(pair) as others:
        last = part(pair, "generate_migration_summary", others)
        last.run()
    event = operator_lineage(last.arrived)
    source, target = pair.source, pair.target
    inputs = {one.name: one.namespace for one in event.inputs}
    assert inputs == {f"{source.name}.public.{table}": f"postgres://127.0.0.1:{source.server.port}"
                      for table in ("item", "sale")}  # fmt: skip
    (item,) = [one for one in event.outputs if one.name == f"{target.name}.public.item"]
    assert item.namespace == f"postgres://127.0.0.1:{target.server.port}"
    counted = item.outputFacets["outputStatistics"]
    assert counted.rowCount == 1_000 and counted.size > 0
    (note,) = item.facets["columnLineage"].fields["note"].inputFields
    assert (note.name, note.field) == (f"{source.name}.public.item", "note")
    (became,) = note.transformations
    assert (became.type, became.subtype, became.masking) == ("DIRECT", "IDENTITY", False)
    assert ("note", "text") in [(one.name, one.type) for one in item.facets["schema"].fields]


@dataclass
class Tasks(Others):
    """The other tasks, with the results of each step's items."""

    done: dict[str, Mapping[str, Result]] = field(default_factory=dict)

    def results(self, step: Step[Any]) -> Mapping[str, Result]:
        return self.done.get(step.name) or super().results(step)


MAPPED: dict[str, Any] = {
    "public.item": {
        "into": "thing",
        "columns": {
            "note": {"function": "mapping_functions:note"},
            "twice": {"target-sql": "note || note"},
            "half": {"sql": "id / 2"},
        },
    },
    "public.sale": {"where": "id <= 100", "columns": {"item": "thing"}},
}


def test_mapped_tables_are_migrated_and_proven_by_separate_tasks(pair: Pair) -> None:
    pair.source.run(*SHOP)
    others = Tasks()
    with Migration(part(pair, HOLD, mapping=MAPPED).spec, started_by=others.started_by) as run:
        run_flow(MIGRATE.only(EXTRACT, HOLD), run, jobs=1, emit=run.emit)
        others.handles[HOLD] = run.handle
        for step in MIGRATE.steps[2:]:
            one = part(pair, step.name, others, mapping=MAPPED)
            others.done[step.name] = one.run()
            if step == MIGRATE.last:
                assert one.outcome is not None
                assert one.outcome.proof.verified == "full"
    assert pair.target.rows("select note, twice, half from thing where id = 7") == [
        ("NOTE", "NOTENOTE", 3)
    ]
    assert pair.target.value("select count(*) from sale where thing <= 100") == 100
    about = [one for one in operator_lineage(one.arrived).outputs if one.name.endswith("thing")]
    (twice,) = about[0].facets["columnLineage"].fields["note"].inputFields
    assert twice.transformations[0].type == "DIRECT"


PLANTED = ("delete from item where id = 7", "update item set note = 'other' where id = 77",
           "delete from sale where id = 9", "insert into sale values (9000, 5)")  # fmt: skip


def test_a_run_with_differences_is_ended_and_the_next_begins_again(pair: Pair) -> None:
    with done_but_the_end(pair, planted=PLANTED[1:]) as others:
        last = part(pair, "generate_migration_summary", others)
        with pytest.raises(Different):
            last.run()
    assert last.outcome is not None
    text = "\n".join(block_lines(last.outcome, MIGRATE.words))
    assert "changed: public.item (id=77): differs in note" in text
    assert "windlass verify --repair" in text
    assert pair.target.value("select state from windlass.run") == "different"
    again = part(pair, EXTRACT, Others(started_by=StartedBy("another")), existing="replace").run()
    assert again[ONE.id]["run"] != last.outcome.run


def test_what_only_the_validation_dag_has_found_ends_the_run_as_different(pair: Pair) -> None:
    found = Difference(DifferenceKind.COUNT, "public.item", "has 1,000 rows on the source and 999")
    with done_but_the_end(pair) as others:
        last = part(pair, "generate_migration_summary", others)
        last.beside = {"trigger_validation_dag": {"differences": [found.to_json()]}}
        with pytest.raises(Different) as caught:
            last.run()
    assert list(map(str, caught.value.differences)) == [str(found)]
    assert pair.target.value("select state from windlass.run") == "different"


def test_what_both_have_found_is_reported_once(pair: Pair) -> None:
    with done_but_the_end(pair, planted=PLANTED[2:3]) as others:
        own = others.handles["find_differences"]["differences"]
        last = part(pair, "generate_migration_summary", others)
        last.beside = {"trigger_validation_dag": {"differences": [dict(one) for one in own]}}
        with pytest.raises(Different) as caught:
            last.run()
    assert len(own) == len(caught.value.differences) > 0


def test_results_have_what_programs_read_that_know_the_earlier_dags(pair: Pair) -> None:
    pair.source.run(*SHOP)
    extracted = part(pair, EXTRACT).run()[ONE.id]
    item, sale = sorted(extracted["extracted_tables"], key=lambda one: one["table_name"])
    assert item["columns"][0] == {"name": "id", "type": "integer", "nullable": False}
    assert (item["primary_key"], [one["name"] for one in item["indexes"]]) == (
        ["id"],
        ["item_note"],
    )
    assert "FOREIGN KEY" in sale["foreign_keys"][0]["definition"]
    with held(pair, "create_target_schema", "create_target_tables", "copy_tables") as (run, others):
        made = [one for result in run.results["create_target_tables"].values()
                for one in result["tables"]]  # fmt: skip
        copied = [*run.results["copy_tables"].values()]
        collected = part(pair, "collect_all_results", others).run()[ONE.id]
    assert {one["target"] for one in made} == {"public.item", "public.sale"}
    assert made[0]["columns"]
    assert all(one["success"] and one["seconds"] > 0 for one in copied)
    assert {(one["table_name"], one["rows"], one["success"]) for one in collected["tables"]} == {
        ("public.item", 1000, True),
        ("public.sale", 500, True),
    }
    assert all(one["seconds"] > 0 and one["bytes"] > 0 for one in collected["tables"])


def test_the_plan_says_what_a_scheduler_s_tasks_add(pair: Pair) -> None:
    pair.source.run(*SHOP)
    plan = part(pair, EXTRACT).run()[ONE.id]["plan"]
    assert re.search(r"takes.* of work, and .* to start \d+ tasks one after another", plan), plan
    assert "as soon as its own rows are in" not in plan


def test_a_pattern_that_excludes_nothing_is_a_notice_in_a_standing_dag(pair: Pair) -> None:
    pair.source.run(*SHOP)
    plan = part(pair, EXTRACT, exclude=["*.tmp_*"], **STANDING).run()[ONE.id]["plan"]
    assert "tmp" in plan.split("Notices")[1]
    with pytest.raises(Refused):
        part(pair, EXTRACT, include=["*.tmp_*"], **STANDING).run()
    with pytest.raises(Refused, match="1 problem"):
        part(pair, EXTRACT, exclude=["*.tmp_*"]).run()


def test_a_command_beside_a_dag_run_names_it(pair: Pair) -> None:
    spec = part(pair, EXTRACT).spec
    with held(pair), Migration(spec) as command, pytest.raises(Refused) as caught:
        run_flow(MIGRATE.only(EXTRACT), command, jobs=1, emit=command.emit)
    (problem,) = caught.value.problems
    assert "another run is in progress: a test (windlass control" in problem.message
    assert problem.hint.endswith(STARTED.external_url)
