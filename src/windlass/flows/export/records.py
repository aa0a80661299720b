"""Records of exports in the store, beside their files: when each began and how it ended.

A record identifies a run. A working process rewrites its record at intervals. Beside the records is
the name of the newest run of each export, so that the same command finds the run to resume without
reading them all.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import BeforeValidator, TypeAdapter, ValidationError

from windlass.engines import processes
from windlass.engines.objects.store import ObjectStore
from windlass.errors import Interrupted, Refused, RunLost, WindlassError
from windlass.model.outcome import A_COMMAND, Outcome, StartedBy, State, with_parts
from windlass.model.report import Problem
from windlass.model.wording import word
from windlass.version import __version__

FOLDER = "_windlass_runs"
BEAT_SECONDS = 15.0
# A process on another machine that has not rewritten its record for this long counts as gone.
SILENCE = timedelta(seconds=60)
RUN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")  # what a run can be called
_FOLDER = re.compile(r"(?!\.\.?/)[^/]+/[^/]+-[0-9a-f]{8}")  # `windlass.flows.export.manifests`
_READERS = 16  # records that are read side by side
UNFINISHED = (State.RUNNING, State.STOPPED, State.INTERRUPTED)


@dataclass(frozen=True, slots=True)
class Record:
    """One run of the flow `export`. Times are UTC, in ISO 8601."""

    run: str
    state: State
    config: str  # a hash of the spec without its secrets, and of the source and the warehouse
    source: str  # names for people
    target: str
    folders: Mapping[str, str] = field(default_factory=dict)  # of each relation, below the store
    loads: bool = False  # whether there is a warehouse
    started_at: str = ""
    finished_at: str = ""
    alive_at: str = ""  # when its process last wrote this
    process: str = ""  # "pid on host"
    external_run: str = ""  # the scheduler's run that it is, whose tasks are processes
    external_url: str = ""  # of that, in a browser
    outcome: Annotated[Outcome | None, BeforeValidator(with_parts)] = None
    version: str = __version__

    def is_alive(self) -> bool:
        """Whether a process may be working on it."""
        if self.state is not State.RUNNING:
            return False
        if datetime.now(UTC) - datetime.fromisoformat(self.alive_at) > SILENCE:
            return False
        pid, _, host = self.process.partition(" on ")
        return host != platform.node() or (processes.exists(int(pid)) and int(pid) != os.getpid())


_RECORD = TypeAdapter(Record)


def _me() -> str:
    return f"{os.getpid()} on {platform.node()}"


def now() -> str:
    """The records of two runs that begin within one second are in order by it."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def config_hash(config: Mapping[str, Any], *places: str) -> str:
    """A hash of a run's config and of the databases that it reads and writes."""
    text = json.dumps([config, *places], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def begun(
    run: str, config: str, names: tuple[str, str], folders: Mapping[str, str], *, loads: bool
) -> Record:
    """The record of a run that starts now; `names` are those of source and target."""
    at = now()
    source, target = names
    return Record(
        run,
        State.RUNNING,
        config,
        source,
        target,
        folders,
        loads,
        started_at=at,
        alive_at=at,
        process=_me(),
    )


class Records:
    """All records of one store."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def read(self, run: str) -> Record | None:
        """None if there is none, or what is there cannot be read as one."""
        if not RUN.fullmatch(run):
            return None
        with suppress(ValidationError):
            found = _RECORD.validate_json(self._store.get(_path(run)) or b"")
            # a rollback empties them: never the store itself, nor a folder of several runs
            return found if all(map(_FOLDER.fullmatch, found.folders.values())) else None
        return None

    def write(self, record: Record) -> None:
        fields = asdict(record)
        if record.outcome:
            fields["outcome"] = record.outcome.as_dict()  # flat, as every version has written it
        text = json.dumps(fields, indent=1, default=str)
        self._store.put(_path(record.run), text.encode())

    def begin(self, record: Record) -> None:
        """Make it the newest of its export, unless it is a scheduler's, which knows its own."""
        if not record.external_run:
            self._store.put(_newest(record.config), record.run.encode())
        self.write(record)

    def all(self) -> Sequence[Record]:
        """Newest first; a request for each. Skips objects that are not records."""
        paths = [PurePosixPath(path) for path in self._store.list(f"{FOLDER}/")]
        runs = [path.stem for path in paths if path.suffix == ".json"]
        with ThreadPoolExecutor(_READERS, "windlass-records") as pool:
            found = [one for one in pool.map(self.read, runs) if one is not None]
        return sorted(found, key=lambda one: (one.started_at, one.run), reverse=True)

    def unfinished(self, config: str) -> Record | None:
        """The newest run of an export if it is unfinished; the same command then resumes it."""
        newest = self.read((self._store.get(_newest(config)) or b"").decode(errors="replace"))
        if newest is None or newest.config != config or newest.external_run:
            return None
        return newest if newest.state in UNFINISHED else None

    def end(self, run: str, state: State, outcome: Outcome) -> None:
        if (found := self.read(run)) is not None:
            self.write(replace(found, state=state, outcome=outcome, finished_at=now()))

    def set_state(self, run: str, state: State) -> None:
        """Set the state of a run that has ended."""
        if (found := self.read(run)) is not None:
            self.write(replace(found, state=state, finished_at=now()))

    def forget(self, run: str) -> None:
        self._store.delete([_path(run)])

    @contextmanager
    def alive(self, run: str) -> Iterator[None]:
        """Keep the record fresh, which shows that a process is working."""
        over = threading.Event()

        def beat() -> None:
            while not over.wait(BEAT_SECONDS):
                with suppress(WindlassError):  # the store cannot be reached: the steps report it
                    found = self.read(run)
                    if found is not None and found.state is State.RUNNING and not over.is_set():
                        self.write(replace(found, alive_at=now()))

        thread = threading.Thread(target=beat, name="windlass-export-alive", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


class Recording:
    """The record of the run that this process works on."""

    def __init__(
        self, store: ObjectStore, *, seeks: bool, started_by: StartedBy = A_COMMAND
    ) -> None:
        """`seeks`: whether to resume an unfinished run. A scheduler's tasks are processes of one
        run, one after the other."""
        self._records, self._seeks = Records(store), seeks
        self._started_by, self._external_run = started_by, started_by.external_run
        self.may_resume = not seeks  # a run of this name may exist
        self._before: Record | None = None  # as it was when this process joined
        self._stack = ExitStack()
        self.resumed = self.has_begun = False
        self.ended: State | None = None

    def find(self, config: str) -> Record | None:
        """The run to resume. A run that a process is working on is left alone."""
        found = self._records.unfinished(config) if self._seeks else None
        return None if found is None or found.is_alive() else found

    def check(self, run: str, config: str) -> None:
        """Raises:
        Refused: another process is at work on the run; or it is a scheduler's, and its spec was
            changed since it began.
        """
        there = self._records.read(run)
        if there is None:
            return
        if not self._external_run:
            if there.is_alive():
                raise Refused([in_progress(there)])
        elif there.config != config:
            raise Refused([other_options(run)])

    def is_unfinished(self, run: str, config: str) -> bool:
        """Whether the run exists, is of the same export, and stopped before its end."""
        found = self._records.read(run)
        return found is not None and found.config == config and found.state is not State.DONE

    def begin(self, record: Record, resumed: Record | None) -> None:
        """Raises:
        Refused: as `check`.
        """
        self.check(record.run, record.config)  # again: to prepare may have taken long
        self.resumed = resumed is not None
        earlier = self._records.read(record.run) if self._external_run else resumed
        started_at = earlier.started_at if earlier else record.started_at
        made = replace(
            record,
            started_at=started_at,
            **asdict(self._started_by),
        )
        self._records.begin(made)
        self.has_begun = True
        self._stack.enter_context(self._records.alive(record.run))

    def end(self, run: str, state: State, outcome: Outcome) -> None:
        """Raises:
        RunLost: the store cannot be written now.
        """
        self.close()
        if not self.has_begun:  # the record is another process's
            return
        try:
            self._records.end(run, state, outcome)
        except WindlassError as error:
            raise RunLost(f"the end of run {run} could not be recorded: {error}") from error
        self.ended = state

    @property
    def is_joined(self) -> bool:
        """Whether another process began the run."""
        return self._before is not None

    @property
    def source(self) -> str:
        """The source's name as the task that began the run recorded it, for people; empty in that
        task."""
        return self._before.source if self._before else ""

    def join(self, run: str) -> float:
        """Join a run that another task of the external run began. Returns how many seconds ago that
        was."""
        found = self._before = self._records.read(run)
        if found is None or found.state not in UNFINISHED:  # done, and its tasks were cleared
            return 0.0
        self._records.write(replace(found, state=State.RUNNING, alive_at=now(), process=_me()))
        self._stack.enter_context(self._records.alive(run))
        return (datetime.now(UTC) - datetime.fromisoformat(found.started_at)).total_seconds()

    def leave(
        self, run: str, fault: BaseException | None, ending: Callable[[], Outcome | None]
    ) -> None:
        """Leave a run. A scheduler's run gets an end if there is an `ending` or a fault, as its
        other tasks may still follow; the end of any other run is already recorded."""
        self.close()
        if not self._external_run or not (self.has_begun or self._before):
            return
        with suppress(WindlassError):  # the store cannot be reached: the task reports that
            if isinstance(fault, Exception):
                stopped = State.INTERRUPTED if isinstance(fault, Interrupted) else State.STOPPED
                self._records.set_state(run, stopped)
            elif outcome := ending():
                self._records.end(run, State.DONE, outcome)
            elif self._before and self._before.state in (State.STOPPED, State.INTERRUPTED):
                self._records.write(self._before)

    def close(self) -> None:
        self._stack.close()


def in_progress(record: Record) -> Problem:
    message = f"is in progress: process {record.process}"
    return Problem(f"run {record.run}", message, "wait for it, or stop it")


def check_options(run: str, config: Mapping[str, Any], planned: str) -> None:
    """`planned` is the config hash with which a scheduler's run was planned; empty if unknown.

    Raises:
        Refused: the spec was changed since.
    """
    if planned and planned != config_hash(config):
        raise Refused([other_options(run)])


def other_options(run: str) -> Problem:
    """As `windlass.journal.records.other_options`."""
    message = "began with other options, and this is still the same run"
    return Problem(f"run {run}", message, "give it those options, or begin a new run")


def finished(run: str) -> Problem:
    return Problem(
        f"run {run}",
        "has finished: everything in this spec has arrived, and nothing would be read again",
        f"leave {word('run')} out, which the same command needs only for a name, or give another",
    )


def _newest(config: str) -> str:
    """Where the name of an export's newest run is."""
    return f"{FOLDER}/{config[:32]}.newest"


def _path(run: str) -> str:
    return f"{FOLDER}/{run}.json"
