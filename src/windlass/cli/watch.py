"""Chooses how a run is watched: bars on a terminal, lines elsewhere, nothing under ``-q``."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace

from windlass.cli.spelling import as_option
from windlass.cli.voice import Voice
from windlass.model.event import Emit, Event, ItemRetried, Noticed, RunEnded, ignore
from windlass.model.wording import spelled

log = logging.getLogger(__name__)

_LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)


@contextmanager
def watching(voice: Voice, doing: str) -> Iterator[Emit]:
    """Open a display on stderr; the callable takes the run's events. Closed, it leaves no trace.

    `doing` is shown until the first event says more.
    """
    if voice.quiet:
        with _logging(voice, voice.aside):
            yield _heeding(voice, ignore)
        return
    if is_terminal():
        from windlass.progress.terminal import TerminalProgress

        with TerminalProgress(doing=doing) as bars, _logging(voice, bars.say):
            yield _heeding(voice, _harmless(_spelling(bars)))
        return
    from windlass.progress.lines import LineProgress

    with LineProgress(sys.stderr) as lines, _logging(voice, lines.say):
        yield _heeding(voice, _harmless(_spelling(lines)))


REPEAT_SECONDS = 2.0


def repeat(voice: Voice, shown: Callable[[], tuple[str, bool]]) -> None:
    """Print a text repeatedly until it is the last one, or until Ctrl-C. If stdout is not a
    terminal, only when the text has changed."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(highlight=False)
    live = Live(console=console, auto_refresh=False) if console.is_terminal else None
    before, is_last = "", False
    with suppress(KeyboardInterrupt), live or nullcontext():
        while not is_last:
            text, is_last = shown()
            if live:
                live.update(Text.from_ansi(text), refresh=True)
            elif text != before:
                voice.result(text)
            before = text
            if not is_last:
                time.sleep(REPEAT_SECONDS)


def is_terminal() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def _heeding(voice: Voice, emit: Emit) -> Emit:
    """The events, of which the voice learns first when the run has ended."""

    def pass_on(event: Event) -> None:
        if isinstance(event, RunEnded):
            voice.before_result()
        emit(event)

    return pass_on


def _spelling(emit: Emit) -> Emit:
    """The events, with the options in notices and reasons as on the command line."""

    def pass_on(event: Event) -> None:
        if isinstance(event, Noticed):
            event = replace(event, message=spelled(event.message, as_option))
        elif isinstance(event, ItemRetried):
            event = replace(event, reason=spelled(event.reason, as_option))
        emit(event)

    return pass_on


def _harmless(emit: Emit) -> Emit:
    """A display that fails, for example because the terminal was closed, never stops a run."""
    broken = False

    def pass_on(event: Event) -> None:
        nonlocal broken
        if broken:
            return
        try:
            emit(event)
        except Exception:
            broken = True
            log.debug("display failed", exc_info=True)

    return pass_on


class _Handler(logging.Handler):
    """Prints log records without secrets, through whatever is using the terminal."""

    def __init__(self, voice: Voice, say: Callable[[str], None]) -> None:
        super().__init__()
        self._voice, self._say = voice, say
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._say(self._voice.masked(spelled(self.format(record), as_option)))
        except Exception:
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """Nobody reads stderr any more, so there is no better place to report it."""


@contextmanager
def _logging(voice: Voice, say: Callable[[str], None]) -> Iterator[None]:
    root = logging.getLogger()
    ours = logging.getLogger("windlass")
    handler = _Handler(voice, say)
    root.addHandler(handler)
    before = ours.level
    level = logging.ERROR if voice.quiet else _LEVELS[min(voice.verbosity, len(_LEVELS) - 1)]
    ours.setLevel(level)
    if not voice.verbosity:  # our own errors say more about a lost connection
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        ours.setLevel(before)
        root.removeHandler(handler)
