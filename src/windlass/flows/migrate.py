"""The flow `migrate`: one Postgres database into another.

Each step's work and its journal line commit in one target transaction, so every step can be
killed at any point and run again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import psycopg
from psycopg import sql

from windlass.backup.aside import set_aside
from windlass.engines.postgres.catalog import read_existing
from windlass.engines.postgres.copy import execute, fetch_row
from windlass.engines.postgres.ddl import run_statements, speed_up_builds, try_statement
from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.largeobjects import (
    Described,
    copy_large_object,
    describe_after,
    dress,
    strangers,
)
from windlass.engines.postgres.sequences import read_sequences, set_sequences
from windlass.engines.postgres.session import Connection
from windlass.engines.postgres.sessions import Sessions
from windlass.errors import AlreadyDone, ConnectionLost, TargetFull, WindlassError
from windlass.flows.ddl import (
    CREATE_INDEXES,
    CREATE_PRIMARY_KEYS,
    CREATE_TABLES,
    IN_ORDER,
    VALIDATE_FOREIGN_KEYS,
)
from windlass.flows.migration import Migration
from windlass.flows.validate import (
    VALIDATE_CONTENT,
    collect_all_results,
    content_items,
    validate_content,
    validate_large_objects,
    validate_schema,
    validate_sequences,
)
from windlass.journal.journal import Line, line_statement
from windlass.model.chunk import Chunk, Whole
from windlass.model.event import BytesCopied
from windlass.model.flow import Flow, Item, Result, Step
from windlass.model.outcome import State
from windlass.model.plan import Arrival, Load, RelationPlan
from windlass.model.relation import Name
from windlass.model.relation import Sequence as SequenceState
from windlass.model.report import Loss
from windlass.model.statement import Phase, Statement
from windlass.plan.chunks import SMALL_BYTES
from windlass.transfer.relay import Arrived, Journey, relay

TELL_BYTES = 1 << 20  # how often a copy tells of its progress
LARGE_OBJECTS_AT_ONCE = 32
IN_ORDER_ITEM = Item("in order")


def extract_source_schema(run: Migration, _: Item) -> Result:
    """Read both sides, plan, and journal the plan; or find the run to go on with."""
    run.begin()
    return {"run": run.plan.run, "relations": len(run.plan.relations)}


def create_target_schema(run: Migration, _: Item) -> Result:
    """Set aside what is in the way, then schemas, extensions, types and functions."""
    if run.plan.set_aside:

        def aside(connection: Connection) -> Result:
            set_aside(connection, run.plan.set_aside)
            return {"objects": len(run.plan.set_aside)}

        run.once("create_target_schema", "set aside", aside)
    return _in_order(Phase.SCHEMA)(run, _)


def _in_order(phase: Phase) -> Callable[[Migration, Item], Result]:
    """A step that runs a phase's statements in the archive's order."""
    step = IN_ORDER[phase]

    def run_phase(run: Migration, _: Item) -> Result:
        portions = run.portions[step]
        for portion in portions:
            run.once(step, portion.item.id, partial(_run, portion.statements))
        return {"statements": sum(len(portion.statements) for portion in portions)}

    return run_phase


def _run(statements: Sequence[Statement], connection: Connection) -> Result:
    run_statements(connection, statements)
    return {}


def table_items(run: Migration) -> list[Item]:
    """What has an order in one item; islands of relations in some that run side by side."""
    free = [portion.item for portion in run.portions[CREATE_TABLES] if portion.is_free]
    return [IN_ORDER_ITEM, *free]


def create_target_tables(run: Migration, item: Item) -> Result:
    """Relations, and what the archive puts between and after them."""
    for portion in run.portions[CREATE_TABLES]:
        mine = portion.item == item if portion.is_free else item == IN_ORDER_ITEM
        if mine:
            run.once(CREATE_TABLES, portion.item.id, partial(_run, portion.statements))
    return {}


def create_foreign_keys(run: Migration, _: Item) -> Result:
    """NOT VALID where that is possible. What cannot be made, as a partitioned relation's rows
    violate it or a filled relation has no such key, is a loss."""
    step = IN_ORDER[Phase.FOREIGN_KEYS]
    for portion in run.portions[step]:
        run.once(step, portion.item.id, partial(_try_all, portion.statements, "left out"))
    return {}


def _try_all(statements: Sequence[Statement], consequence: str, connection: Connection) -> Result:
    found = [try_statement(connection, statement, consequence) for statement in statements]
    return _with_losses([loss for loss in found if loss])


def _with_losses(losses: Sequence[Loss]) -> Result:
    return (
        {"losses": [{"object": loss.object, "message": loss.message} for loss in losses]}
        if losses
        else {}
    )


# rows


def _loads(run: Migration, *, cut: bool) -> list[Item]:
    return [
        Item(load.id, load.batch, load.size_bytes)
        for load in run.plan.loads
        if _is_cut(load) is cut
    ]


def _is_cut(load: Load) -> bool:
    return not isinstance(load.chunks[0].range, Whole)


def whole_relations(run: Migration) -> list[Item]:
    return _loads(run, cut=False)


def partitions(run: Migration) -> list[Item]:
    return _loads(run, cut=True)


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
    """All chunks and their journal lines in one target transaction."""
    source = await sessions.reader(run.snapshot.id)
    target = await sessions.writer()
    lines = []
    await execute(target, "begin", "beginning a transaction")
    try:
        run.check_epoch(await fetch_row(target, run.fence, "journalling"))
        if run.plan.silences_triggers and _fills(run, load):
            silence = "set local session_replication_role = replica"
            await execute(target, silence, "switching triggers off")
        for chunk in load.chunks:
            item = run.relation(chunk.relation)
            arrived = await relay(source, target, _journey(item, chunk), _telling(run, load))
            lines.append(_line(run, step, chunk, arrived))
        statements = [line_statement(run.plan.run, line) for line in lines]
        await execute(target, "; ".join(statements), f"journalling {load.id}")
        await execute(target, "commit", f"committing {load.id}")
    except WindlassError:
        sessions.drop()
        raise
    return lines


def _fills(run: Migration, load: Load) -> bool:
    return any(run.relation(chunk.relation).arrival is Arrival.FILL for chunk in load.chunks)


def _journey(item: RelationPlan, chunk: Chunk) -> Journey:
    """FREEZE spares the target a second writing of every page, where the transaction may own the
    relation; emptying a small one costs more than it saves."""
    alone = (
        isinstance(chunk.range, Whole)
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


def transfer_large_objects(run: Migration, _: Item) -> Result:
    """In the order of their ids, some in each transaction; goes on after the last that is in."""
    if not run.plan.large_objects.count:
        return {}
    source = run.sessions().source(run.snapshot.id)
    last = max((int(item) for item in run.done("transfer_large_objects")), default=0)
    while some := describe_after(source, last, LARGE_OBJECTS_AT_ONCE):
        last = some[-1].oid
        copy = partial(_copy_large_objects, run, source, some)
        run.once("transfer_large_objects", str(last), copy)
    return {"objects": run.plan.large_objects.count}


def _copy_large_objects(
    run: Migration, source: Connection, some: Sequence[Described], target: Connection
) -> Result:
    roles = read_existing(target).roles
    losses = []
    for described in some:
        copy_large_object(source, target, described)
        dress(target, described, roles, run.plan.target.user)
        losses += [
            Loss(f"large object {described.oid}", f"role {role} does not exist on the target")
            for role in sorted(strangers(described, roles))
        ]
    return {**_with_losses(losses), "large_objects": [described.oid for described in some]}


# keys


def _items(step: str) -> Callable[[Migration], list[Item]]:
    return lambda run: [portion.item for portion in run.portions[step]]


def create_indexes(run: Migration, item: Item) -> Result:
    """One index of a large relation, or all keys of a batch of small ones."""
    return run.once(CREATE_INDEXES, item.id, partial(_build, run, CREATE_INDEXES, item))


def create_primary_keys(run: Migration, item: Item) -> Result:
    """Attach a large relation's key constraints to their indexes; extended statistics as well."""
    return run.once(CREATE_PRIMARY_KEYS, item.id, partial(_build, run, CREATE_PRIMARY_KEYS, item))


def _build(run: Migration, step: str, item: Item, target: Connection) -> Result:
    speed_up_builds(target)
    run_statements(target, _statements(run, step, item))
    return {}


def _statements(run: Migration, step: str, item: Item) -> Sequence[Statement]:
    return next(p.statements for p in run.portions[step] if p.item.id == item.id)


def validate_foreign_keys(run: Migration, item: Item) -> Result:
    """A batch's foreign keys, each on its own: rows that violate one leave it NOT VALID."""

    lost = {loss.object for loss in run.losses()}
    statements = [
        named
        for statement in _statements(run, VALIDATE_FOREIGN_KEYS, item)
        if str(named := replace(statement, kind="FK CONSTRAINT")) not in lost
    ]
    consequence = "stays NOT VALID on the target, as the rows violate it"
    work = partial(_try_all, statements, consequence)
    return run.once(VALIDATE_FOREIGN_KEYS, item.id, work)


# what makes it whole


def analyzed(run: Migration) -> list[Item]:
    """Per batch, but for partitions: ANALYZE takes them along with their root, later."""
    sizes: dict[str, int] = {}
    for item in run.plan.relations:
        if _is_analyzed_alone(run, item):
            sizes[item.batch] = sizes.get(item.batch, 0) + item.relation.size_bytes
    return [Item(batch, batch, size) for batch, size in sizes.items()]


def _is_analyzed_alone(run: Migration, item: RelationPlan) -> bool:
    return item.relation.partition_of not in run.partitioned


def analyze_tables(run: Migration, item: Item) -> Result:
    names = [
        one.target
        for one in run.plan.relations
        if one.batch == item.id and _is_analyzed_alone(run, one)
    ]
    return run.once("analyze_tables", item.id, lambda target: analyze(target, names))


def analyze_partitioned(run: Migration, _: Item) -> Result:
    """Partitioned relations, whose statistics autovacuum never gathers, with their partitions."""
    roots = run.plan.partition_roots
    return run.once("analyze_partitioned", "", lambda target: analyze(target, roots))


def set_sequence_values(run: Migration, _: Item) -> Result:
    """Where the source's sequences stand now: never behind a value that the snapshot holds."""
    pairs = run.plan.sequences
    source = run.sessions().source(run.snapshot.id)
    states = read_sequences(source, [name for name, _ in pairs], side="source")
    moved = [
        SequenceState(target, state.last_value, state.is_called)
        for (_, target), state in zip(pairs, states, strict=True)
    ]

    def write(target: Connection) -> Result:
        set_sequences(target, moved)
        return {"values": {str(one.name): [one.last_value, one.is_called] for one in moved}}

    return run.once("set_sequences", "", write)


def refresh_materialized_views(run: Migration, _: Item) -> Result:
    """Those that the source had populated, in the order in which they read each other."""
    for name in run.plan.materialized_views:
        run.once("refresh_materialized_views", str(name), partial(refresh, name))
    return {"views": len(run.plan.materialized_views)}


def analyze(target: Connection, names: Sequence[Name]) -> Result:
    """A tree with a foreign partition can be out of ANALYZE's reach: a loss, not a stop."""
    losses = []
    for name in names:
        table = sql.Identifier(name.schema, name.name)
        try:
            with target.transaction():
                _execute(target, sql.SQL("analyze {}").format(table), f"analyzing {name}")
        except (ConnectionLost, TargetFull):
            raise
        except WindlassError as error:
            losses.append(Loss(str(name), f"is not analyzed: {error}"))
    return _with_losses(losses)


def refresh(name: Name, target: Connection) -> Result:
    """A view whose query fails here (a function may name what is not there) stays empty: a loss."""
    view = sql.Identifier(name.schema, name.name)
    statement = sql.SQL("refresh materialized view {0}; analyze {0}").format(view)
    try:
        with target.transaction():
            _execute(target, statement, f"refreshing {name}")
    except (ConnectionLost, TargetFull):
        raise
    except WindlassError as error:
        return _with_losses([Loss(f"materialized view {name}", f"is not refreshed: {error}")])
    return {}


def _execute(target: Connection, statement: sql.Composed, doing: str) -> None:
    try:
        target.execute(statement)
    except psycopg.Error as error:
        raise explain(error, doing, side="target") from error


def generate_migration_summary(run: Migration, _: Item) -> Result:
    """Say what the snapshots were, and write the run's end, committed to disk."""
    run.check_complete()
    run.tell_snapshots()
    state = State.DIFFERENT if run.differences else State.DONE
    run.end(state, run.outcome(state))
    return {"state": state.value}


MIGRATE: Flow[Migration] = Flow(
    "migrate",
    (
        Step("extract_source_schema", extract_source_schema),
        Step("create_target_schema", create_target_schema, ("extract_source_schema",)),
        Step(CREATE_TABLES, create_target_tables, ("create_target_schema",), items=table_items),
        Step(
            "transfer_table_data",
            transfer_table_data,
            ("create_target_tables",),
            items=whole_relations,
        ),
        Step("transfer_partition", transfer_partition, ("create_target_tables",), items=partitions),
        Step("transfer_large_objects", transfer_large_objects, ("create_target_tables",)),
        Step(
            CREATE_INDEXES,
            create_indexes,
            ("transfer_table_data", "transfer_partition"),
            items=_items(CREATE_INDEXES),
            pipelined=True,
        ),
        Step(
            CREATE_PRIMARY_KEYS,
            create_primary_keys,
            (CREATE_INDEXES,),
            items=_items(CREATE_PRIMARY_KEYS),
            pipelined=True,
        ),
        Step(
            "analyze_tables",
            analyze_tables,
            (CREATE_PRIMARY_KEYS, CREATE_INDEXES),
            items=analyzed,
            pipelined=True,
        ),
        Step("attach_indexes", _in_order(Phase.ATTACH), (CREATE_PRIMARY_KEYS,)),
        Step("analyze_partitioned", analyze_partitioned, ("attach_indexes",)),
        Step("create_foreign_keys", create_foreign_keys, ("attach_indexes",)),
        Step(
            VALIDATE_FOREIGN_KEYS,
            validate_foreign_keys,
            ("create_foreign_keys",),
            items=_items(VALIDATE_FOREIGN_KEYS),
        ),
        Step("set_sequences", set_sequence_values, ("create_foreign_keys",)),
        Step("create_triggers_and_rules", _in_order(Phase.REST), (VALIDATE_FOREIGN_KEYS,)),
        Step(
            "grant_privileges",
            _in_order(Phase.GRANTS),
            ("create_triggers_and_rules", "transfer_large_objects", "set_sequences"),
        ),
        Step("refresh_materialized_views", refresh_materialized_views, ("grant_privileges",)),
        Step("create_event_triggers", _in_order(Phase.LAST), ("refresh_materialized_views",)),
        Step(
            VALIDATE_CONTENT,
            validate_content,
            (CREATE_PRIMARY_KEYS, CREATE_INDEXES),
            items=content_items,
            pipelined=True,
        ),
        Step("validate_schema", validate_schema, ("create_event_triggers",)),
        Step("validate_sequences", validate_sequences, ("set_sequences",)),
        Step("validate_large_objects", validate_large_objects, ("grant_privileges",)),
        Step("collect_all_results", collect_all_results, (VALIDATE_CONTENT, "validate_schema")),
        Step(
            "generate_migration_summary",
            generate_migration_summary,
            (
                "collect_all_results",
                "validate_sequences",
                "validate_large_objects",
                "analyze_tables",
                "analyze_partitioned",
            ),
        ),
    ),
)
