"""What a run would do, for people and programs to look at first: one shape for all flows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from windlass.model.report import Problem


@dataclass(frozen=True, slots=True)
class Style:
    """How a text is shown: in so many columns, with these commands to run next."""

    width: int = 100
    wraps: bool = False  # to that width, as nobody copies from it
    is_brief: bool = False
    heading: Callable[[str], str] = str
    next_command: str = ""
    restart_command: str = ""


class Planned(Protocol):
    """Of a flow, made by its `plan`."""

    @property
    def problems(self) -> Sequence[Problem]:
        """What keeps the run from beginning."""

    def as_json(self) -> dict[str, Any]: ...

    def as_text(self, style: Style) -> str: ...

    def as_markdown(self, style: Style) -> str: ...
