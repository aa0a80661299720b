"""How soon commands start: until `windlass --version` ends, and until `windlass plan` connects.

A listening socket stands in for both databases. It notes when the first connection arrives; the
command is killed then. A bare Python in the same run shows what of it is the interpreter.
"""

import os
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.machine import find_program
from bench.measure import RunFailed
from bench.result import Figures, Goal, Measured, Metric, Statistic, judged
from bench.setup import Setup, take_turns
from bench.shell import environment

LIMIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Start:
    """A command, and how it is timed: `run` takes an empty folder, which is its home."""

    name: str
    title: str
    run: Callable[[Path], Figures]


def _goal(subject: str, at_most: float) -> Goal:
    return Goal(
        subject=subject, metric=Metric.SECONDS, statistic=Statistic.MINIMUM, at_most=at_most
    )


GOALS = (_goal("version", 0.15), _goal("plan", 0.35))


def measure_startup(setup: Setup) -> Measured:
    with setup.empty_folder() as folder:
        for start in STARTS:
            start.run(folder)  # compiles what was not compiled yet
        cases = take_turns(STARTS, lambda start: start.run(folder), setup.repeat)
    return Measured(
        data="a new process each time, its files in the page cache",
        cases=cases,
        goals=judged(GOALS, cases),
    )


def _until_end(*command: str) -> Callable[[Path], Figures]:
    def run(folder: Path) -> Figures:
        started = time.perf_counter()
        process = _start(command, folder)
        figures = _ended(process, started)
        if process.returncode != 0:
            raise RunFailed(f"exit status {process.returncode}: {' '.join(command)}")
        return figures

    return run


def _until_connecting(folder: Path) -> Figures:
    """Raises:
    RunFailed: it has not connected in time.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(LIMIT_SECONDS)
        port = listener.getsockname()[1]
        urls = [f"postgresql://postgres@127.0.0.1:{port}/{side}" for side in ("source", "target")]
        started = time.perf_counter()
        process = _start(("windlass", "plan", "--source", urls[0], "--target", urls[1]), folder)
        try:
            listener.accept()[0].close()
            seconds = time.perf_counter() - started
        except TimeoutError as error:
            raise RunFailed("windlass plan has not connected") from error
        finally:
            process.kill()
            used = _ended(process, started)
    return used | {Metric.SECONDS: seconds}


def _start(command: tuple[str, ...], folder: Path) -> subprocess.Popen[bytes]:
    program = find_program(command[0])
    if program is None:
        raise RunFailed(f"not found: {command[0]}")
    return subprocess.Popen(
        [program, *command[1:]],
        env=environment(folder),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _ended(process: subprocess.Popen[bytes], started: float) -> Figures:
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    return {Metric.SECONDS: seconds, Metric.CPU_SECONDS: usage.ru_utime + usage.ru_stime}


STARTS = (
    Start("python", "python -c pass", _until_end("python", "-c", "pass")),
    Start("version", "windlass --version, until it ends", _until_end("windlass", "--version")),
    Start("help", "windlass migrate --help", _until_end("windlass", "migrate", "--help")),
    Start("plan", "windlass plan, until it connects", _until_connecting),
)
