"""The page of `windlass serve` with made-up runs of every kind, for what is tested without a
server of a database."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import uvicorn
from starlette.applications import Starlette

from sample_outcome import HOSTILE, sample_outcome
from windlass.cli.spelling import as_option
from windlass.model.acts import Act
from windlass.model.following import Direction, FollowingStatus, Phase, StreamStatus
from windlass.model.logged import Happened, LogPart
from windlass.model.outcome import (
    Progress,
    RelationProgress,
    RunDetail,
    RunStatus,
    State,
    StepStatus,
)
from windlass.web.access import Person, Policy
from windlass.web.actions import action_named
from windlass.web.jobs import Job, Jobs
from windlass.web.pages import make_app
from windlass.web.reading import LogKey, Read, Reader
from windlass.web.site import Site
from windlass.web.watched import Watched, watch_target, with_keys

TOKEN = "the-token-of-a-test"
SOURCE = "shop on old.example.com:5432 (PostgreSQL 16.14)"
STARTED, ENDED = "2026-11-30T06:18:00+00:00", "2026-11-30T06:21:04+00:00"
STREAM = StreamStatus(
    Direction.FORWARD,
    lag_ms=240.0,
    lag_p50_ms=200.0,
    lag_p99_ms=900.0,
    behind_bytes=48_000,
    in_bytes_per_second=900_000.0,
    out_bytes_per_second=1_200_000.0,
    changes=123_456,
    retained_bytes=64 << 20,
    room_bytes=10 << 30,
)
RUNNING = RunStatus(
    "20261130_0618_aaaa",
    State.RUNNING,
    SOURCE,
    STARTED,
    "",
    active=True,
    progress=Progress(7, 26, 3_400_000, 2 << 30, bytes_planned=5 << 30, step="copy_tables"),
)
ENDED_RUN = replace(
    RUNNING,
    run="20261129_0618_bbbb",
    state=State.DIFFERENT,
    active=False,
    finished_at=ENDED,
    verified="",
)
FOLLOWING = replace(
    RUNNING,
    run="20261128_0618_cccc",
    flow="follow",
    following=FollowingStatus(
        Phase.FOLLOWING,
        3_600.0,
        (STREAM,),
        measured_seconds_ago=1.0,
        verified="equal, 2026-11-30 06:10",
        rehearsed="1.9 s, 2026-11-30 06:12",
        changed=("ALTER TABLE shop.customer",),
        blockers=("shop.basket: has no key, and rows of it were changed; add a primary key",),
        next_steps=("windlass cutover --rehearse", "windlass cutover"),
    ),
)
KILLED = replace(RUNNING, run="20261127_0618_dddd", active=False)
DONE = replace(ENDED_RUN, run="20261126_0618_eeee", state=State.DONE, verified="full")


def relations_of(number: int) -> tuple[RelationProgress, ...]:
    return tuple(
        RelationProgress(
            f"shop.table_{at}",
            at * 100_000,
            at << 24,
            at << 24,
            min(at % 9, 8),
            8,
            at / 3,
        )
        for at in range(number)
    )


def entries_of(number: int) -> LogPart:
    kinds = ("began", "notice", "step", "retried", "ended")
    return LogPart(
        tuple(
            Happened("2026-11-30 06:18:00", kinds[at % 5], f"copy tables: {HOSTILE} {at}")
            for at in range(number)
        ),
        number * 3,
    )


def detail_of(status: RunStatus) -> RunDetail:
    outcome = sample_outcome(status.state) if status.finished_at else None
    steps = (
        StepStatus("create_target_tables", 26, 26, 1.4),
        StepStatus("copy_tables", 7, 26, 93.0),
        StepStatus("create_indexes", 0, 31, 0.0),
    )
    act = Act(status.run, "Verify again", "windlass verify", "ada", "10.0.0.7", "2026-11-30 06:30")
    return RunDetail(
        status,
        outcome,
        "shop on new.example.com:5432 (PostgreSQL 18.1)",
        "0.1.0",
        {"schema": ["shop"], "jobs": 4},
        steps,
        relations=relations_of(26),
        acts=(act, replace(act, result="exit code 1")) if outcome else (),
        log=entries_of(20),
    )


class Known(Reader):
    """A reader that knows these runs."""

    def __init__(self) -> None:
        super().__init__()
        self.statuses = (RUNNING, ENDED_RUN, FOLLOWING, KILLED, DONE)

    async def runs(self, watched: Watched, patience: float = 0.0) -> Read[Any]:
        if watched.key == "away":
            return Read(None, "could not connect: Connection refused", "check its host and port")
        return Read(self.statuses if watched.key == "shop" else ())

    async def run(self, watched: Watched, run: str) -> Read[RunDetail]:
        found = next((one for one in self.statuses if one.run == run), None)
        if found is None:
            return Read(None, f"run {run}: is not in the target's journal", is_missing=True)
        return Read(detail_of(found))

    async def log(self, watched: Watched, wanted: LogKey) -> Read[LogPart]:
        return Read(entries_of(200))

    def expire(self, watched: Watched) -> None:
        """Always fresh."""


def made_up_app() -> Starlette:
    hosts = ("new", "other", "away")
    targets = with_keys(
        [
            watch_target(
                f"postgresql://{host}.example.com/{'shop' if host == 'new' else host}",
                "postgresql://old.example.com/shop" if host == "new" else "",
            )
            for host in hosts
        ]
    )
    policy = Policy({TOKEN: "ada"}, allows_actions=True)
    app = make_app(targets, policy, as_option, asyncio.Event())
    site: Site = app.state.site
    app.state.site = replace(site, reader=Known(), jobs=_Jobs(targets[0]))
    return app


class _Jobs(Jobs):
    """Two commands: one that is over, and one that is running."""

    def __init__(self, watched: Watched) -> None:
        super().__init__()
        verify, cutover = action_named("verify"), action_named("cutover")
        assert verify
        assert cutover
        ada, words = Person("ada"), ("verify", "--schema=shop")
        over = Job("over", watched, ENDED_RUN.run, verify, ada, words, "2026-11-30 06:30:00")
        over.add_log("copying: 93 %")
        over.result = ["Differences found:", f"  {HOSTILE}"]
        over.exit_code = 1
        words = ("cutover", "--yes")
        runs = Job("runs", watched, FOLLOWING.run, cutover, ada, words, "2026-11-30 06:31:00")
        for at in range(60):
            runs.add_log(f"2026-11-30T06:31:{at:02}+0000 step=switch state=started {'x' * 90}")
        self._jobs = {one.id: one for one in (over, runs)}


@dataclass(frozen=True, slots=True)
class Shown:
    url: str


@contextmanager
def showing(app: Starlette) -> Iterator[Shown]:
    """The application at a free port."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield Shown(f"http://127.0.0.1:{listener.getsockname()[1]}")
    finally:
        app.state.site.stopping.set()
        server.should_exit = True
        thread.join(10)
        listener.close()


PAGES = {
    "list": "/",
    "part of the list": "/?state=bad",
    "running": f"/runs/shop/{RUNNING.run}",
    "differences": f"/runs/shop/{ENDED_RUN.run}",
    "done": f"/runs/shop/{DONE.run}",
    "killed": f"/runs/shop/{KILLED.run}",
    "following": f"/runs/shop/{FOLLOWING.run}",
    "log": f"/runs/shop/{ENDED_RUN.run}/log?page=2",
    "verify?": f"/runs/shop/{ENDED_RUN.run}/do/verify",
    "repair?": f"/runs/shop/{ENDED_RUN.run}/do/repair",
    "cut over?": f"/runs/shop/{FOLLOWING.run}/do/cutover",
    "command": "/jobs/runs",
    "command, over": "/jobs/over",
    "no such run": "/runs/shop/none",
    "not possible": f"/runs/shop/{RUNNING.run}/do/verify",
    "nothing here": "/nothing",
}
"""Every kind of page, by what it shows; beside them there is the login."""
