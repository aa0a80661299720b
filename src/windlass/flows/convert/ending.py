"""How a migration into another engine ended: its outcome, from the journal and the results of its
steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Protocol

from windlass.errors import Different, WindlassError
from windlass.flows.validate.verdict import compared, differing_rows, level_of
from windlass.model.conversion import ConversionPlan
from windlass.model.flow import Result
from windlass.model.load import LoadRun
from windlass.model.outcome import (
    NO_REASON,
    Course,
    Outcome,
    Proof,
    Reason,
    RelationOutcome,
    State,
    Totals,
)
from windlass.model.report import Differs, Loss, unaccepted
from windlass.model.snapshot import Snapshot
from windlass.run.story import Story
from windlass.spec.migrate import Spec

Lines = Mapping[str, Mapping[str, Mapping[str, Any]]]
_LOSING = ("validate_foreign_keys", "create_views")  # steps whose rows can cause losses


class Ended(Protocol):
    at: LoadRun | None
    story: Story

    @property
    def spec(self) -> Spec: ...

    @property
    def plan(self) -> ConversionPlan: ...

    def result(self, step: str) -> Result: ...


def check(run: Ended) -> None:
    """Raises:
    Different: the sides differ, or rows caused losses that nobody has accepted.
    """
    found = run.story.differences
    lost = unaccepted(_late_losses(run), run.spec.accept)
    if found or lost:
        raise Different(found, losses=lost)


def _late_losses(run: Ended) -> list[Loss]:
    return [Loss.from_json(one) for step in _LOSING for one in run.result(step).get("losses", ())]


def outcome_of(run: Any, state: State, reason: Reason = NO_REASON) -> Outcome:
    plan: ConversionPlan = run.plan
    lines: Lines = {}
    with suppress(WindlassError):  # the target is unreachable: report what is known
        if run.at is not None and (found := run.target.read(plan.run)) is not None:
            lines = found.lines
    differences = tuple(run.story.differences)
    parts = compared({}, {}, run.result("find_differences"))
    outcome = Outcome(
        run=plan.run,
        state=state,
        relations=tuple(_relations(run, lines, level_of(parts))),
        losses=tuple(dict.fromkeys((*plan.losses, *_late_losses(run)))),
        snapshots=tuple(_snapshots(lines)),
        notices=plan.notices,
        source=plan.source,
        target=plan.target,
        reason=reason,
        proof=Proof(level_of(parts), parts, differences, differing_rows(differences)),
        totals=Totals(sequences=run.result("set_sequences").get("sequences", 0)),
        course=Course(resumed=len(lines.get("snapshots", {})) > 1),
    )
    completed: Outcome = run.story.complete(outcome)
    return completed


def _snapshots(lines: Lines) -> Iterator[Snapshot]:
    found = lines.get("snapshots", {})
    yield from (Snapshot(**one) for _, one in sorted(found.items(), key=lambda it: int(it[0])))


def _relations(run: Any, lines: Lines, level: str) -> Iterator[RelationOutcome]:
    copied = lines.get("copy_tables", {})
    found = run.result("find_differences")
    differs = dict.fromkeys(found.get("differing", ()), Differs.ROWS)
    differs |= dict.fromkeys(run.result("read_both_sides").get("missing", ()), Differs.MISSING)
    for table in run.plan.tables:
        line = copied.get(str(table.source), {})
        name = str(table.target)
        yield RelationOutcome(
            source=str(table.source),
            target=name,
            rows=line.get("rows", found.get("counted", {}).get(name, 0)),
            bytes=line.get("bytes", 0),
            chunks=max(len(table.chunks), 1),
            seconds=line.get("seconds", 0.0),
            snapshots=(line["snapshot"],) if line else (),
            verified="" if name in differs else level,
            differs=differs.get(name, Differs.NOT),
        )
