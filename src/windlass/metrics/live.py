"""What is measured of runs while they last, from their journals: the page serves it.

Of each flow between two databases only the newest run has series, so their number does not grow
with the runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from windlass.metrics.families import Family, Samples, series
from windlass.model.following import FollowingStatus, Phase, StreamStatus
from windlass.model.outcome import RunStatus

UP = Family("windlass_target_up", "gauge", "1 if the target's journal could be read, else 0.")
LIVE = (
    Family("windlass_live_active", "gauge", "1 while a process works on the newest run, else 0."),
    Family("windlass_live_relations", "gauge", "Relations of the newest run."),
    Family("windlass_live_relations_done", "gauge", "Relations of it that are copied."),
    Family("windlass_live_rows", "gauge", "Rows of it that are copied."),
    Family("windlass_live_bytes", "gauge", "Bytes of it that are copied."),
    Family("windlass_live_bytes_planned", "gauge", "Bytes that its plan copies."),
)
PHASE = Family("windlass_follow_phase", "gauge", "1 for the phase of a run that follows, else 0.")
BLOCKERS = Family("windlass_follow_blockers", "gauge", "What blocks a cutover now, in number.")
STREAM = (
    Family("windlass_follow_lag_seconds", "gauge", "Lag of the last marker that arrived."),
    Family("windlass_follow_lag_p99_seconds", "gauge", "The same, 99th percentile of a minute."),
    Family("windlass_follow_behind_bytes", "gauge", "Bytes of the log that are not applied."),
    Family("windlass_follow_in_bytes_per_second", "gauge", "Bytes of the log that are written."),
    Family("windlass_follow_out_bytes_per_second", "gauge", "Bytes of the log that are applied."),
    Family("windlass_follow_changes_total", "counter", "Changes that are applied."),
    Family("windlass_follow_retained_bytes", "gauge", "Bytes of the log that the slot keeps."),
    Family("windlass_follow_room_bytes", "gauge", "Bytes that it may keep besides."),
)
LIVE_FAMILIES = (UP, *LIVE, PHASE, BLOCKERS, *STREAM)


def live_samples(found: Mapping[str, Sequence[RunStatus] | None]) -> Samples:
    """All series of these targets, by their names; None: it could not be read."""
    return {
        series(name, {"target": target, **labels}): value
        for target, statuses in found.items()
        for name, labels, value in _of_target(statuses)
    }


_Value = tuple[str, Mapping[str, str], float]


def _of_target(statuses: Sequence[RunStatus] | None) -> Iterator[_Value]:
    yield UP.name, {}, float(statuses is not None)
    seen: set[tuple[str, str]] = set()
    for status in statuses or ():  # the newest first
        source = status.source.split(" (")[0]
        if (status.flow, source) in seen:
            continue
        seen.add((status.flow, source))
        labels = {"flow": status.flow, "source": source}
        progress = status.progress
        values = (
            status.active, progress.relations, progress.relations_done, progress.rows,
            progress.bytes, progress.bytes_planned,
        )  # fmt: skip
        for family, value in zip(LIVE, values, strict=True):
            yield family.name, labels, float(value)
        if status.following is not None:
            yield from _of_following(labels, status.following)


def _of_following(labels: Mapping[str, str], found: FollowingStatus) -> Iterator[_Value]:
    for phase in Phase:
        yield PHASE.name, {**labels, "phase": str(phase)}, float(found.phase is phase)
    yield BLOCKERS.name, labels, float(len(found.blockers))
    for stream in found.streams:
        yield from _of_stream({**labels, "direction": str(stream.direction)}, stream)


def _of_stream(labels: Mapping[str, str], found: StreamStatus) -> Iterator[_Value]:
    values = (
        _seconds(found.lag_ms), _seconds(found.lag_p99_ms), found.behind_bytes,
        found.in_bytes_per_second, found.out_bytes_per_second, found.changes,
        found.retained_bytes, found.room_bytes,
    )  # fmt: skip
    for family, value in zip(STREAM, values, strict=True):
        if value is not None:  # else it is not known
            yield family.name, labels, float(value)


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
