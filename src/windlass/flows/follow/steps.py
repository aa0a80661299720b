"""The steps of the flow `follow` that `migrate` does not have."""

from __future__ import annotations

from windlass.errors import Different
from windlass.flows.follow.context import BEGUN, CATCH_UP, Following
from windlass.flows.follow.positions import read_starts
from windlass.flows.follow.pursuit import pursue, pursue_until
from windlass.flows.follow.source_side import end_stream, identify_target
from windlass.flows.migrate.ending import check_complete, notice_snapshots
from windlass.flows.migrate.steps import summary
from windlass.model.flow import ONE, Item, Result
from windlass.model.outcome import State


def catch_up(run: Following, _: Item) -> Result:
    """First set the identities that the source has got. Then apply changes up to the last snapshot,
    if there is more than one: once this is journalled, all rows are as of one moment."""
    identify_target(run)
    starts = read_starts(run)
    if len(set(starts.values())) > 1 and ONE.id not in run.lines(CATCH_UP):
        run.once(CATCH_UP, BEGUN, lambda _: {})
        pursue_until(run, max(starts.values()))
    return run.once(CATCH_UP, ONE.id, lambda _: {})


def end_copy(run: Following, _: Item) -> Result:
    """Check that the copy is complete and equal.

    Raises:
        Different: it is not, or the rows caused a loss that was not accepted; nothing is followed.
    """
    check_complete(run, run.journal, is_over=run.stage.is_over)
    notice_snapshots(run, run.journal)
    lost = run.unaccepted_losses()
    if run.differences or lost:
        end_stream(run)
        outcome = run.outcome(State.DIFFERENT if run.differences else State.LOSSY)
        raise Different(run.differences, summary(outcome), losses=lost)
    outcome = run.outcome(State.RUNNING)  # says what was proven, to whoever resumes
    run.journal.end(run.sessions().target(), State.RUNNING, outcome)
    return {}


def follow(run: Following, _: Item) -> Result:
    """Apply what is written to the source, until the run is finished or abandoned."""
    pursue(run)
