"""Compares a pair that follows, by several tasks: each compares a share of the tables, at a moment
of both sides that is the share's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from windlass.airflow.commands import VerifyOperator
from windlass.airflow.operators import WindlassOperator, push_problems
from windlass.airflow.table_shares import shares_of
from windlass.errors import WindlassError
from windlass.model.outcome import Outcome, State

if TYPE_CHECKING:
    from airflow.sdk import Context

# while it starts, each needs a slot on the source; a server has 10 by default
AT_ONCE = 4


class ShareTablesOperator(WindlassOperator):
    """Divides the tables of a plan into shares of about equal size. `plan_task_id` is a
    `PlanOperator`, `spec` the migration's. Returns arguments for a `VerifyFollowingOperator`, by
    ``expand_kwargs``: each table is in exactly one share."""

    template_fields: Sequence[str] = ("spec",)

    def __init__(self, *, plan_task_id: str, spec: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan_task_id, self.spec = plan_task_id, dict(spec)

    def execute(self, context: Context) -> list[dict[str, Any]]:
        plan = context["ti"].xcom_pull(task_ids=self.plan_task_id)
        return shares_of(plan["relations"], self.spec)


class VerifyFollowingOperator(VerifyOperator):
    """Compares a pair that follows, at one moment of both sides. Differences make the task fail. If
    nothing is following right now, the next try may find that it does. `name` is what the web UI
    shows.

    Raises:
        BadSpec: with every fault of the spec.
    """

    NAME = "{{ task.name }}"  # for `map_index_template`

    def __init__(self, *, name: str = "", **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "follow": True})
        self.name = name

    def _fail(self, context: Context, outcome: Outcome) -> NoReturn:
        if outcome.state is State.REFUSED:
            raise WindlassError(push_problems(context, self._problems(outcome)))
        super()._fail(context, outcome)
