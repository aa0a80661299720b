"""One task's part in a flow: join the run that another task holds, do the step, return the result.

This is everything that happens inside a worker. It knows Airflow only through the `Board`.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, NoReturn, TypeVar

import tenacity

from windlass.airflow.board import Board
from windlass.airflow.ending import Reports, outcome_of
from windlass.airflow.findings import is_judged, unfinished, without_known
from windlass.airflow.form import as_key
from windlass.airflow.lineage import arrived_of
from windlass.airflow.spans import SPAN, Span, with_spans
from windlass.errors import ConnectionLost, Different, RunLost, SnapshotLost, WindlassError
from windlass.model.event import (
    Emit,
    Event,
    FlowPlanned,
    ItemFinished,
    ItemRetried,
    Noticed,
    StepFinished,
)
from windlass.model.flow import ONE, Flow, Item, Result, Step, Words, resolve
from windlass.model.lineage import Arrived
from windlass.model.outcome import Outcome, Reason, State
from windlass.model.units import bytes_text, several
from windlass.model.wording import spelled
from windlass.run.accounting import Accounting
from windlass.run.context import Held
from windlass.run.local import run_flow

log = logging.getLogger(__name__)
T = TypeVar("T")

ATTEMPTS = 3  # in one context, before a new one is opened
FIRST_POLL_SECONDS, LAST_POLL_SECONDS = 0.25, 2.0
HOLD_POLL_SECONDS = 1.0
# A task that waits longer gives up its slot, which the holder's next attempt may need.
SLOT_SECONDS = 10.0
ABSENCES = (RunLost, SnapshotLost, ConnectionLost)  # worth waiting for


@dataclass
class Part:
    """One step of a flow, in one run of it."""

    flow: Flow[Any]
    step: Step[Any]
    spec: Any
    board: Board
    jobs: int = 1  # items at a time
    # how long to wait for a server, or for the holder's next attempt
    patience_seconds: float = SLOT_SECONDS
    # results of tasks that are not steps of the flow, by task
    beside: Mapping[str, Result] = field(default_factory=dict)
    outcome: Outcome | None = None  # of the whole run, once its last step is done
    arrived: Sequence[Arrived] = ()  # what the whole run has written; likewise
    accounting: Accounting | None = None  # of the last step, for the report
    span: Span | None = None  # when it was at work on the step
    emit: Emit = field(default_factory=lambda: log_event)
    _may_stand_in: bool = True

    @property
    def words(self) -> Words:
        """The flow's words for messages."""
        return self.flow.words

    def run(self, ids: Sequence[str] | None = None) -> Mapping[str, Result]:
        """Do the step's items, or those with these ids; returns their results.

        Raises:
            WindlassError: what no retry here can help.
        """

        if self._is_needless:
            return {}

        def work(context: Held) -> Mapping[str, Result]:
            self._catch_up(context)
            items = None if ids is None else {self.step.name: self._items(context, ids)}
            with self._ending(context):
                self._run(context, [self.step.name], items)
                if self.step == self.flow.last:
                    context.conclude()
            return dict(context.results[self.step.name])

        found = self._inside(work)
        if self.span and self.step != self.flow.last:
            self.board.keep_span(self.span)
        return found

    @contextlib.contextmanager
    def _ending(self, context: Held) -> Iterator[None]:
        """Keep how the run ended, if this step ends it."""
        ends = self.step == self.flow.last and isinstance(context, Reports)
        try:
            yield
        except Different as error:
            if ends:
                self._keep(context, outcome_of(context, error))
            raise
        if ends:
            self._keep(context, outcome_of(context))

    def _keep(self, context: Held, outcome: Outcome) -> None:
        self.outcome, self.arrived = outcome, arrived_of(self.flow, context, outcome)
        self.outcome = with_spans(outcome, self.flow, context, self.board, self.span)

    def list_items(self) -> Sequence[Item]:
        """The items of a step that fans out."""
        assert self.step.items
        listing = resolve(self.step.items)
        return self._inside(lambda context: list(listing(context)))

    def held_snapshot(self) -> str:
        """The id of the snapshot that another task holds; enters it once, to be sure.

        Raises:
            WindlassError: no task holds one, or will.
        """

        def enter(context: Any) -> str:
            found: str = context.snapshot.id
            context.sessions().source(found)  # fails if it is that of an earlier attempt
            return found

        self._may_stand_in = False
        return self._inside(enter)

    def hold(
        self,
        publish: Callable[[Result], None],
        last: Sequence[str],
        watch: Callable[[], None] = lambda: None,
        skip: Callable[[Sequence[str]], None] = lambda _: None,
    ) -> Result:
        """Do a lasting step, `publish` its result, and hold it until the `last` tasks have ended.
        `watch` is called repeatedly, and may raise; `skip` is called with the tasks that have
        nothing to do.

        Raises:
            WindlassError: other tasks have failed; the run is unfinished.
        """

        self.accounting = self.accounting or Accounting.of(self.flow, self.spec)

        def stay(context: Held) -> Result:
            self._run(context, [self.step.name])
            span = self.span.to_json() if self.span else None
            result = {**context.results[self.step.name][ONE.id], SPAN: span}
            skip(self._needless(context))
            publish(result)
            self._stay(context, last, watch)
            return result

        return self._inside(stay)

    def _needless(self, context: Held) -> list[str]:
        return [
            step.task
            for step in self.flow.steps
            if step.name in self.flow.needless and resolve(self.flow.needless[step.name])(context)
        ]

    def _stay(self, context: Held, last: Sequence[str], watch: Callable[[], None]) -> None:
        def is_over() -> bool:
            context.keep()
            watch()
            return self.board.others_are_over(last)

        _until(is_over, HOLD_POLL_SECONDS)
        if skipped := self.board.skipped(last):  # nothing has ended the run
            self._give_up(
                context,
                f"{skipped[0]} was skipped, so the run is unfinished",
                "clear all tasks of this run, or trigger a new one, which resumes it",
            )
        failed = self.board.failed()
        if failed:
            end = self.flow.last.task
            ended = self.board.result(end) or {}
            if is_judged(end, failed, ended):  # which that task says, and is red for
                log.info("the run is over: %s, see %s", ended["state"], end)
                return
            message, hint = unfinished(failed)
            if ended.get("state"):  # it has written the report
                raise WindlassError(message, hint=hint)
            self._give_up(context, message, hint)

    def _give_up(self, context: Held, message: str, hint: str) -> NoReturn:
        """Keep what is known of the unfinished run, for a report."""
        if isinstance(context, Reports):
            if story := getattr(context, "story", None):
                story.is_shared = True  # by the other tasks
            with contextlib.suppress(WindlassError):
                self.outcome = context.outcome(State.STOPPED, Reason(message, hint))
        raise WindlassError(message, hint=hint)

    @cached_property
    def _holder(self) -> str:
        """The task whose result this step needs to join the run; empty if none."""
        opening = self.flow.opening
        if opening is None or opening.name not in self.flow.before(self.step.name):
            return ""
        return opening.task

    def _inside(self, work: Callable[[Held], T]) -> T:
        """Work inside the run. If the snapshot or its holder is lost, wait for the holder's next
        attempt; if the holder has ended, take its place.

        Raises:
            RunLost, SnapshotLost, ConnectionLost: nothing came back in time.
        """
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(ABSENCES),
            wait=tenacity.wait_exponential(FIRST_POLL_SECONDS, LAST_POLL_SECONDS),
            stop=tenacity.stop_after_delay(self.patience_seconds),
            before_sleep=_log_waiting(self.patience_seconds),
            reraise=True,
        )
        result: T = retrying(self._once, work)
        return result

    def _once(self, work: Callable[[Held], T]) -> T:
        with self._entered() as context:
            for name in self.step.reads:
                for item, result in self.board.results(self.flow.step(name)).items():
                    context.results[name][item] = result
            for task, result in self.beside.items():
                context.results[task][ONE.id] = without_known(result, context.results)
            return work(context)

    @contextlib.contextmanager
    def _entered(self) -> Iterator[Held]:
        if not self._holder:
            with self._context() as context, self._watching(context):
                yield context
            return
        if not self.flow.lasting:
            with self._context() as context:
                context.join(self._opened())
                yield context
            return
        # before the handle is read: an attempt that starts now would remove it
        ended = self.board.has_ended(self._holder)
        handle = self.board.result(self._holder)
        if ended and not (handle and self._may_stand_in):
            raise self._not_held(handle)
        if handle is None:
            raise RunLost(f"waiting for {self._holder}")
        with contextlib.ExitStack() as stack:
            context = stack.enter_context(self._context())
            if not ended:
                context.join(handle)
                stack.enter_context(context.noticing())
            else:
                try:
                    context.stand_in(handle)
                    stack.enter_context(context.watching())
                except RunLost:  # another cleared task holds it
                    context = stack.enter_context(self._context())
                    context.join(handle)
            yield context

    def _not_held(self, handle: Result | None) -> WindlassError:
        holder = self._holder
        if problems := () if handle else self.board.problems(holder):
            return WindlassError(
                f"{holder} has failed: {problems[0]}",
                hint=f"see its log; clear {holder} as well if it may be tried again",
            )
        how = "and its snapshot with it" if handle else "without returning a result"
        return WindlassError(f"{holder} has ended {how}", hint=f"clear {holder} as well")

    @property
    def _is_needless(self) -> bool:
        """Whether it would only clean up after a run that never began."""
        is_opened_elsewhere = bool(self._holder) and not self.flow.lasting
        return self.step.always and is_opened_elsewhere and not self.board.result(self._holder)

    def _opened(self) -> Result:
        """The result of the task that opened the run and has ended."""
        handle = self.board.result(self._holder)
        if not handle:
            raise self._not_held(handle)
        return handle

    def _watching(self, context: Held) -> contextlib.AbstractContextManager[None]:
        """The process that holds or plans the run watches for locks, and lets go of the run if
        others would wait for it forever. Other tasks only check who keeps them waiting."""
        return context.watching() if self.flow.lasting else contextlib.nullcontext()

    def _context(self) -> Held:
        context: Held = resolve(self.flow.context)(
            self.spec, self.emit, started_by=self.board.started_by, patient=True
        )
        if self.accounting:
            context.accounting = self.accounting
        return context

    def _catch_up(self, context: Held) -> None:
        """Repeat work of earlier tasks that the target has lost in a crash."""
        if not self._holder:
            return
        lost = context.lacking(self.flow.before(self.step.name))
        if lost:
            count = sum(len(items) for items in lost.values())
            names = ", ".join(lost)
            log.warning("doing again what the target has lost: %s pieces of %s", count, names)
            self._run(context, list(lost))

    def _run(
        self,
        context: Held,
        steps: Sequence[str],
        items: Mapping[str, Sequence[Item]] | None = None,
    ) -> None:
        began = time.time()
        try:
            run_flow(
                self.flow.only(*steps),
                context,
                jobs=self.jobs,
                emit=context.emit,
                items=items,
                attempts=ATTEMPTS,
            )
        finally:
            if self.step.name in steps:
                self.span = Span.until_now(began, len(context.results[self.step.name]) or 1)

    def _items(self, context: Held, ids: Sequence[str]) -> Sequence[Item]:
        assert self.step.items
        listed = {item.id: item for item in resolve(self.step.items)(context)}
        gone = [id_ for id_ in ids if id_ not in listed]
        if gone:
            raise WindlassError(
                f"{several(gone)} of {self.step.task} is not in the plan",
                hint=f"clear {self.step.listing}",
            )
        return [listed[id_] for id_ in ids]


def _until(is_over: Callable[[], bool], poll_seconds: float) -> None:
    tenacity.Retrying(
        retry=tenacity.retry_if_result(lambda over: not over),
        wait=tenacity.wait_fixed(poll_seconds),
    )(is_over)


def _log_waiting(patience_seconds: float) -> Callable[[tenacity.RetryCallState], None]:
    """Log each reason once, not every second."""
    last = ""

    def write(state: tenacity.RetryCallState) -> None:
        nonlocal last
        reason = str(state.outcome.exception()) if state.outcome else ""
        if reason != last:
            log.info("%s; waiting up to %d s", reason, patience_seconds)
            last = reason

    return write


@cache
def _log_no_retries() -> None:
    """The runner logs each retry, which is an event as well: a task's log would have it twice."""
    logging.getLogger(run_flow.__module__).setLevel(logging.WARNING)


def log_event(event: Event) -> None:
    """Log the events that are worth a line in a task's log."""
    _log_no_retries()
    if isinstance(event, FlowPlanned):
        target = f" target={event.target}" if event.target else ""  # a rewrite has one database
        log.info("run=%s source=%s%s", event.run, event.source, target)
    elif isinstance(event, ItemFinished) and (event.item or event.rows):
        state = "found done" if event.resumed else "done"
        moved = f" rows={event.rows:d}" if event.rows else ""
        moved += f" bytes={bytes_text(event.size_bytes)}" if event.size_bytes else ""
        log.info(
            "step=%s%s state=%s%s seconds=%.2f",
            event.step,
            f" item={event.item}" if event.item else "",
            state,
            moved,
            event.seconds,
        )
    elif isinstance(event, ItemRetried):
        item = f" item={event.item}" if event.item else ""
        reason = spelled(event.reason, as_key)
        log.warning("step=%s%s attempt=%d %s", event.step, item, event.attempt, reason)
    elif isinstance(event, StepFinished):
        log.info("step=%s state=finished seconds=%.2f", event.step, event.seconds)
    elif isinstance(event, Noticed):
        log.warning("%s", spelled(event.message, as_key))
