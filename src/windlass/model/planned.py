"""What a run would do, for review by people and programs: one interface for all flows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from windlass.model.report import Problem


@dataclass(frozen=True, slots=True)
class Style:
    """How a text is shown: its width, and the command to run next."""

    width: int = 100
    wraps: bool = False  # to that width, since it is not copied from
    is_brief: bool = False
    heading: Callable[[str], str] = str
    next_command: str = ""
    restart_command: str = ""


class Planned(Protocol):
    """What a run of a flow would do, made by its `plan`."""

    @property
    def problems(self) -> Sequence[Problem]:
        """What prevents the run from starting."""

    def as_json(self) -> dict[str, Any]: ...

    def as_text(self, style: Style) -> str: ...

    def as_markdown(self, style: Style) -> str: ...
