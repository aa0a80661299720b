"""Executes a flow here: worker threads, pipelining, retries, and an orderly stop.

It knows steps and items, never databases: the context knows what is finished.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from windlass.errors import Interrupted, WindlassError
from windlass.model.event import (
    Emit,
    ItemFinished,
    ItemRetried,
    ItemStarted,
    StepFinished,
    StepStarted,
)
from windlass.model.flow import ONE, Flow, Item, Result, Step, resolve

log = logging.getLogger(__name__)

ATTEMPTS = 9  # with the waits below about two minutes: enough for a server's restart and recovery
FIRST_WAIT_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 30.0
HEARTBEAT_SECONDS = 1.0
CANCEL_SECONDS = 1.0  # between two attempts to stop what is in flight


class Workplace(Protocol):
    """What the runner needs of a flow's context."""

    def finished(self, step: str) -> Mapping[str, Result]:
        """Items of a step that an earlier run has done, with their results."""

    def collect(self, step: str, item: Item, result: Result) -> None:
        """Keep a result for later steps."""

    def recover(self, error: WindlassError) -> None:
        """Called in the worker's thread before a retry: drop what may be broken."""

    def cancel(self) -> None:
        """Stop what is in flight in every thread. Called again as long as something is."""

    def leave(self) -> None:
        """Called in a worker's thread when it ends."""


W = TypeVar("W", bound=Workplace)


@dataclass
class _Progress:
    """The progress of one step."""

    step: Step[Any]
    items: list[Item] | None = None  # None until they were listed
    open_in_group: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    open: int = 0
    started_at: float = 0.0
    done: bool = False

    @property
    def may_close(self) -> bool:
        return self.items is not None and not self.done and not self.open

    def group_done(self, group: str) -> bool:
        return self.items is not None and not self.open_in_group[group]


@dataclass(order=True)
class _Job:
    priority: tuple[int, int]
    step: Step[Any] = field(compare=False)
    item: Item = field(compare=False)


@dataclass
class _Ended:
    job: _Job
    result: Result
    error: BaseException | None
    seconds: float


def run_flow(
    flow: Flow[W],
    context: W,
    *,
    jobs: int,
    emit: Emit,
    items: Mapping[str, Sequence[Item]] | None = None,
    attempts: int | None = None,
) -> None:
    """Run every step, with at most `jobs` items at once. Each item is tried several times, as long
    as that can help.

    `items` are the items of steps of which only a share is run here.

    Raises:
        Interrupted: Ctrl-C; what was in flight has been rolled back.
        WindlassError: the first failure that no retry could mend, after all others have stopped.
    """
    _Execution(flow, context, jobs, emit, items or {}, attempts or ATTEMPTS).run()


class _Execution:
    def __init__(
        self,
        flow: Flow[Any],
        context: Any,
        jobs: int,
        emit: Emit,
        items: Mapping[str, Sequence[Item]],
        attempts: int,
    ) -> None:
        self._context, self._jobs, self._given = context, jobs, items
        self._attempts = attempts
        self._steps = {step.name: _Progress(step) for step in flow.steps}
        self._places = {step.name: place for place, step in enumerate(flow.steps)}
        self._emit_lock = threading.Lock()
        self._emit_to = emit
        self._ready: queue.PriorityQueue[_Job] = queue.PriorityQueue()
        self._ended: queue.SimpleQueue[_Ended] = queue.SimpleQueue()
        self._waiting: list[_Job] = []
        self._stop = threading.Event()
        self._in_flight = 0
        self._failed = False

    def _emit(self, event: Any) -> None:
        with self._emit_lock:
            self._emit_to(event)

    def run(self) -> None:
        threads = [
            threading.Thread(target=self._work, name=f"windlass-{number}", daemon=True)
            for number in range(self._jobs)
        ]
        for thread in threads:
            thread.start()
        try:
            self._schedule()
        except BaseException as error:
            self._stop.set()
            self._context.cancel()
            self._failed = True
            if isinstance(error, KeyboardInterrupt):
                raise Interrupted("interrupted") from None
            raise
        finally:
            self._stop.set()
            for _ in threads:
                self._ready.put(_Job((1 << 30, 0), _NOTHING, ONE))
            for thread in threads:
                self._join(thread)
            if self._failed:
                self._clean_up()

    def _join(self, thread: threading.Thread) -> None:
        """After a failure, cancel repeatedly: a server's cancel, or an engine's interrupt, has no
        effect between two statements, and the next statement may take hours."""
        while thread.is_alive():
            thread.join(CANCEL_SECONDS if self._failed else None)
            if self._failed and thread.is_alive():
                self._context.cancel()

    def _clean_up(self) -> None:
        """After a failure, run the rest of the steps that run always. A fault in one of them is
        reported, but does not replace the failure itself."""
        for progress in self._steps.values():
            if not progress.step.always or progress.done:
                continue
            for item in (
                progress.items if progress.items is not None else self._items(progress.step)
            ):
                try:
                    resolve(progress.step.run)(self._context, item)
                except WindlassError as error:
                    log.warning("step=%s item=%s failed: %s", progress.step.name, item.id, error)

    def _schedule(self) -> None:
        self._advance()
        while self._in_flight or not all(progress.done for progress in self._steps.values()):
            try:
                ended = self._ended.get(timeout=HEARTBEAT_SECONDS)
            except queue.Empty:
                continue  # a signal that came just before the wait is handled now
            self._finish(ended)
            self._advance()

    def _advance(self) -> None:
        """Open every step that can be opened, close every step that is finished, and start what is
        ready."""
        changed = True
        while changed:
            changed = False
            for progress in self._steps.values():
                if progress.items is None and self._may_open(progress.step):
                    self._open(progress)
                    changed = True
                if progress.may_close and self._all_done(progress.step.after):
                    self._close(progress)
                    changed = True
        waiting, self._waiting = self._waiting, []
        for job in waiting:
            if not self._may_start(job):
                self._waiting.append(job)
                continue
            self._in_flight += 1
            if job.step.asks:
                self._do(job)
            else:
                self._ready.put(job)

    def _may_open(self, step: Step[Any]) -> bool:
        """A pipelined step opens as soon as the steps before it have listed their items."""
        before = [self._steps[name] for name in step.after]
        if step.pipelined:
            return all(progress.items is not None for progress in before)
        return all(progress.done for progress in before)

    def _all_done(self, names: tuple[str, ...]) -> bool:
        return all(self._steps[name].done for name in names)

    def _may_start(self, job: _Job) -> bool:
        if not job.step.pipelined:
            return True
        if job.step.items is None:
            return self._all_done(job.step.after)
        return self._group_done(job.step, job.item.group)

    def _group_done(self, step: Step[Any], group: str) -> bool:
        """Whether a group has passed all steps before this one. A step without items of the group
        passes it on, so the steps before that one count."""
        before = [self._steps[name] for name in step.after]
        return all(
            progress.done
            or (
                progress.group_done(group)
                and (not progress.step.pipelined or self._group_done(progress.step, group))
            )
            for progress in before
        )

    def _open(self, progress: _Progress) -> None:
        step = progress.step
        progress.items = self._items(step)
        progress.started_at = time.perf_counter()
        finished = self._context.finished(step.name)
        self._emit(
            StepStarted(step.name, len(progress.items), sum(item.cost for item in progress.items))
        )
        for place, item in enumerate(progress.items):
            if item.id in finished:
                self._keep(step, item, finished[item.id], 0.0, resumed=True)
                continue
            progress.open += 1
            progress.open_in_group[item.group] += 1
            # finish first what has begun: an index before the next relation's rows
            priority = (-self._places[step.name], place)
            self._waiting.append(_Job(priority, step, item))

    def _items(self, step: Step[Any]) -> list[Item]:
        if step.name in self._given:
            return list(self._given[step.name])
        return list(resolve(step.items)(self._context)) if step.items else [ONE]

    def _close(self, progress: _Progress) -> None:
        progress.done = True
        seconds = time.perf_counter() - progress.started_at
        self._emit(StepFinished(progress.step.name, seconds))

    def _finish(self, ended: _Ended) -> None:
        self._in_flight -= 1
        if ended.error is not None:
            raise ended.error
        step, item = ended.job.step, ended.job.item
        progress = self._steps[step.name]
        progress.open -= 1
        progress.open_in_group[item.group] -= 1
        self._keep(step, item, ended.result, ended.seconds)

    def _keep(
        self, step: Step[Any], item: Item, result: Result, seconds: float, *, resumed: bool = False
    ) -> None:
        self._context.collect(step.name, item, result)
        self._emit(
            ItemFinished(
                step.name,
                item.id,
                item.group,
                seconds,
                rows=int(result.get("rows") or 0),
                size_bytes=int(result.get("bytes") or 0),
                resumed=resumed,
                cost=item.cost,
            )
        )

    def _work(self) -> None:
        """One worker thread: until it is stopped."""
        try:
            while not self._stop.is_set():
                job = self._ready.get()
                if self._stop.is_set():
                    return
                self._do(job)
        finally:
            self._context.leave()

    def _do(self, job: _Job) -> None:
        started = time.perf_counter()
        result: Result = {}
        error: BaseException | None = None
        try:
            self._emit(ItemStarted(job.step.name, job.item.id, job.item.group, job.item.cost))
            result = self._attempt(job)
        except BaseException as caught:
            error = caught
        self._ended.put(_Ended(job, result, error, time.perf_counter() - started))

    def _attempt(self, job: _Job) -> Result:
        """Run an item. Repeat it, with growing waits, while its error says that this can help."""
        import tenacity  # only needed to run items; a plan starts without it

        def again(state: tenacity.RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            assert isinstance(error, WindlassError)
            wait = state.next_action.sleep if state.next_action else 0.0
            log.info("retry step=%s item=%s reason=%s", job.step.name, job.item.id, error)
            self._emit(
                ItemRetried(job.step.name, job.item.id, state.attempt_number, str(error), wait)
            )
            self._context.recover(error)

        retrying = tenacity.Retrying(
            stop=tenacity.stop_any(
                tenacity.stop_after_attempt(self._attempts),
                tenacity.stop_when_event_set(self._stop),
            ),
            wait=tenacity.wait_random_exponential(FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS),
            retry=tenacity.retry_if_exception(_is_retryable),
            sleep=tenacity.sleep_using_event(self._stop),
            before_sleep=again,
            reraise=True,
        )
        result: Result = retrying(self._try_once, job)
        return result

    def _try_once(self, job: _Job) -> Result:
        if self._stop.is_set():  # it was stopped while it waited to retry
            raise Interrupted("stopped on request")
        return resolve(job.step.run)(self._context, job.item)


def _is_retryable(error: BaseException) -> bool:
    return isinstance(error, WindlassError) and error.retryable


_NOTHING: Step[Any] = Step("", lambda _context, _item: {})
