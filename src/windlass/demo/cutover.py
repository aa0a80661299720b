"""A ledger that moves while clients write to it: what `windlass demo --cutover` does, act by act.

Decides the order of the commands, and checks the ledger at the end. The caller starts the servers,
shows the acts and cleans up. In its folder::

    pgpass              passwords of both servers
    port                of the server that clients write to; the cutover's `--on-switch` changes it
    client-N            what a client wrote down: one line for each acknowledged transfer
    follower.err .out   what `windlass migrate --follow` prints
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from windlass import api
from windlass.demo.acknowledged import Acknowledged
from windlass.demo.ledger import Ledger, faults, make_ledger, writing
from windlass.errors import WindlassError
from windlass.model.outcome import RunStatus
from windlass.model.units import bytes_text, seconds_text

CLIENTS = 4
PAUSE_SECONDS = 0.004  # pause of a client after a transfer
ENTRIES = 100_000  # before any client writes, at scale 1
BETWEEN = 2_000  # transfers between two acts, at scale 1
FEWEST = 40
LOOK_SECONDS = 0.5  # between two looks at the journal
WAIT_SECONDS = 0.1
PATIENCE_SECONDS = 120.0
# wide limits: a busy machine is no reason to end a demonstration
CUTOVER = ("cutover", "--yes", "--max-lag", "10s", "--max-freeze", "20s")
SECRET = "pgpass"


@dataclass(slots=True)
class Act:
    """A part of the demo."""

    title: str  # the command
    doing: str
    done: str = ""
    failed: bool = False
    began: float | None = None
    ended: float | None = None

    @property
    def is_running(self) -> bool:
        return self.began is not None and self.ended is None


@dataclass(frozen=True, slots=True)
class Switch:
    """A cutover, as its command and as the clients saw it."""

    command: str
    freeze_ms: float  # as the command reports it
    waited_ms: float  # the longest time between two acknowledgements of one client


@dataclass(frozen=True, slots=True)
class Found:
    """What the checker found."""

    acknowledged: int
    looks: int  # readings of totals, each in one snapshot
    switches: Sequence[Switch]
    faults: Sequence[str]
    seconds: float


@dataclass(frozen=True, slots=True)
class Place:
    """One side: its URL with the password, the same without, its port and PostgreSQL's version."""

    url: str = field(repr=False)
    shown: str
    port: int
    version: int


def fill(source: str, scale: float) -> int:
    """Make the ledger in an empty database; returns how many entries it has."""
    entries = max(round(ENTRIES * scale), 100)
    make_ledger(source, entries)
    return entries


def acts() -> list[Act]:
    return [
        Act("windlass migrate --follow", "copies while clients write"),
        Act("windlass verify --follow", "compares both sides while they move"),
        Act("windlass cutover", "moves the clients"),
        Act("windlass cutover --back", "moves them back"),
        Act("windlass cutover", "moves them again, without another copy"),
        Act("windlass finish", "removes what following needed"),
        Act("the ledger", "is checked against what clients wrote down"),
    ]


class Play:
    """One run of the demo, between two servers that are up and empty."""

    def __init__(
        self,
        folder: Path,
        places: Mapping[str, Place],
        scale: float,
        ended: Callable[[Act], None],
    ) -> None:
        """`ended` is called after each act."""
        self.folder, self.places, self.ended = folder, places, ended
        self.acts = acts()
        self.acknowledged = Acknowledged(folder)
        self.status: RunStatus | None = None
        self.switches: list[Switch] = []
        self.started_at = time.monotonic()
        self._more = max(round(BETWEEN * scale), FEWEST)
        self._over = threading.Event()
        (folder / "port").write_text(f"{places['source'].port}\n")

    @property
    def open_port(self) -> int:
        """The port of the side that clients write to."""
        return int((self.folder / "port").read_text())

    def run(self) -> Found:
        """Run all acts.

        Raises:
            WindlassError: a command failed; the message says why.
        """
        source, target = self.places["source"], self.places["target"]
        ledgers: list[Ledger] = []
        with ExitStack() as stack:
            ledgers.append(stack.enter_context(self._writing(CLIENTS, source)))
            stack.enter_context(self._looking())
            follower = stack.enter_context(self._following())
            self._copy(follower)
            ledgers.append(stack.enter_context(self._writing(0, target)))
            self._verify()
            for act in self.acts[2:5]:
                self._await_written(self._more, follower)
                self._switch(act, follower)
            self._await_written(self._more, follower)
            self._finish(follower)
            self._await_written(FEWEST)
        return self._check(ledgers)

    # the acts

    def _copy(self, follower: subprocess.Popen[bytes]) -> None:
        with self._act(self.acts[0]) as act:
            before = self.acknowledged.count
            self._until(self._follows, "the copy and the first marker", follower)
            written = self.acknowledged.count - before
            size = bytes_text(self.status.progress.bytes) if self.status else ""
            rows = f"{self.status.progress.rows:,}" if self.status else ""
            act.done = f"{rows} rows ({size}) copied and compared; clients wrote {written:,} more"

    def _verify(self) -> None:
        with self._act(self.acts[1]) as act:
            result = self._command("verify", "--follow")
            act.done = f"{result['rows']:,} rows are equal, as of one moment"

    def _follows(self) -> bool:
        found = self.status.following if self.status else None
        if found is None or found.phase != "following" or found.blockers:
            return False
        return any(one.lag_ms is not None for one in found.streams)

    def _switch(self, act: Act, follower: subprocess.Popen[bytes]) -> None:
        """Run a cutover, and measure what clients saw of it. It is over once they write again."""
        file = shlex.quote(str(self.folder / "port"))
        lead = f"echo $WINDLASS_PORT > {file}.new && mv {file}.new {file}"
        back = ("--back",) if act.title.endswith("--back") else ()
        with self._act(act):
            began = time.monotonic()
            result = self._command(*CUTOVER, *back, "--on-switch", lead)
            self._await_written(CLIENTS, follower)
            self._until(lambda: self.acknowledged.all_after(began), "all clients", follower)
            pause = self.acknowledged.longest(began, time.monotonic())
            freeze = float(result["cutover"]["freeze_ms"])
            self.switches.append(Switch(act.title, freeze, round(pause.seconds * 1000, 1)))
            version = next(x.version for x in self.places.values() if x.port == self.open_port)
            waited = seconds_text(pause.seconds)
            act.done = f"clients waited {waited}, then wrote to PostgreSQL {version}"

    def _finish(self, follower: subprocess.Popen[bytes]) -> None:
        with self._act(self.acts[5]) as act:
            result = self._command("finish", "--yes")
            with suppress(subprocess.TimeoutExpired):
                follower.wait(PATIENCE_SECONDS)
            if follower.returncode != 0:
                raise self._follower_ended(follower)
            act.done = result["message"].partition("; ")[2] or "done"

    def _check(self, ledgers: Sequence[Ledger]) -> Found:
        with self._act(self.acts[6]) as act:
            readers = [one for ledger in ledgers for one in ledger.readers]
            found = [text for one in readers for text in one.wrong]
            found += [f"no total was read: {one}" for one in readers if not one.looks]
            found += faults(self.places["target"].url, self.folder)
            self.acknowledged.read()
            count, looks = self.acknowledged.count, sum(one.looks for one in readers)
            act.failed = bool(found)
            what = "is not what they wrote down" if found else "has each of them exactly once"
            act.done = f"{count:,} transfers were acknowledged; the ledger {what}"
            seconds = round(time.monotonic() - self.started_at, 3)
            return Found(count, looks, tuple(self.switches), tuple(found), seconds)

    @contextmanager
    def _act(self, act: Act) -> Iterator[Act]:
        act.began = time.monotonic()
        yield act
        act.ended = time.monotonic()
        self.ended(act)

    # what they work with

    @contextmanager
    def _writing(self, clients: int, read: Place) -> Iterator[Ledger]:
        urls = {place.port: place.url for place in self.places.values()}
        with writing(
            self.folder,
            lambda: urls[self.open_port],
            clients=clients,
            pause_seconds=PAUSE_SECONDS,
            readers=[read.url],
        ) as ledger:
            yield ledger

    @contextmanager
    def _looking(self) -> Iterator[None]:
        """Read what `windlass status` knows, again and again."""

        def look() -> None:
            while not self._over.wait(LOOK_SECONDS):
                with suppress(WindlassError):
                    self.status = next(iter(api.status(self.places["target"].url)), None)

        thread = threading.Thread(target=look, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    @contextmanager
    def _following(self) -> Iterator[subprocess.Popen[bytes]]:
        with (
            (self.folder / "follower.out").open("wb") as out,
            (self.folder / "follower.err").open("wb") as err,
        ):
            follower = self._start("migrate", "--follow", stdout=out, stderr=err)
        with killed_at_the_end(follower):
            yield follower

    def _command(self, *words: str) -> dict[str, Any]:
        """Run a command to its end; returns what it prints as JSON.

        Raises:
            WindlassError: it failed.
        """
        process = self._start(*words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        with killed_at_the_end(process):
            out, said = process.communicate()
        if process.returncode != 0:
            raise failed(words[0], process.returncode, out, said)
        found = json.loads(out)
        assert isinstance(found, dict)
        return found

    def _start(self, *words: str, stdout: Any, stderr: Any) -> subprocess.Popen[bytes]:
        """Start the command as a user would. No password is among its arguments or in its
        environment. Ctrl-C reaches only us."""
        sides = {f"WINDLASS_{side.upper()}": one.shown for side, one in self.places.items()}
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "WINDLASS_"))}
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "windlass", *words, "--json"],
            env={**kept, **sides, "PGPASSFILE": str(self.folder / SECRET)},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )

    def _await_written(self, more: int, follower: subprocess.Popen[bytes] | None = None) -> None:
        """Wait until clients have acknowledged so many more transfers on the open side."""
        port = self.open_port
        wanted = self.acknowledged.by_port[port] + more
        self._until(
            lambda: self.acknowledged.by_port[port] >= wanted,
            "clients that write",
            follower,
        )

    def _until(
        self,
        condition: Callable[[], bool],
        what: str,
        follower: subprocess.Popen[bytes] | None = None,
    ) -> None:
        """Wait for the condition, as long as the following process is alive."""
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            self.acknowledged.read()
            if condition():
                return
            if time.monotonic() > until:
                raise WindlassError(f"waited {seconds_text(PATIENCE_SECONDS)} for {what}")
            if follower is None:
                self._over.wait(WAIT_SECONDS)
                continue
            with suppress(subprocess.TimeoutExpired):
                follower.wait(WAIT_SECONDS)
                raise self._follower_ended(follower)

    def _follower_ended(self, follower: subprocess.Popen[bytes]) -> WindlassError:
        out, said = ((self.folder / f"follower.{end}").read_bytes() for end in ("out", "err"))
        return failed("migrate --follow", follower.returncode, out, said)


@contextmanager
def killed_at_the_end(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def failed(command: str, code: int | None, out: bytes, said: bytes) -> WindlassError:
    """Why a command ended, from its JSON or its last lines."""
    message, hint = "", ""
    with suppress(ValueError):
        found = json.loads(out)
        problems = [f"{one['object']}: {one['message']}" for one in found.get("problems", ())]
        message = "; ".join(problems) or str(found.get("message", ""))
        hint = str(found.get("hint") or "")
    last = message or " ".join(said.decode(errors="replace").split())[-300:]
    how = "still runs" if code is None else f"ended with exit code {code}"
    return WindlassError(f"windlass {command} {how}: {last}", hint=hint)
