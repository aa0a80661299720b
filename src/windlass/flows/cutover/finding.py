"""Finds the run that is cut over, checks that both sides are those of it, and reads its plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from windlass.engines.postgres.lock import name_session
from windlass.errors import AlreadyFinished, Refused
from windlass.flows.cutover.context import CuttingOver
from windlass.flows.cutover.leading import lead_applications
from windlass.flows.follow.renamed import with_present_names
from windlass.flows.follow.unfollowed import more_sequences
from windlass.following.order import Order, Session
from windlass.following.reopening import FORTH, OPENING, UNLED, cutting_over, reopen
from windlass.following.sequences import Pairs, turned
from windlass.journal import door, records
from windlass.journal.following import note_detail, read_followed, read_phase
from windlass.model.event import Noticed
from windlass.model.following import Phase
from windlass.model.outcome import Course, Cutover, Outcome, Reason, State
from windlass.model.plan import Plan
from windlass.model.relation import Name
from windlass.model.report import Problem
from windlass.model.wording import word

_IDENTITY = (
    "select concat_ws('/', (select system_identifier from pg_control_system()), current_database())"
)
_BACK = f"windlass cutover {word('back')}"
_FORTH = "windlass cutover"


def find_run(run: CuttingOver) -> None:
    """Open both sides, and settle what a cutover that died has left of the run.

    Raises:
        Refused: nothing follows there, or these are other databases.
        AlreadyFinished: it is where it should be.
    """
    phase = settle_run(run)
    if phase is None:
        message = "no run follows into it"
        raise Refused([Problem("target", message, f"begin one: windlass migrate {word('follow')}")])
    _check_phase(run, phase)


def settle_run(run: CuttingOver) -> Phase | None:
    """The phase of the run, once what a cutover that died has left of it is undone or completed;
    None if nothing follows there.

    Raises:
        Refused: another cutover is in progress, or these are other databases.
    """
    target = run.connections.open("target")
    found = read_followed(target) if door.exists(target) else []
    if not found:
        return None
    name = found[0][0]
    run.connections.run = name
    name_session(target, f"windlass cutover {name}")
    source = run.connections.open("source")
    detail = (read_phase(target, name) or (None, {}))[1]
    plan = run.plan = with_present_names(records.read_plan(target, name), detail)
    _check_identities(plan, source, target)
    more = more_sequences(source, target, plan, detail)
    run.plan = replace(plan, sequences=(*plan.sequences, *more))
    run.names = str(plan.source), str(plan.target)
    run.use(source, target)
    with cutting_over(target):
        phase = reopen(
            name,
            target,
            lambda: run.connections.open("source"),
            lambda text: run.emit(Noticed(text)),
            pool=run.pool,
        )
    if phase is run.way.ends and (detail.get(OPENING) is not None or detail.get(UNLED)):
        lead_applications(run, run.pair.opened)
        if run.spec.on_switch:  # without one, a command that has one still has to redirect them
            note_detail(target, run.run_id, {UNLED: None})
    return phase


def _check_identities(plan: Plan, source: Session, target: Session) -> None:
    found = []
    for side, session, planned in (
        ("source", source, plan.source),
        ("target", target, plan.target),
    ):
        row: Any = session.execute(_IDENTITY).fetchone()
        if row[0] != planned.identity:
            message = f"is another database than that of run {plan.run}, which is {planned}"
            found.append(Problem(side, message, f"name the {side} of that run"))
    if found:
        raise Refused(found)


def _check_phase(run: CuttingOver, phase: Phase) -> None:
    if phase is run.way.begins:
        return
    if phase is run.way.ends:
        where = "target" if run.way is FORTH else "source"
        message = f"applications write to the {where} already"
        raise AlreadyFinished(
            Outcome(
                run.run_id,
                State.DONE,
                source=run.names[0],
                target=run.names[1],
                reason=Reason(message, f"the other way: {_BACK if run.way is FORTH else _FORTH}"),
                course=Course(already=True),
                cutover=Cutover(str(run.way.direction), str(phase)),
            )
        )
    problem = Problem(f"run {run.run_id}", f"is {phase}", "wait until all rows are copied")
    raise Refused([problem])


def read_detail(run: CuttingOver) -> dict[str, Any]:
    """What the journal knows about the run, apart from its phase."""
    found = read_phase(run.pair.journal, run.run_id)
    return found[1] if found else {}


def order_of(run: CuttingOver) -> Order:
    assert run.plan is not None
    plan, spec = run.plan, run.spec
    relations: Sequence[Name]
    pairs: Pairs
    if run.way is FORTH:
        relations = [item.relation.name for item in plan.relations]
        pairs = plan.sequences
    else:
        relations = [item.target for item in plan.relations]
        pairs = turned(plan.sequences)
    return Order(
        run.run_id,
        run.way,
        relations,
        pairs,
        spec.fence,
        run.pool,
        spec.spare,
        leads=bool(spec.on_switch),
    )
