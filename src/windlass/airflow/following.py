"""Operators for a run that follows its source: each does in one task what a command does. The
process that follows is a `MigrateOperator` with ``follow=True``.

`windlass.airflow.following_dag` makes a DAG of them.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from airflow.sdk.exceptions import AirflowSkipException

from windlass.airflow.board import Board, small
from windlass.airflow.checking import PLACED, SpecLike, checked
from windlass.airflow.commands import (
    CommandOperator,
    RunOperator,
    read_with_connections,
    spec_words,
)
from windlass.airflow.form import as_key
from windlass.airflow.operators import give_up, push_problems
from windlass.errors import BadSpec, Refused, WindlassError
from windlass.flows.registry import ABANDON, FINISH, FLOWS, flow_named
from windlass.model.event import Event, Noticed
from windlass.model.following import FollowingStatus, Phase, StreamStatus
from windlass.model.outcome import Outcome, RunStatus, State
from windlass.model.units import bytes_text, seconds_text
from windlass.model.wording import spelled

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)
TEXT = "text"  # the XCom that is shown to the person who decides what comes next
_SIDES = ("source", "target", "pgbouncer")
_NEVER_RAN = {"skipped", "upstream_failed", "removed"}
EVERY = timedelta(minutes=1)


# the cutover


class _CutoverSides(CommandOperator):
    """The spec of a cutover, with connections for its databases and its pool."""

    def __init__(
        self,
        *,
        source_conn_id: str = "postgres_source",
        target_conn_id: str = "postgres_target",
        pgbouncer_conn_id: str = "",
        back: bool = False,
        spec: SpecLike | None = None,
        **kwargs: Any,
    ) -> None:
        ids = dict(zip(_SIDES, (source_conn_id, target_conn_id, pgbouncer_conn_id), strict=True))
        sides = {side: conn_id for side, conn_id in ids.items() if conn_id}
        given = spec_words("cutover", spec, kwargs)
        words = checked(FLOWS["cutover"], given, _SIDES, dict.fromkeys(sides, PLACED))
        super().__init__(connections=sides, spec=words, **kwargs)
        self.back = back

    def _read_spec(self) -> Any:
        return read_with_connections(flow_named("cutover"), self.spec, self.connections)


class CutoverOperator(_CutoverSides, RunOperator):
    """A cutover, or `back` again; with `rehearse`, everything except the fence. The XCom `text` is
    what a person is shown.

    Options of the spec may be given by name: ``max_freeze="3s"``. `pgbouncer_conn_id` is the pool
    that applications use, as a connection of type Postgres. A cutover has no retries unless you
    give it some: one that was taken back needs a person. A rehearsal has the DAG's retries, as most
    blockers pass.

    Raises:
        BadSpec: with every fault of the spec.
    """

    words = flow_named("cutover").words

    def __init__(self, *, rehearse: bool = False, **kwargs: Any) -> None:
        if not rehearse:
            kwargs.setdefault("retries", 0)
        super().__init__(**kwargs)
        self.rehearse = rehearse

    def _command(self, context: Context) -> Outcome:
        from windlass.airflow.recording import recorded_run, run_to_cut_over
        from windlass.airflow.work import log_event
        from windlass.api import cutover

        spec = self._read_spec()
        if self.rehearse:
            return cutover(spec, log_event, rehearse=True, back=self.back)
        what = "Flip back" if self.back else "Cut over"
        target = spec.target.get_secret_value()
        runs = run_to_cut_over(target)
        return recorded_run(
            context, target, what, runs, lambda: cutover(spec, log_event, back=self.back)
        )

    def _report(self, context: Context, result: Mapping[str, Any], outcome: Outcome) -> None:
        lines = (spelled(line, as_key) for line in self._lines(outcome))
        context["ti"].xcom_push(key=TEXT, value="\n".join(lines))
        super()._report(context, result, outcome)

    def _fail(self, context: Context, outcome: Outcome) -> NoReturn:
        if self.rehearse and outcome.state is State.REFUSED:
            raise WindlassError(push_problems(context, self._problems(outcome)))
        super()._fail(context, outcome)


class ReopenOperator(_CutoverSides):
    """Undoes what a dead cutover has left: the side that it had closed is open again. A cutover
    that was already decided is completed. The target's journal has what was done. Usually does
    nothing.

    It comes after a `CutoverOperator`, whatever happened to that: its trigger rule is ``all_done``.
    It is skipped if no task before it has started.
    """

    template_fields: Sequence[str] = ("spec", "connections")

    def __init__(self, **kwargs: Any) -> None:
        words = {"trigger_rule": "all_done", "retries": 1000, "retry_delay": timedelta(seconds=10)}
        super().__init__(**{**words, **kwargs})

    def execute(self, context: Context) -> Any:
        from windlass.airflow.recording import record_done
        from windlass.airflow.work import log_event
        from windlass.api import reopen

        done = list[str]()

        def noting(event: Event) -> None:
            if isinstance(event, Noticed):
                done.append(event.message)
            log_event(event)

        before = sorted(context["ti"].task.upstream_task_ids)
        states = Board(context["ti"]).states(before) if before else {}
        if states and set(states.values()) <= _NEVER_RAN:
            raise AirflowSkipException("no cutover was begun")
        with self._explained(context):
            spec = self._read_spec()
            try:
                phase = reopen(spec, noting, back=self.back)
            # the lock of a process that has just died, or of another cutover
            except Refused as error:
                raise WindlassError(push_problems(context, [str(error)])) from None
            finally:
                record_done(context, spec.target.get_secret_value(), "Reopen", done)
        log.info("phase=%s", phase or "none")
        return {"phase": str(phase or "")}


# the end


class _EndOperator(RunOperator):
    """Ends a run that follows. `run` is its id; without one, there must be only one such run."""

    template_fields = (*CommandOperator.template_fields, "run")
    act: ClassVar[str]

    def __init__(
        self,
        *,
        source_conn_id: str = "postgres_source",
        target_conn_id: str = "postgres_target",
        run: str = "",
        **kwargs: Any,
    ) -> None:
        if "spec" in kwargs:
            raise BadSpec([f"spec: {self.act} has none"])
        sides = {"source": source_conn_id, "target": target_conn_id}
        super().__init__(connections=sides, **kwargs)
        self.run = run

    def _command(self, context: Context) -> Outcome:
        from windlass import api
        from windlass.airflow.recording import recorded_run, run_to_end
        from windlass.airflow.work import log_event

        spec: Any = read_with_connections(flow_named("migrate"), {}, self.connections)
        end = api.finish if self.act == "finish" else api.abandon
        target, what = spec.target.get_secret_value(), self.act.capitalize()
        runs = run_to_end(target, self.run)
        return recorded_run(context, target, what, runs, lambda: end(spec, self.run, log_event))


class FinishOperator(_EndOperator):
    """Ends a run that follows, after its cutover: everything that it created beside the tables is
    removed from both servers. After that there is no way back."""

    words = FINISH
    act = "finish"


class AbandonOperator(_EndOperator):
    """Gives up a run that follows, as long as applications write to the source: nothing is left
    there, and the target keeps its copy."""

    words = ABANDON
    act = "abandon"


# while it follows


class _Looking(CommandOperator):
    """Looks into the target's journal repeatedly. It is deferred in between, so it takes no slot;
    what the next look needs is kept in the trigger."""

    def __init__(
        self, *, target_conn_id: str = "postgres_target", every: timedelta = EVERY, **kwargs: Any
    ) -> None:
        if "spec" in kwargs:
            raise BadSpec(["spec: this task only reads the target's journal"])
        super().__init__(connections={"target": target_conn_id}, **kwargs)
        self.every = every

    def execute(self, context: Context) -> Any:
        return self.look(context)

    @abstractmethod
    def look(self, context: Context, event: Any = None, **known: Any) -> Any:
        """Called again by Airflow after a while."""

    def _again(self, **known: Any) -> NoReturn:
        from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger

        self.defer(trigger=TimeDeltaTrigger(self.every), method_name="look", kwargs=known)

    def _read(self, **known: Any) -> RunStatus | None:
        """The newest run that follows, with its phase; None if all are over. A server that is
        unavailable for a moment is looked at again."""
        from windlass.airflow.connections import addresses
        from windlass.api import status

        try:
            statuses = status(addresses(self.connections)["target"])
        except WindlassError as error:
            if not error.retryable:
                raise
            log.warning("%s; looking again", error)
            self._again(**known)
        open_ = (one for one in statuses if one.following and not one.following.phase.is_over)
        return next(open_, None)


class AwaitFollowingOperator(_Looking):
    """Waits until all rows are copied and nothing prevents a cutover. `follow_task_id` is the task
    that follows: if it ends earlier, this task fails.

    A cutover that was already done counts as well.
    """

    def __init__(self, *, follow_task_id: str = "", **kwargs: Any) -> None:
        super().__init__(**{"every": timedelta(seconds=15), **kwargs})
        self.follow_task_id = follow_task_id

    def look(self, context: Context, event: Any = None, **known: Any) -> Any:
        with self._explained(context):
            has_ended = bool(self.follow_task_id) and Board(context["ti"]).has_ended(
                self.follow_task_id
            )
            found = self._read()
            if found and found.following:
                if _is_ready(found.following):
                    return small({"run": found.run, **found.following.as_dict()})
                log.info("run=%s phase=%s %s", found.run, found.following.phase,
                         "; ".join(found.following.blockers))  # fmt: skip
            if has_ended:
                reasons = Board(context["ti"]).problems(self.follow_task_id)
                problem = f"{self.follow_task_id} has ended: {'; '.join(reasons) or 'see its log'}"
                give_up(context, [f"{problem} (clear it together with this task)"])
            self._again()


def _is_ready(found: FollowingStatus) -> bool:
    if found.phase.target_is_open:
        return True
    return found.phase is Phase.FOLLOWING and not found.blockers


class WatchLagOperator(_Looking):
    """Logs how far a run that follows is behind, and sends it to Airflow's metrics, until the run
    is over.

    `on_behind` are Airflow's notifiers, or functions that take a context. They are called when a
    stream is further behind than `limit`, when nobody follows or measures any more, and when it has
    caught up again. In their templates ``{{ windlass_reason }}`` says which.
    """

    def __init__(
        self,
        *,
        limit: timedelta = timedelta(minutes=1),
        on_behind: Sequence[Callable[..., Any]] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.limit, self.on_behind = limit, tuple(on_behind)

    def look(
        self, context: Context, event: Any = None, was_behind: bool = False, **known: Any
    ) -> Any:
        with self._explained(context):
            found = self._read(was_behind=was_behind)
            if found is None or found.following is None:
                return {"phase": "over"}
            self._measure(context, found.following)
            reason = behind(found, self.limit.total_seconds())
            if reason:
                log.warning("run=%s %s", found.run, reason)
            if bool(reason) is not was_behind:
                self._notify(context, f"run {found.run}: {reason or 'has caught up'}")
            self._again(was_behind=bool(reason))

    def _measure(self, context: Context, found: FollowingStatus) -> None:
        from windlass.airflow.metrics import Metrics

        metrics = Metrics(flow_named("follow"), context["ti"].dag_id)
        for one in found.streams:
            log.info("phase=%s %s", found.phase, _line(one))
            metrics.follow(one)

    def _notify(self, context: Context, reason: str) -> None:
        """Call the notifiers. If one fails, that is logged, and the next one is called."""
        words: Any = {**context, "windlass_reason": reason}
        for notifier in self.on_behind:
            try:
                notifier(words)
            except Exception:
                log.exception("%r has failed", notifier)


def behind(run: RunStatus, limit_seconds: float) -> str:
    """Why a run that follows needs attention; empty if it does not."""
    found = run.following
    assert found is not None
    if found.phase is Phase.COPYING:
        return ""
    if not run.active:
        return "no process follows: the source keeps its WAL until one does"
    since = found.measured_seconds_ago
    if since is None or since > limit_seconds:
        return "the process that follows has not reported for too long"
    for one in found.streams:
        lag = (one.lag_ms or 0.0) / 1000
        if one.applies and lag > limit_seconds:
            return f"{one.direction} is {seconds_text(lag)} behind, {_catching_up(one)}"
    return ""


def _catching_up(stream: StreamStatus) -> str:
    left = stream.catch_up_seconds
    return "and never catches up at this rate" if left is None else f"{seconds_text(left)} to go"


def _line(one: StreamStatus) -> str:
    lag = "none" if one.lag_ms is None else f"{one.lag_ms:.0f}"
    return (
        f"stream={one.direction} lag_ms={lag} behind={bytes_text(one.behind_bytes)}"
        f" changes_per_second={one.changes_per_second:.0f} kept={bytes_text(one.retained_bytes)}"
    )
