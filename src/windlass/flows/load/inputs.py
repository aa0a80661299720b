"""Opens the inputs of a load: files and URLs by `windlass.engines.files`, queries by the engine of
their source."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, Self

from windlass.engines.landing import Input, Landing
from windlass.loading.made import Opened
from windlass.model.event import Emit
from windlass.model.relation import Name
from windlass.spec.load import OneLoad


class OpenInputs:
    """What a run has opened. A context manager: leaving it closes all."""

    def __init__(self, run: str, target: Landing, emit: Emit) -> None:
        self._run, self._target, self._emit = run, target, emit
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *fault: Any) -> None:
        self._stack.close()


def opened_of(
    one: OneLoad, target: Landing, name: Name, opening: OpenInputs
) -> tuple[Sequence[Input], Opened]:
    """The inputs of a load, and what is known of them."""
    return (), Opened()
