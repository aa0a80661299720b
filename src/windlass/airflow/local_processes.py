"""Processes that carry a token in their environment, and so do all that they start.

A process with the token is ours, however far it has gone from its parents, and whatever its
number was used for before: that is how a later process knows what to end, and what not.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

_MARK = "WINDLASS_LOCAL_AIRFLOW"  # is `token:name`
# Neither a user's Airflow nor a user's libpq settings may change ours. And every task is a new
# process, which would compile all that it imports.
_NOT_PASSED_ON = ("AIRFLOW", "CELERY", "PG", "PYTEST_", "PYTHONDONTWRITEBYTECODE", _MARK)
_GUARD = "guard"
_GRACE_SECONDS = 5.0


def spawn(
    words: Sequence[str | Path], token: str, name: str, log: Path, variables: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Start one in its own session; all that it says goes to `log`.

    It sees our environment without what is meant for others, and `variables`.
    """
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with log.open("wb") as said:
        return subprocess.Popen(
            words,
            env={**_environment(token, name), **variables},
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
            umask=0o077,
        )


def alive(token: str, name: str | None = None) -> list[psutil.Process]:
    """All that carry the token, of one name or of all; but for the guard, and for ourselves."""
    return [
        process
        for process, theirs in _marked(token)
        if (theirs != _GUARD if name is None else theirs == name) and process.pid != os.getpid()
    ]


def end(token: str, servants: Sequence[str]) -> None:
    """Ask what we started to end, but for `servants`, whom the others need for that; then kill all.

    What they have started is not asked: a triggerer whose own process is gone waits for it.
    """
    asked = [
        process
        for process, name in _marked(token)
        if name not in (*servants, _GUARD) and _is_leader(process)
    ]
    for process in asked:
        _send(process, signal.SIGTERM)
    _wait_ended(asked)
    kill(token)


def kill(token: str, name: str | None = None) -> None:
    """End them at once, as a power cut would, until there is none left to start another."""
    while left := alive(token, name):
        for process in left:
            _send(process, signal.SIGKILL)
        _wait_ended(left)


def guard(token: str, code: str, *words: str | Path) -> subprocess.Popen[bytes]:
    """A process that runs `code` when we are gone, even killed: its input ends with us."""
    return subprocess.Popen(
        [sys.executable, "-P", "-c", f"import sys; sys.stdin.read(); {code}", *words],
        env=_environment(token, _GUARD),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def dismiss_guard(token: str) -> None:
    kill(token, _GUARD)


def _environment(token: str, name: str) -> dict[str, str]:
    ours = {key: text for key, text in os.environ.items() if not key.startswith(_NOT_PASSED_ON)}
    # without the second, setproctitle writes over the first
    return {**ours, _MARK: f"{token}:{name}", "SPT_NOENV": "1"}


def _marked(token: str) -> list[tuple[psutil.Process, str]]:
    import psutil

    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):  # gone, or somebody else's
            theirs, _, name = process.environ().get(_MARK, "").partition(":")
            if theirs == token:
                found.append((process, name))
    return found


def _is_leader(process: psutil.Process) -> bool:
    """Whether `spawn` has started it: that gives each its own session."""
    try:
        return os.getsid(process.pid) == process.pid
    except ProcessLookupError:
        return False


def _send(process: psutil.Process, number: signal.Signals) -> None:
    import psutil

    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def _wait_ended(processes: Sequence[psutil.Process]) -> None:
    """Until they are gone, or only wait for their parent to ask how it was."""
    deadline = time.monotonic() + _GRACE_SECONDS
    while any(map(_is_alive, processes)) and time.monotonic() < deadline:
        time.sleep(0.05)


def _is_alive(process: psutil.Process) -> bool:
    import psutil

    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
