"""The steps of `migrate` in which rows move: a load and its journal lines in one commit."""

from __future__ import annotations

from collections.abc import Callable

from windlass.engines.postgres.copy import execute, fetch_row
from windlass.engines.postgres.ranges import condition
from windlass.engines.postgres.sessions import Sessions
from windlass.errors import AlreadyDone, WindlassError
from windlass.flows.migration import Migration
from windlass.flows.settling import is_guarded
from windlass.journal.journal import Line, line_statement
from windlass.model.chunk import Chunk, Whole
from windlass.model.event import BytesCopied
from windlass.model.flow import Item, Result
from windlass.model.plan import Arrival, Load, RelationPlan
from windlass.model.units import several
from windlass.plan.chunks import SMALL_BYTES
from windlass.transfer.relay import Arrived, Journey, relay

TELL_BYTES = 1 << 20  # how often a copy tells of its progress


def whole_relations(run: Migration) -> list[Item]:
    return [
        Item(load.id, load.batch, load.size_bytes, _told_whole(run, load))
        for load in run.plan.loads
        if not _is_cut(load)
    ]


def _told_whole(run: Migration, load: Load) -> Result:
    rows = sum(max(run.relation(chunk.relation).relation.rows, 0) for chunk in load.chunks)
    names = [str(chunk.relation) for chunk in load.chunks]
    return {"name": several(names), "tables": names, "estimated_rows": rows}


def partitions(run: Migration) -> list[Item]:
    return [
        Item(load.id, load.batch, load.size_bytes, _told_partition(run, load.chunks[0]))
        for load in run.plan.loads
        if _is_cut(load)
    ]


def _told_partition(run: Migration, chunk: Chunk) -> Result:
    relation = run.relation(chunk.relation)
    rows = max(relation.relation.rows, 0) // len(relation.chunks)
    name = f"{chunk.relation} {chunk.range}"
    return {
        "name": name,
        "table_name": str(chunk.relation),
        "partition_name": name,
        "where_clause": condition(chunk.range, relation.relation).as_string(None),
        "estimated_rows": rows,
    }


def _is_cut(load: Load) -> bool:
    return not isinstance(load.chunks[0].range, Whole)


def transfer_table_data(run: Migration, item: Item) -> Result:
    """Copy whole relations: a large one, or a batch of small ones in one transaction."""
    return _transfer(run, "transfer_table_data", item)


def transfer_partition(run: Migration, item: Item) -> Result:
    """Copy one chunk of a large relation."""
    return _transfer(run, "transfer_partition", item)


def _transfer(run: Migration, step: str, item: Item) -> Result:
    sessions = run.sessions()
    try:
        lines = sessions.wait_for(_copy_load(run, step, run.load(item.id), sessions))
    except AlreadyDone:  # by a commit whose answer was lost
        lines = run.read_load(step, item.id)
    return {
        "rows": sum(line.rows for line in lines),
        "bytes": sum(line.size_bytes for line in lines),
    }


async def _copy_load(run: Migration, step: str, load: Load, sessions: Sessions) -> list[Line]:
    """All chunks that are not in yet, and their journal lines, in one target transaction; the lines
    of all."""
    done = run.lines(step)
    source = await sessions.reader(run.snapshot.id)
    target = await sessions.writer()
    lines = [done[chunk.id] for chunk in load.chunks if chunk.id in done]
    copied: list[Line] = []
    beside_guards = is_guarded(run)
    await execute(target, "begin", "beginning a transaction")
    try:
        run.check_epoch(await fetch_row(target, run.fence, "journalling"))
        if run.plan.silences_triggers and (beside_guards or _fills(run, load)):
            silence = "set local session_replication_role = replica"
            await execute(target, silence, "switching triggers off")
        for chunk in load.chunks:
            if chunk.id in done:
                continue
            journey = _journey(run.relation(chunk.relation), chunk, may_truncate=not beside_guards)
            arrived = await relay(source, target, journey, _telling(run, load))
            copied.append(_line(run, step, chunk, arrived))
        statements = [line_statement(run.plan.run, line) for line in copied]
        await execute(target, "; ".join(statements), f"journalling {load.id}")
        await execute(target, "commit", f"committing {load.id}")
    except WindlassError:
        sessions.drop()
        raise
    return [*lines, *copied]


def _fills(run: Migration, load: Load) -> bool:
    return any(run.relation(chunk.relation).arrival is Arrival.FILL for chunk in load.chunks)


def _journey(item: RelationPlan, chunk: Chunk, *, may_truncate: bool) -> Journey:
    """FREEZE spares the target a second writing of every page, where the transaction may own the
    relation; emptying a small one costs more than it saves, and none can be that a foreign key
    refers to."""
    alone = (
        may_truncate
        and isinstance(chunk.range, Whole)
        and item.arrival is not Arrival.FILL
        and item.enters == item.target
    )
    return Journey(
        relation=item.relation,
        range=chunk.range,
        target=item.enters,
        columns=[(c.source, c.target) for c in item.columns if not c.generated],
        wire=item.wire,
        freeze=alone and item.relation.size_bytes >= SMALL_BYTES,
    )


def _telling(run: Migration, load: Load) -> Callable[[int], None]:
    untold = 0

    def tell(size_bytes: int) -> None:
        nonlocal untold
        untold += size_bytes
        if untold >= TELL_BYTES:
            run.emit(BytesCopied(load.id, load.batch, untold))
            untold = 0

    return tell


def _line(run: Migration, step: str, chunk: Chunk, arrived: Arrived) -> Line:
    return Line(
        step=step,
        item=chunk.id,
        relation=str(chunk.relation),
        rows=arrived.rows,
        size_bytes=arrived.size_bytes,
        seconds=arrived.seconds,
        snapshot=run.snapshot.number,
    )
