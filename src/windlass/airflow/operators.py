"""The operators that a flow's steps become. What they do is in `windlass.airflow.work`.

Drivers are imported in `execute`, in the worker, never where a DAG file is parsed.
"""

from __future__ import annotations

import gc
import logging
import pkgutil
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import BaseOperator, BaseOperatorLink
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowRescheduleException,
    AirflowTaskTimeout,
)

from windlass.airflow.form import as_field, as_key
from windlass.airflow.shares import Share, count_shares, divide
from windlass.errors import Different, Interrupted, Refused, WindlassError
from windlass.model.flow import resolve
from windlass.model.wording import Spelling, all_spelled, spelled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk import Context
    from airflow.sdk.types import TaskInstanceKey

    from windlass.airflow.work import Part

log = logging.getLogger(__name__)
PAUSE_SECONDS = 5.0  # without a slot
MOST_SHOWN = 200  # differences in a log and in XCom


class PushedLink(BaseOperatorLink):
    """To the URL that a task has pushed while it ran; no link if it pushed none."""

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Airflow calls it in the worker when the task ends."""
        from airflow.sdk.execution_time.xcom import XCom

        found = XCom.get_one(
            key=self.xcom_key,
            dag_id=ti_key.dag_id,
            task_id=ti_key.task_id,
            run_id=ti_key.run_id,
            map_index=ti_key.map_index,
        )
        return str(found or "")


class ReportLink(PushedLink):
    """From the task that ends a run to the report that it wrote."""

    name = "Report"
    xcom_key = "report_url"


class FlowOperator(BaseOperator):
    """A step of a flow. `flow` and `words` are import paths: ``package.module:name``.

    `words` is a function of the run's params and of `given` that returns the options of the flow's
    spec. Those named in `connections` hold the id of an Airflow connection, or ``variable:NAME``
    for a Variable that holds a connection string; they are resolved in the worker.
    """

    ui_color = "#e4f0ee"
    template_fields: Sequence[str] = ()

    def __init__(
        self,
        *,
        flow: str,
        step: str,
        words: str,
        given: Mapping[str, Any] | None = None,
        connections: Sequence[str] = ("source", "target"),
        patience_seconds: float = 600.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.flow, self.step, self.words = flow, step, words
        self.patience_seconds = patience_seconds
        self.given = dict(given or {})
        self.connections = tuple(connections)

    def part(self, context: Context, *, jobs: int | None = None) -> Part:
        """This task's part in the run, with the connections resolved."""
        # a full collection would walk all that Airflow has loaded, for 0.1 s, and free nothing
        gc.freeze()
        from windlass.airflow.board import Board
        from windlass.airflow.connections import address_of
        from windlass.airflow.work import SLOT_SECONDS, Part

        flow: Any = resolve_place(self.flow)
        words: dict[str, Any] = resolve(self.words)(dict(context["params"]), self.given)
        for key in self.connections:
            words[key] = address_of(words[key])
        spec = read_words(flow.spec, words)
        return Part(
            flow,
            flow.step(self.step),
            spec,
            Board(context["ti"]),
            jobs or spec.jobs,
            min(SLOT_SECONDS, self._patience_seconds(context)),
        )

    @property
    def _spelling(self) -> Spelling:
        return as_key if self.given else as_field

    def _patience_seconds(self, context: Context) -> float:
        """Of this try. The first step of a flow does not wait: a wrong address is reported at once,
        and for a server that is down there are Airflow's retries."""
        step = resolve_place(self.flow).step(self.step)
        holds_again = step.lasting and context["ti"].try_number > 1
        return self.patience_seconds if step.after or holds_again else 0.0

    @contextmanager
    def _explained(self, context: Context) -> Iterator[None]:
        """Our errors as Airflow takes them: no retry where none can help, and the message without
        our traceback. It is pushed as XCom `problems` too, for notices.

        A task that waits for the holder or for a server gives up its slot: if waiting tasks took
        all slots, the holder could not come back.
        """
        from windlass.airflow.work import ABSENCES, SLOT_SECONDS

        try:
            yield
        except AirflowTaskTimeout:  # raised again, it would end in `on_kill`
            problem = f"not finished within its time limit of {self.execution_timeout}"
            raise WindlassError(_push_problems(context, [problem])) from None
        except WindlassError as error:
            waited = (_pauses(context) + 1) * (SLOT_SECONDS + PAUSE_SECONDS)
            if isinstance(error, ABSENCES) and waited < self._patience_seconds(context):
                log.warning("%s; looking again in %d s", error, PAUSE_SECONDS)
                then = datetime.now(UTC) + timedelta(seconds=PAUSE_SECONDS)
                raise AirflowRescheduleException(then) from None  # type: ignore[no-untyped-call]
            problems = [spelled(one, self._spelling) for one in lines_of(error)]
            if error.retryable or isinstance(error, Interrupted):
                raise WindlassError(_push_problems(context, problems)) from None
            give_up(context, problems)

    def on_kill(self) -> None:
        """Airflow's SIGTERM: what is in flight is rolled back."""
        raise Interrupted("stopped by Airflow")


def give_up(context: Context, problems: Sequence[str]) -> NoReturn:
    """Fail a task that no retry can help."""
    raise AirflowFailException(_push_problems(context, problems)) from None


def _push_problems(context: Context, problems: Sequence[str]) -> str:
    """Write problems to the log and to XCom; returns a short form for Airflow's own message."""
    for problem in problems:
        log.error("%s", problem)
    context["ti"].xcom_push(key="problems", value=list(problems))
    return "; ".join(problems[:5]) + ("; ..." if len(problems) > 5 else "")


def _pauses(context: Context) -> int:
    """How often this try of the task has given up its slot to wait."""
    return int(context.get("task_reschedule_count") or 0)


def resolve_place(place: str) -> Any:
    """What an import path such as ``package.module:NAME`` names."""
    return pkgutil.resolve_name(place)


def read_words(model: str, words: Mapping[str, Any]) -> Any:
    """Raises:
    BadSpec: with every fault.
    """
    from windlass.spec.model import validated

    return validated(resolve_place(model), words)


def _summary(results: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    """A summary of a step's items: their number, with their rows, losses and assets."""
    losses = [
        f"{item}.{column}: {what}"
        for item, one in results.items()
        for column, what in one.get("losses", {}).items()
    ]
    assets = [asset for one in results.values() for asset in one.get("assets", ())]
    return {
        "items": len(results),
        "rows": sum(int(one.get("rows") or 0) for one in results.values()),
        **({"losses": losses[:MOST_SHOWN]} if losses else {}),
        **({"assets": assets} if assets else {}),
    }


class StepOperator(FlowOperator):
    """A step in one task, with all its items if it has some. Its result is pushed to XCom as a
    whole, and each of its keys separately."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(multiple_outputs=True, **kwargs)

    def execute(self, context: Context) -> Any:
        with self._explained(context):
            part = self.part(context)
            try:
                results = part.run()
            except Different as error:
                self._publish_differences(context, error)
                raise
            from windlass.airflow.board import small

            result = dict(small(_summary(results) if part.step.items else results[""]))
            result = all_spelled(result, self._spelling)
            for loss in result.get("losses", ()):
                log.warning("loss: %s", loss)
            self._publish(context, result)
            return result

    def _publish(self, context: Context, result: Mapping[str, Any]) -> None:
        """Only the last step of a flow publishes something."""

    def _publish_differences(self, context: Context, error: Different) -> None:
        """The same."""


class EndOperator(StepOperator):
    """The step that ends a flow: publishes the relations as assets, and a report."""

    operator_extra_links = (ReportLink(),)

    def __init__(self, *, report_folder: str = "", report_url: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.report_folder, self.report_url = report_folder, report_url

    def _publish(self, context: Context, result: Mapping[str, Any]) -> None:
        if self.outlets:
            from windlass.airflow.assets import publish_assets

            publish_assets(context, self.outlets, result)
        self._report(context, result)

    def _publish_differences(self, context: Context, error: Different) -> None:
        """Airflow drops what a failing task returns: it is pushed before the task fails."""
        from windlass.airflow.board import small

        found = [one.to_json() for one in error.differences]
        result = small({**error.summary, "differences": found[:MOST_SHOWN]})
        context["ti"].xcom_push(key="return_value", value=result)
        try:
            self._report(context, small({**error.summary, "differences": found}))
        except Exception:  # the differences matter more than a report that cannot be written
            log.exception("the report could not be written into %s", self.report_folder)

    def _report(self, context: Context, result: Mapping[str, Any]) -> None:
        if not self.report_folder:
            return
        from windlass.airflow.reports import write_report

        url = write_report(context, result, self.report_folder, self.report_url)
        context["ti"].xcom_push(key="report_url", value=url)


class HoldOperator(FlowOperator):
    """A lasting step: runs until the tasks named in `last` and all other active ones have ended."""

    ui_color = "#cfe3f5"

    def __init__(self, *, last: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.last = tuple(last)

    def execute(self, context: Context) -> Any:
        from windlass.airflow.board import small

        def publish(result: Mapping[str, Any]) -> None:
            context["ti"].xcom_push(key="return_value", value=small(result))

        with self._explained(context):
            return small(self.part(context).hold(publish, self.last))


class ListOperator(FlowOperator):
    """Lists a step's items in shares, one for each mapped task; at most as many as Airflow maps."""

    ui_color = "#f3f3ea"

    def __init__(self, *, most: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.most = most

    def execute(self, context: Context) -> list[Share]:
        from airflow.sdk.configuration import conf

        limit = conf.getint("core", "max_map_length", fallback=1024)
        with self._explained(context):
            part = self.part(context)
            items = part.list_items()
        return divide(items, count_shares(items, part.jobs, min(self.most, limit)))


class ShareOperator(FlowOperator):
    """One share of a step's items, which names the task in the web UI."""

    NAME = "{{ task.share['name'] }}"  # for `map_index_template`

    def __init__(self, *, share: Share | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.share = share

    def execute(self, context: Context) -> Any:
        from windlass.airflow.board import small

        assert self.share is not None
        with self._explained(context):
            return small(self.part(context, jobs=1).run(self.share["items"]))


def lines_of(error: WindlassError) -> Iterator[str]:
    """One line for each problem."""
    if isinstance(error, Refused):
        yield from (problem.text for problem in error.problems)
    elif isinstance(error, Different):
        yield str(error)
        found = [*error.differences, *error.losses]
        yield from map(str, found[:MOST_SHOWN])
        if len(found) > MOST_SHOWN:
            yield f"and {len(found) - MOST_SHOWN} more"
    else:
        yield f"{error} ({error.hint})" if error.hint else str(error)
