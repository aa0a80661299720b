"""The steps of the flow `migrate`: one Postgres database into another.

Each step's work and its journal line commit in one target transaction, so every step can be
killed at any point and run again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial

from windlass.aside.defaults import changes_defaults, read_defaults
from windlass.aside.large_objects import keep_aside
from windlass.aside.objects import note_of, set_aside
from windlass.aside.privileges import grants_on_others, note_changes, read_privileges
from windlass.aside.sequences import read_states
from windlass.engines.postgres import sequences
from windlass.engines.postgres.catalog import read_existing
from windlass.engines.postgres.ddl import (
    run_statements,
    settings_for_builds,
    try_statement,
    try_statements,
)
from windlass.engines.postgres.default_grants import made_addresses, undo_default_grants
from windlass.engines.postgres.largeobjects import (
    Described,
    apply_metadata,
    copy_large_object,
    describe_after,
    missing_roles,
)
from windlass.engines.postgres.session import Connection
from windlass.engines.postgres.unlogged import read_writers
from windlass.errors import (
    Different,
    Refused,
    RunLost,
)
from windlass.flows.migrate.context import Migration
from windlass.flows.migrate.described import collected_tables, described_tables
from windlass.flows.migrate.ending import check_complete, losses_in, notice_snapshots, state_of
from windlass.flows.migrate.maintenance import analyze, refresh, with_losses
from windlass.flows.migrate.portions import (
    BEFORE,
    CONVERT_TABLES,
    CREATE_INDEXES,
    CREATE_PRIMARY_KEYS,
    CREATE_TABLES,
    DEFAULTS,
    IN_ORDER,
    LARGE_OBJECTS_AT_ONCE,
    SET_ASIDE,
    SET_SEQUENCES,
    TRANSFERS,
    VALIDATE_FOREIGN_KEYS,
)
from windlass.flows.migrate.work import Work
from windlass.journal.records import has_survived
from windlass.model.flow import Item, Result
from windlass.model.outcome import Outcome
from windlass.model.plan import Plan, RelationPlan
from windlass.model.relation import Name
from windlass.model.relation import Sequence as SequenceState
from windlass.model.report import Loss, LossClass
from windlass.model.statement import Phase, Statement
from windlass.planning.document.as_json import document
from windlass.planning.document.contents import Detail
from windlass.planning.document.markdown import markdown
from windlass.planning.reviewed import changes_since, digests
from windlass.spec.choices import Existing, Extent

SEQUENCES_AT_ONCE = 200  # of which a transaction holds locks
MOST_STATEMENTS = 60  # of a plan that is shown with all of them
MOST_NAMED = 20  # losses, and notices, in a summary
IN_ORDER_ITEM = Item("in order")


def extract_source_schema(run: Migration, _: Item) -> Result:
    """Read both sides and plan, or find the run to resume. Writes nothing."""
    run.prepare()
    plan = run.plan
    detail = Detail.FULL if len(plan.statements) <= MOST_STATEMENTS else Detail.BRIEF
    return {
        "extracted_tables": described_tables(plan),
        "total_row_count": sum(max(item.relation.rows, 0) for item in plan.relations),
        "plan": markdown(plan, detail=detail),
        "fingerprint": plan.fingerprint,
        "digests": digests(plan) if run.request.external_run else {},
        "run": plan.run,
        **({"document": document(plan)} if run.request.external_run else {}),  # to be shown
    }


def hold_snapshot(run: Migration, _: Item) -> Result:
    """Journal the plan, or take over the run to resume; hold its snapshot and its lock."""
    planned = run.result("extract_source_schema")
    run.prepare(planned["run"])  # the id that the reviewed plan names
    _check_planned(run.plan, planned)
    run.begin()
    return run.handle


def _check_planned(plan: Plan, planned: Result) -> None:
    """Check that the plan is the one that was planned.

    Raises:
        Refused: the plan to carry out is not the one that was planned; with what has changed.
    """
    if planned["fingerprint"] != plan.fingerprint:
        hint = "nothing was written: begin a new run, which shows its plan again"
        raise Refused(changes_since(planned.get("digests", {}), plan, hint))


def create_target_schema(run: Work, _: Item) -> Result:
    """Set conflicting objects aside, then create schemas, extensions, types and functions."""
    statements = run.plan.statements
    fills = run.spec.existing is Existing.FILL or run.spec.extent is Extent.DATA
    if changes_defaults(statements) or fills:
        run.once(IN_ORDER[Phase.SCHEMA], BEFORE, partial(_read_before, run))
    if run.plan.set_aside:

        def aside(connection: Connection) -> Result:
            moves = set_aside(connection, run.plan.set_aside)
            return {"objects": len(run.plan.set_aside), "moves": note_of(moves)}

        run.once("create_target_schema", SET_ASIDE, aside)
    return _run_schema(run, _)


def _read_before(run: Work, target: Connection) -> Result:
    """Note the state of objects that the run changes, but that a rollback does not drop."""
    states = read_states(target, {name for _, name in run.plan.sequences})
    noted = read_defaults(target, run.plan.statements)
    return {**noted, "sequences": states} if states else noted


def _in_order(phase: Phase) -> Callable[[Work, Item], Result]:
    """A step that runs a phase's statements in archive order."""
    step = IN_ORDER[phase]

    def run_phase(run: Work, _: Item) -> Result:
        portions = run.portions[step]
        for portion in portions:
            run.once(step, portion.item.id, partial(_run, portion.statements))
        return {"statements": sum(len(portion.statements) for portion in portions)}

    return run_phase


def _run(statements: Sequence[Statement], connection: Connection) -> Result:
    run_statements(connection, statements)
    return {}


_run_schema = _in_order(Phase.SCHEMA)
attach_indexes = _in_order(Phase.ATTACH)
create_triggers_and_rules = _in_order(Phase.REST)
create_event_triggers = _in_order(Phase.LAST)


def grant_privileges(run: Work, _: Item) -> Result:
    """Grant the source's privileges, and revoke those that the target's default privileges
    added."""
    made = {(one.kind, one.name) for one in run.plan.statements if one.kind != "ACL"}
    step = IN_ORDER[Phase.GRANTS]
    if run.plan.statements:
        run.once(step, DEFAULTS, lambda target: _undo_default_grants(target, made))
    for portion in run.portions[step]:
        run.once(step, portion.item.id, partial(_grant, portion.statements, made))
    return {"statements": sum(len(portion.statements) for portion in run.portions[step])}


def _undo_default_grants(target: Connection, made: Collection[tuple[str, Name]]) -> Result:
    undo_default_grants(target, made)
    return {}


def _grant(
    statements: Sequence[Statement], made: Collection[tuple[str, Name]], target: Connection
) -> Result:
    """Note changes to objects that a rollback does not drop, so that it can revert them."""
    if not grants_on_others(statements, made):
        return _run(statements, target)
    before = read_privileges(target)
    run_statements(target, statements)
    own = {oid for _, oid in made_addresses(target, made)}
    changes = [one for one in note_changes(before, read_privileges(target)) if one[1] not in own]
    return {"privileges": changes} if changes else {}


def table_items(run: Work) -> list[Item]:
    """Ordered statements as one item; independent components of relations as several, which run in
    parallel."""
    free = [portion.item for portion in run.portions[CREATE_TABLES] if portion.is_free]
    return [IN_ORDER_ITEM, *free]


def create_target_tables(run: Work, item: Item) -> Result:
    """Create relations, and what the archive puts between and after them."""
    made: set[Name] = set()
    for portion in run.portions[CREATE_TABLES]:
        mine = portion.item == item if portion.is_free else item == IN_ORDER_ITEM
        if mine:
            run.once(CREATE_TABLES, portion.item.id, partial(_run, portion.statements))
            made.update(one.name for one in portion.statements if one.kind == "TABLE")
    return {"tables": described_tables(run.plan, made)}


def create_foreign_keys(run: Work, _: Item) -> Result:
    """Create them NOT VALID where possible. A key that cannot be created, because a partitioned
    relation's rows violate it or a filled relation has no such key, is a loss."""
    step = IN_ORDER[Phase.FOREIGN_KEYS]
    for portion in run.portions[step]:
        run.once(step, portion.item.id, partial(_try_keys, portion.statements))
    return {}


def _try_keys(statements: Sequence[Statement], connection: Connection) -> Result:
    return with_losses(try_statements(connection, statements, "left out"))


def _try_all(statements: Sequence[Statement], consequence: str, connection: Connection) -> Result:
    found = [try_statement(connection, statement, consequence) for statement in statements]
    return with_losses([loss for loss in found if loss])


def copy_large_objects(run: Work, _: Item) -> Result:
    """Copy them in the order of their ids, several per transaction; resumes after the last one
    copied."""
    if not run.plan.objects.large_objects.count:
        return {}
    source = run.sessions().source(run.snapshot.id)
    last = max((int(item) for item in run.lines("copy_large_objects")), default=0)
    while some := describe_after(source, last, LARGE_OBJECTS_AT_ONCE):
        last = some[-1].oid
        copy = partial(_copy_large_objects, run, source, some)
        run.once("copy_large_objects", str(last), copy)
    return {"objects": run.plan.objects.large_objects.count}


def _copy_large_objects(
    run: Work, source: Connection, some: Sequence[Described], target: Connection
) -> Result:
    roles = read_existing(target).roles
    losses = []
    oids = [described.oid for described in some]
    is_replacing = run.spec.existing is Existing.REPLACE
    kept = keep_aside(target, oids, run.plan.target.user) if is_replacing else {}
    for described in some:
        copy_large_object(source, target, described)
        apply_metadata(target, described, roles, run.plan.target.user)
        losses += [
            Loss(
                f"large object {described.oid}",
                f"role {role} does not exist on the target",
                LossClass.OWNERS if role == described.owner else LossClass.GRANTS,
            )
            for role in sorted(missing_roles(described, roles))
        ]
    return {**with_losses(losses), "large_objects": oids, **({"kept": kept} if kept else {})}


def collect_all_results(run: Work, _: Item) -> Result:
    """What has arrived, according to the journal."""
    lines = {item: line for step in TRANSFERS for item, line in run.lines(step).items()}
    return {
        "tables": collected_tables(run.plan, lines),
        "total_row_count": sum(line.rows for line in lines.values()),
        "total_bytes": sum(line.size_bytes for line in lines.values()),
    }


# keys


def _items(step: str) -> Callable[[Work], list[Item]]:
    return lambda run: [portion.item for portion in run.portions[step]]


logged_items = _items(CONVERT_TABLES)
index_items = _items(CREATE_INDEXES)
primary_key_items = _items(CREATE_PRIMARY_KEYS)
foreign_key_items = _items(VALIDATE_FOREIGN_KEYS)


def convert_tables_to_logged(run: Work, item: Item) -> Result:
    """Make a batch's relations logged that were filled unlogged."""

    def convert(target: Connection) -> Result:
        if not has_survived(target, run.plan.run):
            raise RunLost("the target crashed, which has emptied its unlogged relations")
        _build(run, CONVERT_TABLES, item, target)
        names = [one.name for one in _statements(run, CONVERT_TABLES, item)]
        return {"xids": read_writers(target, names)}  # see `windlass.journal.records.transactions`

    return run.once(CONVERT_TABLES, item.id, convert)


def create_indexes(run: Work, item: Item) -> Result:
    """Build one index of a large relation, or all keys of a batch of small ones."""
    return run.once(CREATE_INDEXES, item.id, partial(_build, run, CREATE_INDEXES, item))


def create_primary_keys(run: Work, item: Item) -> Result:
    """Attach a large relation's key constraints to their indexes; extended statistics as well."""
    return run.once(CREATE_PRIMARY_KEYS, item.id, partial(_build, run, CREATE_PRIMARY_KEYS, item))


def _build(run: Work, step: str, item: Item, target: Connection) -> Result:
    first = settings_for_builds(target, run.spec.jobs)
    run_statements(target, _statements(run, step, item), first=first)
    return {}


def _statements(run: Work, step: str, item: Item) -> Sequence[Statement]:
    return next(p.statements for p in run.portions[step] if p.item.id == item.id)


def validate_foreign_keys(run: Work, item: Item) -> Result:
    """Validate each foreign key of a batch separately: a key that rows violate stays NOT VALID."""
    made = run.lines(IN_ORDER[Phase.FOREIGN_KEYS])
    lost = {loss.object for loss in (*run.plan.findings.losses, *losses_in(made.values()))}
    statements = [
        named
        for statement in _statements(run, VALIDATE_FOREIGN_KEYS, item)
        if str(named := replace(statement, kind="FK CONSTRAINT")) not in lost
    ]
    consequence = "stays NOT VALID on the target, as the rows violate it"
    work = partial(_try_all, statements, consequence)
    return run.once(VALIDATE_FOREIGN_KEYS, item.id, work)


# what makes it whole


def analyzed(run: Work) -> list[Item]:
    """Relations per batch; partitions are analyzed later, with their root."""
    sizes: dict[str, int] = {}
    for item in _analyzed_alone(run.plan):
        sizes[item.batch] = sizes.get(item.batch, 0) + item.relation.size_bytes
    return [Item(batch, batch, size) for batch, size in sizes.items()]


def _analyzed_alone(plan: Plan) -> list[RelationPlan]:
    partitioned = {source for _, source, _ in plan.objects.others}  # partitioned tables, and views
    return [one for one in plan.relations if one.relation.partition_of not in partitioned]


def analyze_tables(run: Work, item: Item) -> Result:
    names = [one.target for one in _analyzed_alone(run.plan) if one.batch == item.id]
    return _analyze_once(run, "analyze_tables", item.id, names)


def analyze_partitioned(run: Work, _: Item) -> Result:
    """Analyze partitioned relations, whose statistics autovacuum never gathers, with their
    partitions."""
    return _analyze_once(run, "analyze_partitioned", "", run.plan.objects.partition_roots)


def _analyze_once(run: Work, step: str, item: str, names: Sequence[Name]) -> Result:
    """Outside a transaction, so that each relation's lock is released as soon as it is done.
    Repeating it is harmless."""
    found = {} if item in run.lines(step) else analyze(run.sessions().target(), names)
    return run.once(step, item, lambda _: found)


def set_sequences(run: Work, _: Item) -> Result:
    """Set the current values of the source's sequences: never behind a value in the snapshot."""
    pairs, most = run.plan.sequences, min(SEQUENCES_AT_ONCE, run.plan.how.most_statements)
    done = bool(run.lines(SET_SEQUENCES))
    values: dict[str, list[object]] = {}
    for start in range(0, 0 if done else len(pairs), most):
        moved = _read_moved(run, pairs[start : start + most])
        set_them = partial(_set_sequences, moved)
        run.journal.fenced(run.sessions().target(), SET_SEQUENCES, set_them)
        values |= {str(one.name): [one.last_value, one.is_called] for one in moved}
    return run.once(SET_SEQUENCES, "", lambda _: {"values": values})


def _read_moved(run: Work, pairs: Sequence[tuple[Name, Name]]) -> list[SequenceState]:
    """The states of the source's sequences, under their target names."""
    source = run.sessions().source(run.snapshot.id)
    states = sequences.read_sequences(source, [name for name, _ in pairs], side="source")
    return [
        SequenceState(target, state.last_value, state.is_called)
        for (_, target), state in zip(pairs, states, strict=True)
    ]


def _set_sequences(states: Sequence[SequenceState], target: Connection) -> None:
    sequences.set_sequences(target, states)


def refresh_materialized_views(run: Work, _: Item) -> Result:
    """Refresh those that the source had populated, in dependency order."""
    for name in run.plan.objects.materialized_views:
        run.once("refresh_materialized_views", str(name), partial(refresh, name))
    return {"views": len(run.plan.objects.materialized_views)}


def generate_migration_summary(run: Migration, _: Item) -> Result:
    """Report the snapshots and journal the run's end, committed to disk.

    Raises:
        Different: the run is over, and not everything is equal, or the rows caused a loss that was
        not accepted.
    """
    check_complete(run, run.journal, is_over=run.stage.is_over)
    notice_snapshots(run, run.journal)
    lost = run.unaccepted_losses()
    state = state_of(run, lost)
    outcome = run.outcome(state)
    run.end(state, outcome)
    if run.differences or lost:
        raise Different(run.differences, summary(outcome), losses=lost)
    return {**summary(outcome), "assets": list(_assets(run, outcome))}


def _assets(run: Work, outcome: Outcome) -> Iterator[Result]:
    """The assets for the relations that have arrived, with what was read and when."""
    server, taken = run.plan.target, {one.number: one for one in outcome.snapshots}
    for item, arrived in zip(run.plan.relations, outcome.relations, strict=True):
        read_in = taken.get(max(arrived.snapshots, default=0))
        yield {
            "place": server.place,
            "database": server.database,
            "schema": item.target.schema,
            "table": item.target.name,
            "rows": arrived.rows,
            "bytes": arrived.bytes,
            **({"snapshot": read_in.taken_at, "lsn": read_in.lsn} if read_in else {}),
        }


def summary(outcome: Outcome) -> Result:
    """A finished run in brief, small enough for a message."""
    return {
        "run": outcome.run,
        "state": outcome.state.value,
        "source": outcome.source,
        "target": outcome.target,
        "tables": len(outcome.relations),
        "total_row_count": outcome.rows,
        "total_bytes": outcome.bytes,
        "seconds": round(outcome.seconds, 1),
        "verified": outcome.proof.verified,
        "snapshots": len({number for one in outcome.relations for number in one.snapshots}),
        "losses": [str(loss) for loss in outcome.losses[:MOST_NAMED]],
        "notices": list(outcome.notices[:MOST_NAMED]),
    }
