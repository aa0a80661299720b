"""The operators for a flow's steps. What they do is in `windlass.airflow.work`.

Drivers are imported in `execute`, in the worker, never when a DAG file is parsed.
"""

from __future__ import annotations

import gc
import logging
import pkgutil
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowRescheduleException,
    AirflowTaskTimeout,
)

from windlass.airflow.board import Board, small
from windlass.airflow.findings import (
    MOST_SHOWN,
    difference_lines,
    found_differences,
    lines_of,
    summary_of,
)
from windlass.airflow.form import as_field, as_key
from windlass.airflow.lineage import Traced
from windlass.airflow.links import ReportLink
from windlass.airflow.plan_documents import push_plan
from windlass.airflow.pools import DEFAULT_POOL, PATIENCE, NoSlot, PoolWatch
from windlass.airflow.shares import Share, count_shares, divide
from windlass.airflow.skipping import skip_gates
from windlass.airflow.slips import check_conf
from windlass.airflow.templates import check_same, has_template
from windlass.errors import Different, Interrupted, WindlassError
from windlass.model.flow import Item, resolve
from windlass.model.wording import Spelling, all_spelled, spelled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk import Context

    from windlass.airflow.work import Part

log = logging.getLogger(__name__)
PAUSE_SECONDS = 5.0  # how long a task without a slot waits


class WindlassOperator(BaseOperator):
    """How all of our tasks end."""

    ui_color = "#e4f0ee"

    @property
    def _repairs(self) -> bool:
        """Whether `windlass verify` can repair differences that it finds."""
        return True

    @contextmanager
    def _explained(self, context: Context, spelling: Spelling = as_key) -> Iterator[None]:
        """Raise our errors as Airflow needs them: without retries if none can help, and with the
        message but without our traceback. The XCom `problems` also gets the message, for
        notices."""
        try:
            yield
        except AirflowTaskTimeout:  # raised again, it would end in `on_kill`
            problem = f"not finished within its time limit of {self.execution_timeout}"
            raise WindlassError(push_problems(context, [problem])) from None
        except WindlassError as error:
            lines = lines_of(error, repairs=self._repairs)
            problems = [spelled(one, spelling) for one in lines]
            if error.retryable or isinstance(error, Interrupted):
                raise WindlassError(push_problems(context, problems)) from None
            give_up(context, problems)
        except ModuleNotFoundError as error:
            from windlass.run.extras import missing_library

            if missing := missing_library(error):
                give_up(context, list(lines_of(missing)))
            raise

    def on_kill(self) -> None:
        """Called on SIGTERM: rolls back what is in flight."""
        raise Interrupted("stopped by Airflow")


class FlowOperator(WindlassOperator):
    """A step of a flow. `flow` and `words` are import paths: ``package.module:name``.

    `words` is a function that returns the options of the flow's spec, from the run's params and
    `given`. Those named in `connections` hold the id of an Airflow connection, or ``variable:NAME``
    for a Variable that holds a connection string; they are resolved in the worker. `group` is the
    id of the task group that is the flow, if it is not a whole DAG.
    """

    template_fields: Sequence[str] = ("given",)

    def __init__(
        self,
        *,
        flow: str,
        step: str,
        words: str,
        given: Mapping[str, Any] | None = None,
        connections: Sequence[str] = ("source", "target"),
        patience_seconds: float = 600.0,
        group: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.flow, self.step, self.words, self.group = flow, step, words, group
        self.patience_seconds = patience_seconds
        self.given = dict(given or {})
        self.is_templated = has_template(self.given)
        self.connections = tuple(connections)

    def part(self, context: Context, *, jobs: int | None = None) -> Part:
        """This task's part in the run, with the connections resolved."""
        # a full collection would walk everything that Airflow has loaded, for 0.1 s, and free
        # nothing
        gc.freeze()
        from windlass.airflow.connections import addresses
        from windlass.airflow.inputs import with_connections
        from windlass.airflow.metrics import Metrics
        from windlass.airflow.others import check_shared
        from windlass.airflow.work import SLOT_SECONDS, Part, log_event
        from windlass.run.measuring import check as check_measuring

        flow: Any = resolve_place(self.flow)
        # otherwise the DAG is the user's own
        if self.step == flow.steps[0].name and not self.group:
            check_conf(context, self.words)
        words = self.spec_words(context)
        words |= addresses({key: words[key] for key in self.connections})
        spec = read_words(flow.spec, with_connections(words))
        check_shared(flow, spec)
        if self.step == flow.steps[0].name:
            check_measuring(spec)
        return Part(
            flow,
            flow.step(self.step),
            spec,
            Board(context["ti"], self.group),
            jobs or spec.jobs,
            min(SLOT_SECONDS, self._patience_seconds(context)),
            emit=Metrics(flow, context["ti"].dag_id).counting(log_event),
        )

    def spec_words(self, context: Context) -> dict[str, Any]:
        """The options of the spec, with connections in place of addresses."""
        if self.is_templated:
            first = resolve_place(self.flow).steps[0]
            check_same(Board(context["ti"], self.group), first.task, self.given,
                       is_first=self.step == first.name)  # fmt: skip
        found: dict[str, Any] = resolve(self.words)(dict(context["params"]), self.given)
        return found

    @property
    def _spelling(self) -> Spelling:
        return as_key if self.given else as_field

    @property
    def _repairs(self) -> bool:
        repairs: bool = resolve_place(self.flow).words.repairs
        return repairs

    def _patience_seconds(self, context: Context) -> float:
        """How long this try waits for a server. The first step of a flow does not wait: a wrong
        address is reported at once, and a server that is down is a case for Airflow's retries."""
        step = resolve_place(self.flow).step(self.step)
        holds_again = step.lasting and context["ti"].try_number > 1
        return self.patience_seconds if step.after or holds_again else 0.0

    @contextmanager
    def _explained(self, context: Context, spelling: Spelling | None = None) -> Iterator[None]:
        """Give up the slot while waiting for the holder or for a server: if waiting tasks took all
        slots, the holder could not come back."""
        from windlass.airflow.work import ABSENCES, SLOT_SECONDS

        with super()._explained(context, spelling or self._spelling):
            try:
                yield
            except ABSENCES as error:
                pauses = int(context.get("task_reschedule_count") or 0)  # of this try
                waited = (pauses + 1) * (SLOT_SECONDS + PAUSE_SECONDS)
                if waited >= self._patience_seconds(context):
                    raise
                log.warning("%s; looking again in %d s", error, PAUSE_SECONDS)
                then = datetime.now(UTC) + timedelta(seconds=PAUSE_SECONDS)
                raise AirflowRescheduleException(then) from None


class Check(FlowOperator):
    """A gate that checks the flow's work from outside. If it fails, the run becomes red, but the
    flow still runs to its end, which reports what the check has found."""

    def passage(self) -> BaseOperator:
        """A task that passes however this one ended; it needs no worker."""
        from airflow.providers.standard.operators.empty import EmptyOperator

        doc = f"Does nothing: what comes after {self.task_id} runs even if that has failed."
        passed = EmptyOperator(task_id=f"after_{self.task_id}", trigger_rule="all_done", doc_md=doc)
        self >> passed
        return passed


def give_up(context: Context, problems: Sequence[str]) -> NoReturn:
    """Fail the task without retries, which cannot help."""
    raise AirflowFailException(push_problems(context, problems)) from None


def push_problems(context: Context, problems: Sequence[str]) -> str:
    """Write problems to the log and to XCom. Returns a short form for Airflow's own message."""
    for problem in problems:
        log.error("%s", problem)
    context["ti"].xcom_push(key="problems", value=list(problems))
    return "; ".join(problems[:5]) + ("; ..." if len(problems) > 5 else "")


def resolve_place(place: str) -> Any:
    """The object that an import path such as ``package.module:NAME`` names."""
    return pkgutil.resolve_name(place)


def read_words(model: str, words: Mapping[str, Any]) -> Any:
    """The options of the spec.

    Raises:
        BadSpec: with every fault.
    """
    from windlass.spec.model import validated

    return validated(resolve_place(model), words)


class StepOperator(FlowOperator):
    """A step in one task, with all its items if it has some. Its result is pushed to XCom as a
    whole, and each of its keys separately."""

    def __init__(self, *, returns: str = "", **kwargs: Any) -> None:
        """`returns` is the key of the result that is returned alone; without it the whole result is
        returned."""
        super().__init__(multiple_outputs=not returns, **kwargs)
        self.returns = returns

    def execute(self, context: Context) -> Any:
        with self._explained(context):
            part = self.part(context)
            try:
                results = part.run()
            except Different as error:
                self._publish_differences(context, part, error)
                raise
            result = dict(small(summary_of(results) if part.step.items else results[""]))
            result = all_spelled(result, self._spelling)
            push_plan(context, result.pop("document", None))
            for loss in result.get("losses", ()):
                log.warning("loss: %s", loss)
            if found := found_differences(result):
                log.error("%d difference(s) between the two sides", len(found))
                for line in difference_lines(found, repairs=self._repairs):
                    log.error("%s", line)
            self._publish(context, part, result)
            skip_gates(self, context, self.group)
            return self._returned(context, result)

    def _returned(self, context: Context, result: Mapping[str, Any]) -> Any:
        if not self.returns:
            return result
        for key, value in result.items():
            context["ti"].xcom_push(key=key, value=value)
        return result[self.returns]

    def _publish(self, context: Context, part: Part, result: Mapping[str, Any]) -> None:
        """Does nothing: only the last step of a flow publishes something."""

    def _publish_differences(self, context: Context, part: Part, error: Different) -> None:
        """Does nothing, for the same reason."""


class EndOperator(Traced, StepOperator):
    """The step that ends a flow: logs how the run ended, publishes the relations as assets, and
    writes a report. `checks` are tasks that may have failed before: what they found is part of the
    run's end."""

    operator_extra_links = (ReportLink(),)

    def __init__(
        self,
        *,
        checks: Sequence[str] = (),
        report_folder: str = "",
        report_url: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.checks = tuple(checks)
        self.report_folder, self.report_url = report_folder, report_url

    def part(self, context: Context, *, jobs: int | None = None) -> Part:
        """With the differences that the checks have found."""
        from windlass.run.accounting import Accounting

        found = super().part(context, jobs=jobs)
        found.accounting = Accounting.of(found.flow, found.spec)
        found.beside = {
            task: {"differences": found.board.pushed(task, "differences") or []}
            for task in self.checks
        }
        return found

    def _publish(self, context: Context, part: Part, result: Mapping[str, Any]) -> None:
        self._observe(context, part)
        self._report(context, part, result)
        failed = self.checks and part.board.failed_of(self.checks)
        if failed:  # not because of differences, which would have ended the run as different
            context["ti"].xcom_push(key="return_value", value=result)
            words = "is over, and its own comparison found both sides equal"
            task = failed[0]
            give_up(context, [f"{task} has failed, see its log; the run {words} (clear {task},"
                              " hold_snapshot and this task together)"])  # fmt: skip
        if self.outlets:
            from windlass.airflow.assets import publish_assets

            publish_assets(context, self.outlets, result)

    def _publish_differences(self, context: Context, part: Part, error: Different) -> None:
        """Airflow drops what a failing task returns: it is pushed before the task fails."""
        self._observe(context, part)
        found = [one.to_json() for one in error.differences]
        result = small({**error.summary, "differences": found[:MOST_SHOWN]})
        context["ti"].xcom_push(key="return_value", value=result)
        try:
            self._report(context, part, small({**error.summary, "differences": found}))
        except Exception:  # the differences matter more than a report that cannot be written
            log.exception("the report could not be written into %s", self.report_folder)

    def _observe(self, context: Context, part: Part) -> None:
        """Send the run's metrics, and keep its lineage for OpenLineage."""
        from windlass.airflow.metrics import Metrics
        from windlass.run.measuring import send

        self.arrived = part.arrived
        if part.outcome:
            Metrics(part.flow, context["ti"].dag_id).end(part.outcome)
            for notice in send(part.flow.name, part.spec, part.outcome):
                log.warning("%s", notice)

    def _report(self, context: Context, part: Part, result: Mapping[str, Any]) -> None:
        """Log the block that the command line would print, and write the report into the folder of
        reports, or beside the log."""
        from windlass.airflow.ending import block_lines, relation_results

        lines = list(block_lines(part.outcome, part.words)) if part.outcome else []
        lines = [spelled(line, self._spelling) for line in lines]
        for line in lines:
            log.info("%s", line)
        from windlass.airflow.reports import keep_report

        whole = {**result, "each_relation": relation_results(part.outcome)}
        keep_report(
            context, part.outcome, whole, self.report_folder, self.report_url,
            spelling=self._spelling, flow=getattr(part, "flow", None), part=self.group,
        )  # fmt: skip


class HoldOperator(FlowOperator):
    """A lasting step: runs until the tasks in `last`, and all other active ones, have ended."""

    ui_color = "#cfe3f5"

    def __init__(
        self,
        *,
        last: Sequence[str] = (),
        pooled: Sequence[str] = (),
        run_pool: str = DEFAULT_POOL,
        pool_patience_seconds: float = PATIENCE.total_seconds(),
        reports: Sequence[str] = ("", ""),
        **kwargs: Any,
    ) -> None:
        """`pooled` are tasks that use the pool `run_pool`; `reports` are the folder of reports and
        its URL."""
        super().__init__(**kwargs)
        self.last, self.pooled, self.reports = tuple(last), tuple(pooled), tuple(reports)
        self.run_pool, self.pool_patience_seconds = run_pool, pool_patience_seconds

    def execute(self, context: Context) -> Any:
        def publish(result: Mapping[str, Any]) -> None:
            context["ti"].xcom_push(key="return_value", value=small(result))

        from windlass.airflow.reports import keep_unfinished

        with self._explained(context):
            part = self.part(context)
            watch = PoolWatch(part.board, self.run_pool, self.pooled, self.pool_patience_seconds)
            try:
                return small(part.hold(publish, self.last, watch, part.board.skip))
            except NoSlot:
                part.board.skip_waiting()
                raise
            except WindlassError:  # of other tasks
                keep_unfinished(context, part, self.reports, self._spelling, self.group)
                raise


class OpenOperator(FlowOperator):
    """The step that opens a run. Its result is the handle by which other tasks join."""

    ui_color = "#cfe3f5"

    def execute(self, context: Context) -> Any:
        from windlass.airflow.board import small
        from windlass.model.flow import ONE

        with self._explained(context):
            return small(self.part(context).run()[ONE.id])


class ListOperator(FlowOperator):
    """Lists a step's items in shares, one for each mapped task; at most as many as Airflow maps."""

    ui_color = "#f3f3ea"

    def __init__(self, *, most: int, listed_as: str = "", **kwargs: Any) -> None:
        """`listed_as` is the key of the items' details whose lists are pushed together, under the
        same key."""
        super().__init__(**kwargs)
        self.most, self.listed_as = most, listed_as

    def execute(self, context: Context) -> list[Share]:
        items, count = self._list(context)
        if self.listed_as:
            listed = [one for item in items for one in item.detail.get(self.listed_as, ())]
            context["ti"].xcom_push(key=self.listed_as, value=listed)
        return divide([_without(item, self.listed_as) for item in items], count)

    def _list(self, context: Context) -> tuple[Sequence[Item], int]:
        """The items, and how many shares are worth making of them."""
        from airflow.sdk.configuration import conf

        limit = conf.getint("core", "max_map_length", fallback=1024)
        with self._explained(context):
            part = self.part(context)
            items = part.list_items()
        return items, count_shares(items, part.jobs, min(self.most, limit))


def _without(item: Item, key: str) -> Item:
    detail = {name: value for name, value in item.detail.items() if name != key}
    return replace(item, detail=detail)


class EachOperator(ListOperator):
    """Lists a step's items one by one; another task divides them into shares."""

    def execute(self, context: Context) -> list[Share]:
        items, count = self._list(context)
        context["ti"].xcom_push(key="shares", value=count)
        return [{**item.detail, "item": item.id, "size_bytes": item.cost} for item in items]


class DivideOperator(BaseOperator):
    """Divides what an `EachOperator` has listed into shares, one for each mapped task."""

    ui_color = "#f3f3ea"

    def __init__(self, *, listing: str, group: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.listing, self.group = listing, group

    def execute(self, context: Context) -> list[Share]:
        board = Board(context["ti"], self.group)
        listed = board.pushed(self.listing, "return_value") or []
        items = [Item(one["item"], cost=one["size_bytes"], detail=one) for one in listed]
        return divide(items, int(board.pushed(self.listing, "shares") or 0))


class ShareOperator(FlowOperator):
    """One share of a step's items, which names the task in the web UI."""

    NAME = "{{ task.share['name'] }}"  # for `map_index_template`

    def __init__(self, *, share: Share | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.share = share

    def execute(self, context: Context) -> Any:
        assert self.share is not None
        with self._explained(context):
            return small(self.part(context, jobs=1).run(self.share["items"]))
