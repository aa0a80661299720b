"""The context of a comparison of two databases that change all the time: like `validate`, at one
moment of both."""

from __future__ import annotations

import time
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

from windlass.engines.postgres.replication.lsn import text
from windlass.engines.postgres.replication.server import read_replication_relations
from windlass.errors import Different, Refused
from windlass.flows.follow.moment import Moment, leave_out, one_moment
from windlass.flows.follow.removal import Session, writing
from windlass.flows.validate.context import Comparison
from windlass.flows.validate.definitions import validate_schema
from windlass.flows.validate.steps import generate_validation_report, read_both_sides
from windlass.flows.validate.verdict import LEFT_OUT
from windlass.journal import records
from windlass.journal.following import note_detail, read_phase
from windlass.model.event import Noticed
from windlass.model.flow import Item, Result
from windlass.model.outcome import State
from windlass.model.plan import Plan
from windlass.model.report import Problem
from windlass.model.units import plural, several
from windlass.model.wording import word
from windlass.spec.choices import Verify

DIFFERENCES = "with differences"
MOST_NAMED = 5
FENCE = "default_transaction_read_only"  # the setting that closes a database


class MovingComparison(Comparison):
    """Both sides are read as of one position of the stream, so every difference is real."""

    _moment: Moment | None = None

    def __init__(self, *given: Any, **words: Any) -> None:
        super().__init__(*given, **words)
        self._kept = ExitStack()

    def __exit__(self, *fault: object) -> None:
        super().__exit__(*fault)
        self._kept.close()

    def begin_reading(self) -> None:
        """Raises:
        Refused: nothing follows, or a repair was asked for.
        """
        if self.repair is not None:
            message = "rows that are followed are not repaired while both sides move"
            hint = "look at the differences: what follows has no part in a row that others changed"
            raise Refused([Problem(word("repair"), message, hint)])
        hold = self.hold
        hold.connect()
        moment = self._kept.enter_context(one_moment(hold.source, hold.target))
        hold.read_within(moment.source_snapshot, text(moment.lsn))
        hold.target_within = moment.target_snapshot
        self._moment = moment
        super().begin_reading()

    @property
    def is_fenced(self) -> bool:
        """Whether a cutover keeps one side closed."""
        return self._moment is not None and self._moment.is_fenced

    def settle_strays(self) -> None:
        """Settle what others wrote to the side that follows: both sides are equal, so it was undone
        or made on both. Only if all rows of the run were compared."""
        assert self._moment is not None, "nothing has been compared"
        strays = self._moment.strays
        if strays is None:
            return
        if self.spec.verify_ is not Verify.FULL or self._leaves_some_out():
            self.emit(
                Noticed(
                    f"others have written to {strays.first}: that still blocks a cutover, as not"
                    " all rows of the run were compared"
                )
            )
            return
        leave_out(self.hold.target, self._moment.run, strays)
        self.emit(
            Noticed(
                f"others had written to {strays.first}, and both sides are equal: what they wrote"
                f" before {text(strays.lsn)} no longer blocks a cutover"
            )
        )

    def _leaves_some_out(self) -> bool:
        assert self._moment is not None, "nothing has been compared"
        with writing(self.hold.target, "windlass verify") as journal:
            return leaves_some_out(journal, self._moment.run, self.plan)

    def note(self, state: State) -> None:
        """Note the result for `windlass status` and for a cutover. If only some tables were
        compared and are equal, earlier differences stay noted."""
        assert self._moment is not None, "nothing has been compared"
        level, run = self.spec.verify_, self._moment.run
        is_equal = state is State.DONE
        what = f"{level}, equal" if is_equal else f"{level}, {DIFFERENCES}"
        with writing(self.hold.target, "windlass verify") as journal:
            if leaves_some_out(journal, run, self.plan):
                found = read_phase(journal, run)
                if is_equal and found and DIFFERENCES in str(found[1].get("verified")):
                    return
                what += f" ({plural(len(self.plan.relations), 'table')} of the run)"
            note_detail(journal, run, verified_now(what))


def verified_now(what: str) -> dict[str, Any]:
    """The result of a comparison, as details of the run that follows."""
    at = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return {"verified": f"{what}, at {at}", "verified_at": time.time()}


def leaves_some_out(journal: Session, run: str, plan: Plan) -> bool:
    """Whether `plan` compares only some relations of the run that follows."""
    compared = {one.relation.identity for one in plan.relations}  # names may have changed
    of_run = records.read_plan(journal, run)
    return not compared.issuperset(one.relation.identity for one in of_run.relations)


def read_moving_sides(run: MovingComparison, item: Item) -> Result:
    """Like `validate`, but without rows that no stream carries: a cutover copies them."""
    found = read_both_sides(run, item)
    source, target = run.sessions().source(run.snapshot.id), run.sessions().target()
    there = read_replication_relations(source, side="source")
    here = read_replication_relations(target, side="target")
    unlogged = [
        one.target
        for one in run.plan.relations
        if any(
            side[name].is_unlogged
            for side, name in ((there, one.relation.name), (here, one.target))
            if name in side
        )
    ]
    if unlogged:
        names = several([str(name) for name in unlogged], MOST_NAMED)
        run.emit(Noticed(f"unlogged, so not compared: {names}; a cutover copies them again"))
    without = [*found["without_rows"], *map(str, unlogged)]
    return {**found, "without_rows": without, LEFT_OUT: [*map(str, unlogged)]}


def large_objects_not_in_stream(run: Comparison, _: Item) -> Result:
    """Large objects are not compared: until a cutover copies them again, they are behind."""
    if run.plan.objects.large_objects.count:
        run.emit(Noticed("large objects are not compared: a cutover copies them again"))
    return {}


def compare_definitions(run: MovingComparison, item: Item) -> Result:
    """As of `validate`, without what a cutover has set to close a side."""
    found = validate_schema(run, item)
    return without_fence(found) if run.is_fenced else found


def without_fence(found: Result) -> Result:
    """The result of comparing definitions, without the setting by which a cutover closes a side."""
    kept = [one for one in found.get("differences", ()) if FENCE not in str(one)]
    return {**found, "differences": kept}


def sequences_not_in_stream(run: Comparison, _: Item) -> Result:
    """Sequences are not compared: until a cutover sets them, they are behind, which is no
    difference."""
    run.emit(Noticed("sequences are not compared: a cutover sets them"))
    return {}


def report_comparison(run: MovingComparison, item: Item) -> Result:
    """As of `validate`; the result is noted where following is journalled.

    Raises:
        Different: there are differences.
    """
    try:
        found = generate_validation_report(run, item)
    except Different:
        run.note(State.DIFFERENT)
        raise
    run.note(State.DONE)
    run.settle_strays()
    return found
