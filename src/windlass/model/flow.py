"""A flow is data: a named list of steps. `run` executes it here, `airflow` makes it a DAG."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

Context = TypeVar("Context")
Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]
Result = Mapping[str, Any]  # of Json


@dataclass(frozen=True, slots=True)
class Item:
    """What one start of a step works on; small and JSON-able.

    `group` ties items of different steps together: a pipelined step's item starts as soon as the
    items of its own group are done. `cost` compares items of a step, for a display.
    """

    id: str
    group: str = ""
    cost: int = 0


ONE = Item("")


@dataclass(frozen=True, slots=True)
class Step(Generic[Context]):
    """What a scheduler starts. Idempotent: run again, it finds what it has done already.

    `items` makes it a fan-out; it is asked once every step before the first pipelined one is done.
    """

    name: str
    run: Callable[[Context, Item], Result]
    after: tuple[str, ...] = ()
    items: Callable[[Context], Sequence[Item]] | None = None
    pipelined: bool = False


@dataclass(frozen=True, slots=True)
class Flow(Generic[Context]):
    name: str
    steps: tuple[Step[Context], ...] = field(default=())

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for step in self.steps:
            missing = set(step.after) - seen
            if missing or step.name in seen:
                raise ValueError(f"step {step.name} of flow {self.name} comes after {missing}")
            seen.add(step.name)
