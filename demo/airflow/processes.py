"""The processes of a local Airflow: started, recognised, ended.

Decides how a process is found again, after any crash and by any later process: all our processes
and their children have a token in their environment. `airflow standalone` is not enough: its
components open log servers on every address, it does not notice when one of them ends, and it
leaves them running when it is terminated.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from windlass.errors import WindlassError

if TYPE_CHECKING:
    import psutil

ROOT = Path(__file__).parents[2]  # what imports `demo` needs it on its path

_MARK = "WINDLASS_LOCAL_AIRFLOW"  # is `token:name`
# Neither a user's Airflow nor a user's libpq settings may change ours. And every task is a new
# process, which would compile all that it imports.
_NOT_PASSED_ON = ("AIRFLOW", "CELERY", "PG", "PYTEST_", "PYTHONDONTWRITEBYTECODE", _MARK)
_GUARD = "guard"
_GRACE_SECONDS = 5.0
_READY_SECONDS = 240.0
_POLL_SECONDS = 0.2
_TAIL_LINES = 25


class Group:
    """Processes of one token, by name. Each has its own session, and writes to `logs/name.log`.

    They get our environment, without variables for other programs, plus `variables`.
    """

    def __init__(self, token: str, logs: Path, variables: Mapping[str, str]) -> None:
        self.token, self.logs, self.variables = token, logs, variables
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, command: Sequence[str | Path]) -> None:
        self.logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._log(name).open("wb") as log:
            self._children[name] = subprocess.Popen(
                command,
                env={**_environment(self.token, name), **self.variables},
                cwd=self.logs,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                umask=0o077,
            )

    def finish(self, name: str) -> None:
        """Wait until it ends by itself.

        Raises:
            WindlassError: it failed; with the end of its log.
        """
        if self._children.pop(name).wait() != 0:
            raise WindlassError(f"Airflow's {name} failed: {self._tail(name)}")

    def wait(self, unready: Callable[[], Sequence[str]]) -> None:
        """Until no process is `unready` any more.

        Raises:
            WindlassError: one has ended, or takes too long; with the end of its log.
        """
        deadline = time.monotonic() + _READY_SECONDS
        while names := unready():
            late = time.monotonic() > deadline
            for name, child in self._children.items():
                if child.poll() is not None or (late and name in names):
                    state = "is not healthy" if child.returncode is None else "has ended"
                    raise WindlassError(f"Airflow's {name} {state}: {self._tail(name)}")
            time.sleep(_POLL_SECONDS)

    def output(self, name: str) -> str:
        return self._log(name).read_text(errors="replace")

    def kill(self, name: str) -> None:
        """End one and all that it has started, at once, as a power cut would."""
        kill(self.token, name)
        if child := self._children.pop(name, None):
            child.wait()

    def reap(self) -> None:
        """Wait for ended processes, which would otherwise stay as zombies."""
        for child in self._children.values():
            child.wait()
        self._children.clear()

    def _log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def _tail(self, name: str) -> str:
        return "\n".join(self.output(name).splitlines()[-_TAIL_LINES:]) or "its log is empty"


def airflow_command(*words: str) -> list[str]:
    """The command of the installed Airflow. -P: nothing is imported from the working directory."""
    return [sys.executable, "-P", "-m", "airflow", *words]


def alive(token: str, name: str | None = None) -> list[psutil.Process]:
    """All processes with the token, of one name or all; without the guard and this process."""
    return [
        process
        for process, theirs in _marked(token)
        if (theirs != _GUARD if name is None else theirs == name) and process.pid != os.getpid()
    ]


def leaders(token: str, name: str) -> list[psutil.Process]:
    """The process that a `Group` started under a name; none if that has ended, although others that
    it has started may have outlived it."""
    return [process for process in alive(token, name) if _is_leader(process)]


def end(token: str, servers: Sequence[str]) -> None:
    """Terminate what we started, except `servers`, which the others need to end; then kill all.

    What they have started gets no signal: a triggerer whose own process is gone waits for it.
    """
    asked = [
        process
        for process, name in _marked(token)
        if name not in (*servers, _GUARD) and _is_leader(process)
    ]
    for process in asked:
        _send(process, signal.SIGTERM)
    _wait_ended(asked)
    kill(token)


def kill(token: str, name: str | None = None) -> None:
    """Kill them at once, like a power cut, until none is left that could start another."""
    while left := alive(token, name):
        for process in left:
            _send(process, signal.SIGKILL)
        _wait_ended(left)


def guard(token: str, code: str, *words: str | Path) -> subprocess.Popen[bytes]:
    """A process that runs `code` when this process has ended, even if killed: then its input ends.

    `code` can import `demo`, and finds `words` in ``sys.argv[1:]``.
    """
    wait = f"import sys; sys.stdin.read(); sys.path.insert(0, {str(ROOT)!r}); "
    return subprocess.Popen(
        [sys.executable, "-P", "-c", wait + code, *words],
        env=_environment(token, _GUARD),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def dismiss_guard(token: str) -> None:
    """End it without running its code."""
    kill(token, _GUARD)


def _environment(token: str, name: str) -> dict[str, str]:
    ours = {key: text for key, text in os.environ.items() if not key.startswith(_NOT_PASSED_ON)}
    # without the second, setproctitle overwrites the first
    return {**ours, _MARK: f"{token}:{name}", "SPT_NOENV": "1"}


def _marked(token: str) -> list[tuple[psutil.Process, str]]:
    import psutil

    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):  # gone, or another user's
            theirs, _, name = process.environ().get(_MARK, "").partition(":")
            if theirs == token:
                found.append((process, name))
    return found


def _is_leader(process: psutil.Process) -> bool:
    """Whether a `Group` started it: each gets its own session."""
    try:
        return os.getsid(process.pid) == process.pid
    except ProcessLookupError:
        return False


def _send(process: psutil.Process, number: signal.Signals) -> None:
    import psutil

    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def _wait_ended(processes: Sequence[psutil.Process]) -> None:
    """Until they are gone, or zombies that wait for their parent."""
    deadline = time.monotonic() + _GRACE_SECONDS
    while any(map(_is_alive, processes)) and time.monotonic() < deadline:
        time.sleep(0.05)


def _is_alive(process: psutil.Process) -> bool:
    import psutil

    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
