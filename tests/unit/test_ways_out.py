"""What a hint of a run that follows names is a command that accepts the run as it is."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import click
import pytest

import windlass as package
from windlass.cli.commands import windlass
from windlass.errors import CannotResume, Conflict, SchemaChanged, SlotLost, WindlassError
from windlass.flows.follow.advice import advised, no_way_out
from windlass.flows.follow.ending import Followed, problems_of
from windlass.flows.follow.outline import FOLLOW, RESYNC
from windlass.flows.follow.resync import TAKEN_UP_IN
from windlass.flows.follow.status import NEXT, NEXT_IF_STOPPED
from windlass.flows.follow.undo import problems_in
from windlass.flows.registry import FLOWS, flow_named
from windlass.following.reopening import BACK, FORTH
from windlass.following.routes import AFRESH, AGAIN
from windlass.journal.records import Run
from windlass.model.following import Direction, Phase
from windlass.model.outcome import StartedBy, State
from windlass.model.wording import word
from windlass.run.hints import SAME, way_on

ROOT = Path(package.__file__).parent
COMMAND = re.compile(r"windlass [a-z{\"']|windlass[\"']")
RUN = "20261130_0700_ab12"
NAMED = re.compile(r"windlass (rollback|abandon|finish|cutover|verify|migrate|status)\b([^;:|]*)")
THE_RUN = Run(RUN, "follow", State.STOPPED, "", "", {}, StartedBy(), 0, "2026-11-30", "", None, 0.0)
AT_WORK = (Phase.FREEZING, Phase.FREEZING_BACK)  # a cutover is settled before anything else
STOPS = [
    *[(SlotLost("gone", side=side, stopped_by="slot_lost"), side) for side in ("source", "target")],
    *[
        (WindlassError("other server", side=side, stopped_by="timeline"), side)
        for side in ("source", "target")
    ],
    *[
        (kind("no", hint=hint, stopped_by=word, direction=str(way)), side)
        for kind, word in ((SchemaChanged, "schema_change"), (Conflict, "conflict"))
        for hint in (AGAIN, AFRESH)
        for way, side in ((Direction.FORWARD, "source"), (Direction.BACK, "target"))
    ],
]  # fmt: skip


def refusal(verb: str, words: str, phase: Phase) -> str:
    """Why a command would refuse a run in this phase whose process has ended; empty if not."""
    if verb in ("finish", "abandon"):
        end = Phase.FINISHED if verb == "finish" else Phase.ABANDONED
        return "; ".join(one.message for one in problems_of(Followed(THE_RUN, phase, {}), end))
    if verb == "rollback":
        return "; ".join(one.message for one in problems_in(phase, RUN))
    if verb == "cutover":
        way = BACK if "back" in words else FORTH
        return "" if phase is way.begins else f"is {phase}"
    if verb == "verify" and "repair" in words:  # see windlass.flows.follow.resync
        return "" if phase is TAKEN_UP_IN else "only a run that follows is repaired"
    return ""


def refused(text: str, phase: Phase) -> list[str]:
    """The commands of a text that the run would not accept."""
    return [
        f"windlass {verb}{words}: {why}"
        for verb, words in NAMED.findall(text)
        if (why := refusal(verb, words, phase))
    ]


@pytest.mark.parametrize("phase", [one for one in Phase if not one.is_over and one not in AT_WORK])
@pytest.mark.parametrize(("error", "side"), STOPS, ids=lambda one: str(one)[:20])
def test_a_stopped_run_names_only_what_it_accepts(
    error: WindlassError, side: str, phase: Phase
) -> None:
    if phase is Phase.COPYING and side == "target":
        return  # there is no way back yet
    fresh = type(error)(str(error), hint=error.hint, **error.where)
    found = advised(fresh, phase, RUN)
    undo = f"end the run: {phase.undoing(RUN)}"
    hint = way_on(found, undo)
    assert refused(hint, phase) == [], hint
    assert found.where["stopped_by"] == error.where["stopped_by"]
    if isinstance(found, CannotResume):
        assert NAMED.search(hint) or SAME in hint, hint
    else:
        assert f"then {SAME}" in hint


def test_the_wrong_words_would_be_found() -> None:
    assert refused("windlass rollback R", Phase.FOLLOWING)
    assert refused("windlass abandon R", Phase.SWITCHED)
    assert refused(f"windlass verify {word('follow')} {word('repair')}", Phase.SWITCHED)
    assert refused(f"windlass cutover {word('back')}", Phase.FOLLOWING)
    assert refused("windlass finish", Phase.COPYING)


def test_a_change_of_the_way_back_is_named_from_its_side() -> None:
    where = {"stopped_by": "schema_change", "direction": str(Direction.BACK)}
    message = "t has changed on the source: the target has no column x"
    found = advised(SchemaChanged(message, hint=AGAIN, **where), Phase.SWITCHED, RUN)
    assert str(found) == "t has changed on the target: the source has no column x"
    assert found.hint.startswith("make the same change on the source")


@pytest.mark.parametrize("phase", Phase)
def test_what_ends_a_run_is_accepted_in_its_phase(phase: Phase) -> None:
    settled = {Phase.FREEZING: Phase.FOLLOWING, Phase.FREEZING_BACK: Phase.SWITCHED}
    assert refused(phase.undoing(RUN), settled.get(phase, phase)) == []


@pytest.mark.parametrize("phase", Phase)
def test_the_next_steps_of_a_status_are_accepted(phase: Phase) -> None:
    for step in (*NEXT[phase], *NEXT_IF_STOPPED.get(phase, ())):
        assert refused(step, phase) == [], step
    assert not any("windlass migrate" in step for step in NEXT[phase])  # one follows already
    assert not any("windlass cutover" in step for step in NEXT_IF_STOPPED.get(phase, ()))


# Modules whose runs never follow, or which ask `windlass.journal.following.undoing` first
ROLLBACK_NAMED_IN = {
    "airflow/findings.py",  # shown where `windlass.run.summary` shows it
    "airflow/form.py",
    "airflow/maintenance.py",
    "api.py",
    "cli/commands.py",
    "cli/ending_commands.py",
    "cli/migrating.py",  # of --restart, which no run that follows takes, and of a repair
    "cli/show.py",
    "engines/mysql/destination/writing.py",  # nothing follows into such a database
    "flows/migrate/finished.py",  # of runs that are over
    "flows/migrate/resuming.py",  # of runs that are rolled back in part
    "flows/migrate/undo.py",
    "flows/follow/finding.py",  # after `abandon`
    "flows/follow/status.py",
    "flows/repair/repaired.py",
    "model/following.py",
    "planning/document/contents.py",
    "planning/postgres/refusals.py",
    "run/conduct.py",
    "run/reporting.py",  # not while it follows
    "spec/fields/rewrite.py",
}


def test_no_other_module_names_rollback() -> None:
    found = {path for path, text in literals() if "windlass rollback" in text}
    assert found == ROLLBACK_NAMED_IN


@cache
def literals() -> list[tuple[str, str]]:
    """Every string of the code that names a command, with its file."""
    found = []
    for path in ROOT.rglob("*.py"):
        text = path.read_text()
        for node in ast.walk(ast.parse(text)) if COMMAND.search(text) else ():
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append((str(path.relative_to(ROOT)), node.value))
    return found


def test_every_command_that_a_text_names_exists() -> None:
    context = click.Context(windlass)
    known = set(windlass.list_commands(context))
    for path, text in literals():
        for verb in re.findall(r"(?:: |; |or |run )windlass ([a-z-]+)", text):
            says_what_it_does = verb.endswith("s") and verb != "status"
            assert verb in known or says_what_it_does, f"{path}: {text[:80]}"


@pytest.mark.parametrize("name", FLOWS)
def test_a_flow_that_follows_says_how_it_is_ended(name: str) -> None:
    flow = flow_named(name)
    journalled = flow.journalled
    if name == FOLLOW.name:
        assert journalled is not None and journalled.way_out.endswith(":way_out")
    elif journalled is not None:
        assert not journalled.way_out


def test_what_repairs_a_run_that_follows_is_not_undone_alone() -> None:
    assert RESYNC.journalled is not None
    assert RESYNC.journalled.way_out.endswith(f":{no_way_out.__name__}")
