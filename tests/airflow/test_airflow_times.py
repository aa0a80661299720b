"""The times of a run in several tasks, as its last task reports them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from other_tasks import TaskTimes
from servers import Pair
from windlass.airflow.ending import block_lines
from windlass.airflow.spans import SPAN, Span, spans_in
from windlass.airflow.work import Part
from windlass.errors import Different
from windlass.flows.validate.outline import VALIDATE
from windlass.model.flow import ONE, Result, Step
from windlass.model.outcome import StartedBy, State
from windlass.spec.migrate import Spec
from windlass.spec.model import validated


@dataclass
class Over(TaskTimes):
    """The other tasks, all of which have ended."""

    started_by: StartedBy = field(default_factory=lambda: StartedBy("a test"))
    done: dict[str, Mapping[str, Result]] = field(default_factory=dict)

    def has_ended(self, task: str) -> bool:
        return True

    def result(self, task: str) -> Result | None:
        return self.done.get(task, {}).get(ONE.id)

    def results(self, step: Step[Any]) -> Mapping[str, Result]:
        return self.done.get(step.task, {})

    def others_are_over(self, last: Sequence[str]) -> bool:
        return True

    def skipped(self, last: Sequence[str]) -> list[str]:
        return []

    def failed(self) -> list[str]:
        return []


def last_part(others: Over, pair: Pair) -> Part:
    """That of a comparison's last task, after all others have run."""
    spec = validated(Spec, {"source": pair.source.url, "target": pair.target.url})
    board: Any = others
    for step in VALIDATE.steps:
        others.task = step.task
        part = Part(VALIDATE, step, spec, board, patience_seconds=0)
        if step == VALIDATE.last:
            break
        if step.lasting:
            held = part.hold(lambda _: None, [])
            others.done[step.task] = {ONE.id: held}
            others.times[step.task] = spans_in([held[SPAN]])
        else:
            others.done[step.task] = part.run()
    return part


def test_a_comparison_in_several_tasks_reports_the_time_of_all_of_them(pair: Pair) -> None:
    """The last of them takes no time, and there is no journal."""
    for side in (pair.source, pair.target):
        side.run("create table sale as select 1 as n")
    began = time.time()
    part = last_part(Over(), pair)
    part.run()
    lasted, outcome = time.time() - began, part.outcome
    assert outcome is not None
    assert set(outcome.course.phases) == {step.name for step in VALIDATE.steps}
    timeline = outcome.account.timeline
    assert timeline.steps[0].name == "read_both_sides"
    assert sum(outcome.course.phases.values()) <= outcome.seconds <= lasted + 0.01
    assert outcome.seconds >= timeline.steps[-1].start_seconds > 0
    text = "\n".join(block_lines(outcome, VALIDATE.words))
    assert "read both sides" in text and "validate content" in text


@dataclass
class Unreadable(Over):
    """The other tasks have kept their times as another version does."""

    def spans(self, step: Step[Any]) -> list[Span]:
        return spans_in([{"start": 1.0, "end": 2.0}])


def test_times_that_cannot_be_read_do_not_replace_how_the_run_ended(pair: Pair) -> None:
    pair.source.run("create table sale as select 1 as n")
    pair.target.run("create table sale as select 2 as n")
    part = last_part(Unreadable(), pair)
    with pytest.raises(Different):
        part.run()
    assert part.outcome is not None and part.outcome.state is State.DIFFERENT
    pair.target.run("update sale set n = 1")
    part = last_part(Unreadable(), pair)
    part.run()
    assert part.outcome is not None and part.outcome.state is State.DONE
