"""What `import windlass` offers: plan, migrate, verify, rewrite, export, load, cutover; and past
runs.

Every function takes a spec, or the database whose journal is meant, and returns a noun of
`windlass.model`. What happens during a run is passed to `emit`, as events (see
`windlass.model.event`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from windlass.errors import BadSpec, Refused, WindlassError
from windlass.flows.registry import comparison_of, flow_named
from windlass.flows.specs import read_any as read_any_spec
from windlass.model.event import Emit, Noticed, ignore
from windlass.model.flow import Flow, resolve
from windlass.model.wording import word
from windlass.recorded import Where, log_writer, open_past, with_past
from windlass.spec.model import SpecModel

if TYPE_CHECKING:  # a command needs one flow's spec, and few of the nouns
    from windlass.engines.landing import Input
    from windlass.model.cutover import Foreseen as CuttingOver
    from windlass.model.following import Ending, Phase
    from windlass.model.outcome import Outcome, RunDetail, RunStatus
    from windlass.model.past import Foreseen, Left
    from windlass.model.planned import Planned
    from windlass.model.repair import Repairing
    from windlass.model.report import Difference
    from windlass.planning.reviewed import Reviewed
    from windlass.run.conduct import HasJobs
    from windlass.spec.cutover import CutoverSpec
    from windlass.spec.export import ExportSpec
    from windlass.spec.load import LoadSpec
    from windlass.spec.migrate import Spec
    from windlass.spec.rewrite import RewriteSpec


class Differing(Protocol):
    """Takes every row that differs, however many there are, as they are found."""

    def add(self, difference: Difference) -> None: ...

    def forget(self) -> None:
        """The rows so far are compared again, after a lost snapshot or a repair."""


def read_spec(path: Path | str, **words: Any) -> SpecModel:
    """The spec in a YAML file, for any flow; `words` take precedence.

    Raises:
        BadSpec: with every fault, the nearest valid key for an unknown one.
    """
    return read_any_spec(Path(path), words)


def plan(spec: SpecModel, emit: Emit = ignore) -> Planned:
    """What a run with this spec would do. Writes nothing.

    Raises:
        Refused: with every problem, where no plan can be made.
        AlreadyFinished: there is nothing left to do.
        WindlassError: reading failed.
    """
    planned: Planned = resolve(flow_named(spec.flow).plan)(spec, emit)
    return planned


def run_spec(spec: SpecModel, emit: Emit = ignore, **given: Any) -> Outcome:
    """Run the flow that a spec is for, or resume it. `given` are keywords of that flow.

    Raises:
        BadSpec: the spec names no databases.
    """
    return _run(flow_named(spec.flow), spec, emit, **given)


def fetch(spec: LoadSpec, folder: Path) -> Sequence[Input]:
    """Fetch what a run of loads reads from elsewhere, before it begins: ``run_spec(spec,
    fetched=folder)`` takes it from that folder. What is there already is not fetched again.

    Raises:
        WindlassError: an input is not there, cannot be reached, or cannot be read.
    """
    from windlass.flows.load.fetching import fetch_inputs

    return fetch_inputs(spec, folder)


def migrate(
    spec: Spec,
    emit: Emit = ignore,
    *,
    restart: bool = False,
    reviewed: Reviewed | None = None,
    differing: Differing | None = None,
) -> Outcome:
    """Migrate, or resume where an earlier run stopped. If a plan was `reviewed`, only that plan is
    carried out. How it ended is in the outcome's state.

    Raises:
        BadSpec: the spec names no databases.
    """
    return _run(
        flow_named(spec.flow),
        spec,
        emit,
        opened=_comparing(differing),
        restart=restart,
        reviewed=reviewed,
    )


def verify(
    spec: Spec,
    emit: Emit = ignore,
    *,
    repair: Repairing | None = None,
    show_values: bool = False,
    differing: Differing | None = None,
) -> Outcome:
    """Compare both sides; with `repair`, make what differs on the target equal to the source, and
    compare again. `show_values` adds values to the differences, which otherwise only name columns.
    A pair that moves is compared as of one moment, if the spec says `follow`; with `repair`, a lost
    stream is resumed, and no process may be following.

    Raises:
        BadSpec: the spec names no databases.
    """
    from windlass.flows.follow.outline import RESYNC, VERIFY_FOLLOW
    from windlass.flows.repair.outline import VERIFY
    from windlass.model.outcome import State  # as below: a plan needs no outcome

    started = time.perf_counter()
    opened = _comparing(differing, show_values=show_values)
    flow = comparison_of(spec.flow)
    if flow.name == VERIFY.name:  # which may repair
        flow = VERIFY
    if spec.follow:
        flow = VERIFY_FOLLOW if repair is None else RESYNC

    def run() -> Outcome:
        outcome = _conduct(flow, spec, emit, opened=opened, repair=repair)
        if outcome.course.repaired and outcome.state is State.DONE and not spec.follow:
            emit(Noticed("repaired: comparing again"))
            outcome = _conduct(flow, spec, emit, opened=opened, repaired=outcome.run)
        return replace(outcome, seconds=time.perf_counter() - started)

    return _measured(flow, spec, run)


def rewrite(spec: RewriteSpec, emit: Emit = ignore) -> Outcome:
    """Change rows of a table in place, or resume where an earlier run stopped. How it ended is in
    the outcome's state.

    Raises:
        BadSpec: the spec names no database.
    """
    return run_spec(spec, emit)


def export(
    spec: ExportSpec, emit: Emit = ignore, *, run: str = "", restart: bool = False
) -> Outcome:
    """Export, or resume where an earlier run stopped; `restart` starts over. `run` names the run.
    How it ended is in the outcome's state.

    Raises:
        BadSpec: source or warehouse cannot be understood.
    """
    return _run(flow_named("export"), spec, emit, run=run, restart=restart)


def _run(flow: Flow[Any], spec: SpecModel, emit: Emit, **given: Any) -> Outcome:
    return _measured(flow, spec, lambda: _conduct(flow, cast("HasJobs", spec), emit, **given))


def _measured(flow: Flow[Any], spec: SpecModel, run: Callable[[], Outcome]) -> Outcome:
    from windlass.run.measuring import measured  # a plan measures nothing

    if not spec.report:
        return measured(flow.name, spec, run)
    from windlass.run.reporting import reported

    return reported(flow, spec.report, lambda: measured(flow.name, spec, run))


def cutover(
    spec: CutoverSpec,
    emit: Emit = ignore,
    *,
    rehearse: bool = False,
    back: bool = False,
    ask: Callable[[CuttingOver], None] | None = None,
) -> Outcome:
    """Let applications write to the target of a run that follows its source; or, with `back`, to
    the source again. Undone if it does not succeed in time. `rehearse` measures everything but the
    fence. `ask` is called before anything is closed, and raises to stop.

    Raises:
        BadSpec: the spec names no databases.
    """
    from windlass.flows.cutover.outline import REHEARSAL

    if rehearse:
        return _measured(REHEARSAL, spec, lambda: _conduct(REHEARSAL, spec, emit, back=back))
    return _run(flow_named("cutover"), spec, emit, back=back, ask=ask)


def reopen(spec: CutoverSpec, emit: Emit = ignore, *, back: bool = False) -> Phase | None:
    """Undo what a cutover that died has left: writers continue where they were. One that was
    decided is completed instead. Does nothing in the usual case. Returns the phase of the run that
    follows, None if there is none.

    Raises:
        BadSpec: the spec names no databases.
        Refused: another cutover is in progress.
        WindlassError: a server cannot be reached.
    """
    from windlass.flows.cutover.settling import settle

    return settle(spec, emit, back=back)


def load(spec: LoadSpec, emit: Emit = ignore) -> Outcome:
    """Load inputs into tables, or resume where an earlier run stopped. How it ended, and what
    happened to the rows, is in the outcome.

    Raises:
        BadSpec: the spec names no target.
    """
    return run_spec(spec, emit)


def _conduct(flow: Flow[Any], spec: HasJobs, emit: Emit, **given: Any) -> Outcome:
    from windlass.run.conduct import conduct  # a plan runs nothing
    from windlass.run.logbook import logged
    from windlass.run.tracing import tracing

    is_logged = flow.journalled is not None or flow.name == "cutover"  # of the run that follows
    write = log_writer(spec) if is_logged else None
    with (
        tracing(flow.name, emit) as traced,
        logged(flow.words.noun, spec, traced.emit, write) as book,
    ):
        outcome = conduct(flow, spec, book.emit, **given)
        book.ended(outcome)
        traced.ended(outcome)
    return outcome


def _comparing(differing: Differing | None, *, show_values: bool = False) -> Any:
    """Where the differences of each attempt go."""

    def opened(run: Any) -> None:
        run.show_values = show_values
        if differing is not None:
            differing.forget()
            run.on_difference = differing.add

    return opened


def _no_question(ending: Ending) -> None:
    """Do it without asking."""


# Runs of the past. `where` is a target, whose journal has them, or a spec of any flow.


def status(where: Where, *, looking: bool = False) -> list[RunStatus]:
    """Every run that is known there, the newest first. `looking`: change nothing there, not even
    the version of an older journal; one that cannot be read as it is, is refused.

    Raises:
        WindlassError: it cannot be read.
    """
    with open_past(where, "windlass status", looking=looking) as past:
        return past.statuses()


def read_run(where: Where, run: str, *, looking: bool = False) -> RunDetail:
    """One run. `looking` as of `status`.

    Raises:
        Refused: no such run is known there.
        WindlassError: it cannot be read.
    """
    with open_past(where, "windlass status", looking=looking) as past:
        return past.detail(run)


def foresee_rollback(where: Where, run: str) -> Foreseen | None:
    """What `rollback` would do; None if it has been done already.

    Raises:
        Refused: there is no such run.
        WindlassError: it cannot be read.
    """
    with open_past(where, "windlass rollback") as past:
        return past.foresee(run)


def rollback(
    where: Where,
    run: str,
    emit: Emit = ignore,
    *,
    force: bool = False,
    skip_changed: bool = False,
) -> Outcome:
    """Undo a run: what it made is dropped, and what was there before is restored. All or nothing.
    With `force`, what was written since is undone as well; with `skip_changed`, rows of a rewrite
    that others have changed since stay as they are.

    Raises:
        BadSpec: the target cannot be understood, or both are given.
    """
    if force and skip_changed:
        raise BadSpec([f"{word('force')} and {word('skip-changed')} exclude each other"])
    from windlass.model.outcome import Course, Outcome, Reason, State
    from windlass.model.past import Others
    from windlass.run.failures import not_begun, not_undone, refused

    others = Others.LOSE if force else Others.SKIP if skip_changed else Others.REFUSE
    started = time.perf_counter()
    with ExitStack() as stack:
        try:
            past = stack.enter_context(open_past(where, "windlass control", emit))
        except BadSpec:
            raise
        except WindlassError as error:
            return replace(not_begun(error), run=run)
        try:
            undone = past.roll_back(run, others)
        except Refused as error:
            return refused(error, run)
        except WindlassError as error:
            return not_undone(run, error)
    for notice in undone.stayed:
        emit(Noticed(notice))
    return Outcome(
        run,
        State.ROLLED_BACK,
        seconds=time.perf_counter() - started,
        notices=tuple(undone.stayed),
        reason=Reason(undone.message),
        course=Course(already=undone.already),
    )


def restore(where: Where, run: str, into: str, emit: Emit = ignore) -> Outcome:
    """Restore the rows that a rewrite changed, as they were before it, in the new table `into`
    (`schema.table`). The rewritten table stays as it is.

    Raises:
        BadSpec: the target or the table's name cannot be understood.
    """
    started = time.perf_counter()
    schema, point, table = into.partition(".")
    if not (schema and point and table):
        raise BadSpec([f"{word('into')}: {into!r} is not schema.table"])
    from windlass.model.outcome import Outcome, Reason, State, Totals
    from windlass.model.relation import Name
    from windlass.run.failures import not_undone, refused

    try:
        with open_past(where, "windlass control", emit) as past:
            undone = past.restore(run, Name(schema, table))
    except BadSpec:
        raise
    except Refused as error:
        return refused(error, run)
    except WindlassError as error:
        return not_undone(run, error)
    seconds = time.perf_counter() - started
    emit(Noticed(undone.message))
    return Outcome(
        run,
        State.DONE,
        seconds=seconds,
        source=into,
        notices=(undone.message,),
        reason=Reason(undone.message),
        totals=Totals(counts={"restored": undone.rows}),
    )


def finish(
    spec: Spec, run: str = "", emit: Emit = ignore, *, ask: Callable[[Ending], None] = _no_question
) -> Outcome:
    """End a run that follows, after its cutover: whatever it made beside the tables is removed from
    both servers. Without `run`, the only one there is. `ask` may raise to leave all as it is.

    Raises:
        BadSpec: the spec names no databases.
    """
    from windlass.model.following import Phase

    return _end(spec, run, Phase.FINISHED, emit, ask)


def abandon(
    spec: Spec, run: str = "", emit: Emit = ignore, *, ask: Callable[[Ending], None] = _no_question
) -> Outcome:
    """Give up a run that follows, before its cutover: nothing is left on the source, and the target
    keeps its copy. `run` and `ask` as of `finish`.

    Raises:
        BadSpec: the spec names no databases.
    """
    from windlass.model.following import Phase

    return _end(spec, run, Phase.ABANDONED, emit, ask)


def _end(spec: Spec, run: str, end: Phase, emit: Emit, ask: Callable[[Ending], None]) -> Outcome:
    def ended() -> Outcome:
        return _end_following(spec, run, end, emit, ask)

    if not spec.report:
        return ended()
    from windlass.run.reporting import reported

    return reported(flow_named("follow"), spec.report, ended, lambda one: with_past(spec, one))


def _end_following(
    spec: Spec, run: str, end: Phase, emit: Emit, ask: Callable[[Ending], None]
) -> Outcome:
    from windlass.flows.follow.ending import end_following  # few commands need it
    from windlass.run.failures import not_undone, refused

    try:
        return end_following(spec, run, end, emit, ask)
    except BadSpec:
        raise
    except Refused as error:
        return refused(error, run)
    except WindlassError as error:
        return not_undone(run, error)


def read_left(where: Where, run: str = "") -> list[Left]:
    """What ended runs have left there; or one of them.

    Raises:
        Refused: there is no such run, or it is unfinished.
        WindlassError: it cannot be read.
    """
    with open_past(where, "windlass clean") as past:
        return past.left(run)


def clean(where: Where, lefts: Sequence[Left], emit: Emit = ignore) -> None:
    """Remove it permanently.

    Raises:
        Refused: something else depends on it.
        WindlassError: it cannot be reached.
    """
    with open_past(where, "windlass control", emit) as past:
        past.clean(lefts)
