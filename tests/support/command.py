"""The windlass command as its users run it: a separate process, judged by what it leaves.

Every run is also held to what no run may ever do: show a password, or a traceback.
"""

from __future__ import annotations

import faulthandler
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from pages import page_faults
from result_schema import faults, is_of_a_run
from servers import PASSWORD, QUOTED_PASSWORD, Pair
from windlass.report.page import run_page

DONE, DIFFERENT, BAD_SPEC, REFUSED, STOPPED, INTERRUPTED = 0, 1, 2, 3, 4, 130
SECONDS = 120.0
_REPORTED: set[tuple[str, str]] = set()  # flows and states of which a report was made


@dataclass(frozen=True, slots=True)
class Ran:
    """How a run of the command ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def result(self) -> dict[str, Any]:
        """The one object that --json puts on stdout; that of a run follows its published schema.
        The first of each kind is made a report, which takes longer than all the rest."""
        found = json.loads(self.stdout)
        assert isinstance(found, dict)
        if is_of_a_run(found):
            # what `windlass demo` adds is where its servers are
            assert faults({key: one for key, one in found.items() if key != "demo"}) == []
            kind = (found["asked"]["flow"] if found.get("asked") else "", found["state"])
            if kind not in _REPORTED:
                _REPORTED.add(kind)
                assert page_faults(run_page(found)) == []
        return found

    @property
    def said(self) -> str:
        return self.stdout + self.stderr

    def __post_init__(self) -> None:
        unspelled = re.search("‹\u2063.*?›", self.said)
        assert not unspelled, f"no shell has spelled {unspelled}"

    def expect(self, code: int) -> Ran:
        assert self.code == code, f"exit code {self.code}, not {code}:\n{self.why}"
        return self

    @property
    def why(self) -> str:
        """What a person wants to read of a run that ended otherwise than it should."""
        with suppress(json.JSONDecodeError):
            found = json.loads(self.stdout)
            reported = [f"{key}: {found[key]}" for key in ("message", "hint") if found.get(key)]
            for key in ("problems", "differences", "losses", "notices"):
                reported += [f"{key}: {one}" for one in found.get(key, [])[:12]]
            return "\n".join([*reported, self.stderr[-1500:]])
        return self.said[-4000:]


def environment(pair: Pair | None = None, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Ours without what would tell PostgreSQL's programs or windlass where to go."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "WINDLASS_"))}
    sides = (
        {}
        if pair is None
        else {
            "WINDLASS_SOURCE": pair.source.url,
            "WINDLASS_TARGET": pair.target.url,
        }
    )
    return {**kept, **sides, **(extra or {})}


# Loading what the command needs takes longer than most of what tests have it do: it is loaded once,
# in a server from which each run forks.
PRELOADED = ["command", "installed", "measuring"]
# what functions import, because few users need it
PRELOADED += ["adbc_driver_postgresql", "asyncpg", "curses", "duckdb", "obstore", "pgdumplib.dump"]
PRELOADED += ["pyarrow.compute", "pyarrow.parquet", "tenacity"]
PRELOADED += ["asyncmy", "postgast", "pymongo", "sqlglot", "sqlglot.dialects.duckdb"]
PRELOADED += ["sqlglot.dialects.mysql", "sqlglot.dialects.postgres", "sqlglot.dialects.sqlite"]
PRELOADED += ["preloaded"]  # all of windlass; comes last, as it freezes what has been loaded
_FORKING = multiprocessing.get_context("forkserver")
_FORKING.set_forkserver_preload(PRELOADED)


@cache
def _start_forking() -> None:
    """Where it finds our own modules as well: before Python 3.13 it does not get our path, and
    says nothing of what it cannot load."""
    import pytest  # here, as runs have no use for it

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
        forkserver.ensure_running()


def forked(work: Callable[..., object], *given: Any) -> ForkServerProcess:
    """A process that does it, with all that is preloaded; it has started."""
    _start_forking()
    process = _FORKING.Process(target=work, args=given)
    process.start()
    return process


class Running:
    """A run of the command: a separate process group, with nothing to read."""

    def __init__(self, words: Sequence[str], env: Mapping[str, str]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="windlass-ran-")
        self._out, self._err = (Path(self._folder.name, name) for name in ("out", "err"))
        given = (list(words), dict(env), str(Path.cwd()), str(self._out), str(self._err))
        self._process = forked(_run, *given)

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """Its exit code, or the number of the signal that has killed it, negative."""
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()

    def wait(self, seconds: float | None = None) -> bool:
        """Whether it ended in that time."""
        self._process.join(seconds)
        return self._process.exitcode is not None

    def said(self) -> tuple[str, str]:
        """What is on stdout and on stderr so far; nothing where it was killed before its start."""
        texts = [path.read_text() if path.exists() else "" for path in (self._out, self._err)]
        return texts[0], texts[1]


def _run(words: list[str], env: dict[str, str], folder: str, *said: str) -> None:
    """In the process of a run."""
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    for number, path in zip((1, 2), said, strict=True):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND), number)
    faulthandler.enable()
    sys.argv = ["windlass", *words]
    from windlass.cli.main import main

    main()


def start(*words: str, pair: Pair | None = None, env: Mapping[str, str] | None = None) -> Running:
    """Start the command and let it run. End it with `finish`."""
    return Running(words, environment(pair, env))


def kill_group(process: Running) -> None:
    """End it and all that it has started as `kill -9` does."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def finish(process: Running, seconds: float = SECONDS) -> Ran:
    """Wait for the end, whatever it is. One that hangs says where, thread by thread."""
    if not process.wait(seconds):
        process.send_signal(signal.SIGABRT)
        process.wait()
        stdout, stderr = process.said()
        raise AssertionError(f"no end after {seconds} s:\n{stdout}\n{stderr[-9000:]}") from None
    code = process.poll()
    assert code is not None
    return _judged(Ran(code, *process.said()))


def _judged(ran: Ran) -> Ran:
    assert PASSWORD not in ran.said and QUOTED_PASSWORD not in ran.said, "a password was shown"
    assert "Traceback (most recent call last)" not in ran.said, ran.said[-6000:]
    return ran


def in_python(flags: Sequence[str], *words: str, pair: Pair, env: Mapping[str, str]) -> Ran:
    """Run the command to its end in a separate Python, with Python's own flags."""
    done = subprocess.run(
        [sys.executable, *flags, "-m", "windlass", *words],
        env=environment(pair, env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return _judged(Ran(done.returncode, done.stdout, done.stderr))


def windlass(
    *words: str,
    pair: Pair | None = None,
    env: Mapping[str, str] | None = None,
    seconds: float = SECONDS,
) -> Ran:
    """Run the command to its end. `pair` is given in variables, where no process list shows it."""
    return finish(start(*words, pair=pair, env=env), seconds)


def migrate(pair: Pair, *words: str, env: Mapping[str, str] | None = None) -> Ran:
    """A migration that prints only one JSON object on stdout."""
    return windlass("migrate", "--json", *words, pair=pair, env=env)


def verify(pair: Pair, *words: str) -> Ran:
    """A comparison in the same way."""
    return windlass("verify", "--json", *words, pair=pair)
