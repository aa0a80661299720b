"""Flows of plain Python for tests of what runs them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from windlass.errors import WindlassError
from windlass.model.event import (
    Emit,
    ignore,
)
from windlass.model.flow import Flow, Item, Result, Step
from windlass.run.local import run_flow

PATIENCE_SECONDS = 4.0  # until a test that would hang fails instead


@dataclass
class Work:
    """A context that notes what is asked of it. `done` is what an earlier run has finished."""

    done: Mapping[str, Mapping[str, Result]] = field(default_factory=dict)
    started: list[tuple[str, str]] = field(default_factory=list)
    ended: list[tuple[str, str]] = field(default_factory=list)
    story: list[tuple[str, str, str]] = field(default_factory=list)
    results: dict[tuple[str, str], Result] = field(default_factory=dict)
    recovered: list[tuple[str, WindlassError]] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    cancelled: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    at_once: int = 0
    most_at_once: int = 0

    def finished(self, step: str) -> Mapping[str, Result]:
        return self.done.get(step, {})

    def collect(self, step: str, item: Item, result: Result) -> None:
        assert (step, item.id) not in self.results, "collected twice"
        self.results[step, item.id] = result

    def recover(self, error: WindlassError) -> None:
        self.recovered.append((threading.current_thread().name, error))

    def cancel(self) -> None:
        self.cancelled.set()

    def leave(self) -> None:
        with self.lock:
            self.left.append(threading.current_thread().name)

    def begin(self, step: str, item: Item) -> None:
        with self.lock:
            self.at_once += 1
            self.most_at_once = max(self.at_once, self.most_at_once)
            self.story.append(("begin", step, item.id))
            self.started.append((step, item.id))

    def end(self, step: str, item: Item) -> None:
        with self.lock:
            self.at_once -= 1
            self.story.append(("end", step, item.id))
            self.ended.append((step, item.id))

    def is_before(self, first: str, then: str) -> bool:
        """Whether the end of ``step item`` came before the beginning of another."""
        places = {" ".join(event): place for place, event in enumerate(self.story)}
        return places[f"end {first}"] < places[f"begin {then}"]


Do = Callable[[Work, Item], Result | None]


def nothing(_: Work, __: Item) -> Result | None:
    return None


def step(
    name: str,
    *after: str,
    items: str | None = None,
    pipelined: bool = False,
    do: Do = nothing,
) -> Step[Work]:
    """`items` are words: an item's group, or ``group/more`` where a group has several."""

    def run(work: Work, item: Item) -> Result:
        work.begin(name, item)
        try:
            return do(work, item) or {}
        finally:
            work.end(name, item)

    found = [Item(word, word.split("/")[0]) for word in items.split()] if items else []
    return Step(name, run, after, items=(lambda _: found) if items is not None else None,
                pipelined=pipelined)  # fmt: skip


def run(*steps: Step[Work], work: Work | None = None, jobs: int = 3, emit: Emit = ignore) -> Work:
    """Run a flow to its end, in a separate thread so that one that hangs is a failure."""
    work = work or Work()
    raised: list[BaseException] = []

    def target() -> None:
        try:
            run_flow(Flow("test", steps), work, jobs=jobs, emit=emit)
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive(), "the flow hangs"
    if raised:
        raise raised[0]
    return work


def waits_for(event: threading.Event) -> Do:
    def do(_: Work, __: Item) -> None:
        assert event.wait(PATIENCE_SECONDS / 2), "nobody came"

    return do


def sets(event: threading.Event) -> Do:
    return lambda _, __: event.set()


def by_item(otherwise: Do = nothing, /, **does: Do) -> Do:
    """What to do for each item."""
    return lambda work, item: does.get(item.id, otherwise)(work, item)
