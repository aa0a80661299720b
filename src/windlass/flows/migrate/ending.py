"""The outcome of a migration, from its journal and the results of its steps."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import psycopg

from windlass.errors import RunLost
from windlass.flows.migrate.portions import SET_SEQUENCES, TRANSFERS, expected_items
from windlass.flows.migrate.resuming import snapshot_notice
from windlass.flows.migrate.sums import is_noted
from windlass.flows.sides import Sides
from windlass.flows.validate import verdict
from windlass.journal import records
from windlass.journal.journal import Journal
from windlass.journal.records import Line
from windlass.model.account import Timeline
from windlass.model.event import Noticed
from windlass.model.outcome import Compared, Outcome, RelationOutcome, State, Totals
from windlass.model.report import Loss
from windlass.model.snapshot import Snapshot
from windlass.run.accounting import timeline_of, utc_text


def outcome_of(run: Sides, journal: Journal, outcome: Outcome) -> Outcome:
    """The outcome, with everything known about its run."""
    with contextlib.suppress(psycopg.Error):  # the target cannot be reached: report what is known
        journal.read(run.control)
    plan = run.plan
    if run.story.is_shared:
        outcome = replace(
            outcome,
            course=replace(outcome.course, phases=_phases(run)),
            account=replace(outcome.account, timeline=_timeline(run)),
        )
    totals = Totals(
        sequences=len(plan.sequences) if journal.lines(SET_SEQUENCES) else 0,
        set_aside=len(plan.set_aside) if journal.lines("create_target_schema") else 0,
    )
    return replace(
        verdict.with_findings(run, outcome),
        relations=tuple(_relations(run, journal)),
        snapshots=tuple(_snapshots(run)),
        totals=totals,
    )


def _phases(run: Sides) -> dict[str, float]:
    """How long each step took, whichever processes did it."""
    with contextlib.suppress(psycopg.Error):
        return records.read_spans(run.control, run.plan.run)
    return {}


def _timeline(run: Sides) -> Timeline:
    """The same for all that a report shows."""
    with contextlib.suppress(psycopg.Error):
        (found,) = records.read_runs(run.control, run.plan.run)
        work = records.read_work(run.control, run.plan.run)
        return timeline_of(run.flow, work, utc_text(found.started_at), utc_text())
    return Timeline()


def check_complete(run: Sides, journal: Journal, *, is_over: bool) -> None:
    """Check that the journal, not only this process's memory, has every piece of work.

    Raises:
        RunLost: the target lost some in a crash that no worker noticed.
    """
    if not is_over and not records.has_survived(run.control, run.plan.run):
        raise RunLost("the target crashed, which has emptied its unlogged relations")
    journal.read(run.control)
    for step, items in journal.lacking(expected_items(run.plan)).items():
        raise RunLost(f"the target has lost {len(items)} pieces of work in {step}")


def losses_in(lines: Iterable[Line]) -> list[Loss]:
    """Losses that the rows caused, in these pieces of work."""
    notes = (line.note or {} for line in lines)
    return [Loss.from_json(loss) for note in notes for loss in note.get("losses", ())]


def notice_snapshots(run: Sides, journal: Journal) -> None:
    """A notice if not everything was read from one snapshot."""
    parts, as_copied = verdict.parts_of(run.story), is_noted(run)
    later = [
        what
        for what, is_compared in (
            ("the comparison of definitions", Compared.SCHEMA in parts),
            ("the comparison of rows", Compared.COUNTS in parts and not as_copied),
            ("the comparison of large objects", run.result("validate_large_objects")),
        )
        if is_compared
    ]
    notice = snapshot_notice(
        list(_relations(run, journal)),
        journal.by_step,
        list(_snapshots(run)),
        later,
        as_copied=as_copied,
    )
    if notice:
        run.emit(Noticed(notice))


def copied_lines(journal: Journal) -> Mapping[str, Line]:
    """The journal lines of chunks, by id."""
    return {item: line for step in TRANSFERS for item, line in journal.lines(step).items()}


def _snapshots(run: Sides) -> Iterator[Snapshot]:
    with contextlib.suppress(psycopg.Error):
        yield from (one for one, _ in records.read_snapshots(run.control, run.plan.run))


def _relations(run: Sides, journal: Journal) -> Iterator[RelationOutcome]:
    lines = copied_lines(journal)
    for item, found in zip(run.plan.relations, verdict.relation_outcomes(run), strict=True):
        done = [lines[chunk.id] for chunk in item.chunks if chunk.id in lines]
        yield replace(
            found,
            rows=sum(line.rows for line in done),
            bytes=sum(line.size_bytes for line in done),
            seconds=sum(line.seconds for line in done),
            snapshots=tuple(sorted({line.snapshot or 1 for line in done})),
        )


def state_of(run: Sides, lost: tuple[Loss, ...]) -> State:
    """The state in which a run ends whose last step is running now."""
    if run.differences:
        return State.DIFFERENT
    return State.LOSSY if lost else State.DONE
