"""Notes what happens in a run, for its log in the target's journal.

The notes are written by a thread, in a session that is open for a moment only. If they cannot be
written, the run is not affected: the log then lacks them.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from windlass.errors import WindlassError
from windlass.model.event import (
    Emit,
    Event,
    FlowPlanned,
    Followed,
    ItemRetried,
    Noticed,
    StepFinished,
    StepStarted,
)
from windlass.model.following import Phase
from windlass.model.hiding import SHORTEST_SECRET, mask, secrets_in
from windlass.model.logged import LONGEST_SAID, Kind, Noted
from windlass.model.outcome import Outcome
from windlass.model.step_text import step_text
from windlass.model.text import one_line
from windlass.model.units import plural, seconds_text
from windlass.run.accounting import this_process

log = logging.getLogger(__name__)
Write = Callable[[str, str, Sequence[Noted]], bool]
"""Writes notes of a process into the log of a run; returns whether the journal has that run."""

EVERY_SECONDS = 2.0
PATIENCE_SECONDS = 20.0  # after an error
LEAVE_SECONDS = 3.0  # at the end, for the last notes
SHORTEST_STEP_SECONDS = 0.005  # shorter ones had nothing to do
MOST_PENDING = 1000  # notes that could not be written yet


class Logbook:
    """The notes of this process about one run."""

    def __init__(self, noun: str, emit: Emit, write: Write, hidden: Sequence[str] = ()) -> None:
        """`noun` is the flow's word for a run; `hidden` are passwords, which no note has."""
        self._noun, self._emit, self._write, self._hidden = noun, emit, write, hidden
        self._process = secrets.token_hex(4)
        self._started = time.monotonic()
        self._run = ""  # whose log it is, once it has begun
        self._number = 0
        self._pending: list[tuple[float, int, Kind, str]] = []
        self._phase: Phase | None = None
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def emit(self, event: Event) -> None:
        """Note an event, and pass it on."""
        if isinstance(event, FlowPlanned):
            self._begin(event)
        else:
            for kind, said in self._notes_of(event):
                self._note(kind, said)
        self._emit(event)

    def _begin(self, event: FlowPlanned) -> None:
        by = this_process()
        kind, word = (Kind.RESUMED, "resumed") if event.resumed else (Kind.BEGAN, "began")
        who = f"{by.user} on {socket.gethostname()}, process {os.getpid()}"
        at = None if self._run else self._started  # before its first steps
        self._note(kind, f"{self._noun} {word}: windlass {by.version}, {who}", at=at)
        if not self._run:
            self._run = event.run
            self._thread = threading.Thread(
                target=self._keep_writing, name="windlass-log", daemon=True
            )
            self._thread.start()

    def _notes_of(self, event: Event) -> Iterator[tuple[Kind, str]]:
        match event:
            case StepStarted(step, items) if items > 1:
                yield Kind.STEP, f"{step_text(step)}: started, {plural(items, 'item')}"
            case StepFinished() if event.seconds >= SHORTEST_STEP_SECONDS:
                yield Kind.STEP, f"{step_text(event.step)}: done in {seconds_text(event.seconds)}"
            case ItemRetried():
                what = f"{step_text(event.step)} {event.item}".strip()
                after = seconds_text(event.wait_seconds)
                yield (
                    Kind.RETRIED,
                    f"{what}: attempt {event.attempt} failed, next one in {after}: {event.reason}",
                )
            case Noticed():
                yield Kind.NOTICE, event.message
            case Followed() if event.phase is not self._phase:
                self._phase = event.phase
                yield Kind.PHASE, f"phase: {event.phase}"

    def ended(self, outcome: Outcome) -> None:
        """Note how the run ended, or why it stopped."""
        reason = outcome.reason
        says = [reason.message] if reason.message not in ("", outcome.state) else []
        says += [f"{one.object}: {one.message}" for one in reason.problems]
        self._note(Kind.ENDED, ": ".join([f"{self._noun} ended: {outcome.state}", *says[:5]]))

    def _note(self, kind: Kind, said: str, *, at: float | None = None) -> None:
        text = one_line(mask(said, self._hidden))
        text = text if len(text) <= LONGEST_SAID else f"{text[: LONGEST_SAID - 1]}…"
        with self._lock:
            self._number += 1
            if len(self._pending) < MOST_PENDING or kind is Kind.ENDED:
                self._pending.append((at or time.monotonic(), self._number, kind, text))

    def close(self) -> None:
        """Write what is left, as far as that is quick."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(LEAVE_SECONDS)  # one that hangs ends with the process

    def _keep_writing(self) -> None:
        pause = EVERY_SECONDS
        while not self._over.wait(pause):
            pause = EVERY_SECONDS if self.write() else PATIENCE_SECONDS
        self.write()

    def write(self) -> bool:
        """Write what is left; returns whether that worked."""
        with self._lock:
            taken = list(self._pending)
        if not taken:
            return True
        now = time.monotonic()
        notes = [Noted(number, kind, said, now - at) for at, number, kind, said in taken]
        try:
            if not self._write(self._run, self._process, notes):
                return True  # it has not begun
        except WindlassError as error:
            log.debug("run=%s log: %s", self._run, error)
            return False
        with self._lock:
            del self._pending[: len(taken)]
        return True


class _NoLog(Logbook):
    """Passes events on, and notes nothing."""

    def __init__(self, emit: Emit) -> None:
        super().__init__("", emit, lambda *_: False)

    def emit(self, event: Event) -> None:
        self._emit(event)

    def ended(self, outcome: Outcome) -> None:
        """Notes nothing."""


@contextmanager
def logged(noun: str, spec: Any, emit: Emit, write: Write | None) -> Iterator[Logbook]:
    """The log of a run, which is closed at the end; `noun` is the word for such a run. Without a
    `write` nothing is noted."""
    if write is None:
        yield _NoLog(emit)
        return
    hidden = [one for _, address in spec.addresses for one in secrets_in(address)]
    hidden = [one for one in hidden if len(one) >= SHORTEST_SECRET]
    book = Logbook(noun, emit, write, hidden)
    try:
        yield book
    finally:
        book.close()
