"""The holder of a run in the triggerer, where it takes no slot of a worker.

The snapshot and the lock are held by the sessions of a process that the triggerer starts. Planning,
which comes before the hold, takes seconds of a core and a pg_dump, and would block the event loop
of all other triggers. If the triggerer ends, that process ends too, and another triggerer starts
the next attempt, as after the death of a holder in a worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import TaskDeferralTimeout
from airflow.triggers.base import BaseTrigger, TriggerEvent

from windlass.airflow.board import Board, small
from windlass.airflow.holder import BOARD, Order, failure
from windlass.airflow.operators import HoldOperator, give_up, push_problems, resolve_place
from windlass.errors import RunLost, WindlassError
from windlass.model.flow import Flow, Step
from windlass.model.outcome import Outcome
from windlass.model.wording import spelled

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)
WAKING = timedelta(seconds=90)  # how long a triggerer may take to show that it exists
MOST_LOSSES = 5  # of one try; after that, Airflow's retries hold again
LAST_SECONDS = 10.0  # for the holder to close its sessions
_NO_TRIGGERER = (
    f"no triggerer has answered for {WAKING.total_seconds():.0f} s, and this run is to be held by"
    " one (start it with: airflow triggerer; or let a worker hold the run:"
    ' Tuning(hold_in="worker"))'
)


class TriggererHoldOperator(HoldOperator):
    """A lasting step whose holder runs in the triggerer. A worker is needed only briefly, before
    and after it."""

    def execute(self, context: Context) -> Any:
        self.defer(trigger=Waking(), method_name="hold", timeout=WAKING)

    def hold(self, context: Context, event: Any = None, losses: int = 0) -> Any:
        """Called by Airflow when a triggerer has answered. `losses`: how often this try has held
        the run and lost it."""
        ti: Any = context["ti"]
        with self._explained(context):
            words = small(self.spec_words(context))
        self.defer(
            trigger=HoldTrigger(
                task={"dag_id": ti.dag_id, "run_id": ti.run_id, "task_id": ti.task_id},
                group=self.group,
                connections={key: words[key] for key in self.connections},
                order={
                    "flow": self.flow,
                    "step": self.step,
                    "words": words,
                    "patience_seconds": self._patience_seconds(context),
                    "last": list(self.last),
                    "pooled": list(self.pooled),
                    "run_pool": self.run_pool,
                    "pool_patience_seconds": self.pool_patience_seconds,
                },
            ),
            method_name="ended",
            kwargs={"losses": losses},
        )

    def ended(self, context: Context, event: Mapping[str, Any], losses: int = 0) -> Any:
        """Called by Airflow when the run has been held to its end, or could not be held."""
        if "failed" not in event:
            return event["done"]
        failed = event["failed"]
        if failed["lost"] and event["was_held"] and losses < MOST_LOSSES:
            log.warning("%s; holding it again", "; ".join(failed["problems"]))
            self.hold(context, losses=losses + 1)
        if failed["no_slot"]:
            Board(context["ti"], self.group).skip_waiting()
        self._keep_unfinished(context, failed.get("outcome"))
        problems = [spelled(one, self._spelling) for one in failed["problems"]]
        if failed["retryable"]:
            raise WindlassError(push_problems(context, problems))
        give_up(context, problems)

    def _keep_unfinished(self, context: Context, outcome: str | None) -> None:
        """Leave the report of a run whose other tasks have failed, as a holder in a worker does."""
        if not outcome:
            return
        from windlass.airflow.reports import keep_unfinished
        from windlass.recorded import read_outcome

        part = _Unfinished(resolve_place(self.flow), read_outcome(outcome))
        keep_unfinished(context, part, self.reports, self._spelling, self.group)

    def resume_execution(
        self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context
    ) -> Any:
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except TaskDeferralTimeout:
            give_up(context, [_NO_TRIGGERER])


@dataclass(frozen=True, slots=True)
class _Unfinished:
    """A run whose tasks have failed, for its report."""

    flow: Flow[Any]
    outcome: Outcome | None


class Waking(BaseTrigger):
    """Shows that a triggerer exists: the hold itself has no time limit."""

    def __init__(self) -> None:
        BaseTrigger.__init__(self)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{__name__}.Waking", {}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        yield TriggerEvent({"awake": True})


@dataclass(frozen=True, slots=True)
class _TaskInstance:
    """As much of a task instance as a board needs, inside a triggerer."""

    dag_id: str
    run_id: str
    task_id: str

    def xcom_pull(self, *, task_ids: str, map_indexes: int, key: str = "return_value") -> Any:
        from airflow.sdk.execution_time.xcom import XCom

        return XCom.get_one(
            key=key,
            dag_id=self.dag_id,
            task_id=task_ids,
            run_id=self.run_id,
            map_index=map_indexes,
        )

    def xcom_push(self, key: str, value: Any) -> None:
        from airflow.sdk.execution_time.xcom import XCom

        XCom.set(key=key, value=value, dag_id=self.dag_id, task_id=self.task_id, run_id=self.run_id)

    def get_task_states(self, **words: Any) -> Any:
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

        return RuntimeTaskInstance.get_task_states(**words)

    def get_ti_count(self, **words: Any) -> int:
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

        return RuntimeTaskInstance.get_ti_count(**words)


class HoldTrigger(BaseTrigger):
    """Holds a run in a separate process until its other tasks have ended."""

    def __init__(
        self,
        *,
        task: Mapping[str, str],
        group: str,
        connections: Mapping[str, str],
        order: Mapping[str, Any],
    ) -> None:
        """`order` is an `Order` without the run and the addresses, which are resolved here."""
        BaseTrigger.__init__(self)
        self.place, self.group = dict(task), group
        self.connections, self.order = dict(connections), dict(order)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        words = {
            "task": self.place,
            "group": self.group,
            "connections": self.connections,
            "order": self.order,
        }
        return f"{__name__}.HoldTrigger", words

    async def run(self) -> AsyncIterator[TriggerEvent]:
        from windlass.airflow.connections import addresses

        ti: Any = _TaskInstance(**self.place)
        board = Board(ti, self.group)
        try:
            found = await asyncio.to_thread(addresses, self.connections)
        except WindlassError as error:
            yield TriggerEvent({"failed": failure(error), "was_held": False})
            return
        words = {**self.order["words"], **found}
        order = Order(**{**self.order, **asdict(board.started_by), "words": words})
        async with _holder() as process:
            end = await self._converse(process, board, order)
        yield TriggerEvent(end)

    async def _converse(self, process: Process, board: Board, order: Order) -> dict[str, Any]:
        """Answer the holder until it is done; returns its last line."""
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(order.to_line())
        was_held = False
        async for line in process.stdout:
            ((what, value),) = json.loads(line).items()
            if what == "log":
                self.log.log(*value)
            elif what in ("done", "failed"):
                return {what: value, "was_held": was_held}
            else:
                was_held = was_held or what == "publish"
                answer = await asyncio.to_thread(self._answer, board, what, value)
                process.stdin.write(json.dumps(answer).encode() + b"\n")
        code = await process.wait()
        error = RunLost(f"the process that held the run in the triggerer has ended ({code})")
        return {"failed": failure(error), "was_held": was_held}

    def _answer(self, board: Board, what: str, value: Any) -> Any:
        ti: Any = board.ti
        if what == "publish":
            return ti.xcom_push("return_value", value)
        name, *args = value
        assert name in BOARD
        if name == "results":
            step: Step[Any] = resolve_place(self.order["flow"]).step(args[0])
            return board.results(step)
        return getattr(board, name)(*args)


@contextlib.asynccontextmanager
async def _holder() -> AsyncIterator[Process]:
    """The process that holds. It ends when its standard input is closed, and is killed if it does
    not."""
    words = (sys.executable, "-P", "-m", "windlass.airflow.holder")
    process = await asyncio.create_subprocess_exec(*words, stdin=PIPE, stdout=PIPE, limit=1 << 26)
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        with contextlib.suppress(ProcessLookupError):
            try:
                await asyncio.wait_for(process.wait(), LAST_SECONDS)
            except (TimeoutError, asyncio.CancelledError):
                process.kill()
                await process.wait()
