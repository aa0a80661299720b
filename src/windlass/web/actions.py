"""What can be done with a run from the page: commands of the command line, after a question.

A command runs in a separate process, which finds the addresses of both databases in its
environment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from windlass import api
from windlass.errors import Refused
from windlass.flows.registry import flow_named
from windlass.model.following import Phase
from windlass.model.outcome import RunStatus, State
from windlass.web.watched import Watched

OWN = ("migrate", "verify")  # the flow and the command that compare two databases


@dataclass(frozen=True, slots=True)
class Question:
    """What a person is asked before a command runs. `blocked`: why it cannot."""

    says: Sequence[str]
    blocked: Sequence[str] = ()
    loses: Sequence[str] = ()  # what others have written, lost if somebody insists


@dataclass(frozen=True, slots=True)
class Action:
    """`arguments` are those of `windlass`; `applies` to a run in this state."""

    name: str
    label: str  # of its button
    arguments: Callable[[Watched, str], tuple[str, ...]]
    applies: Callable[[RunStatus], bool]
    asks: Callable[[Watched, RunStatus], Question]
    needs_source: bool = True
    is_grave: bool = False  # it changes what applications use, or removes what is there
    insisting: tuple[str, ...] = ()  # more arguments, to lose what others have written


def _of_both(watched: Watched, *words: str) -> tuple[str, ...]:
    return (*words, *watched.options)


def _copies_a_database(status: RunStatus) -> bool:
    return flow_named(status.flow).spec == flow_named(OWN[0]).spec


def _may_be_compared(status: RunStatus) -> bool:
    ended = status.state in (State.DONE, State.DIFFERENT, State.LOSSY)
    return ended and not status.active and _copies_a_database(status)


def _in(*phases: Phase) -> Callable[[RunStatus], bool]:
    return lambda status: status.following is not None and status.following.phase in phases


def _may_be_undone(status: RunStatus) -> bool:
    if status.active or status.state in (State.ROLLED_BACK, State.REFUSED):
        return False
    return status.following is None or status.following.phase is Phase.ABANDONED


def _says(*sentences: str) -> Callable[[Watched, RunStatus], Question]:
    return lambda watched, status: Question(
        [one.format(source=status.source, target=watched.title) for one in sentences]
    )


def _rollback(watched: Watched, status: RunStatus) -> Question:
    try:
        foreseen = api.foresee_rollback(watched.where, status.run)
    except Refused as error:
        return Question((), [f"{one.object}: {one.message}" for one in error.problems])
    if foreseen is None:
        return Question((), [f"Run {status.run} is rolled back already."])
    return Question(
        [f"Rolling back run {status.run} {foreseen.summary}."],
        [f"{one.object}: {one.message}" for one in foreseen.blocked],
        [f"{one.object}: {one.message}" for one in foreseen.written],
    )


def _cutover(watched: Watched, status: RunStatus) -> Question:
    assert status.following is not None
    says = [
        f"Writers of {status.source} are stopped, their last changes arrive, sequences are set,"
        f" and applications write to {watched.title}.",
        "If that takes longer than the limit (5 seconds), it is taken back, and applications write"
        " where they did before.",
        f"Rehearsed {status.following.rehearsed}."
        if status.following.rehearsed
        else "Nothing was rehearsed.",
    ]
    return Question(says, list(status.following.hindrances))


ACTIONS = (
    Action(
        "verify",
        "Verify again",
        lambda watched, run: _of_both(watched, "verify"),
        _may_be_compared,
        _says("Every row of {source} and of {target} is compared. Nothing is changed."),
    ),
    Action(
        "repair",
        "Repair differences",
        lambda watched, run: _of_both(watched, "verify", "--repair", "--yes"),
        _may_be_compared,
        _says(
            "Both sides are compared. Then rows of {target} are updated, inserted and deleted until"
            " they equal those of {source}, and compared again.",
            "Old rows are set aside; a rollback of the repair puts them back.",
        ),
        is_grave=True,
    ),
    Action(
        "rehearse",
        "Rehearse the cutover",
        lambda watched, run: ("cutover", "--rehearse"),
        _in(Phase.FOLLOWING),
        _says(
            "Everything of a cutover but the fence is measured. Nobody is stopped, and applications"
            " continue to write to {source}."
        ),
    ),
    Action(
        "cutover",
        "Cut over",
        lambda watched, run: ("cutover", "--yes"),
        _in(Phase.FOLLOWING),
        _cutover,
        is_grave=True,
    ),
    Action(
        "back",
        "Flip back",
        lambda watched, run: ("cutover", "--back", "--yes"),
        _in(Phase.SWITCHED),
        _says(
            "Writers of {target} are stopped, their last changes arrive, and applications write to"
            " {source} again.",
            "If that takes longer than the limit (5 seconds), it is taken back.",
        ),
        is_grave=True,
    ),
    Action(
        "finish",
        "Finish",
        lambda watched, run: ("finish", run, "--yes"),
        _in(Phase.SWITCHED),
        _says(
            "Slots, publications and everything else that following needed is removed from both"
            " servers.",
            "There is no way back to {source} after that.",
        ),
        is_grave=True,
    ),
    Action(
        "abandon",
        "Abandon",
        lambda watched, run: ("abandon", run, "--yes"),
        _in(Phase.COPYING, Phase.FOLLOWING),
        _says(
            "Slots, publications and everything else that following needed is removed from both"
            " servers. {source} is then as before.",
            "{target} keeps its copy and no longer follows {source}.",
        ),
        is_grave=True,
    ),
    Action(
        "rollback",
        "Roll back",
        lambda watched, run: ("rollback", run, "--yes"),
        _may_be_undone,
        _rollback,
        needs_source=False,
        is_grave=True,
        insisting=("--force",),
    ),
)


def actions_of(watched: Watched, status: RunStatus) -> Iterator[Action]:
    """What can be done with a run now."""
    for action in ACTIONS:
        if action.applies(status) and (watched.has_source or not action.needs_source):
            yield action


def action_named(name: str) -> Action | None:
    return next((one for one in ACTIONS if one.name == name), None)
