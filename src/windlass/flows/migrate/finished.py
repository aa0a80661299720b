"""What the same command does after its migration is finished: it reports that, and how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from windlass.engines.postgres.catalog import read_emptiness
from windlass.engines.postgres.presence import read_presence
from windlass.engines.postgres.session import Connection
from windlass.errors import AlreadyFinished, Refused
from windlass.journal import door, records
from windlass.model.outcome import Outcome, Reason, State
from windlass.model.plan import Plan
from windlass.model.relation import Name
from windlass.model.report import Problem, unaccepted
from windlass.model.wording import word
from windlass.spec.choices import Existing, Verify
from windlass.spec.migrate import Spec

FINISHED = (State.DONE, State.DIFFERENT, State.LOSSY)
_LEVELS = ("", "counts", "full")


def check_finished(target: Connection, source: str, spec: Spec, *, restart: bool) -> None:
    """`source` is the source's identity. With `existing: replace` the same command replaces
    existing relations again.

    Raises:
        AlreadyFinished: this migration is finished, and what it made still exists.
        Refused: it is finished, and a restart or a stricter verification was requested.
    """
    if spec.existing is Existing.REPLACE or not door.exists(target):
        return
    runs = records.read_migrations(target)
    config = spec.config()
    found = next(
        (
            run
            for run in runs
            if run.state in FINISHED
            and run.source == source
            and run.config == config
            and run.flow == spec.flow
        ),
        None,
    )
    if found is None:
        return
    plan = records.read_plan(target, found.run)
    if any(_has_replaced(target, later, plan) for later in runs[: runs.index(found)]):
        return
    outcome = found.outcome or Outcome(found.run, found.state)
    if not _is_there(target, plan, outcome):
        return
    if restart:
        message = f"has finished this migration; {word('restart')} undoes only what is unfinished"
        way = f"undo it first: windlass rollback {found.run}"
        raise Refused([Problem(f"run {found.run}", message, way)])
    if plan.how.copies_rows and _LEVELS.index(outcome.proof.verified) < _level(spec):
        compared = outcome.proof.verified or "nothing"
        message = f"finished this migration at {_when(found)}, and compared {compared}"
        raise Refused([Problem(f"run {found.run}", message, "compare now: windlass verify")])
    raise AlreadyFinished(_as_finished(found, outcome, spec))


def _level(spec: Spec) -> int:
    return 0 if spec.verify_ is Verify.NONE else _LEVELS.index(spec.verify_.value)


def _as_finished(run: records.Run, outcome: Outcome, spec: Spec) -> Outcome:
    state = run.state
    if state is State.LOSSY and not unaccepted(outcome.losses, spec.accept):
        state = State.DONE
    return replace(
        outcome,
        state=state,
        course=replace(outcome.course, already=True),
        reason=Reason(
            f"run {run.run} finished this migration at {_when(run)}",
            f"to undo it: windlass rollback {run.run}",
        ),
    )


def _when(run: records.Run) -> str:
    """To the second; our sessions are in UTC."""
    return f"{run.finished_at[:19]} UTC"


def _has_replaced(target: Connection, later: records.Run, plan: Plan) -> bool:
    if later.state is State.ROLLED_BACK:
        return False
    aside = {item.name for item in records.read_plan(target, later.run).set_aside}
    return not aside.isdisjoint(plan.targets)


def _is_there(target: Connection, plan: Plan, outcome: Outcome) -> bool:
    """Whether everything that the run made or filled still exists and is not empty."""
    present = read_presence(target, side="target")
    if any(name not in present for name in plan.targets):
        return False
    targets = {str(item.target): item.target for item in plan.relations}
    filled: Sequence[Name] = [targets[one.target] for one in outcome.relations if one.rows]
    return not any(read_emptiness(target, filled).values())
