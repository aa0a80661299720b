"""What the benchmarks of following share: a source that is written to, and who follows it."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.machine import ROOT
from bench.measure import RunFailed, measure, read_memory
from bench.result import Figures, Metric
from bench.servers import Server, running
from bench.setup import Setup
from bench.shell import environment

POLL_SECONDS = 0.02
LIMIT_SECONDS = 900.0
SOURCE, TARGET = "source", "target"
SERVED = {"max_wal_senders": "10", "max_replication_slots": "10"}


@dataclass(frozen=True, slots=True)
class Sides:
    """Two servers, as between two machines, each with its database."""

    source: Server
    target: Server
    folder: Path

    @property
    def variables(self) -> dict[str, str]:
        return environment(self.folder) | {
            "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}",
            "SOURCE": self.source.url(SOURCE),
            "WINDLASS_SOURCE": self.source.url(SOURCE),
            "WINDLASS_TARGET": self.target.url(TARGET),
        }

    def run(self, script: str) -> Figures:
        """Run a script that reads `$SOURCE`, and measure it."""
        return measure(script, self.variables, self.folder)

    def number(self, side: str, query: str) -> float:
        server = self.source if side == SOURCE else self.target
        with server.connect(side) as connection:
            row = connection.execute(query.encode()).fetchone()
        return float(row[0]) if row and row[0] is not None else 0.0

    def empty(self) -> None:
        """Two empty databases. Slots and subscriptions of an earlier case keep them from going."""
        with self.target.connect() as connection:
            there = connection.execute(
                "select 1 from pg_database where datname = %s", (TARGET,)
            ).fetchone()
        if there:
            with self.target.connect(TARGET) as connection:
                for (name,) in connection.execute("select subname from pg_subscription").fetchall():
                    connection.execute(f'alter subscription "{name}" disable'.encode())
                    connection.execute(
                        f'alter subscription "{name}" set (slot_name = none)'.encode()
                    )
                    connection.execute(f'drop subscription "{name}"'.encode())
        for server, name in ((self.source, SOURCE), (self.target, TARGET)):
            with server.connect() as connection:
                connection.execute(
                    "select pg_terminate_backend(active_pid) from pg_replication_slots"
                    " where active_pid is not null"
                )
                until(
                    lambda connection=connection: (
                        not connection.execute(
                            "select 1 from pg_replication_slots where active"
                        ).fetchone()
                    ),
                    "the slots are free",
                )
                connection.execute(
                    "select pg_drop_replication_slot(slot_name) from pg_replication_slots"
                )
            server.make_empty(name)


@contextmanager
def two_servers(setup: Setup) -> Iterator[Sides]:
    with (
        running(setup.folder / "one", setup.programs) as source,
        running(setup.folder / "two", setup.programs) as target,
        setup.empty_folder() as folder,
    ):
        yield Sides(source, target, folder)


class Follower:
    """`windlass migrate --follow` in the background, and the memory that it takes."""

    def __init__(self, sides: Sides, *words: str) -> None:
        self.sides = sides
        self.peak_bytes = 0
        self._words = ("windlass", "migrate", "--follow", "-q", *words)
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped = threading.Event()

    def __enter__(self) -> "Follower":
        with (self.sides.folder / "follower").open("ab") as output:
            self._process = subprocess.Popen(
                self._words,
                env=self.sides.variables,
                cwd=self.sides.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        threading.Thread(target=self._sample, args=(self._process.pid,), daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.stop()

    def _sample(self, session: int) -> None:
        while not self._stopped.wait(0.05):
            memory = read_memory(session)
            self.peak_bytes = max(self.peak_bytes, memory.now_bytes, memory.highest_bytes)

    def stop(self) -> float:
        """End it; returns the CPU seconds that it took.

        SIGTERM, as a shell's background processes inherit that SIGINT is ignored.
        """
        self._stopped.set()
        if self._process is None:
            return 0.0
        os.killpg(self._process.pid, signal.SIGTERM)
        _, _, usage = os.wait4(self._process.pid, 0)
        self._process = None
        return usage.ru_utime + usage.ru_stime

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def wait_following(self) -> None:
        """Wait until the copy is done and changes arrive."""

        def follows() -> bool:
            if not self.is_running:
                raise RunFailed(f"it ended: {self.said}")
            return self.phase() == "following"

        until(follows, "it follows")

    def phase(self) -> str:
        with self.sides.target.connect(TARGET) as connection:
            there = connection.execute("select to_regclass('windlass.following')").fetchone()
            if not there or not there[0]:
                return ""
            row = connection.execute("select phase from windlass.following").fetchone()
        return str(row[0]) if row else ""

    @property
    def said(self) -> str:
        lines = (self.sides.folder / "follower").read_text(errors="replace").splitlines()
        return " / ".join(lines[-5:])

    def status(self) -> dict[str, Any]:
        """What `windlass status --json` says of the newest run."""
        found = subprocess.run(
            ["windlass", "status", "--json"],
            env=self.sides.variables,
            capture_output=True,
            check=True,
        )
        runs: list[dict[str, Any]] = json.loads(found.stdout)["runs"]
        return runs[0]


class Subscription:
    """PostgreSQL's own logical replication of the same tables."""

    def __init__(self, sides: Sides) -> None:
        self.sides = sides

    def begin(self) -> None:
        """Copy the schema, then the rows, as its users do; it follows from then on."""
        self.sides.run(
            'pg_dump -s "$SOURCE" | psql -qX -o /dev/null -v ON_ERROR_STOP=1 "$WINDLASS_TARGET"'
        )
        with self.sides.source.connect(SOURCE) as connection:
            connection.execute("create publication native for all tables")
        url = self.sides.source.url(SOURCE)
        with self.sides.target.connect(TARGET) as connection:
            connection.execute(f"create subscription native connection '{url}' publication native")
            until(
                lambda: (
                    not connection.execute(
                        "select 1 from pg_subscription_rel where srsubstate <> 'r'"
                    ).fetchone()
                ),
                "the subscription has copied",
            )

    def stop(self) -> None:
        self._alter("disable")
        with self.sides.source.connect(SOURCE) as connection:
            until(
                lambda: (
                    not connection.execute(
                        "select 1 from pg_replication_slots where active"
                    ).fetchone()
                ),
                "the subscription has stopped",
            )

    def go_on(self) -> None:
        self._alter("enable")

    def _alter(self, how: str) -> None:
        with self.sides.target.connect(TARGET) as connection:
            connection.execute(f"alter subscription native {how}".encode())


def watch_drain(sides: Sides, query: str, number: float) -> float:
    """Seconds from the moment at which somebody reads the slot until all of a backlog is in the
    target: nobody's start-up counts.

    `query` gives a number in the target that is `number` at the end.
    """
    active = "select 1 from pg_replication_slots where active"
    with (
        sides.source.connect(SOURCE) as source,
        sides.target.connect(TARGET) as target,
    ):
        until(lambda: source.execute(active).fetchone(), "the slot is read", poll=0.005)
        started = time.perf_counter()

        def has_all() -> bool:
            row = target.execute(query.encode()).fetchone()
            return bool(row and row[0] is not None and float(row[0]) >= number)

        until(has_all, "the last change arrives")
        return time.perf_counter() - started


def until(done: Any, what: str, poll: float = POLL_SECONDS) -> None:
    """Raises:
    RunFailed: it took too long.
    """
    deadline = time.monotonic() + LIMIT_SECONDS
    while not done():
        if time.monotonic() > deadline:
            raise RunFailed(f"waited {LIMIT_SECONDS:.0f} s until {what}")
        time.sleep(poll)


def figures_of(seconds: float, **more: float) -> Figures:
    return {Metric.SECONDS: seconds, **{Metric(name): value for name, value in more.items()}}
