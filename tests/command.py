"""The windlass command as its users run it: a process of its own, judged by what it leaves.

Every run is also held to what no run may ever do: show a password, or a traceback.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from servers import PASSWORD, QUOTED_PASSWORD, Pair

DONE, DIFFERENT, BAD_SPEC, REFUSED, STOPPED, INTERRUPTED = 0, 1, 2, 3, 4, 130
SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Ran:
    """How a run of the command ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def result(self) -> dict[str, Any]:
        """The one object that --json puts on stdout."""
        found = json.loads(self.stdout)
        assert isinstance(found, dict)
        return found

    @property
    def said(self) -> str:
        return self.stdout + self.stderr

    def expect(self, code: int) -> Ran:
        assert self.code == code, f"exit code {self.code}, not {code}:\n{self.why}"
        return self

    @property
    def why(self) -> str:
        """What a person wants to read of a run that ended otherwise than it should."""
        with suppress(json.JSONDecodeError):
            found = json.loads(self.stdout)
            told = [f"{key}: {found[key]}" for key in ("message", "hint") if found.get(key)]
            for key in ("problems", "differences", "losses", "notices"):
                told += [f"{key}: {one}" for one in found.get(key, [])[:12]]
            return "\n".join([*told, self.stderr[-1500:]])
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


def start(
    *words: str,
    pair: Pair | None = None,
    env: Mapping[str, str] | None = None,
    flags: Sequence[str] = (),
) -> subprocess.Popen[str]:
    """Start the command and let it run; it is its own process group. End it with `finish`.

    `flags` are Python's own.
    """
    return subprocess.Popen(
        [sys.executable, "-X", "faulthandler", *flags, "-m", "windlass", *words],
        env=environment(pair, env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str], seconds: float = SECONDS) -> Ran:
    """Wait for the end, whatever it is. One that hangs says where, thread by thread."""
    try:
        stdout, stderr = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        stdout, stderr = process.communicate()
        raise AssertionError(f"no end after {seconds} s:\n{stdout}\n{stderr[-9000:]}") from None
    ran = Ran(process.returncode, stdout, stderr)
    assert PASSWORD not in ran.said and QUOTED_PASSWORD not in ran.said, "a password was shown"
    assert "Traceback (most recent call last)" not in ran.said, ran.said[-6000:]
    return ran


def windlass(
    *words: str,
    pair: Pair | None = None,
    env: Mapping[str, str] | None = None,
    flags: Sequence[str] = (),
    seconds: float = SECONDS,
) -> Ran:
    """Run the command to its end. `pair` is given in variables, where no process list shows it."""
    return finish(start(*words, pair=pair, env=env, flags=flags), seconds)


def migrate(pair: Pair, *words: str, env: Mapping[str, str] | None = None) -> Ran:
    """A move that asks for nothing but one JSON object on stdout."""
    return windlass("migrate", "--json", *words, pair=pair, env=env)


def verify(pair: Pair, *words: str) -> Ran:
    """A comparison in the same way."""
    return windlass("verify", "--json", *words, pair=pair)
