"""Reports a migration: in one line, and in detail."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from windlass.engines.postgres.activity import read_written
from windlass.engines.postgres.lock import control_name, read_holder
from windlass.engines.postgres.session import Connection
from windlass.flows.migrate.portions import TRANSFERS
from windlass.flows.migrate.shown import ShownPlan, read_shown
from windlass.journal import records
from windlass.journal.sums import Amounts, StepSum, read_amounts, read_step_sums
from windlass.model.outcome import (
    Kept,
    Progress,
    RelationProgress,
    RunDetail,
    RunStatus,
    State,
    StepStatus,
)
from windlass.run.recent import Recent, key_of


def migration_status(connection: Connection, run: records.Run) -> RunStatus:
    plan = read_shown(connection, run)
    return _status(connection, run, plan, read_step_sums(connection, run.run, TRANSFERS))


def _status(
    connection: Connection, run: records.Run, plan: ShownPlan, sums: Sequence[StepSum]
) -> RunStatus:
    is_running = run.state is State.RUNNING
    copied = frozenset[str]().union(*(one.items for one in sums))
    return replace(
        run.status,
        progress=Progress(
            relations_done=sum(copied.issuperset(one.chunks) for one in plan.relations),
            relations=len(plan.relations),
            rows=sum(one.rows for one in sums),
            bytes=sum(one.size_bytes for one in sums),
            bytes_planned=plan.size_bytes,
            step=sums[-1].step if sums else "",
        ),
        kept=Kept(set_aside=plan.set_aside),
        active=is_running and read_holder(connection).startswith(control_name(run.run)),
    )


def migration_detail(connection: Connection, run: records.Run) -> RunDetail:
    plan = read_shown(connection, run)
    sums = read_step_sums(connection, run.run, TRANSFERS)
    found = {one.step: one for one in sums}
    status = _status(connection, run, plan, sums)
    relations = _relations(connection, run, plan, sums)
    if status.active:
        relations = _copying(relations, map(str, read_written(connection, run.run)))
    return RunDetail(
        status,
        run.outcome,
        plan.target,
        plan.version,
        plan.options,
        tuple(_step(name, items, found.get(name)) for name, items in plan.steps.items()),
        relations=relations,
    )


def _step(name: str, items: int, done: StepSum | None) -> StepStatus:
    """A step may have more lines than the plan has items: some depend on the rows."""
    if done is None:
        return StepStatus(name, 0, items, 0.0)
    return StepStatus(name, done.lines, max(items, done.lines), done.seconds)


Relations = tuple[RelationProgress, ...]


def _relations(
    connection: Connection, run: records.Run, plan: ShownPlan, sums: Sequence[StepSum]
) -> Relations:
    """Of each relation with rows, in the plan's order. They are made again only if more is done."""
    key, done = key_of(connection, run), tuple(sums)
    kept = _KEPT.get(key)
    if kept is not None and kept[0] == done:
        return kept[1]
    made = tuple(_made(plan, read_amounts(connection, run.run, TRANSFERS)))
    if sum(len(one.items) for one in done) == sum(one.chunks_done for one in made):
        _KEPT.put(key, (done, made))  # nothing was done in between
    return made


def _copying(relations: Relations, written: Iterable[str]) -> Relations:
    """With those marked whose rows are arriving now: a chunk is in the journal once it is over."""
    names = frozenset(written)
    return tuple(
        replace(one, copying=True) if one.name in names and one.chunks_done < one.chunks else one
        for one in relations
    )


def _made(plan: ShownPlan, copied: Mapping[str, Amounts]) -> Iterator[RelationProgress]:
    for one in plan.relations:
        found = [copied[chunk] for chunk in one.chunks if chunk in copied]
        yield RelationProgress(
            one.name,
            rows=sum(each.rows for each in found),
            bytes=sum(each.size_bytes for each in found),
            bytes_planned=one.size_bytes,
            chunks_done=len(found),
            chunks=len(one.chunks),
            seconds=sum(each.seconds for each in found),
        )


_KEPT: Recent[tuple[str, ...], tuple[tuple[StepSum, ...], Relations]] = Recent(
    20_000, lambda one: len(one[1])
)
