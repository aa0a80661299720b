"""States and results of the other tasks of a run, as Airflow has them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from windlass.airflow.spans import SPAN, Span, spans_in
from windlass.airflow.web_ui import run_url
from windlass.model.flow import ONE, Result, Step
from windlass.model.outcome import StartedBy

if TYPE_CHECKING:
    from airflow.sdk.types import RuntimeTaskInstanceProtocol

ENDED = {"success", "failed", "skipped", "upstream_failed", "removed"}
# a task with no state, or one that is not listed here, has not been scheduled or never will be
ACTIVE = [
    "scheduled", "queued", "running", "restarting", "deferred", "up_for_retry",
    "up_for_reschedule", "awaiting_input",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Board:
    """One run of a DAG, as one of its tasks sees it. For a task group it shows only that group, and
    names tasks as they are called inside the group."""

    ti: RuntimeTaskInstanceProtocol
    group: str = ""  # the id of the task group that is the flow; empty if the whole DAG is

    @property
    def started_by(self) -> StartedBy:
        """This run, for our journal. Several groups of one DAG run are separate runs."""
        return started_by(self.ti, self.group)

    def result(self, task: str) -> Result | None:
        """The result of a task that is not mapped; None before it has returned one."""
        found: Result | None = self.ti.xcom_pull(task_ids=self._id(task), map_indexes=-1)
        return found

    def _id(self, task: str) -> str:
        return f"{self.group}.{task}" if self.group else task

    @property
    def _scope(self) -> dict[str, Any]:
        """Which tasks of the DAG run belong to the flow."""
        within = {"task_group_id": self.group} if self.group else {}
        return {"dag_id": self.ti.dag_id, "run_ids": [self.ti.run_id], **within}

    def results(self, step: Step[Any]) -> Mapping[str, Result]:
        """Results by item. Each mapped task has returned those of its share. Results beyond the
        list of shares come from an earlier, longer list, and are ignored."""
        if not (step.items and step.spread):
            found = self.result(step.task)
            return {ONE.id: found} if found else {}
        listed = self.result(step.sharing)
        shares = (self.ti.xcom_pull(task_ids=[self._id(step.task)]) or [])[: len(listed or ())]
        return {item: result for share in shares if share for item, result in share.items()}

    def spans(self, step: Step[Any]) -> list[Span]:
        """When the tasks of a step were at work. One that holds has it in its result, which is
        there while it still runs."""
        if step.lasting:
            return spans_in([(self.result(step.task) or {}).get(SPAN)])
        if not (step.items and step.spread):
            return spans_in([self.pushed(step.task, SPAN)])
        return spans_in(self.ti.xcom_pull(task_ids=[self._id(step.task)], key=SPAN) or [])

    def keep_span(self, span: Span) -> None:
        """Keep when this task was at work, for the end of the run."""
        self.ti.xcom_push(key=SPAN, value=span.to_json())

    def states(self, tasks: Sequence[str] | None = None) -> dict[str, str | None]:
        """States by task; for mapped tasks with their index."""
        ids = [self._id(task) for task in tasks or ()]
        scope = dict(self._scope)
        if ids:
            scope.pop("task_group_id", None)  # Airflow would add the group's other tasks
        found: dict[str, dict[str, Any]] = self.ti.get_task_states(**scope, task_ids=ids or None)
        prefix = self._id("")
        return {
            task.removeprefix(prefix): str(state) if state else None
            for task, state in found.get(self.ti.run_id, {}).items()
        }

    def has_ended(self, task: str) -> bool:
        """Whether a task that is not mapped will not run again, unless somebody clears it."""
        return self.states([task]).get(task) in ENDED

    def others_are_over(self, last: Sequence[str]) -> bool:
        """Whether the calling task is the only one of this run that is still active."""
        if not all(state in ENDED for state in self.states(last).values()):
            return False
        active: int = self.ti.get_ti_count(**self._scope, states=ACTIVE)
        return active <= 1

    def has_started(self, tasks: Sequence[str]) -> bool:
        """Whether any of these tasks, or their mapped instances, has got a slot."""
        waiting = {None, "scheduled", "skipped", "upstream_failed", "removed"}
        return any(state not in waiting for state in self.states(tasks).values())

    def has_ever_run(self, tasks: Sequence[str]) -> bool:
        """Whether any of these has run, in any run of this DAG."""
        ids = [self._id(task) for task in tasks]
        ended: int = self.ti.get_ti_count(
            dag_id=self.ti.dag_id, task_ids=ids, states=["success", "failed"]
        )
        return ended > 0

    def is_waiting(self, tasks: Sequence[str]) -> bool:
        """Whether some of these tasks are due, while no task of the run except the calling one is
        working."""
        if "scheduled" not in self.states(tasks).values():
            return False
        busy = [state for state in ACTIVE if state != "scheduled"]
        active: int = self.ti.get_ti_count(**self._scope, states=busy)
        return active <= 1

    def skip_waiting(self) -> None:
        """Skip all tasks that have not started: those in a missing pool never would, and the run
        would never end."""
        waiting = [
            self._id(name) for name, state in self.states().items() if state in (None, "scheduled")
        ]
        known = set(self.ti.task.dag.task_ids)
        found = [name if name in known else mapped_instance(name) for name in waiting]
        _skip(found)

    def skip(self, tasks: Sequence[str]) -> None:
        """Skip those of these unmapped tasks that have not started; the tasks after them run. Skips
        nothing in a task group, as everything after a skipped task would be skipped too."""
        if tasks and not self.group:
            _skip(list(tasks))

    def skipped(self, tasks: Sequence[str]) -> list[str]:
        """Those of these tasks, none of them mapped, that have been skipped."""
        states = self.states(tasks)
        return [task for task in tasks if states.get(task) == "skipped"]

    def problems(self, task: str) -> list[str]:
        """The problems that an unmapped task pushed when it failed."""
        found: list[str] = self.pushed(task, "problems") or []
        return found

    def pushed(self, task: str, key: str) -> Any:
        """Another XCom of a task that is not mapped; None if there is none."""
        return self.ti.xcom_pull(task_ids=self._id(task), map_indexes=-1, key=key)

    def failed_of(self, tasks: Sequence[str]) -> list[str]:
        """Which of these unmapped tasks have failed."""
        states = self.states(tasks)
        return [task for task in tasks if states.get(task) in ("failed", "upstream_failed")]

    def failed(self) -> list[str]:
        """Tasks that failed by themselves, not because of another task. While the calling task runs
        it is not among them; in a callback at the end of the run it can be."""
        return sorted(task for task, state in self.states().items() if state == "failed")


def started_by(ti: Any, part: str = "") -> StartedBy:
    """The DAG run, or a part of it: a task group or a task. The address in the web UI is empty if
    Airflow does not know it."""
    run = " ".join(filter(None, ("airflow", ti.dag_id, ti.run_id, part)))
    return StartedBy(run, run_url(ti.dag_id, ti.run_id))


def _skip(tasks: list[str | tuple[str, int]]) -> None:
    from airflow.sdk.execution_time.comms import SkipDownstreamTasks
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    SUPERVISOR_COMMS.send(SkipDownstreamTasks(tasks=tasks))


def mapped_instance(name: str) -> tuple[str, int]:
    """The task and the index of a mapped instance, by its name in states."""
    task, _, index = name.rpartition("_")
    return task, int(index)


def small(result: Result) -> Result:
    """The value as plain JSON, so that XCom returns exactly what was pushed."""
    plain: Result = json.loads(json.dumps(result))
    return plain
