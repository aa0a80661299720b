"""The other tasks of a DAG run, as Airflow would show them to a task."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from windlass.airflow.spans import Span
from windlass.model.flow import Step


@dataclass(kw_only=True)
class TaskTimes:
    """When each was at work. `task` is the one that runs now."""

    task: str = ""
    times: dict[str, list[Span]] = field(default_factory=lambda: defaultdict(list))

    def keep_span(self, span: Span) -> None:
        self.times[self.task].append(span)

    def spans(self, step: Step[Any]) -> list[Span]:
        return self.times[step.task]
