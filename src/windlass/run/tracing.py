"""Spans of OpenTelemetry for a run, its steps and their items, made from events.

Only the API is used, and only where a process has loaded it: ``opentelemetry-instrument windlass
migrate ...``, or a program that has set up an SDK. Otherwise nothing is imported, and tracing costs
nothing. Names of attributes that the semantic conventions do not have begin with ``windlass.``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from windlass.model.event import (
    Emit,
    Event,
    FlowPlanned,
    ItemFinished,
    ItemRetried,
    ItemStarted,
    Noticed,
    StepFinished,
    StepStarted,
)
from windlass.model.outcome import Outcome, State
from windlass.version import __version__

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

_API = "opentelemetry.trace"
_WELL = (State.DONE, State.ROLLED_BACK, State.ABANDONED, State.REFUSED, State.TAKEN_BACK)
"""Outcomes that are not errors of the program: a refusal is an answer."""


class Tracing:
    """Passes events on to `emit`. Call `ended` with the outcome of the run."""

    def __init__(self, emit: Emit) -> None:
        self._emit_to = emit

    def emit(self, event: Event) -> None:
        self._emit_to(event)

    def ended(self, outcome: Outcome) -> None:
        """Nothing to record."""


class _Spans(Tracing):
    """Like `Tracing`, with a span for each step and item. Events of a run come one at a time."""

    def __init__(self, emit: Emit, tracer: Tracer, run: Span) -> None:
        super().__init__(emit)
        self._tracer, self._run = tracer, run
        self._steps: dict[str, Span] = {}
        self._items: dict[tuple[str, str], Span] = {}

    def emit(self, event: Event) -> None:
        self._note(event)
        super().emit(event)

    def _note(self, event: Event) -> None:
        match event:
            case FlowPlanned():
                self._run.set_attribute("windlass.run", event.run)
                self._run.set_attribute("windlass.resumed", event.resumed)
            case StepStarted():
                self._steps[event.step] = self._begin(event.step, self._run)
            case StepFinished() if span := self._steps.pop(event.step, None):
                span.end()
            case ItemStarted():
                within = self._steps.get(event.step, self._run)
                span = self._begin(f"{event.step} item", within)
                span.set_attribute("windlass.item", event.item)
                if event.group:
                    span.set_attribute("windlass.group", event.group)
                self._items[event.step, event.item] = span
            case ItemFinished() if span := self._items.pop((event.step, event.item), None):
                span.set_attribute("windlass.rows", event.rows)
                span.set_attribute("windlass.bytes", event.size_bytes)
                span.end()
            case ItemRetried() if span := self._items.get((event.step, event.item)):
                span.add_event("retry", {"attempt": event.attempt, "reason": event.reason})
            case Noticed():
                self._run.add_event("notice", {"message": event.message})

    def _begin(self, name: str, within: Span) -> Span:
        from opentelemetry.trace import set_span_in_context

        return self._tracer.start_span(name, set_span_in_context(within))

    def ended(self, outcome: Outcome) -> None:
        self._run.set_attribute("windlass.state", str(outcome.state))
        self._run.set_attribute("windlass.rows", outcome.rows)
        self._run.set_attribute("windlass.bytes", outcome.bytes)
        self._run.set_attribute("windlass.differences", len(outcome.proof.differences))
        if outcome.run:
            self._run.set_attribute("windlass.run", outcome.run)
        if outcome.state not in _WELL:
            self._fail(outcome.reason.message or str(outcome.state))

    def close(self, fault: str) -> None:
        """End what is open: it was interrupted, or has failed."""
        for span in (*self._items.values(), *self._steps.values()):
            self._set_error(span, fault)
            span.end()
        self._items.clear()
        self._steps.clear()

    def _fail(self, why: str) -> None:
        self._set_error(self._run, why)
        self.close(why)

    @staticmethod
    def _set_error(span: Span, why: str) -> None:
        from opentelemetry.trace import Status, StatusCode

        span.set_status(Status(StatusCode.ERROR, why))


@contextmanager
def tracing(flow: str, emit: Emit) -> Iterator[Tracing]:
    """A span around a run of this flow, within the span that is current now."""
    api: Any = sys.modules.get(_API)
    if api is None:
        yield Tracing(emit)
        return
    tracer = api.get_tracer("windlass", __version__)
    with tracer.start_as_current_span(f"windlass {flow}") as run:
        run.set_attribute("windlass.flow", flow)
        spans = _Spans(emit, tracer, run)
        try:
            yield spans
        finally:
            spans.close("it did not end")
