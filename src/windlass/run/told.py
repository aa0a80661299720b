"""The log of a run whose journal has none: what its outcome and its times tell. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from windlass.model.logged import Happened, Kind
from windlass.model.outcome import RunDetail
from windlass.model.step_text import step_text
from windlass.model.units import plural, seconds_text


def log_of(detail: RunDetail) -> Sequence[Happened]:
    """The newest entry first."""
    return [
        Happened(f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}", kind, text)
        for at, kind, text in sorted(_entries(detail), key=lambda one: one[0], reverse=True)
    ]


def _entries(detail: RunDetail) -> Iterator[tuple[datetime, str, str]]:
    status, outcome = detail.status, detail.outcome
    if not status.started_at:
        return
    began = _moment(status.started_at)
    version = f", with windlass {detail.version}" if detail.version else ""
    yield began, Kind.BEGAN, f"began{version}"
    timeline = outcome.account.timeline if outcome else detail.timeline
    if timeline.started_at:  # that of its last process, if it was resumed
        first = _moment(timeline.started_at)
        for one in timeline.steps:
            end = timedelta(seconds=one.start_seconds + one.seconds)
            text = f"done, {plural(one.items, 'item')} in {seconds_text(one.seconds)}"
            yield first + end, Kind.STEP, f"{step_text(one.name)}: {text}"
    if not status.finished_at:
        return
    ended = _moment(status.finished_at)
    for notice in outcome.notices if outcome else ():
        yield ended, Kind.NOTICE, notice
    message = outcome.reason.message if outcome else ""
    yield ended, Kind.ENDED, f"ended: {status.state}" + (f": {message}" if message else "")


def _moment(text: str) -> datetime:
    """A time as a journal has it; without a zone it is UTC."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
