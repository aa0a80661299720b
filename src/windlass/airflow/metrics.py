"""Metrics of runs, through Airflow's own: one setting there chooses StatsD, OpenTelemetry or none.

The numbers and names are those of `windlass.metrics.families`, with dots. A spec's `metrics-file`
and `pushgateway` work independently of these, and get the same outcome.

Every metric has the tags `dag_id` and `flow`. Plain StatsD has no tags, so each metric is also sent
under a second name, which ends with the DAG's id. As with Airflow's own metrics, ``[metrics]
legacy_names_on = False`` leaves these out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from windlass.metrics.families import numbers
from windlass.model.event import Emit, Event, ItemFinished
from windlass.model.flow import Flow
from windlass.model.following import StreamStatus
from windlass.model.outcome import Outcome

ROWS, BYTES = "windlass.rows", "windlass.bytes"  # counted while they are copied
RUN_ROWS, RUN_BYTES = "windlass.run.rows", "windlass.run.bytes"
RUN_SECONDS, RUN_DIFFERENCES = "windlass.run.seconds", "windlass.run.differences"
RUN_LOSSES = "windlass.run.losses"
# metrics of a followed stream; the direction is the last part of each name
LAG_MS, BEHIND_BYTES = "windlass.follow.lag_ms", "windlass.follow.behind_bytes"
RETAINED_BYTES = "windlass.follow.retained_bytes"
CHANGES = "windlass.follow.changes_per_second"


@dataclass(frozen=True, slots=True)
class Metrics:
    """The metrics of a DAG that runs a flow."""

    flow: Flow[Any]
    dag_id: str

    def counting(self, emit: Emit) -> Emit:
        """`emit`, which also counts the rows and bytes of finished work."""

        def counted(event: Event) -> None:
            emit(event)
            if isinstance(event, ItemFinished) and not event.resumed:
                self._count(event)

        return counted

    def _count(self, event: ItemFinished) -> None:
        if event.step not in self.flow.copies:
            return
        stats = _stats()
        for name, count in ((ROWS, event.rows), (BYTES, event.size_bytes)):
            if count:
                self._send(stats.incr, name, count)

    def end(self, outcome: Outcome) -> None:
        """Send what the whole run has done."""
        stats, found = _stats(), numbers(outcome)
        for name in (RUN_ROWS, RUN_BYTES, RUN_LOSSES, RUN_DIFFERENCES):
            self._send(stats.gauge, name, found[name.removeprefix("windlass.run.")])
        self._send(stats.timing, RUN_SECONDS, timedelta(seconds=outcome.seconds))

    def follow(self, stream: StreamStatus) -> None:
        """Send how far a stream is behind."""
        stats = _stats()
        for name, value in (
            (LAG_MS, stream.lag_ms),
            (BEHIND_BYTES, stream.behind_bytes),
            (RETAINED_BYTES, stream.retained_bytes),
            (CHANGES, stream.changes_per_second),
        ):
            if value is not None:
                self._send(stats.gauge, f"{name}.{stream.direction}", value)

    def _send(self, send: Callable[..., None], name: str, value: float | timedelta) -> None:
        from airflow.sdk.configuration import conf

        send(name, value, tags={"dag_id": self.dag_id, "flow": self.flow.name})
        if conf.getboolean("metrics", "legacy_names_on", fallback=True):
            send(f"{name}.{self.dag_id}", value)


def _stats() -> Any:
    """Airflow's Stats, wherever this version has it."""
    from airflow.providers.common.compat.sdk import Stats

    return Stats
