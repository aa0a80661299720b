"""Plain log lines, for runs without a terminal: one per item or state change.

When items finish by the thousand, one line per second sums them up.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from windlass.model.event import (
    BytesCopied,
    Event,
    FlowPlanned,
    Followed,
    ItemFinished,
    ItemRetried,
    Noticed,
    RunEnded,
    StepFinished,
    StepStarted,
)
from windlass.model.text import one_line
from windlass.progress.tally import Tally

if TYPE_CHECKING:
    from windlass.model.following import Phase

ITEM_LINES_PER_SECOND = 20
PROGRESS_SECONDS = 10.0

Value = str | int | float | bool


@dataclass(slots=True)
class Summary:
    """Items of one step that got no separate line."""

    items: int = 0
    rows: int = 0
    size_bytes: int = 0
    seconds: float = 0.0

    def add(self, event: ItemFinished) -> None:
        self.items += 1
        self.rows += event.rows
        self.size_bytes += event.size_bytes
        self.seconds += event.seconds


class LineProgress:
    """Writes lines of ``key=value`` pairs. Safe to call from any thread."""

    def __init__(
        self,
        stream: TextIO,
        clock: Callable[[], float] = time.monotonic,
        timestamp: Callable[[], str] = lambda: time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    ) -> None:
        self.tally = Tally()
        self._stream, self._clock, self._timestamp = stream, clock, timestamp
        self._lock = threading.Lock()
        self._summaries: dict[str, Summary] = {}
        self._second = 0.0  # since when items are counted against their limit
        self._in_second = 0
        self._progress_at: float | None = None
        self._phase: Phase | None = None  # in the last line about following
        self._followed_at = 0.0

    def __enter__(self) -> LineProgress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._sum_up()

    def __call__(self, event: Event) -> None:
        with self._lock:
            now = self._clock()
            self.tally.add(event, now)
            self._tell(event, now)

    def say(self, message: str) -> None:
        with self._lock:
            self._write(notice=message)

    def _tell(self, event: Event, now: float) -> None:
        if self._progress_at is None:
            self._progress_at = now
        if now - self._second >= 1.0:
            self._sum_up()
            self._second, self._in_second = now, 0
        match event:
            case FlowPlanned():
                self._planned(event)
                self._progress_at = now
            case StepStarted():
                self._write(step=event.step, state="started", items=event.items)
            case StepFinished():
                self._sum_up(event.step)
                self._write(step=event.step, state="finished", seconds=event.seconds)
            case ItemFinished():
                self._finished(event)
            case ItemRetried():
                self._write(
                    step=event.step,
                    item=event.item,
                    state="retried",
                    attempt=event.attempt,
                    wait_seconds=event.wait_seconds,
                    reason=event.reason,
                )
            case Noticed():
                self._write(notice=event.message)
            case Followed():
                self._followed(event, now)
            case BytesCopied() | RunEnded():
                pass
        if self.tally.flights and not self._phase and now - self._progress_at >= PROGRESS_SECONDS:
            self._progress_at = now
            self._progress(now)

    def _planned(self, event: FlowPlanned) -> None:
        words: dict[str, Value] = {
            "relations": self.tally.relations,
            "bytes": self.tally.size_bytes,
            "rows": sum(event.rows.values()),
            "source": event.source,
            "target": event.target,
        }
        self._write(
            run=event.run,
            state="resumed" if event.resumed else "planned",
            **{key: value for key, value in words.items() if value},  # a rewrite knows no sizes yet
        )

    def _followed(self, event: Followed, now: float) -> None:
        """A line now and then, or at once if somebody should look."""
        if event.phase is self._phase and now - self._followed_at < PROGRESS_SECONDS:
            return
        self._phase, self._followed_at = event.phase, now
        for one in event.streams:
            lag: dict[str, Value] = {} if one.lag_ms is None else {"lag_ms": round(one.lag_ms)}
            left = one.catch_up_seconds
            self._write(
                phase=event.phase,
                direction=one.direction,
                **lag,
                behind_bytes=one.behind_bytes,
                in_bytes_per_second=round(one.in_bytes_per_second),
                out_bytes_per_second=round(one.out_bytes_per_second),
                changes=one.changes,
                catch_up_seconds="never" if left is None else round(left),
                retained_bytes=one.retained_bytes,
            )

    def _finished(self, event: ItemFinished) -> None:
        if not event.item:  # the step's only item: the step's own lines cover it
            return
        if event.resumed or self._in_second >= ITEM_LINES_PER_SECOND:
            self._summaries.setdefault(event.step, Summary()).add(event)
            return
        self._in_second += 1
        words: dict[str, Value] = {"rows": event.rows, "bytes": event.size_bytes}
        self._write(
            step=event.step,
            item=event.item,
            state="done",
            **{key: value for key, value in words.items() if value},
            seconds=event.seconds,
        )

    def _sum_up(self, step: str | None = None) -> None:
        """Write the summaries of one step, or of all."""
        for name in [step] if step else list(self._summaries):
            if name not in self._summaries:
                continue
            summary = self._summaries.pop(name)
            words: dict[str, Value] = {"rows": summary.rows, "bytes": summary.size_bytes}
            self._write(
                step=name,
                state="done",
                items=summary.items,
                **{key: value for key, value in words.items() if value},
                seconds=summary.seconds,
            )

    def _progress(self, now: float) -> None:
        left = self.tally.seconds_left(now)
        words: dict[str, Value] = {} if left is None else {"seconds_left": round(left)}
        self._write(
            state="running",
            phase=",".join(self.tally.phases),
            percent=round(100 * self.tally.fraction(now)),
            rows=self.tally.rows,
            bytes_per_second=round(self.tally.bytes_per_second(now)),
            **words,
        )

    def _write(self, **words: Value) -> None:
        line = " ".join(f"{key}={_word(value)}" for key, value in words.items())
        with suppress(OSError):  # nobody reads it any more, which is no reason to stop a run
            self._stream.write(f"{self._timestamp()} {line}\n")
            self._stream.flush()


def _word(value: Value) -> str:
    if isinstance(value, float):
        return f"{value:.2f}"
    text = str(value)
    if text == one_line(text) and text and not any(letter in text for letter in ' "='):
        return text
    return '"' + one_line(text.replace("\\", "\\\\").replace('"', '\\"')) + '"'
