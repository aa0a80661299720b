"""The plan of a count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from counting.spec import CountSpec
from windlass.model.event import Emit
from windlass.model.planned import Style


@dataclass(frozen=True)
class PlannedCount:
    text_file: str
    problems: tuple[()] = ()

    def as_json(self) -> dict[str, Any]:
        return {"file": self.text_file}

    def as_text(self, style: Style) -> str:
        return f"counts the lines of {self.text_file}; next: {style.next_command}"

    as_markdown = as_text


def plan_count(spec: CountSpec, emit: Emit) -> PlannedCount:
    return PlannedCount(spec.text_file)
