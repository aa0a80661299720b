"""When each task of a run was at work.

A flow that journals its work knows that from its journal. The last task of another flow, such as a
comparison, learns it from the XComs of the tasks before it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from windlass.model.flow import Flow, Step
from windlass.model.outcome import Outcome

if TYPE_CHECKING:
    from windlass.run.story import Story

SPAN = "span"  # in XCom
log = logging.getLogger(__name__)


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


class Spans(Protocol):
    """Where the other tasks have kept theirs."""

    def spans(self, step: Step[Any]) -> list[Span]: ...


def spans_in(pushed: Iterable[Mapping[str, Any] | None]) -> list[Span]:
    """Those that tasks have pushed."""
    return [Span(**one) for one in pushed if one]


def with_spans(
    outcome: Outcome, flow: Flow[Any], context: Any, board: Spans, own: Span | None
) -> Outcome:
    """The outcome with the times of all tasks, if the `context` of the last one knows only its
    `own`; unchanged if those of the others cannot be read."""
    story: Story | None = getattr(context, "story", None)
    if story is None or outcome.course.phases != story.phases:  # a journal knows them
        return outcome
    *before, last = flow.steps
    try:
        found = {step.name: board.spans(step) for step in before}
        found[last.name] = [own] if own else []
        spans = [(step, one) for step, some in found.items() for one in some]
        return _with(outcome, flow, spans)
    except Exception:  # how the run ended matters more than how long it took
        log.exception("the times of the other tasks cannot be read: the report has none of them")
        return outcome


def _with(outcome: Outcome, flow: Flow[Any], spans: Sequence[tuple[str, Span]]) -> Outcome:
    from windlass.model.account import Work  # a DAG file has no use for these
    from windlass.run.accounting import timeline_of, utc_text

    if not spans:
        return outcome
    began = min(one.began for _, one in spans)
    took = max(time.time(), *(one.ended for _, one in spans)) - began
    work = [Work(step, one.began - began, one.ended - began) for step, one in spans]
    timeline = timeline_of(flow, work, utc_text(datetime.fromtimestamp(began, UTC)), utc_text())
    steps = tuple(
        replace(one, items=sum(span.items for step, span in spans if step == one.name))
        for one in timeline.steps
    )
    return replace(
        outcome,
        seconds=max(outcome.seconds, took),
        course=replace(outcome.course, phases={one.name: one.seconds for one in steps}),
        account=replace(outcome.account, timeline=replace(timeline, steps=steps)),
    )
