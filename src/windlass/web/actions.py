"""What can be done with a run from the page: commands of the command line, after a confirmation.

A command runs in a separate process, which finds the addresses of both databases in its
environment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from windlass import api
from windlass.errors import Refused
from windlass.model.following import Phase
from windlass.model.outcome import RunDetail, RunStatus, State
from windlass.spec.cutover import CutoverSpec
from windlass.web.comparing import comparing
from windlass.web.watched import Watched

Arguments = Callable[[Watched, RunDetail], tuple[str, ...]]
COPYING = ("migrate", "translate", "follow")  # flows whose runs `verify` compares


@dataclass(frozen=True, slots=True)
class Question:
    """What a person must confirm before a command runs. `blocked`: why it cannot run."""

    says: Sequence[str]
    blocked: Sequence[str] = ()
    loses: Sequence[str] = ()  # what others have written, and forcing it would lose


@dataclass(frozen=True, slots=True)
class Action:
    """`arguments` returns those of `windlass`, or refuses; `applies` is whether the run's state
    allows it."""

    name: str
    label: str  # on its button
    arguments: Arguments
    applies: Callable[[RunStatus], bool]
    asks: Callable[[Watched, RunStatus], Question]
    needs_source: bool = True
    is_grave: bool = False  # it changes what applications use, or removes what is there
    insisting: tuple[str, ...] = ()  # more arguments, which discard what others have written


def _verify(*more: str) -> Arguments:
    return lambda watched, detail: ("verify", *comparing(watched, detail), *more)


def _cut_over(*more: str) -> Arguments:
    """With the spec file of a cutover, if the page has one."""

    def made(watched: Watched, detail: RunDetail) -> tuple[str, ...]:
        file = watched.file_words if isinstance(watched.spec, CutoverSpec) else ()
        return ("cutover", *file, *more)

    return made


def _of_run(verb: str) -> Arguments:
    return lambda watched, detail: (verb, detail.status.run, "--yes")


def _may_be_compared(status: RunStatus) -> bool:
    ended = status.state in (State.DONE, State.DIFFERENT, State.LOSSY)
    return ended and not status.active and status.flow in COPYING


def _in(*phases: Phase) -> Callable[[RunStatus], bool]:
    return lambda status: status.following is not None and status.following.phase in phases


def _may_be_undone(status: RunStatus) -> bool:
    if status.active or status.state in (State.ROLLED_BACK, State.REFUSED):
        return False
    return status.following is None or status.following.phase is Phase.ABANDONED


def _says(*sentences: str) -> Callable[[Watched, RunStatus], Question]:
    return lambda watched, status: Question(
        [
            one.format(source=status.source, target=watched.title, limit=_limit(watched))
            for one in sentences
        ]
    )


def _limit(watched: Watched) -> str:
    """The limit of the time in which nobody can write."""
    if watched.freeze_limit:
        return watched.freeze_limit
    spec = watched.spec if isinstance(watched.spec, CutoverSpec) else CutoverSpec()
    return spec.max_freeze


def _compares(*sentences: str) -> Callable[[Watched, RunStatus], Question]:
    """The source is the page's, which may differ from the run's."""

    def asked(watched: Watched, status: RunStatus) -> Question:
        source = watched.source_title
        says = [one.format(source=source, target=watched.title) for one in sentences]
        if status.source.split(" (")[0] != source:
            says.append(f"Run {status.run} is from {status.source}. Are both the same database?")
        return Question(says)

    return asked


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
        f"Writes to {status.source} are stopped, the last changes are applied, sequences are set,"
        f" and from then on applications write to {watched.title}.",
        f"If that takes longer than the limit ({_limit(watched)}), it is undone, and"
        " applications keep writing where they do now.",
        f"Rehearsed {status.following.rehearsed}."
        if status.following.rehearsed
        else "It has not been rehearsed.",
    ]
    return Question(says, list(status.following.blockers))


ACTIONS = (
    Action(
        "verify",
        "Verify again",
        _verify(),
        _may_be_compared,
        _compares(
            "Every row that the command below selects is compared, of {source} and of {target}."
            " Nothing is changed."
        ),
    ),
    Action(
        "repair",
        "Repair differences",
        _verify("--repair", "--yes"),
        _may_be_compared,
        _compares(
            "Both sides are compared, as far as the command below selects rows. Then rows of"
            " {target} are updated, inserted and deleted until they equal those of {source}, and"
            " compared again.",
            "Old rows are set aside; a rollback of the repair puts them back.",
        ),
        is_grave=True,
    ),
    Action(
        "rehearse",
        "Rehearse the cutover",
        _cut_over("--rehearse"),
        _in(Phase.FOLLOWING),
        _says(
            "Everything of a cutover but the fence is measured. Nobody is stopped, and applications"
            " continue to write to {source}."
        ),
    ),
    Action(
        "cutover",
        "Cut over",
        _cut_over("--yes"),
        _in(Phase.FOLLOWING),
        _cutover,
        is_grave=True,
    ),
    Action(
        "back",
        "Flip back",
        _cut_over("--back", "--yes"),
        _in(Phase.SWITCHED),
        _says(
            "Writes to {target} are stopped, the last changes are applied, and applications write"
            " to {source} again.",
            "If that takes longer than the limit ({limit}), it is undone.",
        ),
        is_grave=True,
    ),
    Action(
        "finish",
        "Finish",
        _of_run("finish"),
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
        _of_run("abandon"),
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
        _of_run("rollback"),
        _may_be_undone,
        _rollback,
        needs_source=False,
        is_grave=True,
        insisting=("--force",),
    ),
)


def actions_of(watched: Watched, status: RunStatus) -> Iterator[Action]:
    """What can be done with a run now. Nothing, if the journal cannot record who did it."""
    if not watched.records_acts:
        return
    for action in ACTIONS:
        if action.applies(status) and (watched.has_source or not action.needs_source):
            yield action


def action_named(name: str) -> Action | None:
    return next((one for one in ACTIONS if one.name == name), None)
