"""The steps of `migrate` that copy rows: a load and its journal lines commit together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from windlass.engines.postgres.copy import Bulk, execute
from windlass.engines.postgres.link import streams_for
from windlass.engines.postgres.ranges import condition
from windlass.engines.postgres.sessions import Sessions
from windlass.errors import AlreadyDone, WindlassError
from windlass.flows.mapped.calling import Caller, is_late, read_columns, work_of
from windlass.flows.mapped.landing import landing_of, make_landing, move_landed, sent
from windlass.flows.migrate.context import Migration
from windlass.flows.migrate.portions import load_result
from windlass.flows.migrate.reported import chunk_result, reporting
from windlass.flows.migrate.settling import is_guarded
from windlass.flows.migrate.sums import Note, read_sums
from windlass.journal.records import Line, line_statement
from windlass.model.chunk import Chunk, Whole
from windlass.model.flow import Item, Result
from windlass.model.plan import Arrival, Load, RelationPlan
from windlass.model.relation import Wire
from windlass.model.units import several
from windlass.planning.chunks import SMALL_BYTES
from windlass.transfer.postgres.relay import Arrived, Journey, relay

CHUNKS_FOR_STREAMS = 4  # fewer are copied before another session is open
_SILENCE = "set local session_replication_role = replica"


def whole_relations(run: Migration) -> list[Item]:
    return [
        Item(load.id, load.batch, load.size_bytes, _whole_detail(run, load))
        for load in run.plan.loads
        if not _is_cut(load)
    ]


def _whole_detail(run: Migration, load: Load) -> Result:
    tables = [_described_table(run.relation(chunk.relation)) for chunk in load.chunks]
    names = [one["table_name"] for one in tables]
    rows = sum(one["estimated_rows"] for one in tables)
    found = {"name": several(names), "names": names, "tables": names, "estimated_rows": rows}
    return {**found, "regular_tables": tables}


def _described_table(item: RelationPlan) -> Result:
    return {
        "table_name": str(item.relation.name),
        "target": str(item.target),
        "estimated_rows": max(item.relation.rows, 0),
        "size_bytes": item.relation.size_bytes,
    }


def chunk_items(run: Migration) -> list[Item]:
    return [
        Item(load.id, load.batch, load.size_bytes, _described(run, load.chunks[0]))
        for load in run.plan.loads
        if _is_cut(load)
    ]


def _described(run: Migration, chunk: Chunk) -> Result:
    relation = run.relation(chunk.relation)
    where = condition(chunk.range, relation.relation).as_string(None)
    return chunk_result(chunk, relation, where)


def _is_cut(load: Load) -> bool:
    return not isinstance(load.chunks[0].range, Whole)


def copy_tables(run: Migration, item: Item) -> Result:
    """Copy whole relations: a large one, or a batch of small ones in one transaction."""
    return _transfer(run, "copy_tables", item)


def copy_chunks(run: Migration, item: Item) -> Result:
    """Copy one chunk of a large relation."""
    return _transfer(run, "copy_chunks", item)


def _transfer(run: Migration, step: str, item: Item) -> Result:
    load = run.load(item.id)
    while lacking := _lacking(run, step, load):
        sessions = run.sessions()
        try:
            notes = read_sums(run, lacking)
            sessions.wait_for(_copy_load(run, step, load, notes, sessions))
        except AlreadyDone:  # committed, but the answer was lost
            ids = [chunk.id for chunk in load.chunks]
            run.journal.read_again(sessions.target(), step, ids)
            if len(_lacking(run, step, load)) == len(lacking):
                raise
    return load_result([run.lines(step)[chunk.id] for chunk in load.chunks])


def _lacking(run: Migration, step: str, load: Load) -> list[Chunk]:
    """A load's chunks that are not copied yet, as far as this process knows."""
    return [chunk for chunk in load.chunks if (step, chunk.id) not in run.journal]


async def _copy_load(
    run: Migration,
    step: str,
    load: Load,
    lacking: Sequence[tuple[Chunk, Note]],
    sessions: Sessions,
) -> None:
    """Copy a load's missing chunks, through one stream or several in parallel."""
    try:
        streams = await _open_streams(run, load, len(lacking), sessions)
        report, count = reporting(run.emit, load), len(streams)
        async with asyncio.TaskGroup() as group:
            for number, stream in enumerate(streams):
                some = lacking[number::count]
                group.create_task(_copy_chunks(run, step, load, some, stream, report))
    except BaseExceptionGroup as errors:
        sessions.drop()
        raise errors.exceptions[0] from None
    except WindlassError:
        sessions.drop()
        raise
    sessions.keep_streams(1)  # leave connections for others


async def _open_streams(
    run: Migration, load: Load, chunks: int, sessions: Sessions
) -> list[tuple[Bulk, Bulk]]:
    """Open as many streams as the link justifies and the servers allow, at least one. Only one if
    the target's relation also gets rows from elsewhere: they may have to arrive in the plan's
    order."""

    async def opened(number: int) -> tuple[Bulk, Bulk]:
        stream = sessions.stream(number)
        reader, writer = await asyncio.gather(
            sessions.reader(run.snapshot.id, stream),
            sessions.writer(stream),
            return_exceptions=True,  # so that no pair is left half open
        )
        if isinstance(reader, BaseException):
            raise reader
        if isinstance(writer, BaseException):
            raise writer
        return reader, writer

    first = await opened(0)
    if chunks < CHUNKS_FOR_STREAMS or _fills(run, load):
        return [first]
    wanted = streams_for(sessions.round_trip_seconds(), run.spec.jobs)
    others = await asyncio.gather(*map(opened, range(1, wanted)), return_exceptions=True)
    for error in others:
        if isinstance(error, BaseException) and not isinstance(error, WindlassError):
            raise error
    return [first, *(pair for pair in others if not isinstance(pair, BaseException))]


async def _copy_chunks(
    run: Migration,
    step: str,
    load: Load,
    chunks: Sequence[tuple[Chunk, Note]],
    stream: tuple[Bulk, Bulk],
    report: Callable[[int], None],
) -> None:
    """Copy chunks with their journal lines in one target transaction."""
    source, target = stream
    copied: list[Line] = []
    beside_guards = is_guarded(run.journal)
    silence = run.plan.how.silences_triggers and (beside_guards or _fills(run, load))
    first = ["begin", *([_SILENCE] if silence else []), run.journal.hold_statement]
    run.journal.check_held(await execute(target, "; ".join(first), "beginning a transaction"))
    for chunk, note in chunks:
        item = run.relation(chunk.relation)
        journey = _journey(item, chunk, may_truncate=not beside_guards)
        if landing_of(item):
            arrived = await _land(item, journey, source, target, report)
        else:
            arrived = await relay(source, target, journey, report)
        copied.append(_line(run, step, chunk, arrived, note))
    lines = [line_statement(run.plan.run, line) for line in copied]
    await execute(target, "; ".join([*lines, "commit"]), f"committing {load.id}")
    run.journal.keep(copied)


async def _land(
    item: RelationPlan,
    journey: Journey,
    source: Bulk,
    target: Bulk,
    report: Callable[[int], None],
) -> Arrived:
    """Through a temporary table, where SQL of the target makes columns."""
    await execute(target, make_landing(item).as_string(None), f"landing rows of {item.target}")
    arrived = await relay(source, target, journey, report)
    await execute(target, move_landed(item).as_string(None), f"writing {item.target}")
    return arrived


def _fills(run: Migration, load: Load) -> bool:
    return any(run.relation(chunk.relation).arrival is Arrival.FILL for chunk in load.chunks)


def _journey(item: RelationPlan, chunk: Chunk, *, may_truncate: bool) -> Journey:
    """FREEZE saves the target a second write of every page, if the transaction may truncate the
    relation first. For a small relation that costs more than it saves, and it is impossible if a
    foreign key refers to the relation."""
    alone = (
        may_truncate
        and isinstance(chunk.range, Whole)
        and item.arrival is not Arrival.FILL
        and item.enters == item.target
    )
    if is_late(item):
        return _late_journey(item, chunk)
    return Journey(
        relation=item.relation,
        range=chunk.range,
        target=item.enters,
        columns=[(c.source, c.target) for c in item.columns if not c.generated],
        wire=item.wire,
        freeze=alone and item.relation.size_bytes >= SMALL_BYTES,
        mapping=item.mapping,
    )


def _late_journey(item: RelationPlan, chunk: Chunk) -> Journey:
    """Functions see all columns that are read, also those that the target computes."""
    landing = landing_of(item)
    work = work_of(item, computed=landing is not None)
    return Journey(
        relation=item.relation,
        range=chunk.range,
        target=landing or item.enters,
        columns=[(c.source, c.target) for c in read_columns(item)],
        sent=sent(item),
        wire=Wire.TEXT,
        freeze=False,
        mapping=item.mapping,
        change=Caller(work) if work else None,
    )


def _line(run: Migration, step: str, chunk: Chunk, arrived: Arrived, note: Note) -> Line:
    return Line(
        step=step,
        item=chunk.id,
        relation=str(chunk.relation),
        rows=arrived.rows,
        size_bytes=arrived.size_bytes,
        seconds=arrived.seconds,
        snapshot=run.snapshot.number,
        note=note,
    )
