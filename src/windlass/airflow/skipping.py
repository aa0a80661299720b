"""Skips gates that have nothing to do, in the task before them, so that no process is started for
them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from windlass.airflow.board import Board

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context


@runtime_checkable
class Skippable(Protocol):
    """A gate that may have nothing to do."""

    node_id: str

    def is_needless(self, context: Context) -> bool: ...


def skip_gates(task: BaseOperator, context: Context, group: str = "") -> None:
    """Skip the gates directly after this task that would pass in any case. `group` is the task
    group of both."""
    after = task.get_direct_relatives(upstream=False)
    gates = [one for one in after if isinstance(one, Skippable) and one.is_needless(context)]
    if gates:
        Board(context["ti"], group).skip([str(gate.node_id) for gate in gates])
