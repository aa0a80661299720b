"""Spans of a run, received by OpenTelemetry's own SDK."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence

import pytest

from windlass.model.event import (
    Event,
    FlowPlanned,
    ItemFinished,
    ItemRetried,
    ItemStarted,
    StepFinished,
    StepStarted,
)
from windlass.model.outcome import Outcome, Reason, State
from windlass.run.tracing import tracing

pytest.importorskip("opentelemetry.sdk")
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

RUN = "20261130_0600_abcd"
EVENTS: tuple[Event, ...] = (
    FlowPlanned(RUN, {"t": 10}, {"t": 1}),
    StepStarted("copy_tables", 1),
    ItemStarted("copy_tables", "t/0", "t"),
    ItemRetried("copy_tables", "t/0", 1, "connection lost", 0.1),
    ItemFinished("copy_tables", "t/0", "t", 0.5, rows=3, size_bytes=40),
    StepFinished("copy_tables", 0.5),
)


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """What an SDK exports of this process."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    yield exporter
    provider.shutdown()


def run(events: Sequence[Event], outcome: Outcome) -> list[Event]:
    passed: list[Event] = []
    with tracing("migrate", passed.append) as traced:
        for event in events:
            traced.emit(event)
        traced.ended(outcome)
    return passed


def named(spans: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {one.name: one for one in spans.get_finished_spans()}


def id_of(span: ReadableSpan) -> int | None:
    return span.context.span_id if span.context else None


def parent(span: ReadableSpan) -> int | None:
    return span.parent.span_id if span.parent else None


def test_a_run_its_steps_and_items_are_spans_within_each_other(
    spans: InMemorySpanExporter,
) -> None:
    assert run(EVENTS, Outcome(RUN, State.DONE)) == list(EVENTS)
    found = named(spans)
    whole, step, item = (
        found[name] for name in ("windlass migrate", "copy_tables", "copy_tables item")
    )
    assert parent(step) == id_of(whole)
    assert parent(item) == id_of(step)
    assert (item.attributes or {}).get("windlass.rows") == 3
    assert [one.name for one in item.events] == ["retry"]
    assert dict(whole.attributes or {}) == {
        "windlass.flow": "migrate",
        "windlass.run": RUN,
        "windlass.resumed": False,
        "windlass.state": "done",
        "windlass.rows": 0,
        "windlass.bytes": 0,
        "windlass.differences": 0,
    }
    assert whole.status.is_unset


def test_what_was_open_when_a_run_stopped_is_an_error(spans: InMemorySpanExporter) -> None:
    run(EVENTS[:3], Outcome(RUN, State.STOPPED, reason=Reason("disk full")))
    found = named(spans)
    assert set(found) == {"windlass migrate", "copy_tables", "copy_tables item"}
    assert {one.status.description for one in found.values()} == {"disk full"}


def test_an_error_that_leaves_the_run_closes_its_spans(spans: InMemorySpanExporter) -> None:
    def broken(event: Event) -> None:
        raise ValueError(f"wrong: {event}")

    with pytest.raises(ValueError, match="wrong"), tracing("migrate", broken) as traced:
        traced.emit(EVENTS[1])
    assert not any(one.status.is_ok for one in spans.get_finished_spans())
    assert len(spans.get_finished_spans()) == 2


def test_without_the_api_nothing_is_loaded() -> None:
    code = (
        "import sys; from windlass.run.tracing import tracing\n"
        "with tracing('migrate', print) as traced: traced.emit(1)\n"
        "assert not [one for one in sys.modules if one.startswith('opentelemetry')]"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "1\n"
