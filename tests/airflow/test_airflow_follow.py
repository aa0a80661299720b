"""A migration that follows its source, on Airflow: its DAG, its operators one by one, and a whole
run by a real Airflow in which what follows and what cuts over are killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_following import Following, phase
from airflow_runs import Ended, connect, expect_no_secret, until, wait
from command import DONE, Running, finish, start
from demo.airflow.local import LocalAirflow
from reading_dags import Read, dag_file, dag_of
from servers import PASSWORD, Database, Pair
from windlass.demo.ledger import faults, make_ledger, writing
from windlass.errors import BadSpec

EXAMPLE = "windlass_follow"
SIDES = {"source_conn_id": "old_shop", "target_conn_id": "new_shop"}
PROOFS = "select count(*) from windlass.request where what = 'reverse'"
LEFT_OPEN = "select count(*) from pg_replication_slots where database = current_database()"


# the DAG


@pytest.fixture(scope="module")
def dag(process: Executor) -> Read:
    return Read.of(process.submit(dag_file, EXAMPLE).result())


def test_the_dag_asks_before_it_cuts_over_and_before_it_finishes(dag: Read) -> None:
    assert dag.words["dag_id"] == EXAMPLE and dag.words["max_active_runs"] == 1
    assert dag.just_before("cutover") == dag.just_before("abandon") == {"await_cutover"}
    assert dag.just_before("finish") == dag.just_before("flip_back") == {"await_settle"}
    assert dag.just_before("await_cutover") == {"rehearse_cutover"}
    assert dag.just_before("await_settle") == {"cutover"}
    assert dag.just_before("rehearse_cutover") == {"verify_follow"}
    assert dag.just_before("verify_follow") == {"share_tables"}
    assert dag.just_before("share_tables") == {"await_following"}
    assert dag.just_before("follow") == {"plan"}
    assert dag.next("follow") == set()  # it lasts as long as the run
    assert dag.next("plan") == {"follow", "await_following"}
    assert "watch_lag" in dag.next("await_following")


def tries() -> dict[str, tuple[int, float, str]]:
    """Of each task: its retries, how much longer it waits before each, and its trigger rule."""
    return {
        task.task_id: (
            int(task.retries or 0),
            float(task.retry_exponential_backoff),
            str(getattr(task.trigger_rule, "value", task.trigger_rule)),  # text where it is mapped
        )
        for task in dag_of(EXAMPLE).tasks
    }


def test_what_follows_is_tried_again_for_ever_and_a_cutover_is_not(
    dag: Read, process: Executor
) -> None:
    found = process.submit(tries).result()
    assert found["follow"][0] >= 1_000_000 and found["follow"][1] == 0
    for task in ("cutover", "flip_back", "await_cutover", "await_settle"):
        assert found[task][0] == 0, task
    for task, before in (("reopen_source", "cutover"), ("reopen_target", "flip_back")):
        assert dag.just_before(task) == {before}
        assert found[task][0] >= 100 and found[task][2] == "all_done"
    others = found.keys() - {"reopen_source", "reopen_target"}
    assert {found[task][2] for task in others} == {"all_success"}


def made(kind: str, words: Mapping[str, Any]) -> dict[str, Any]:
    from airflow.sdk import DAG

    import windlass.airflow

    with DAG("theirs"):
        task: Any = getattr(windlass.airflow, kind)(task_id="one", **words)
    return {"retries": task.retries, "connections": task.connections, "spec": task.spec}


def test_faults_of_a_spec_are_import_errors(process: Executor) -> None:
    def fault(kind: str, **words: Any) -> str:
        with pytest.raises(BadSpec) as caught:
            process.submit(made, kind, words).result()
        return "; ".join(caught.value.faults)

    assert "max-freese" in fault("CutoverOperator", spec={"max-freese": "1s"})
    assert "max-freeze" in fault("CutoverOperator", max_freeze="soon")
    pool = "postgresql://admin:secret@pool/shop"
    told = fault("CutoverOperator", spec={"pgbouncer": pool})
    assert "connection" in told and "secret" not in told
    told = fault("CutoverOperator", pgbouncer_conn_id=pool)
    assert "connection" in told and "secret" not in told
    assert "spec" in fault("FinishOperator", spec={})
    assert "spec" in fault("WatchLagOperator", spec={})
    rehearsal = process.submit(made, "CutoverOperator", {"rehearse": True, "retries": 7}).result()
    assert rehearsal["retries"] == 7
    pooled = process.submit(made, "CutoverOperator", {"pgbouncer_conn_id": "pool"}).result()
    assert pooled["retries"] == 0 and pooled["connections"]["pgbouncer"] == "pool"


# its operators, one by one


@dataclass
class Done:
    """What became of one look or try of a task."""

    result: Any = None
    failed: str = ""
    can_be_retried: bool = True
    known: dict[str, Any] | None = None  # it is deferred, and keeps this
    pushed: dict[str, Any] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)  # to those who are notified
    gauges: list[str] = field(default_factory=list)


@dataclass
class Instance:
    """As much of a task instance as an operator needs."""

    task: Any
    states: Mapping[str, str]
    task_id: str = "one"
    dag_id: str = "theirs"
    run_id: str = "tonight"
    map_index: int = -1
    pushed: dict[str, Any] = field(default_factory=dict)

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value

    def xcom_pull(self, **_: Any) -> Any:
        return None

    def get_task_states(self, task_ids: Any = None, **_: Any) -> dict[str, dict[str, Any]]:
        return {self.run_id: {task: self.states.get(task) for task in task_ids}}


def tried(
    kind: str,
    words: Mapping[str, Any],
    connections: Mapping[str, str],
    known: Mapping[str, Any] | None = None,
    states: Mapping[str, str] | None = None,
) -> Done:
    """One try of a task with this operator; with `known` it is one that was deferred."""
    from airflow.providers.standard.operators.empty import EmptyOperator
    from airflow.sdk import DAG
    from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskDeferred

    import windlass.airflow
    from windlass.airflow import metrics
    from windlass.errors import WindlassError

    for name, url in connections.items():
        os.environ[f"AIRFLOW_CONN_{name.upper()}"] = url.replace("postgresql://", "postgres://")
    found, words = Done(), dict(words)
    if kind == "WatchLagOperator":
        words["on_behind"] = [lambda context: found.told.append(context["windlass_reason"])]
    with DAG("theirs"):
        task: Any = getattr(windlass.airflow, kind)(task_id="one", **words)
        for name in states or {}:
            EmptyOperator(task_id=name) >> task
    ti = Instance(task, states or {})
    context: Any = {"ti": ti, "params": {}, "run_id": ti.run_id}
    task.render_template_fields(context)
    original = metrics.Metrics._send
    metrics.Metrics._send = lambda _, __, name, ___: found.gauges.append(name)  # type: ignore[method-assign, assignment]
    try:
        found.result = task.execute(context) if known is None else task.look(context, **known)
    except TaskDeferred as deferred:
        found.known = dict(deferred.kwargs or {})
    except AirflowSkipException as error:
        found.failed = f"skipped: {error}"
    except AirflowFailException as error:
        found.failed, found.can_be_retried = str(error), False
    except WindlassError as error:
        found.failed = str(error)
    finally:
        metrics.Metrics._send = original  # type: ignore[method-assign]
    found.pushed = ti.pushed
    return found


@dataclass(frozen=True)
class Desk:
    """Where tasks are tried for a pair of databases."""

    pair: Pair
    process: Executor

    def tried(self, kind: str, known: Any = None, states: Any = None, **words: Any) -> Done:
        sides = {"old_shop": self.pair.source.url, "new_shop": self.pair.target.url}
        both = {"target_conn_id": "new_shop"}
        if kind not in ("AwaitFollowingOperator", "WatchLagOperator"):
            both = SIDES
        found = self.process.submit(tried, kind, {**both, **words}, sides, known, states).result()
        assert PASSWORD not in repr(found)
        return found


@pytest.fixture
def desk(logical: Callable[[int], Database], process: Executor) -> Desk:
    return Desk(Pair(logical(16), logical(18)), process)


@contextmanager
def following(pair: Pair) -> Iterator[Running]:
    follower = start("migrate", "--follow", "--json", "--jobs", "2", pair=pair)
    try:
        until(lambda: phase(pair) == "following" or follower.poll() is not None, "following")
        assert follower.poll() is None, follower.said()
        yield follower
    finally:
        follower.kill()
        follower.wait()


WIDE = {"max_lag": "30s", "max_freeze": "30s"}  # on a busy machine


OPEN = """select count(*) from pg_stat_activity where datname = current_database()
    and backend_type = 'client backend' and state <> 'idle' and pid <> pg_backend_pid()"""


def stop_between_transactions(follower: Running, target: Database) -> None:
    """It holds no lock then, and its connections stay."""

    def stopped() -> bool:
        follower.send_signal(signal.SIGSTOP)
        status = Path(f"/proc/{follower.pid}/status")
        until(lambda: "(stopped)" in status.read_text(), "it is stopped")
        until(lambda: target.value(OPEN + " and state = 'active'") == 0, "no statement runs")
        if target.value(OPEN) == 0:
            return True
        follower.send_signal(signal.SIGCONT)
        return False

    until(stopped, "what follows is stopped between two transactions")


def test_each_command_in_one_task(desk: Desk) -> None:
    pair = desk.pair
    make_ledger(pair.source.url)
    waiting = desk.tried("AwaitFollowingOperator", follow_task_id="follow")
    assert waiting.known == {}  # there is no run yet
    ended = desk.tried("AwaitFollowingOperator", {}, {"follow": "failed"}, follow_task_id="follow")
    assert "follow has ended" in ended.failed and not ended.can_be_retried

    with following(pair) as follower:
        ready = until(lambda: desk.tried("AwaitFollowingOperator", {}).result, "ready")
        assert ready["phase"] == "following"

        watched = desk.tried("WatchLagOperator")
        assert watched.known == {"was_behind": False} and not watched.told
        assert "windlass.follow.lag_ms.forward" in watched.gauges

        compared = desk.tried("VerifyFollowingOperator", name="all", schema="ledger")
        assert not compared.failed, compared.failed
        pair.target.run("update ledger.account set balance = balance + 1 where id = 1")
        different = desk.tried("VerifyFollowingOperator", include="ledger.account")
        assert "id = 1" in different.failed and not different.can_be_retried
        pair.target.run("update ledger.account set balance = balance - 1 where id = 1")

        rehearsed = desk.tried("CutoverOperator", rehearse=True, **WIDE)
        assert not rehearsed.failed, rehearsed.failed
        assert "would be stopped for about" in rehearsed.pushed["text"]
        assert rehearsed.result["cutover"]["is_rehearsal"] and phase(pair) == "following"

        pair.source.run("insert into ledger.entry (client, number, debited, credited, amount)"
                        " values (1, 1, 1, 2, 0)")  # fmt: skip
        cut = desk.tried("CutoverOperator", **WIDE)
        assert not cut.failed, cut.failed
        assert "were stopped for" in cut.pushed["text"] and phase(pair) == "switched"
        assert pair.target.value("select count(*) from ledger.entry") == 1
        assert desk.tried("ReopenOperator", states={"cutover": "success"}).result == {
            "phase": "switched"
        }
        # what follows reopens a side too, whichever of the two comes first
        stop_between_transactions(follower, pair.target)
        # as a flip back leaves it that dies before it closes the target
        pair.target.run("update windlass.following set phase = 'freezing back'")
        opened = desk.tried("ReopenOperator", back=True, states={"flip_back": "failed"})
        assert opened.result == {"phase": "switched"}, opened.failed

        late = until(
            lambda: desk.tried("WatchLagOperator", {}, limit=timedelta(seconds=1)).told, "behind"
        )
        assert "has not reported" in late[0]
        follower.send_signal(signal.SIGCONT)
        again = {"was_behind": True}
        told = until(lambda: desk.tried("WatchLagOperator", again).told, "caught up")
        assert told[0].endswith("has caught up")

        finished = desk.tried("FinishOperator")
        assert finished.result["state"] == "done", finished.failed
        assert desk.tried("WatchLagOperator", {}).result == {"phase": "over"}
        finish(follower).expect(DONE)
    acts = pair.target.rows("select what, who, result from windlass.act order by at")
    assert acts == [
        ("Cut over", "Airflow", "done"),
        ("Reopen", "Airflow", "a cutover had died before it was decided: the target is open again"),
        ("Finish", "Airflow", "done"),
    ]
    assert pair.source.value(LEFT_OPEN) == pair.target.value(LEFT_OPEN) == 0


def test_a_cutover_that_nobody_follows_is_refused_and_its_rehearsal_tried_again(desk: Desk) -> None:
    refused = desk.tried("CutoverOperator", **WIDE)
    assert "no run follows" in refused.failed and not refused.can_be_retried
    blocked = desk.tried("CutoverOperator", rehearse=True, **WIDE)
    assert "no run follows" in blocked.failed and blocked.can_be_retried
    alone = desk.tried("VerifyFollowingOperator")
    assert "nothing follows" in alone.failed and alone.can_be_retried
    skipped = desk.tried("ReopenOperator", states={"cutover": "upstream_failed"})
    assert skipped.failed.startswith("skipped")
    nothing = desk.tried("ReopenOperator", states={"cutover": "failed"})
    assert nothing.result == {"phase": ""}
    abandoned = desk.tried("AbandonOperator")
    assert "no run that follows" in abandoned.failed and not abandoned.can_be_retried


# a whole run


def test_a_run_killed_again_and_again_loses_nothing(
    running: LocalAirflow, logical: Callable[[int], Database], tmp_path: Path
) -> None:
    pair = Pair(logical(16), logical(18))
    make_ledger(pair.source.url)
    port = tmp_path / "port"
    port.write_text(str(pair.source.server.port))
    by_port = {str(one.server.port): one for one in (pair.source, pair.target)}

    def written() -> Database:
        return by_port[port.read_text().strip()]

    with writing(tmp_path, lambda: written().url, clients=2, pause_seconds=0.05) as ledger:

        def check(side: Database) -> None:
            """Clients write there, and nothing is wrong."""
            wanted = ledger.acknowledged + 20
            until(lambda: ledger.acknowledged >= wanted, "more acknowledged entries")
            assert written() is side and faults(side.url, tmp_path) == []

        conf = {**connect(running, pair), "lead_to": str(port)}
        run = Following(running, pair, running.client.trigger("follow", conf))
        shown = run.until_asked("await_cutover")
        assert Ended(running, "follow", run.run_id, "").names("verify_follow") == ["all tables"]
        assert "would be stopped for about" in shown

        # what follows is killed: another try resumes it
        run.process("windlass % follow").send_signal(signal.SIGKILL)
        until(lambda: run.state("follow") == ("running", 2), "it is tried again", seconds=240)
        run.process("windlass % follow")

        # what cuts over is killed while nobody can write: the source is open again
        run.until_state("watch_lag", "deferred")
        until(lambda: fresh(pair), "it has measured")
        proofs = int(pair.target.value(PROOFS))
        run.answer("await_cutover", "Cut over")
        # from there on that nothing is applied is no blocker
        until(lambda: pair.target.value(PROOFS) > proofs, "it proves the way back", 0.01)
        with pair.target.connect() as session, session.transaction():
            session.execute("lock table windlass.applied in share mode")  # nothing arrives
            until(lambda: phase(pair) == "freezing", "the freeze")
            run.process("windlass cutover %").send_signal(signal.SIGKILL)
            until(lambda: run.state("cutover")[0] == "failed", "Airflow notices")
        run.until_state("reopen_source", "success")
        assert phase(pair) == "following"
        check(pair.source)

        # asked again: to the target, and back
        run.clear("rehearse_cutover")
        run.until_asked("await_cutover", 3)
        run.answer("await_cutover", "Cut over")
        assert "were stopped for" in run.until_asked("await_settle")
        check(pair.target)
        run.answer("await_settle", "Flip back")
        run.until_state("flip_back", "success")
        check(pair.source)
        assert run.state("follow")[0] == "running"

        # and once more, for good
        run.clear("rehearse_cutover")
        run.until_asked("await_cutover", 5)
        run.answer("await_cutover", "Cut over")
        run.until_asked("await_settle", 3)
        run.answer("await_settle", "Finish")
        ended = wait(running, "follow", run.run_id).expect("success")
        check(pair.target)
    assert ended.states()["follow"] == ended.states()["watch_lag"] == {"success"}
    assert pair.source.value(LEFT_OPEN) == pair.target.value(LEFT_OPEN) == 0
    expect_no_secret(ended.said())


def fresh(pair: Pair) -> bool:
    """Whether the process that follows has reported in the last seconds."""
    query = (
        "select extract(epoch from clock_timestamp())"
        " - (detail ->> 'reported_at')::float8 < 3 from windlass.following"
    )
    return bool(pair.target.value(query))
