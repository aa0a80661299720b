"""Commands that the page runs, each in a process; the page shows what they print."""

from __future__ import annotations

import asyncio
import os
import secrets
import shlex
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from windlass import recorded
from windlass.errors import Refused, WindlassError
from windlass.model.acts import Act
from windlass.model.report import Problem
from windlass.web.access import WEB_TOKEN, Person
from windlass.web.actions import Action
from windlass.web.reading import why
from windlass.web.threads import in_thread
from windlass.web.watched import Watched

MOST_LINES = 2000
LONGEST_LINE = 64 << 10  # bytes
LONGEST_SHOWN = 1000  # characters of a line
ENDED_BY = "the end of the page"
RECORD_SECONDS = 60.0  # for recording how a command ended: others wait for it
MOST_KEPT = 100  # ended commands that can still be looked at
NOT_STARTED = 127  # the exit code of a command that could not be started, as in shells


@dataclass(slots=True)
class Job:
    """One command. `ended` is set when it is over."""

    id: str
    watched: Watched
    run: str
    action: Action
    person: Person
    words: Sequence[str]  # the command's arguments
    started_at: str
    log: deque[str] = field(default_factory=lambda: deque(maxlen=MOST_LINES))
    logged: int = 0  # lines in total
    result: list[str] = field(default_factory=list)
    exit_code: int | None = None
    fault: str = ""  # why its end could not be recorded
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    process: asyncio.subprocess.Process | None = None
    interrupted_by: str = ""

    @property
    def command(self) -> str:
        """The command as it is shown."""
        return shlex.join(["windlass", *self.words])

    def ending(self, code: int) -> str:
        """How it ended, for the record."""
        by = f", interrupted by {self.interrupted_by}" if self.interrupted_by else ""
        return f"exit code {code}{by}"

    @property
    def is_over(self) -> bool:
        return self.exit_code is not None

    def add_log(self, line: str) -> None:
        self.log.append(_shown(line))
        self.logged += 1
        self.note_change()

    def add_result(self, line: str) -> None:
        if len(self.result) < MOST_LINES:
            self.result.append(_shown(line))

    def note_change(self) -> None:
        """Wake all who wait for a change."""
        self.changed.set()
        self.changed = asyncio.Event()


class Jobs:
    """All commands of this process, the newest last."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False

    def find(self, id_: str) -> Job | None:
        return self._jobs.get(id_)

    def of_run(self, watched: Watched, run: str) -> Sequence[Job]:
        """The commands of a run, newest first."""
        found = [one for one in self._jobs.values() if one.watched == watched and one.run == run]
        return found[::-1]

    @property
    def running(self) -> Sequence[Job]:
        return [one for one in self._jobs.values() if not one.is_over]

    async def start(
        self,
        watched: Watched,
        run: str,
        action: Action,
        words: Sequence[str],
        person: Person,
        address: str,
    ) -> Job:
        """Record in the target's journal who asks for a command, and run it; `words` are its
        arguments.

        Raises:
            Refused: another command of this target is running, or the page is ending.
            WindlassError: the journal cannot be written.
        """
        if self._stopping:
            raise Refused([Problem(watched.title, "this page is being stopped")])
        busy = next((one for one in self.running if one.watched == watched), None)
        if busy is not None:
            message = f"windlass {busy.words[0]} is running"
            raise Refused([Problem(watched.title, message, "wait until it has ended")])
        now = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
        job = Job(secrets.token_urlsafe(12), watched, run, action, person, words, now)
        self._jobs[job.id] = job  # before the first await, so nobody else can start one
        act = Act(run, action.label, job.command, person.name, address)
        try:
            number = await in_thread(recorded.begin_act, watched.target, act)
        except BaseException:
            del self._jobs[job.id]
            raise
        self._forget_old()
        task = asyncio.create_task(self._conduct(job, number))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return job

    async def _conduct(self, job: Job, number: str) -> None:
        """Run it. It counts as over only when its end is recorded."""
        code = NOT_STARTED
        try:
            if not self._stopping:
                code = await self._run(job)
        except (OSError, ValueError) as error:
            job.add_log(f"it could not be started: {error}")
        try:
            async with asyncio.timeout(RECORD_SECONDS):
                await in_thread(recorded.end_act, job.watched.target, number, job.ending(code))
        except (WindlassError, TimeoutError) as error:
            reason = why(error)[0] if isinstance(error, WindlassError) else "no answer in time"
            job.fault = f"how it ended could not be recorded: {reason}"
        finally:
            job.exit_code = code
            job.note_change()

    async def _run(self, job: Job) -> int:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "windlass",
            *job.words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=command_environment(job.watched.environment),
            start_new_session=True,  # Ctrl-C on the page's terminal reaches it only by `stop`
            limit=LONGEST_LINE,
        )
        job.process = process
        if job.interrupted_by:  # interrupted while it was being started
            self._terminate(job)
        assert process.stdout is not None
        assert process.stderr is not None
        await asyncio.gather(
            _read(process.stdout, job.add_result), _read(process.stderr, job.add_log)
        )
        return await process.wait()

    def interrupt(self, job: Job, who: str) -> None:
        """As Ctrl-C does on a terminal: it stops where it can, and says how to resume.

        By SIGTERM, as SIGINT may be ignored where the page was started in the background.
        """
        if not job.is_over:
            job.interrupted_by = job.interrupted_by or who
            self._terminate(job)

    @staticmethod
    def _terminate(job: Job) -> None:
        if job.process is not None:
            with suppress(ProcessLookupError):
                job.process.terminate()

    async def stop(self) -> None:
        """Interrupt all and wait for their end."""
        self._stopping = True
        for job in self.running:
            self.interrupt(job, ENDED_BY)
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _forget_old(self) -> None:
        over = [one.id for one in self._jobs.values() if one.is_over]
        for id_ in over[: max(len(over) - MOST_KEPT, 0)]:
            del self._jobs[id_]


def _shown(line: str) -> str:
    return line if len(line) <= LONGEST_SHOWN else f"{line[:LONGEST_SHOWN]}…"


async def _read(stream: asyncio.StreamReader, add: Callable[[str], None]) -> None:
    while True:
        try:
            line = await stream.readline()
        except ValueError:  # too long; the rest of it comes with the next read
            continue
        if not line:
            return
        add(line.decode(errors="replace").rstrip("\n"))


def command_environment(own: Mapping[str, str]) -> dict[str, str]:
    """The environment of a command, without the page's token, which commands do not need."""
    kept = {name: value for name, value in os.environ.items() if name != WEB_TOKEN}
    return {**kept, "NO_COLOR": "1", "PYTHONUNBUFFERED": "1", **own}
