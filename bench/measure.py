"""Run a shell script and measure the client: time, CPU and memory of all its processes."""

import os
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from bench.result import Figures, Metric

SAMPLE_SECONDS = 0.05
"""Looking at memory takes under a millisecond: at this pace about 1 % of one core."""

LIMIT_SECONDS = 1800.0
"""A script that runs longer hangs, and is killed."""


class RunFailed(Exception):
    """A run did not do all its work. The other contestants still run."""


def measure(script: str, environment: dict[str, str], folder: Path) -> Figures:
    """Run `script` in bash, in `folder`; any failing command fails it.

    CPU is what the kernel accounts to bash and every descendant that was waited for.

    Raises:
        RunFailed: it ended with another status than 0, or took too long.
    """
    output = folder / "output"
    with output.open("wb") as stream:
        started = time.perf_counter()
        process = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", script],
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    watchdog = threading.Timer(LIMIT_SECONDS, os.killpg, (process.pid, signal.SIGKILL))
    watchdog.start()
    memory = _MemorySampler(process.pid)
    memory.start()
    try:
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    finally:
        seconds = time.perf_counter() - started
        watchdog.cancel()
        memory.stop()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        last_lines = "\n".join(output.read_text(errors="replace").splitlines()[-5:])
        raise RunFailed(f"exit status {process.returncode}: {last_lines}")
    return {
        Metric.SECONDS: seconds,
        Metric.CPU_SECONDS: usage.ru_utime + usage.ru_stime,
        Metric.PEAK_MB: memory.peak_bytes / 1e6,
    }


@dataclass(frozen=True, slots=True)
class Memory:
    """The memory of a session's processes now, and the peak of the largest one."""

    now_bytes: int
    highest_bytes: int


def read_memory(session: int) -> Memory:
    """Read from /proc what every process of `session` holds.

    ru_maxrss would not do: a child's begins with what its parent held when it was forked, so
    a psql of 6 MB seems as large as this program.
    """
    now, highest = [], []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(process.name)) != session:
                continue
            status = (process / "status").read_text()
        except (ProcessLookupError, FileNotFoundError):
            continue
        fields = dict(line.split(":", 1) for line in status.splitlines())
        now.append(_bytes(fields.get("VmRSS", "0 kB")))
        highest.append(_bytes(fields.get("VmHWM", "0 kB")))
    return Memory(sum(now), max(highest, default=0))


def _bytes(value: str) -> int:
    return int(value.removesuffix("kB")) * 1024


class _MemorySampler(threading.Thread):
    """Keeps the peak of a session's memory: of the sum of all processes, or of the largest."""

    def __init__(self, session: int) -> None:
        super().__init__(daemon=True)
        self.peak_bytes = 0
        self._session = session
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.wait(SAMPLE_SECONDS):
            memory = read_memory(self._session)
            self.peak_bytes = max(self.peak_bytes, memory.now_bytes, memory.highest_bytes)

    def stop(self) -> None:
        self._stopped.set()
        self.join()
