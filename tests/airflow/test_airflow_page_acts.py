"""Parts of what is done on the page within Airflow that need no Airflow that runs: what is offered,
the command of a question, and what the target's journal has of it."""

from __future__ import annotations

import asyncio
import json
import shlex
from concurrent.futures import Executor
from types import SimpleNamespace
from typing import Any

import pytest

from command import DONE, migrate
from servers import Pair
from windlass.airflow.acts import Order
from windlass.airflow.recording import (
    Doing,
    ended_text,
    record_done,
    recorded,
    recorded_run,
    run_to_cut_over,
    run_to_end,
)
from windlass.errors import Refused
from windlass.model.outcome import Course, Outcome, Reason, State
from windlass.model.report import Problem


def test_what_a_dag_does_is_recorded_with_how_it_ended(pair: Pair) -> None:
    pair.source.run("create table sale as select 1 as n")
    run = str(migrate(pair).expect(DONE).result["run"])
    order = Order({"run": run}, pair.target.url)
    with recorded(order, Doing("Roll back", "ada", "DAG d, run one")):
        pass
    with (
        pytest.raises(Refused),
        recorded(order, Doing("Roll back", "ben", "DAG d, run two")),
    ):
        raise Refused([Problem("table sale", "has rows of others", "use force")])
    with recorded(
        Order({}, pair.target.url), Doing("Remove what it left", "eve", "DAG c, run one")
    ):
        pass  # every run that has left something
    found = pair.target.rows(
        "select run, who, command, address, result from windlass.act order by at"
    )
    reason = "not done: table sale: has rows of others (use force)"
    assert found == [
        (run, "ada", "DAG d, run one", "Airflow", "done"),
        (run, "ben", "DAG d, run two", "Airflow", reason),
        (run, "eve", "DAG c, run one", "Airflow", "done"),
    ]


OLDER = "20200101_0600_abcd"
ANOTHER_RUN = f"""
insert into windlass.run select (jsonb_populate_record(
    one, jsonb_build_object('run', '{OLDER}', 'started_at', '2020-01-01T06:00:00Z'))).*
from windlass.run one
"""


def test_a_decision_is_recorded_for_the_run_that_it_is_about(pair: Pair) -> None:
    """Several runs that follow may be known in one target."""
    pair.source.run("create table sale as select 1 as n")
    newest, url = str(migrate(pair).expect(DONE).result["run"]), pair.target.url
    pair.target.run(
        "update windlass.run set flow = 'follow', state = 'running', finished_at = null",
        ANOTHER_RUN,
        "insert into windlass.following (run, phase, detail)"
        " select run, 'following', '{}' from windlass.run",
    )
    assert run_to_cut_over(url) == [newest]
    assert list(run_to_end(url, OLDER)) == [OLDER]
    assert list(run_to_end(url)) == []  # the command asks which
    ti = SimpleNamespace(dag_id="d", run_id="one", task=SimpleNamespace(upstream_task_ids=()))
    context: Any = {"ti": ti}
    outcome = Outcome(OLDER, State.ABANDONED)
    recorded_run(context, url, "Abandon", run_to_end(url, OLDER), lambda: outcome)
    record_done(context, url, "Reopen", [])
    record_done(context, url, "Reopen", ["the source is open again"])
    acts = pair.target.rows("select run, what, who, result from windlass.act order by at")
    assert acts == [
        (OLDER, "Abandon", "Airflow", "done"),
        (newest, "Reopen", "Airflow", "the source is open again"),
    ]
    pair.target.run(
        f"update windlass.following set phase = 'abandoned' where run = '{OLDER}'",
    )
    assert len(run_to_end(url)) == 0  # its end has only begun
    pair.target.run(f"update windlass.run set state = 'abandoned' where run = '{OLDER}'")
    assert list(run_to_end(url)) == [newest]


@pytest.mark.parametrize(
    ("state", "already", "text"),
    [
        (State.DONE, False, "done"),
        (State.ABANDONED, False, "done"),
        (State.DONE, True, "nothing to do: why"),
        (State.REFUSED, False, "not done: why"),
        (State.TAKEN_BACK, False, "not done: why"),
        (State.STOPPED, False, "stopped: why"),
    ],
)
def test_what_may_be_half_done_is_not_recorded_as_not_done(
    state: State, already: bool, text: str
) -> None:
    outcome = Outcome("r", state, reason=Reason("why"), course=Course(already=already))
    assert ended_text(outcome) == text


def rollback_commands() -> list[str]:
    from windlass.airflow.page_acts import _Trigger
    from windlass.airflow.page_dags import ACTS, Sides
    from windlass.model.outcome import RunDetail, RunStatus
    from windlass.web.watched import watch_target

    detail = RunDetail(RunStatus("r", State.DONE, "old", "", ""))
    watched = watch_target("postgresql://new/shop")
    one = _Trigger(ACTS["rollback"], watched, Sides("new"), detail)
    return [one.command(force=force) for force in (False, True)]


def test_a_command_that_forces_says_so_in_the_conf_of_its_dag(process: Executor) -> None:
    found = [shlex.split(one) for one in process.submit(rollback_commands).result()]
    assert [one[:-1] for one in found] == [
        ["airflow", "dags", "trigger", "windlass_rollback", "--conf"]
    ] * 2
    assert [json.loads(one[-1])["force"] for one in found] == [False, True]


def dag_runs(external: list[str]) -> list[bool]:
    from windlass.airflow.page_runs import DagRun
    from windlass.model.outcome import RunStatus, StartedBy

    status = [RunStatus("r", State.DONE, "", "", "", started_by=StartedBy(one)) for one in external]
    return [DagRun.that_started(one) is not None for one in status]


def test_a_run_that_names_all_dag_runs_was_started_by_none(process: Executor) -> None:
    external = ["airflow d r1", "airflow d r1 part", "airflow ~ r1", "airflow d ~", "airflow d "]
    found = process.submit(dag_runs, external).result()
    assert found == [True, True, False, False, False]


QUESTION = {
    "subject": "Cut old over to new?",
    "options": ["Cut over", "Abandon"],
    "response_received": False,
    "task_instance": {
        "task_id": "await_cutover", "map_index": -1, "state": "awaiting_input",
        "operator_name": "AskingChoice",
    },
}  # fmt: skip


def offers(
    question: dict[str, Any], phase: str, rights: dict[str, str], code: int = 200
) -> tuple[list[str], str]:
    """What somebody with these rights is offered for a run in a phase, and where it leads them;
    `code` is how Airflow answers."""
    import windlass.airflow.page_questions as page
    from windlass.airflow import page_rights
    from windlass.airflow.page_rest import Answer
    from windlass.model.following import FollowingStatus, Phase
    from windlass.model.outcome import RunStatus, StartedBy, State
    from windlass.web.access import Person

    class Manager:
        def is_authorized_dag(self, *, method: str, access_entity: Any, **_: Any) -> bool:
            return rights.get(access_entity.name) == method

    async def get(_: Any, path: str) -> Any:
        assert path == "/dags/follow/dagRuns/r1/hitlDetails?limit=100"
        return Answer(code, {"hitl_details": [question]} if code == 200 else None)

    policy = SimpleNamespace(allows_actions=True)
    app = SimpleNamespace(state=SimpleNamespace(site=SimpleNamespace(policy=policy)))
    scope = {page_rights.USER: "ada", "person": Person("ada"), "root_path": "/flow/windlass"}
    request: Any = SimpleNamespace(scope=scope, app=app)
    status = RunStatus(
        "r", State.RUNNING, "old", "", "", active=True, flow="follow",
        started_by=StartedBy("airflow follow r1 follow", ""),
        following=FollowingStatus(Phase(phase), 1.0),
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page_rights, "get_auth_manager", Manager)
        patch.setattr(page, "Rest", lambda _: SimpleNamespace(get=lambda path: get(None, path)))
        found = asyncio.run(page.offered(page.Questions(), request, status))
    led = "".join(f"{one.says} {one.label} {one.href}" for one in found.elsewhere)
    return [one.name for one in found.actions], led


MAY_ANSWER, MAY_CLEAR = {"HITL_DETAIL": "PUT"}, {"TASK_INSTANCE": "PUT"}
RUN_PATH = "/flow/dags/follow/runs/r1"
ASKING = f"{RUN_PATH}/tasks/await_cutover/required_actions"
WAITS = f"Waiting for an answer: Cut old over to new? {ASKING}"
ASKS_NOTHING = (
    f"A cutover is decided in its DAG run, which has no open question now: follow, r1 {RUN_PATH}"
)


@pytest.mark.parametrize(
    ("changed", "phase", "rights", "found"),
    [
        ({}, "following", MAY_ANSWER | MAY_CLEAR, (["rehearse", "cutover", "abandon"], WAITS)),
        ({}, "following", MAY_ANSWER, (["cutover", "abandon"], WAITS)),
        ({}, "following", {"HITL_DETAIL": "GET"}, ([], WAITS)),
        ({}, "freezing", MAY_ANSWER, ([], WAITS)),
        ({"options": ["Finish", "Flip back"]}, "switched", MAY_ANSWER, (["back", "finish"], WAITS)),
        ({"options": ["Approve"]}, "following", MAY_ANSWER, ([], WAITS)),
        ({"options": ["Yes"], "response_received": True}, "following", MAY_ANSWER, ([], "")),
        ({"response_received": True}, "following", MAY_ANSWER, ([], ASKS_NOTHING)),
        ({"response_received": True}, "following", MAY_CLEAR, (["rehearse"], ASKS_NOTHING)),
    ],
)
def test_what_a_dag_run_asks_is_offered_to_those_who_may_answer(
    process: Executor, changed: Any, phase: str, rights: Any, found: Any
) -> None:
    assert process.submit(offers, {**QUESTION, **changed}, phase, rights).result() == found


def test_a_question_of_another_operator_is_linked_and_not_answered(process: Executor) -> None:
    theirs = {**QUESTION["task_instance"], "operator_name": "HITLBranchOperator"}  # type: ignore[dict-item]
    asked = {**QUESTION, "task_instance": theirs}
    assert process.submit(offers, asked, "following", MAY_ANSWER).result() == ([], WAITS)


@pytest.mark.parametrize(
    ("code", "led"),
    [
        (403, ""),
        (404, ""),
        (500, "Airflow does not show what the DAG run asks (Airflow answers 500): follow, r1 "),
    ],
)
def test_that_airflow_does_not_show_its_questions_is_said(
    process: Executor, code: int, led: str
) -> None:
    found = process.submit(offers, QUESTION, "following", MAY_ANSWER, code).result()
    assert found == ([], f"{led}{RUN_PATH}" if led else "")
