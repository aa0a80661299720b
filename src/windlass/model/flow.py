"""A flow is data: a named list of steps. `run` executes it here, `airflow` makes it a DAG.

Functions are given by import path, so that a flow can be read without importing drivers.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

Context = TypeVar("Context")
T = TypeVar("T")
Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]
Result = Mapping[str, Any]  # of Json


@dataclass(frozen=True, slots=True)
class Item:
    """The unit that one start of a step works on; small and JSON-serialisable.

    `group` ties items of different steps together: a pipelined step's item starts as soon as the
    items of the same group are done. `cost` compares items of a step, for a display and for shares
    of equal size. `detail` is for people.
    """

    id: str
    group: str = ""
    cost: int = 0
    detail: Mapping[str, Any] = field(default_factory=dict, compare=False)


ONE = Item("")


def resolve(function: Callable[..., T] | str) -> Callable[..., T]:
    """The function for an import path: ``package.module:name``."""
    if not isinstance(function, str):
        return function
    found: Callable[..., T] = pkgutil.resolve_name(function)
    return found


@dataclass(frozen=True, slots=True)
class Published:
    """What a scheduler's tasks return about a step, for programs that read it."""

    returned: str = ""  # the key of the step's result that is returned by itself
    listed_as: str = ""  # the key of its items' details whose lists are published together
    shared_by: str = ""  # the task that divides the items, if the one that lists them returns each


@dataclass(frozen=True, slots=True)
class Step(Generic[Context]):
    """What a scheduler starts. Idempotent: run again, it finds its finished work.

    `items` makes it a fan-out; it is called once every step before the first pipelined one is done.
    A pipelined step without items starts when all steps before it are done, and does not hold up
    the groups of later steps.
    """

    name: str
    run: Callable[[Context, Item], Result] | str
    after: tuple[str, ...] = ()
    items: Callable[[Context], Sequence[Item]] | str | None = None
    pipelined: bool = False
    reads: tuple[str, ...] = ()  # steps whose results it needs
    # Where steps run in separate processes: the process of a lasting step stays until the flow is
    # over, as its context holds what the others need. Its result is the handle with which they join
    # it.
    lasting: bool = False
    # Its result is the handle with which the processes of later steps join the run. It ends before
    # them, so each of them opens what it needs itself.
    opens: bool = False
    # Where there are several machines: whether its items are worth a task each. Other steps only
    # wait for the server, for which threads are enough.
    spread: bool = False
    # Also runs after an earlier step has failed, with the same items: it cleans up.
    always: bool = False
    # Asks a person, who may press Ctrl-C instead: that reaches only the main thread.
    asks: bool = False
    # The scheduler's names for it and for the task that lists its items, if different from ours.
    scheduler_name: str = ""
    listed_by: str = ""
    published: Published = Published()
    doc: str = ""  # what it does, in a sentence, for people

    @property
    def task(self) -> str:
        """The scheduler's task that it is."""
        return self.scheduler_name or self.name

    @property
    def listing(self) -> str:
        """The scheduler's task that lists the items."""
        return self.listed_by or f"prepare_{self.task}"

    @property
    def sharing(self) -> str:
        """The scheduler's task that divides the items into shares."""
        return self.published.shared_by or self.listing


def step_in(
    module: str, name: str, *after: str, items: str | None = None, **words: Any
) -> Step[Any]:
    """A step whose function has the same name and is in this module, like the function `items`.

    If a scheduler runs the step in a separate process, that imports only its module.
    """
    place = f"{module}:{items}" if items else None
    return Step(name, f"{module}:{name}", after, items=place, **words)


@dataclass(frozen=True, slots=True)
class Handover:
    """What an attempt that lost its run passes to the next: keywords for its context, and a
    message."""

    given: Mapping[str, Any] = field(default_factory=dict)
    notice: str = "resuming"


@dataclass(frozen=True, slots=True)
class Words:
    """The words for a flow in messages: ``rewrite``, ``Rewriting shop``, ``Rewrote shop``, ``The
    rewrite stopped``."""

    verb: str
    doing: str
    done: str
    noun: str
    opening: str  # what it does before the plan is known: "Reading both databases"
    kept: str = ""  # what stays of a run that stops, where it is not in one database
    repairs: bool = True  # whether `windlass verify` can repair rows that differ
    follows: bool = False  # whether a run follows its source, and is ended before it is rolled back


@dataclass(frozen=True, slots=True)
class Journalled:
    """The operations on a flow's runs in the journal of a target: import paths of functions that
    take the session and the journal's entry. See `windlass.flows.rollback`, `windlass.flows.status`
    and `windlass.flows.clean`."""

    undo: str
    foresee: str  # what `undo` would do
    status: str
    detail: str = ""  # as `status`, with all that is known of one run
    left: str = ""  # what an ended run left besides schemas
    # of a run's context: how to give up a run that stopped, where `undo` does not do that
    way_out: str = ""
    skips_rows: bool = False  # whether `undo` takes `others`, to leave out rows that others changed
    beside: str = ""  # restores into a new table, whose name it also takes; empty: cannot


@dataclass(frozen=True, slots=True)
class Flow(Generic[Context]):
    name: str
    steps: tuple[Step[Context], ...] = field(default=())
    context: Callable[..., Context] | str = ""  # see `windlass.run.context`
    spec: str = ""  # the import path of its pydantic model
    # For a flow that can have a spec file: the entries of the spec's options, and a key that marks
    # a file without `flow` as one for this flow.
    entries: str = ""
    known_by: str = ""
    help: str = ""  # of its command: a line, and a paragraph
    journalled: Journalled | None = None
    words: Words = Words("run", "Running", "Ran", "run", "Reading")
    copies: tuple[str, ...] = ()  # steps whose items move rows
    # By step: a function of the opened context that returns whether there is nothing to do. Then no
    # process is started for a step that is a process.
    needless: Mapping[str, Callable[..., bool] | str] = field(default_factory=dict, hash=False)
    # Whether finished work is kept, so that the same command resumes a run.
    resumes: bool = True
    past: Callable[..., Any] | str = ""  # of a spec, a `windlass.model.past.Past`
    plan: Callable[..., Any] | str = ""  # what a run would do: a `windlass.model.planned.Planned`
    # a function of a context whose last step is done, and its outcome: returns what was written, as
    # a sequence of `windlass.model.lineage.Arrived`
    lineage: Callable[..., Any] | str = ""

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for step in self.steps:
            missing = {*step.after, *step.reads} - seen
            if missing or step.name in seen:
                raise ValueError(f"step {step.name} of flow {self.name} comes after {missing}")
            seen.add(step.name)

    def step(self, name: str) -> Step[Context]:
        return next(step for step in self.steps if step.name == name)

    def before(self, name: str) -> tuple[str, ...]:
        """Every step that must be done before this one, in order."""
        found: set[str] = set()
        waiting = [name]
        while waiting:
            for one in self.step(waiting.pop()).after:
                if one not in found:
                    found.add(one)
                    waiting.append(one)
        return tuple(step.name for step in self.steps if step.name in found)

    @property
    def depth(self) -> int:
        """The largest number of steps that run one after another."""
        depths: dict[str, int] = {}
        for step in self.steps:
            depths[step.name] = 1 + max((depths[name] for name in step.after), default=0)
        return max(depths.values(), default=0)

    def only(self, *names: str) -> Flow[Context]:
        """The flow of these steps alone, as if all others were done."""
        kept = tuple(
            replace(step, after=tuple(one for one in step.after if one in names), reads=())
            for step in self.steps
            if step.name in names
        )
        return replace(self, steps=kept)

    def replacing(self, name: str, other: Step[Context]) -> Flow[Context]:
        """This flow with the step of the same name replaced."""
        return replace(
            self, steps=tuple(other if step.name == name else step for step in self.steps)
        )

    @property
    def last(self) -> Step[Context]:
        """The step that ends the flow; steps that always run only clean up after it."""
        return [step for step in self.steps if not step.always][-1]

    @property
    def lasting(self) -> Step[Context] | None:
        return next((step for step in self.steps if step.lasting), None)

    @property
    def opening(self) -> Step[Context] | None:
        """The step by whose result other processes join the run."""
        return next((step for step in self.steps if step.lasting or step.opens), None)
