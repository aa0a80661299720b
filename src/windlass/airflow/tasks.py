"""The tasks of one flow: one for each step, two more for a fan-out that is worth it, and gates
between steps. Decides their order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow.sdk import AssetAlias, BaseOperator

from windlass.airflow.operators import (
    Check,
    DivideOperator,
    EachOperator,
    EndOperator,
    HoldOperator,
    ListOperator,
    OpenOperator,
    ShareOperator,
    StepOperator,
)
from windlass.airflow.skipping import Skippable
from windlass.airflow.tuning import Ending, Tuning
from windlass.model.flow import Flow, Step

Gate = Callable[[], BaseOperator]


@dataclass
class Build:
    """The tasks of one flow, while they are made."""

    flow: Flow[Any]
    words: dict[str, Any]  # arguments of every FlowOperator
    tuning: Tuning
    ending: Ending
    gates: Mapping[str, Gate]
    alias: str
    group: str = ""  # the id of the task group around them; empty if they are a whole DAG
    # for each step, the tasks that later tasks come after
    ends: dict[str, list[Any]] = field(default_factory=dict)
    listings: dict[str, Any] = field(default_factory=dict)  # by step
    checks: list[str] = field(default_factory=list)  # gates that may fail before the last step
    passages: list[Any] = field(default_factory=list)  # after those gates
    joined: list[Any] = field(default_factory=list)  # the task that joins a held run first
    mapped: list[Any] = field(default_factory=list)  # these are skipped if they have no items

    def __post_init__(self) -> None:
        if self.group:
            self.words = {**self.words, "group": self.group}

    def make(self) -> None:
        for step in self.flow.steps:
            task = self._task(step)
            # a task that may be skipped at any time is no end of what comes before it
            before = self._after(step.after) if step.name in self.flow.needless else []
            self.ends[step.name] = [task, *before]
            gate = self.gates.get(step.task)
            if gate:
                self._add_gate(step, gate())
            if not self.joined and self._joins(step):
                self.joined = self.ends[step.name]

    def _add_gate(self, step: Step[Any], gate: BaseOperator) -> None:
        self.ends[step.name] >> gate
        if isinstance(gate, Check):  # it delays only the end
            self.checks.append(gate.task_id.removeprefix(f"{self.group}."))
            self.passages.append(gate.passage())
        elif isinstance(gate, Skippable):
            self.ends[step.name] = [gate, *self.ends[step.name]]
        else:
            self.ends[step.name] = [gate]

    def _task(self, step: Step[Any]) -> Any:
        if not self.joined and step in (beside := self._joining()) and len(beside) > 1:
            first = next((one for one in beside if one.spread), None)
            self.joined = [self._listing(first)] if first else []
        after = [*self._after(step.after), *(self.passages if step == self.flow.last else ())]
        limit: dict[str, Any] = {"doc_md": step.doc}
        limit |= {} if after else self._first_rule()
        if step.task in self.tuning.timeouts:
            limit["execution_timeout"] = self.tuning.timeouts[step.task]
        if step.lasting:
            words = {**self.words, **limit, **self._hold(), "step": step.name}
            task: Any = self._holder(task_id=step.task, priority_weight=1000, **words)
        elif step.opens:
            task = OpenOperator(task_id=step.task, step=step.name, **self.words, **limit)
        elif step.items and step.spread:
            listing = self._listing(step)
            task = ShareOperator.partial(
                task_id=step.task,
                step=step.name,
                pool=self.tuning.pool,
                map_index_template=ShareOperator.NAME,
                max_active_tis_per_dagrun=self.tuning.max_parallel,
                **self.words,
                **limit,
            ).expand(share=self._sharing(step, listing).output)
            self.mapped.append(task)
        elif step == self.flow.last:
            words = {**self.words, **limit, **self._end()}
            task = EndOperator(task_id=step.task, step=step.name, **words)
        else:
            words = {**self.words, **limit, "step": step.name, "returns": step.published.returned}
            task = StepOperator(task_id=step.task, **words)
            if step.always:  # it does not decide whether the run is green
                task.as_teardown()
        if after:
            self._unless_skipped(after) >> task
        return task

    def _first_rule(self) -> dict[str, Any]:
        """The trigger rule of the first task. Whether a group starts is decided by whoever put
        tasks before it."""
        return {"trigger_rule": "all_success"} if self.group else {}

    def _unless_skipped(self, after: list[Any]) -> list[Any]:
        """What a task comes after. If a whole group is skipped, each of its tasks is skipped; but a
        task must not be skipped because mapped tasks before it had no items. So a task that comes
        only after such tasks also comes after the first task, or, if that lasts, after the one that
        joins it."""
        if not self.group or any(one not in self.mapped for one in after):
            return after
        return [*after, *self._after((self.flow.steps[0].name,))]

    def _listing(self, step: Step[Any]) -> Any:
        """The task that lists a step's items, as early as possible, so that it delays nothing
        later."""
        if step.name in self.listings:
            return self.listings[step.name]
        lasting = self.flow.lasting
        after = self._after((lasting.name,) if lasting else step.after)
        words = {**self.words, "step": step.name, "most": self.tuning.max_tasks}
        words |= {} if after else self._first_rule()
        what = f"Lists what {step.task} works on"
        if step.published.shared_by:
            listing: Any = EachOperator(task_id=step.listing, doc_md=f"{what}.", **words)
        else:
            doc = f"{what}, in shares: one for each of its tasks."
            words["listed_as"] = step.published.listed_as
            listing = ListOperator(task_id=step.listing, doc_md=doc, **words)
        self.listings[step.name] = listing
        if after:
            self._unless_skipped(after) >> listing
        return listing

    def _sharing(self, step: Step[Any], listing: Any) -> Any:
        """The task whose result is the list of shares."""
        if not step.published.shared_by:
            return listing
        doc = f"Divides what {step.listing} has listed into shares: one for each task."
        sharing = DivideOperator(
            task_id=step.published.shared_by, listing=step.listing, group=self.group, doc_md=doc
        )
        listing >> sharing
        return sharing

    def _after(self, names: Sequence[str]) -> list[Any]:
        """What comes after a step. The task of a lasting step ends last, so the tasks after it join
        it while it runs: first one of them, then the others. If nobody holds the run, only that one
        fails."""
        found: list[Any] = []
        for name in names:
            step = self.flow.step(name)
            if not step.lasting:
                found += self.ends[name]
            elif self.joined:
                found += self.joined
            else:
                found += self._after(step.after)
        return list(dict.fromkeys(found))

    def _joins(self, step: Step[Any]) -> bool:
        """Whether this step's task joins a held run first, because all others come after it."""
        return [one.name for one in self._joining()] == [step.name]

    def _joining(self) -> list[Step[Any]]:
        """The steps directly after the lasting one."""
        lasting = self.flow.lasting
        return [one for one in self.flow.steps if lasting and lasting.name in one.after]

    @property
    def _holder(self) -> type[HoldOperator]:
        if self.tuning.hold_in == "worker":
            return HoldOperator
        from windlass.airflow.triggerer import TriggererHoldOperator

        return TriggererHoldOperator

    def _hold(self) -> dict[str, Any]:
        """The arguments of the task that holds the run."""
        pooled = [one.task for one in self.flow.steps if one.items and one.spread]
        return {
            "last": self._last(),
            "pooled": pooled,
            "run_pool": self.tuning.pool,
            "pool_patience_seconds": self.tuning.pool_patience.total_seconds(),
            "reports": (self.ending.report_folder, self.ending.report_url),
        }

    def _last(self) -> list[str]:
        """Steps that no other step comes after."""
        before = {name for step in self.flow.steps for name in step.after}
        return [one.task for one in self.flow.steps if one.name not in before and not one.lasting]

    def _end(self) -> dict[str, Any]:
        """The arguments of the step that ends the flow."""
        ending = self.ending
        return {
            "outlets": [AssetAlias(name=self.alias)],
            "checks": tuple(self.checks),
            "report_folder": ending.report_folder,
            "report_url": ending.report_url,
        }
