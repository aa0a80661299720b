"""When each task of a run was at work.

A flow that journals its work knows that from its journal. The last task of another flow, such as a
comparison, learns it from the XComs of the tasks before it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from windlass.model.flow import Flow
from windlass.model.outcome import Outcome

SPAN = "span"  # in XCom


@dataclass(frozen=True, slots=True)
class Span:
    """A task's work on a step, by the clock of its machine."""

    began: float  # seconds since 1970
    ended: float
    items: int = 1

    @classmethod
    def until_now(cls, began: float, items: int) -> Span:
        return cls(round(began, 3), round(max(began, time.time()), 3), items)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def spans_in(pushed: Iterable[Mapping[str, Any] | None]) -> list[Span]:
    """Those that tasks have pushed."""
    return [Span(**one) for one in pushed if one]


def knows_only_its_own(outcome: Outcome, flow: Flow[Any]) -> bool:
    """Whether the last task's outcome has no times of the tasks before it."""
    return set(outcome.course.phases) <= {flow.last.name} and len(flow.steps) > 1


def with_spans(outcome: Outcome, flow: Flow[Any], spans: Mapping[str, Sequence[Span]]) -> Outcome:
    """The outcome with the times of all tasks. `spans` is by step; of some steps there are none."""
    from windlass.model.account import Work  # a DAG file has no use for these
    from windlass.run.accounting import timeline_of, utc_text

    began = min((one.began for some in spans.values() for one in some), default=None)
    if began is None:
        return outcome
    now = max([time.time(), *(one.ended for some in spans.values() for one in some)])
    work = [
        Work(step, one.began - began, one.ended - began)
        for step, some in spans.items()
        for one in some
    ]
    timeline = timeline_of(flow, work, utc_text(datetime.fromtimestamp(began, UTC)), utc_text())
    items = {step: sum(one.items for one in some) for step, some in spans.items()}
    steps = tuple(replace(one, items=items[one.name]) for one in timeline.steps)
    return replace(
        outcome,
        seconds=max(outcome.seconds, now - began),
        course=replace(outcome.course, phases={one.name: one.seconds for one in steps}),
        account=replace(outcome.account, timeline=replace(timeline, steps=steps)),
    )
