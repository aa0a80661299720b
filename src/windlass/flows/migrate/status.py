"""Reports a migration: in one line, and in detail."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from windlass.engines.postgres.lock import control_name, read_holder
from windlass.engines.postgres.session import Connection
from windlass.flows.migrate.outline import MIGRATE
from windlass.flows.migrate.portions import TRANSFERS, expected_items
from windlass.journal import records
from windlass.journal.records import Line
from windlass.model.outcome import (
    Kept,
    Progress,
    RelationProgress,
    RunDetail,
    RunStatus,
    State,
    StepStatus,
)
from windlass.model.plan import Plan


def migration_status(connection: Connection, run: records.Run) -> RunStatus:
    plan = records.read_plan(connection, run.run)
    return _status(connection, run, plan, records.read_lines(connection, run.run))


def _status(
    connection: Connection, run: records.Run, plan: Plan, lines: Sequence[Line]
) -> RunStatus:
    holder = read_holder(connection)
    copied = {line.item for line in lines if line.step in TRANSFERS}
    done = [item for item in plan.relations if all(chunk.id in copied for chunk in item.chunks)]
    return replace(
        run.status,
        progress=Progress(
            relations_done=len(done),
            relations=len(plan.relations),
            rows=sum(line.rows for line in lines),
            bytes=sum(line.size_bytes for line in lines),
            bytes_planned=plan.size_bytes,
            step=lines[-1].step if lines else "",
        ),
        kept=Kept(set_aside=len(plan.set_aside)),
        active=holder.startswith(control_name(run.run)) and run.state is State.RUNNING,
    )


def migration_detail(connection: Connection, run: records.Run) -> RunDetail:
    plan = records.read_plan(connection, run.run)
    return detail_of(connection, run, plan, records.read_lines(connection, run.run))


def detail_of(
    connection: Connection, run: records.Run, plan: Plan, lines: Sequence[Line]
) -> RunDetail:
    """`migration_detail`, of a plan and lines that have been read."""
    done = Counter(line.step for line in lines)
    seconds: dict[str, float] = defaultdict(float)
    for line in lines:
        seconds[line.step] += line.seconds
    steps = [
        StepStatus(name, done[name], max(len(items), done[name]), seconds[name])
        for name, items in _in_order(expected_items(plan)).items()
        if items
    ]
    return RunDetail(
        _status(connection, run, plan, lines),
        run.outcome,
        str(plan.target),
        plan.made.version,
        plan.made.options,
        tuple(steps),
        relations=tuple(_relations(plan, lines)),
    )


def _relations(plan: Plan, lines: Sequence[Line]) -> Iterator[RelationProgress]:
    """Of each relation with rows, in the plan's order."""
    copied = {line.item: line for line in lines if line.step in TRANSFERS}
    for item in plan.relations:
        found = [copied[chunk.id] for chunk in item.chunks if chunk.id in copied]
        yield RelationProgress(
            str(item.target),
            rows=sum(line.rows for line in found),
            bytes=sum(line.size_bytes for line in found),
            bytes_planned=sum(chunk.size_bytes for chunk in item.chunks),
            chunks_done=len(found),
            chunks=len(item.chunks),
            seconds=sum(line.seconds for line in found),
        )


def _in_order(items: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    return {step.name: items[step.name] for step in MIGRATE.steps if step.name in items}
