"""The steps that copy rows: a load and its journal lines commit together. The source writes
PostgreSQL's lines, which go into COPY as they are."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from psycopg import sql

from windlass.engines.hashed_lines import BlockDigest, LineDigest
from windlass.engines.origin import Orders, Origin
from windlass.engines.postgres.copy_in import send
from windlass.engines.postgres.session import Connection
from windlass.engines.postgres.transaction import working_on_target
from windlass.errors import AlreadyDone
from windlass.flows.mapped.calling import Caller, is_late, work_of
from windlass.flows.mapped.landing import landing_of, make_landing, move_landed, sent
from windlass.flows.migrate.portions import load_result
from windlass.flows.migrate.reported import chunk_result, reporting
from windlass.flows.migrate.settling import is_guarded
from windlass.flows.translate.context import Translation
from windlass.flows.translate.made import to_make
from windlass.flows.translate.noted import note_of
from windlass.journal.records import Line, line_statement
from windlass.model.chunk import Chunk, Whole
from windlass.model.flow import Item, Result
from windlass.model.plan import Arrival, Load, RelationPlan
from windlass.model.translation import Reading
from windlass.planning.chunks import SMALL_BYTES
from windlass.planning.postgres.translated.finish import to_copy
from windlass.spec.choices import Verify

_SILENCE = "set local session_replication_role = replica"


def chunk_items(run: Translation) -> list[Item]:
    """One item for each range of a large table."""
    return [
        Item(load.id, load.batch, load.size_bytes, _described(run, load.chunks[0]))
        for load in run.plan.loads
        if not isinstance(load.chunks[0].range, Whole)
    ]


def _described(run: Translation, chunk: Chunk) -> Result:
    return chunk_result(chunk, run.relation(chunk.relation), str(chunk.range))


def copy_tables(run: Translation, item: Item) -> Result:
    """Copy whole relations: a large one, or a batch of small ones in one transaction."""
    return _transfer(run, "copy_tables", item)


def copy_chunks(run: Translation, item: Item) -> Result:
    """Copy one chunk of a large relation."""
    return _transfer(run, "copy_chunks", item)


def _transfer(run: Translation, step: str, item: Item) -> Result:
    load = run.load(item.id)
    ids = [chunk.id for chunk in load.chunks]
    if lacking := [one for one in load.chunks if (step, one.id) not in run.journal]:
        try:
            _copy(run, step, load, lacking)
        except AlreadyDone:  # committed, but the answer was lost
            run.journal.read_again(run.sessions().target(), step, ids)
            if any((step, one) not in run.journal for one in ids):
                raise
    return load_result([run.lines(step)[one] for one in ids])


def _copy(run: Translation, step: str, load: Load, chunks: list[Chunk]) -> None:
    target, journal = run.sessions().target(), run.journal
    fills = any(run.relation(one.relation).arrival is Arrival.FILL for one in chunks)
    silence = run.plan.how.silences_triggers and (is_guarded(journal) or fills)
    first = [*([_SILENCE] if silence else []), journal.fence]
    report = reporting(run.emit, load)
    with working_on_target(target, f"copying {load.id}", *first) as transaction:
        journal.check_epoch(transaction.answers[-1])
        lines = [_copied(run, step, one, target, report) for one in chunks]
        transaction.last += [line_statement(run.plan.run, line) for line in lines]
    journal.keep(lines)


def _copied(
    run: Translation, step: str, chunk: Chunk, target: Connection, report: Callable[[int], None]
) -> Line:
    """Copy a chunk's rows, inside the caller's transaction."""
    started, size = time.perf_counter(), 0
    item = run.relation(chunk.relation)
    if is_late(item):
        rows, size = _land(run, item, chunk, target, report)
        return _line(run, step, chunk, rows, size, started)
    with target.cursor() as cursor:
        freezes = _freezes(run, item, chunk)
        if freezes:
            table = sql.Identifier(item.enters.schema, item.enters.name)
            cursor.execute(sql.SQL("truncate only {}").format(table))
        reading, digest = _hashed(run, item)
        with cursor.copy(_statement(item, freezes=freezes)) as copy:
            for block in run.origin.lines(reading, chunk.range):
                send(copy, block)
                if digest:
                    digest.add(block)
                size += len(block)
                report(len(block))
        rows = cursor.rowcount
    line = _line(run, step, chunk, rows, size, started)
    return replace(line, note=note_of(digest.hashed) if digest else None)


def _line(run: Translation, step: str, chunk: Chunk, rows: int, size: int, started: float) -> Line:
    return Line(
        step=step,
        item=chunk.id,
        relation=str(chunk.relation),
        rows=rows,
        size_bytes=size,
        seconds=time.perf_counter() - started,
        snapshot=run.snapshot.number,
    )


def _land(
    run: Translation,
    item: RelationPlan,
    chunk: Chunk,
    target: Connection,
    report: Callable[[int], None],
) -> tuple[int, int]:
    """Rows some of whose columns are made on their way; their number, and bytes."""
    size, landing = 0, landing_of(item)
    work = work_of(item, computed=landing is not None)
    into = landing or item.enters
    blocks = run.origin.lines(to_make(item), chunk.range)
    with target.cursor() as cursor:
        if landing:
            cursor.execute(make_landing(item))
        statement = sql.SQL("copy {} ({}) from stdin").format(
            sql.Identifier(into.schema, into.name),
            sql.SQL(", ").join(map(sql.Identifier, sent(item))),
        )
        with cursor.copy(statement) as copy:
            for block in Caller(work).through(blocks) if work else blocks:
                send(copy, block)
                size += len(block)
                report(len(block))
        rows = cursor.rowcount
        if landing:
            cursor.execute(move_landed(item))
    return rows, size


def _hashed(
    run: Translation, item: RelationPlan
) -> tuple[Reading, LineDigest | BlockDigest | None]:
    """What is read for the copy, and a digest if the rows are hashed in the same pass."""
    assert item.reading is not None, "planned by another flow"
    reading = to_copy(item.reading, item.columns)
    if (
        item.arrival is Arrival.FILL  # existing columns may write values in another way
        or reading != item.reading
        or not run.origin.can_hash(reading)
    ):
        return reading, None
    digest = None if run.spec.verify_ is Verify.NONE else _digest(run.origin, reading)
    return replace(reading, is_hashed=True), digest


def _digest(origin: Origin, reading: Reading) -> LineDigest | BlockDigest:
    columns = [one.name for one in reading.fields]
    if isinstance(origin, Orders) and (by := origin.ordered_by(reading)):
        return BlockDigest(columns.index(by), by)
    return LineDigest(len(columns))


def _freezes(run: Translation, item: RelationPlan, chunk: Chunk) -> bool:
    """FREEZE saves a second write of every page, if the transaction may truncate the relation."""
    return (
        isinstance(chunk.range, Whole)
        and item.arrival is not Arrival.FILL
        and item.relation.size_bytes >= SMALL_BYTES
        and not is_guarded(run.journal)
    )


def _statement(item: RelationPlan, *, freezes: bool) -> sql.Composed:
    columns = [one.target for one in item.columns if not one.generated]
    return sql.SQL("copy {} ({}) from stdin{}").format(
        sql.Identifier(item.enters.schema, item.enters.name),
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.SQL(" with (freeze)" if freezes else ""),
    )
