"""One task's part in a flow, with servers and without an Airflow."""

from __future__ import annotations

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
from servers import Pair, free_port
from windlass.airflow.board import Board
from windlass.airflow.connections import _conninfo
from windlass.airflow.work import Part
from windlass.errors import ConnectionLost, Refused, RunLost, SnapshotLost, WindlassError
from windlass.flows.migrate.context import Migration
from windlass.flows.migrate.outline import MIGRATE
from windlass.model.flow import ONE, Result, Step
from windlass.run.local import run_flow
from windlass.spec.migrate import Spec
from windlass.spec.model import validated

EXTRACT, HOLD = "extract_source_schema", "hold_snapshot"


@dataclass
class Others:
    """The other tasks, as Airflow would show them to a task."""

    external_run: str = "a test"
    handles: dict[str, Result] = field(default_factory=dict)
    ended: bool = False

    def has_ended(self, task: str) -> bool:
        return self.ended

    def result(self, task: str) -> Result | None:
        return self.handles.get(task)

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
    with Migration(part(pair, HOLD).spec, external_run=others.external_run) as run:
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

    def others_are_over(self, last: Sequence[str]) -> bool:
        return self.over.wait(0.01)

    def failed(self) -> list[str]:
        return []


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
