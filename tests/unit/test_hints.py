"""The hint after a stopped run: given once, according to the cause."""

from __future__ import annotations

import click
import pytest

from sample_plan import sample_plan
from windlass.cli.endings import ending_of
from windlass.cli.show import outcome_text
from windlass.engines.postgres.errors import explain
from windlass.errors import (
    CannotResume,
    ConnectionLost,
    ConstraintViolated,
    RunLost,
    SchemaChanged,
    SnapshotLost,
    TargetFull,
    WindlassError,
)
from windlass.flows.migrate.portions import UNDOING
from windlass.flows.migrate.resuming import check_target
from windlass.flows.registry import flow_named
from windlass.journal.records import Line
from windlass.model.outcome import Outcome, Reason, State
from windlass.run.hints import RESUME, way_on

UNDO = "undo the run: windlass rollback R"
AGAIN = "windlass migrate -f shop.yaml"

WAYS = [
    (ConnectionLost("gone"), RESUME),
    (ConnectionLost("gone", hint="check that the server is up"),
     f"check that the server is up; then {RESUME}"),
    (SnapshotLost("gone"), RESUME),
    (RunLost("gone"), RESUME),
    (TargetFull("full", hint="make space"), f"make space; then {RESUME}"),
    (CannotResume("changed", hint="undo that change"), "undo that change"),
    (CannotResume("changed", hint="undo that, then run the same command again; or --restart"),
     "undo that, then run the same command again; or --restart"),
    (WindlassError("stale", hint="run the same command again: it starts over"),
     "run the same command again: it starts over"),
    (SchemaChanged("stop", hint="make the change, then run the same command again; or repair"),
     "make the change, then run the same command again; or repair"),
    (ConstraintViolated("rows violate it"),
     f"remove the cause; then {RESUME}. Or undo the run: windlass rollback R"),
    (WindlassError("no", hint="grant what is missing"),
     f"grant what is missing; then {RESUME}. Or undo the run: windlass rollback R"),
]  # fmt: skip


@pytest.mark.parametrize(("error", "hint"), WAYS, ids=str)
def test_a_hint_says_what_ends_the_trouble(error: WindlassError, hint: str) -> None:
    assert way_on(error, UNDO) == hint


@pytest.mark.parametrize("verb", ["migrate", "rewrite"])
@pytest.mark.parametrize("state", [State.STOPPED, State.INTERRUPTED])
@pytest.mark.parametrize(("error", "hint"), WAYS, ids=str)
def test_the_way_on_is_said_once(error: WindlassError, hint: str, state: State, verb: str) -> None:
    outcome = Outcome("R", state, target="new on h", reason=Reason(str(error), hint))
    said = click.unstyle(outcome_text(outcome, flow_named(verb).words, width=100, again=AGAIN))
    assert said.count(RESUME) + said.count("To resume:") <= 1
    assert (AGAIN in said) is (not isinstance(error, CannotResume))
    assert error.hint.partition(":")[0] in said


def test_what_stays_is_said_where_it_is() -> None:
    def said(flow: str) -> str:
        outcome = Outcome("R", State.INTERRUPTED, target="file:///x", reason=Reason("", RESUME))
        words = flow_named(flow).words
        return click.unstyle(outcome_text(outcome, words, width=100, again=AGAIN))

    assert "Files and loads that are complete stay. To resume:" in said("export")
    assert "What is done is safe on the target. To resume:" in said("migrate")


PASSING = ["57014", "40001", "40P01", "55P03", "53200"]


@pytest.mark.parametrize("state", PASSING)
def test_a_server_that_answers_is_not_said_to_be_down(state: str) -> None:
    class Passing(Exception):
        sqlstate = state

    found = explain(Passing("it was cancelled"), "copying", side="target")
    assert isinstance(found, ConnectionLost)
    assert "server is up" not in found.hint


NOTHING_TO_RESUME: list[BaseException] = [KeyboardInterrupt(), click.Abort()]


@pytest.mark.parametrize("error", NOTHING_TO_RESUME, ids=repr)
def test_what_only_reads_has_nothing_to_resume(error: BaseException) -> None:
    assert "resume" not in ending_of(error, writes=False).hint


def test_what_is_done_as_a_whole_is_not_resumed() -> None:
    ending = ending_of(KeyboardInterrupt(), writes=True, resumes=False)
    assert ending.hint == "run the same command again"


def test_a_question_that_is_answered_with_no_leaves_nothing_to_resume() -> None:
    ending = ending_of(click.Abort(), writes=True)
    assert (ending.message, ending.hint) == ("not confirmed", "nothing was changed")


def test_a_lost_server_is_tried_again_by_the_same_command() -> None:
    ending = ending_of(ConnectionLost("gone", hint="check that the server is up"), writes=True)
    assert ending.hint == "check that the server is up; then run the same command again"


def test_a_target_that_has_become_read_only_is_opened_first() -> None:
    class ReadOnly(Exception):
        sqlstate = "25006"

    hint = way_on(explain(ReadOnly("cannot execute INSERT"), "copying", side="target"), UNDO)
    assert "lift that; then" in hint and hint.endswith("windlass rollback R")


def test_a_rollback_that_stopped_is_finished_first() -> None:
    step, item = UNDOING
    with pytest.raises(CannotResume, match="rolled back in part") as found:
        check_target(sample_plan(), {step: {item: Line(step, item)}}, {})
    assert "finish that: windlass rollback" in way_on(found.value)
    assert RESUME not in way_on(found.value)
