"""The steps of `convert`. Each finds in the target's journal whether its work is done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from windlass.engines.destination import CHUNK, Session
from windlass.engines.postgres.projecting import expression_of, table_of
from windlass.errors import ConstraintViolated, RunLost
from windlass.flows.convert.context import SNAPSHOTS, Conversion
from windlass.flows.convert.proof import projection_of
from windlass.model.chunk import BlockRange
from windlass.model.conversion import Made, TableConversion, ViewConversion, chunk_ids
from windlass.model.event import BytesCopied, Noticed
from windlass.model.flow import Item, Result
from windlass.model.report import Loss, LossClass
from windlass.model.translation import Digest
from windlass.planning.postgres.converted.make import lost_view
from windlass.spec.choices import Verify


def extract_source_schema(run: Conversion, _: Item) -> Result:
    """Plan, refuse what is not possible, and journal the run."""
    run.begin()
    return {**run.handle, "notices": list(run.notices)}


def create_target_tables(run: Conversion, _: Item) -> Result:
    """All tables in one transaction, after what has their names is set aside."""

    def create(session: Session) -> Result:
        run.target.set_aside(session, run.run_id, run.plan)
        for table in run.plan.tables:
            for text in table.statements:
                session.execute(text)
        return {"tables": len(run.plan.tables)}

    return run.once("create_target_tables", "", create)


def table_items(run: Conversion) -> list[Item]:
    """The tables, largest first, so that a small one ends last; or first those that others need."""
    if not run.plan.copies_rows:
        return []
    tables = list(run.plan.tables)
    if not any(one.needs for one in tables):
        tables.sort(key=lambda one: -one.size_bytes)
    return [item for one in tables for item in (list(_chunk_items(one)) or [_item(one)])]


def _item(table: TableConversion) -> Item:
    name = str(table.source)
    detail = {"name": name, "table_name": name, "estimated_rows": max(table.rows, 0)}
    return Item(name, name, max(table.size_bytes, 0), detail)


def _chunk_items(table: TableConversion) -> Iterator[Item]:
    whole, ids = _item(table), chunk_ids(table)
    for number, one in enumerate(ids):
        rows = int(whole.detail["estimated_rows"]) // len(ids)
        detail = {**whole.detail, "estimated_rows": rows, "chunk": number}
        yield Item(one, whole.group, whole.cost // len(ids), detail)


def copy_tables(run: Conversion, item: Item) -> Result:
    """Copy the rows of a table, or of a part of it, while the source hashes them in the same
    snapshot."""
    table = run.plan.table(item.group)
    if table.chunks:
        return _copy_chunk(run, table, item)
    run.turns.wait([str(one) for one in table.needs])
    found = run.once("copy_tables", item.id, lambda session: _copied(run, table, session))
    run.turns.add([str(table.target)])
    return found


def _copy_chunk(run: Conversion, table: TableConversion, item: Item) -> Result:
    """Copy one chunk. The last one adds the line of the table.

    Raises:
        RunLost: it has come in an earlier snapshot, after this process looked for such chunks. The
            next attempt copies the table again.
    """
    blocks = table.chunks[int(item.detail["chunk"])]
    found = run.once(CHUNK, item.id, lambda session: _copied(run, table, session, blocks))
    is_whole = run.complete(table)
    if not is_whole and found["snapshot"] != run.source.snapshot.number:
        raise RunLost(
            f"a chunk of {table.source} was committed late, with rows of an earlier snapshot",
            hint="run the same command again: the table is copied again",
            side="target",
        )
    return found


def _copied(
    run: Conversion, table: TableConversion, session: Any, blocks: BlockRange | None = None
) -> Result:
    started, rows = time.perf_counter(), 0
    with _hashing(run, table, blocks) as hashed:
        for batch in _batches(run, table, blocks):
            run.target.insert(session, table, batch)
            rows += len(batch)
        run.target.inserted(session, table)
        found: dict[str, Any] = {
            "rows": rows,
            "bytes": _size_of(table, rows),
            "seconds": round(time.perf_counter() - started, 3),
            "snapshot": run.source.snapshot.number,
        }
        if hashed is not None:
            found["digest"] = asdict(hashed.result())
    return found


@contextmanager
def _hashing(
    run: Conversion, table: TableConversion, blocks: BlockRange | None
) -> Iterator[Future[Digest] | None]:
    if run.spec.verify_ is not Verify.FULL:
        yield None
        return
    pool = ThreadPoolExecutor(1, "windlass-hash")
    try:
        projection = replace(projection_of(table, run.target.floats), part=blocks)
        yield pool.submit(run.source.digest, projection)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _batches(
    run: Conversion, table: TableConversion, blocks: BlockRange | None
) -> Iterator[list[tuple[Any, ...]]]:
    columns = [one for one in table.columns if not one.is_generated]
    rows = table_of(table.source, only=not table.is_partitioned, blocks=blocks)
    about = _size_of(table, 1)
    reading = run.source.rows(rows, [*map(expression_of, columns)], about, str(table.source))
    name = str(table.source)
    item = name if blocks is None else chunk_ids(table)[table.chunks.index(blocks)]
    for batch in reading:
        yield batch
        run.emit(BytesCopied(item, name, _size_of(table, len(batch))))


def _size_of(table: TableConversion, rows: int) -> int:
    """The approximate size on the source."""
    return table.size_bytes * rows // table.rows if table.rows > 0 else 0


def index_items(run: Conversion) -> list[Item]:
    return [_item(one) for one in run.plan.tables if one.indexes]


def create_indexes(run: Conversion, item: Item) -> Result:
    """Create the key, if it is made now, and all indexes of a table, each with its line in the
    journal."""
    table = run.plan.table(item.id)
    for one in table.indexes:
        run.once(
            "create_index",
            f"{item.id} {one.name}",
            partial(_execute, partial(run.target.build, table=table, made=one)),
        )
    return run.once("create_indexes", item.id, lambda _: {"indexes": len(table.indexes)})


def _execute(make: Callable[[Session], object], session: Session) -> Result:
    make(session)
    return {}


def validate_foreign_keys(run: Conversion, _: Item) -> Result:
    """Find rows that refer to no row; the source, in one snapshot, has none. Foreign keys outside
    of table definitions are made first."""
    lost = [one for table in run.plan.tables for one in _relate(run, table)]

    def check(session: Session) -> Result:
        broken = run.target.broken(session, run.plan.tables)
        losses = [
            Loss(table, f"{rows:,} rows refer to no row of {parent}", LossClass.CONSTRAINTS)
            for table, parent, rows in broken
        ]
        return {"losses": [one.to_json() for one in losses]}

    found = run.once("validate_foreign_keys", "", check) if run.plan.copies_rows else {}
    return {**found, "losses": [*found.get("losses", ()), *lost]}


def _relate(run: Conversion, table: TableConversion) -> Iterator[Result]:
    """The losses from foreign keys that the target refuses."""
    for one in table.keys:
        item = f"{table.source} {one.name}"
        noted = run.once("create_foreign_key", item, partial(_related, table, one))
        yield from noted.get("losses", ())


def _related(table: TableConversion, one: Made, session: Session) -> Result:
    try:
        session.execute(one.statement)
    except ConstraintViolated as error:
        message = f"foreign key {one.name} is not enforced: {error}"
        return {"losses": [Loss(str(table.source), message, LossClass.CONSTRAINTS).to_json()]}
    return {}


def set_sequences(run: Conversion, _: Item) -> Result:
    """Set sequences to what they are now, as no snapshot covers them: it is better to skip a number
    than to give one twice."""
    counting = [one for one in run.plan.tables if one.counter is not None]
    if not run.plan.copies_rows:
        return {}
    numbers = [
        run.source.last_number(one.counter.sequence, one.counter.increment)
        for one in counting
        if one.counter
    ]

    def set_them(session: Session) -> Result:
        for table, number in zip(counting, numbers, strict=True):
            run.target.set_counter(session, table, number)
        return {"sequences": len(counting)}

    return run.once("set_sequences", "", set_them)


def create_views(run: Conversion, _: Item) -> Result:
    """Keep only views that show the same rows as on the source."""
    losses = [one for view in run.plan.views for one in _create_view(run, view)["losses"]]
    return {"losses": losses}


def _create_view(run: Conversion, view: ViewConversion) -> Result:
    name = str(view.source)
    run.once(
        "create_view", name, partial(_execute, lambda session: session.execute(view.statement))
    )
    noted = run.lines("prove_view").get(name)
    if noted is not None:
        return noted
    lost = [] if _is_proven(run, view) else [lost_view(view.source.plain, view.query).to_json()]

    def settle(session: Session) -> Result:
        if lost:
            session.execute(run.target.drop_view(view))
        return {"losses": lost}

    return run.once("prove_view", name, settle)


def _is_proven(run: Conversion, view: ViewConversion) -> bool:
    """Whether both sides show the same rows; not if tables were read in an earlier snapshot and the
    source has changed since."""
    if not run.plan.copies_rows:
        return True
    there = run.target.digest_of_view(view)
    return there is not None and there == run.source.digest(projection_of(view, run.target.floats))


def generate_migration_summary(run: Conversion, _: Item) -> Result:
    """Report which snapshots were read, if there was more than one."""
    lines = run.lines("copy_tables")
    numbers = {one["snapshot"] for one in lines.values()}
    if len(numbers) > 1:
        taken = run.lines(SNAPSHOTS)
        parts = [
            f"{sum(one['snapshot'] == number for one in lines.values())} tables as of"
            f" {taken[str(number)]['taken_at']}"
            for number in sorted(numbers)
        ]
        run.emit(Noticed(f"not all was read in one snapshot: {', '.join(parts)}"))
    return {"notices": list(run.notices)}
