"""The `windlass` program: a command line to its exit code; Ctrl-C; errors as people read them."""

from __future__ import annotations

import gc
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType

from windlass.cli.exits import Exit
from windlass.cli.program import windlass
from windlass.cli.voice import Voice
from windlass.model.hiding import secrets_in

# Commands that have written nothing when they fail.
READING = {"plan", "status", "spec"}
# Commands that succeed as a whole or are taken back.
WHOLE = {"cutover", "finish", "abandon", "rollback", "clean"}


def run(arguments: Sequence[str], *, before_result: Callable[[], None] = lambda: None) -> int:
    """One command line to its exit code. Whatever happens is reported, and never as a traceback.

    `before_result` is called when a run is over, before its end is reported.
    """
    voice = Voice.of(arguments)
    voice.before_result = before_result
    try:
        _hide_passwords(voice)
        if not {"-h", "--help", "--version"}.intersection(arguments):
            from windlass.engines.scratch import sweep

            sweep()
        return int(
            windlass.main(list(arguments), "windlass", standalone_mode=False, obj=voice) or 0
        )
    except (Exception, KeyboardInterrupt) as error:
        from windlass.cli.endings import ending_of, report  # only a failure needs them

        writes = not READING.intersection(arguments[:1])
        resumes = not WHOLE.intersection(arguments[:1])
        return report(ending_of(error, writes=writes, resumes=resumes), voice, error)


def _hide_passwords(voice: Voice) -> None:
    """Hide passwords on the command line: while it runs, other users of this machine could read
    them."""
    exposed = set().union(*map(secrets_in, voice.arguments))
    if not exposed:
        return
    from windlass.cli.arguments import wipe

    is_wiped = wipe(exposed)
    if is_wiped and voice.quiet:
        return
    shown = "was visible to" if is_wiped else "is visible to"
    voice.aside(
        f"a password on the command line {shown} every user of this machine; put it into"
        f" {' and '.join(sorted({_better(one) for one in voice.arguments if secrets_in(one)}))}"
    )


def _better(argument: str) -> str:
    """Where a password in an argument could be given instead."""
    if "http://" in argument or "https://" in argument:
        return "a spec file that only you can read"
    scheme = re.search(r"(\w+)(?:\+\w+)?://", argument)
    # PGPASSWORD is not for other engines
    if scheme and scheme[1].lower() not in ("postgresql", "postgres"):
        return "WINDLASS_SOURCE, WINDLASS_TARGET or a spec file that only you can read"
    return "the password file or PGPASSWORD"


def main() -> None:
    """The program. Ctrl-C and SIGTERM stop a run; a second one does not wait for it. Once the run
    is over and journalled they change nothing: what it prints and its exit code agree."""
    # To find its plugins, pydantic reads every installed distribution. A plugin would also see what
    # is in a spec, such as passwords.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    # Imports make many objects and no garbage: looking for it takes an eighth of a small run's CPU.
    gc.set_threshold(20_000, *gc.get_threshold()[1:])
    over = threading.Event()

    def interrupt(number: int, frame: FrameType | None) -> None:
        if not over.is_set():
            raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupt)
    try:
        code = run(sys.argv[1:] or ["--help"], before_result=over.set)
    except KeyboardInterrupt:  # while it reported how it ended
        code = int(Exit.INTERRUPTED)
    if code == Exit.INTERRUPTED:
        _leave(code)
    for number in (signal.SIGINT, signal.SIGTERM):  # the interpreter's end would put them back
        signal.signal(number, signal.SIG_IGN)
    # Otherwise the interpreter looks at every object for garbage as it ends: 0.2 s of CPU. DuckDB's
    # library takes what is then left for leaks, and prints dozens of lines about them (nanobind).
    if "_duckdb" not in sys.modules:
        gc.freeze()
    sys.exit(code)


def _leave(code: int) -> None:
    """Exit without waiting for threads that are still busy: their transactions roll back."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
