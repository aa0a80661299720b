"""The plan of a move, from what was read on both sides."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import LiteralString

from psycopg import sql

from windlass.engines.postgres.archive import PARTS, RELATION_KINDS, Entry
from windlass.engines.postgres.catalog import Catalog, Existing, ForeignKey, KeyConstraint
from windlass.engines.postgres.conversions import conversion
from windlass.engines.postgres.database import Properties
from windlass.engines.postgres.largeobjects import Collisions
from windlass.engines.postgres.locale import C, Locale
from windlass.engines.postgres.locks import LockRoom
from windlass.engines.postgres.meaning import Since
from windlass.engines.postgres.own_schemas import NO_OWN_SCHEMAS, OwnSchemas
from windlass.engines.postgres.references import Reference
from windlass.engines.postgres.trial import TryOut
from windlass.engines.postgres.undumped import NOTHING_UNDUMPED, Undumped
from windlass.model.plan import (
    Arrival,
    ColumnPlan,
    Dependent,
    Plan,
    Purpose,
    RelationPlan,
)
from windlass.model.relation import Column, Kind, LargeObjects, Name, Relation, Wire
from windlass.model.report import Loss, LossClass, Problem, loss_problems
from windlass.model.statement import Phase, Statement
from windlass.model.units import several
from windlass.planning.chunks import (
    BATCH_RELATIONS,
    SMALL_BYTES,
    Bounds,
    Limits,
    batches,
    is_better_whole,
    plan_loads,
    split,
)
from windlass.planning.estimate import ASSUMED, Speeds, Work, estimate
from windlass.planning.postgres.aside import Aside, plan_aside, same_definitions
from windlass.planning.postgres.build import build_problems, unlabelled
from windlass.planning.postgres.check import (
    InTheWay,
    Sides,
    collision_problems,
    conflicts,
    emptiness_problems,
    find_in_the_way,
    find_problems,
    large_object_losses,
    large_object_problems,
    missing_extensions,
    odd_choices,
    reading_problems,
    schema_problems,
    standby_problems,
    taken_names,
    unmovable,
    without_freed,
)
from windlass.planning.postgres.dependents import Replacing, Repointing, plan_repointing
from windlass.planning.postgres.locale import locale_losses, locale_notices
from windlass.planning.postgres.locks import locked_tables, portion_size, target_lock_problems
from windlass.planning.postgres.narrowing import Census, Narrowed, narrow
from windlass.planning.postgres.object_names import CountNames, name_problems
from windlass.planning.postgres.open_schemas import close_public
from windlass.planning.postgres.own import (
    kept_notices,
    others_entries,
    others_relations,
    own_losses,
    own_notices,
)
from windlass.planning.postgres.present import Present
from windlass.planning.postgres.properties import Carried, carry_properties, closed_notices
from windlass.planning.postgres.refreshing import refreshed_bytes
from windlass.planning.postgres.removed import removed_problems
from windlass.planning.postgres.select import (
    Wanted,
    select_entries,
    select_relations,
    selection_problems,
)
from windlass.planning.postgres.sequences import Sequences, plan_sequences
from windlass.planning.postgres.standing import itself, same_database
from windlass.planning.postgres.statements import (
    Surroundings,
    Written,
    target_name,
    write_statements,
)
from windlass.planning.postgres.superusers import LeftOut, superuser_problems, without_barred
from windlass.planning.postgres.undumped import undumped_losses, undumped_notices
from windlass.spec.choices import ChunkBy, Extent, Unlogged, Verify
from windlass.spec.choices import Existing as OnExisting
from windlass.spec.migrate import Spec

MOST_NAMED = 20  # in a notice
# of a run on the target, beside two for each job: control, pg_dump, lock watch, status
OTHER_SESSIONS = 4


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything that was read before planning. Its functions may read more."""

    source: Catalog
    target: Catalog
    existing: Existing
    entries: Sequence[Entry]
    key_constraints: Sequence[KeyConstraint]
    foreign_keys: Sequence[ForeignKey]
    invalid_indexes: Sequence[Name]
    subscriptions: Sequence[str]
    large_objects: LargeObjects
    target_large_objects: LargeObjects
    bounds: Bounds
    may_silence_triggers: bool
    empty: Callable[[Iterable[Name]], Mapping[Name, bool]]
    census: Census
    count_names: CountNames
    pg_dump: str
    properties: Properties  # of the source's database
    target_properties: Properties
    open_schemas: Mapping[str, bool]  # each, and whether PUBLIC may create in it
    target_open_schemas: Mapping[str, bool]
    try_out: TryOut  # on the target, rolled back
    collisions: Callable[[], Collisions]  # of large objects
    references: Callable[[], Sequence[Reference]]  # of the target
    target_archive: Callable[[], Sequence[Entry]]
    target_foreign_keys: Sequence[ForeignKey]
    target_locks: LockRoom
    logs_little: bool = False  # the target has wal_level = minimal
    speeds: Speeds = ASSUMED
    own_schemas: OwnSchemas = NO_OWN_SCHEMAS  # of the source, where earlier runs have kept things
    kept_objects: Mapping[str, int] = field(default_factory=dict)  # large ones, by run; likewise
    target_own_schemas: OwnSchemas = NO_OWN_SCHEMAS
    undumped: Undumped = NOTHING_UNDUMPED  # of the source
    locale: Locale = C  # of the source's database
    target_locale: Locale = C


def wanted(spec: Spec) -> Wanted:
    return Wanted(spec.schemas, spec.include, spec.exclude)


def make_plan(
    run: str,
    spec: Spec,
    reading: Reading,
    found: Sequence[Problem] = (),
    purpose: Purpose = Purpose.MOVE,
) -> Plan:
    """Decide everything. The plan's problems say why it could not be carried out, those that
    were `found` while reading among them."""
    if purpose is Purpose.COMPARE:
        spec = spec.model_copy(update={"existing": OnExisting.FILL})
    chosen = wanted(spec)
    others = others_entries(reading.entries, reading.own_schemas)
    reading = replace(reading, entries=others.entries)
    relations = select_relations(reading.source, chosen)
    schemas = _schema_map(spec, reading, relations, chosen)
    renamed = {old: new for old, new in schemas.items() if old != new}
    there = others_relations(reading.target, reading.target_own_schemas)
    sides = Sides(reading.source, there, reading.existing, relations, schemas)
    owned_by = {item.name: item.owner for item in reading.source.sequences if item.owner}
    names = {relation.name for relation in relations}
    since = Since.of(reading.source.server.major, reading.target.server.major)
    present = Present(reading.entries, schemas, reading.existing, reading.target_archive, since)
    selection = select_entries(reading.entries, names, chosen, owned_by, present)
    shared = present.shared(selection.needed)
    entries = [entry for entry in selection.entries if entry.id not in shared]
    in_the_way = find_in_the_way(entries, schemas, reading.existing)
    barred = LeftOut(tuple(entries))
    if purpose is Purpose.MOVE and spec.extent is not Extent.DATA:
        there_already = {item.entry.id for item in in_the_way}
        barred = without_barred(entries, reading.target.server, there_already, reading.try_out)
        entries = list(barred.entries)
    if spec.existing is OnExisting.REPLACE:
        in_the_way = without_freed(in_the_way)
    arriving = {
        relation.name: _arrival(spec, target_name(relation.name, schemas), reading.target)
        for relation in relations
    }
    aside = _aside(spec, run, reading, in_the_way, entries, schemas)
    written = _write(spec, reading, entries, in_the_way, aside, arriving, renamed)
    if purpose is Purpose.MOVE:
        kept, lost = unlabelled(written.statements, reading.try_out)
        written = replace(written, statements=kept, losses=(*written.losses, *lost))
    repointing = _repointing(spec, run, reading, aside, relations, written, schemas)
    narrowed = Narrowed(_plan_relations(spec, reading, relations, arriving, schemas))
    if purpose is Purpose.MOVE and spec.extent is not Extent.SCHEMA:
        arrived = {relation.name: relation for relation in reading.target.relations}
        narrowed = narrow(narrowed.relations, arrived, reading.census)
    relation_plans = narrowed.relations
    statements = _with_unlogged(spec, reading, written.statements, relation_plans)
    problems = [
        *found,
        *selection_problems(reading.source, _all_schemas(reading), chosen, mapped=spec.map_schema),
        *reading_problems(sides),
        *_merged_schemas(schemas),
    ]
    catalogs = reading.source, reading.target
    if purpose is Purpose.COMPARE and not renamed:
        problems += itself(*catalogs)
    stranded = _stranded_relations(selection.stranded)
    if purpose is Purpose.MOVE:
        problems += [
            *find_problems(spec, sides),
            *emptiness_problems(reading.empty(_filled(relation_plans))),
            *stranded,
            *written.problems,
            *_firing_problems(reading, relation_plans),
            *narrowed.problems,
        ]
    if purpose is Purpose.MOVE and spec.extent is not Extent.SCHEMA:
        problems += name_problems(relation_plans, renamed, reading.count_names)
    silenced = _silenced(reading, relation_plans) if purpose is Purpose.MOVE else []
    if purpose is Purpose.MOVE and spec.extent is not Extent.DATA:
        problems += missing_extensions(entries, reading.existing)
        bars = superuser_problems(written.statements, reading.target.server)
        problems += bars
        able = [one for one in written.statements if str(one) not in {bar.object for bar in bars}]
        copied = relations if spec.extent is Extent.ALL else ()
        made = {target_name(name, renamed) for name in locked_tables(relations)}
        tables = len(made | locked_tables(reading.target.relations))
        problems += target_lock_problems(tables, reading.target_locks, reading.try_out)
        problems += schema_problems(written.statements, sides)
        problems += build_problems(able, copied, renamed, reading.try_out)
        both = reading.source.server, reading.target.server
        problems += removed_problems(able, *both, reading.try_out)
        problems += conflicts(in_the_way) if spec.existing is OnExisting.REFUSE else []
        problems += unmovable(in_the_way) if spec.existing is OnExisting.REPLACE else []
        problems += [*aside.problems, *repointing.problems]
        problems += taken_names(written.statements, in_the_way, reading.existing)
    copies = spec.extent is not Extent.SCHEMA
    large_objects = reading.large_objects if copies and chosen.is_everything else LargeObjects()
    problems += standby_problems(reading.source, relations) if copies else []
    if large_objects.count:
        problems += large_object_problems(sides)
    has_large_objects = large_objects.count and reading.target_large_objects.count
    if purpose is Purpose.MOVE and has_large_objects:
        collisions = reading.collisions()
        problems += collision_problems(collisions, reading.target.server.user, spec.existing)
    carried = _properties(spec, reading, chosen, purpose)
    problems += carried.problems
    closed = _closed(spec, reading, schemas, purpose)
    statements += closed.statements + carried.statements
    sequences = plan_sequences(
        Sequences(
            reading.source,
            reading.target,
            relations,
            schemas,
            {Name(one.schema, one.tag) for one in selection.entries if one.kind == "SEQUENCE"},
            {one.name for one in written.statements if one.kind == "SEQUENCE"},
        ),
        spec.extent,
        chosen,
        purpose,
    )
    undumped = _undumped(reading, chosen, copies=copies), entries, reading.source.server.user
    losses = (
        *narrowed.losses,
        *sequences.losses,
        *written.losses,
        *carried.losses,
        *closed.losses,
        *selection.stranded,
        *others.stranded,
        *barred.losses,
        *(() if chosen.schemas or chosen.include else own_losses(reading.own_schemas)),
        *aside.losses,
        *_other_losses(reading, chosen, relations),
        *_locale_losses(spec, reading),
        *(large_object_losses(sides) if large_objects.count else ()),
        *(undumped_losses(*undumped) if purpose is Purpose.MOVE else ()),
        *silenced,
    )
    if purpose is Purpose.MOVE:
        problems += loss_problems(_without(losses, stranded), spec.accept)
    # all that exists there is the source's own: no way to replace it is shown
    same = [*same_database(*catalogs)] if purpose is Purpose.MOVE else []
    loads = plan_loads((item.batch, item.chunks) for item in relation_plans) if copies else ()
    return Plan(
        run=run,
        source=reading.source.server,
        target=reading.target.server,
        schemas=dict(schemas),
        relations=relation_plans,
        others=tuple(
            (relation.kind.label, relation.name, target_name(relation.name, schemas))
            for relation in relations
            if not relation.holds_rows
        ),
        loads=loads,
        statements=statements,
        sequences=sequences.pairs,
        materialized_views=(
            _refreshed(written.statements, reading.source, renamed) if copies else ()
        ),
        partition_roots=tuple(
            target_name(relation.name, schemas)
            for relation in relations
            if relation.kind is Kind.PARTITIONED
            and not any(other.name == relation.partition_of for other in relations)
        ),
        large_objects=large_objects,
        set_aside=(*aside.items, *repointing.followers),
        losses=losses,
        problems=tuple(dict.fromkeys(same or problems)),
        estimate=estimate(
            Work(
                relation_plans,
                statements if purpose is Purpose.MOVE else (),
                spec.jobs,
                spec.verify_.value,
                copies_rows=copies,
                arrives=purpose is Purpose.MOVE,
                refreshed_bytes=refreshed_bytes(reading.entries, relations),
            ),
            reading.speeds,
        ),
        pg_dump=reading.pg_dump,
        jobs=spec.jobs,
        verify=spec.verify_.value,
        copies_rows=copies,
        silences_triggers=reading.may_silence_triggers,
        portion=portion_size(reading.target_locks, spec.jobs),
        notices=(
            *_notices(written.statements, relation_plans),
            *_drawing(repointing.dependents),
            *(odd_choices(spec, sides) if purpose is Purpose.MOVE else ()),
            *_left_with_database(spec, reading, chosen),
            *_left_closed(spec, reading, chosen),
            *(_left_stale(spec, reading, sides) if purpose is Purpose.MOVE else ()),
            *own_notices(reading.own_schemas),
            *(kept_notices(reading.kept_objects) if large_objects.count else ()),
            *locale_notices(reading.locale, reading.target_locale),
            *(undumped_notices(*undumped) if purpose is Purpose.COMPARE else ()),
        ),
        dependents=repointing.dependents,
        notes_sums=copies and purpose is Purpose.MOVE and spec.verify_ is not Verify.NONE,
    )


def _drawing(dependents: Iterable[Dependent]) -> Iterator[str]:
    """Defaults of tables that stay, whose rows may have values which the source's sequence has not
    given yet."""
    for one in dependents:
        if any(each.kind == "DEFAULT" and "nextval(" in each.sql for each in one.statements):
            yield (
                f"{one.object} draws from a sequence that is replaced and gets the source's state:"
                " set it past the values that this table has already"
            )


def _notices(statements: Iterable[Statement], relations: Iterable[RelationPlan]) -> tuple[str, ...]:
    """A crash of the target after the run empties what is unlogged there."""
    unlogged = {one.name for one in statements if "CREATE UNLOGGED TABLE" in one.sql}
    names = sorted(str(item.target) for item in relations if item.target in unlogged)
    if not names:
        return ()
    verb = "is" if len(names) == 1 else "are"
    return (
        f"{several(names, MOST_NAMED)} {verb} unlogged on the target, as on the source: a crash of"
        " the server empties unlogged tables",
    )


def _undumped(reading: Reading, chosen: Wanted, *, copies: bool) -> Undumped:
    """Rows of extensions go with all of a database, or not at all."""
    found = reading.undumped
    return found if copies and chosen.is_everything else replace(found, extension_rows={})


def _properties(spec: Spec, reading: Reading, chosen: Wanted, purpose: Purpose) -> Carried:
    """Of the database, which is the migration's only where everything is."""
    if purpose is Purpose.COMPARE or spec.extent is Extent.DATA or not chosen.is_everything:
        return Carried()
    server = reading.target.server
    return carry_properties(
        reading.properties,
        reading.target_properties,
        database=server.database,
        roles=reading.existing.roles,
        existing=spec.existing,
        try_out=reading.try_out,
        sessions=0 if server.superuser else 2 * spec.jobs + OTHER_SESSIONS,
    )


def _closed(spec: Spec, reading: Reading, schemas: Mapping[str, str], purpose: Purpose) -> Carried:
    if purpose is Purpose.COMPARE or spec.extent is Extent.DATA:
        return Carried()
    return close_public(
        reading.open_schemas,
        reading.target_open_schemas,
        schemas=schemas,
        server=reading.target.server,
        existing=reading.existing,
    )


def _locale_losses(spec: Spec, reading: Reading) -> Iterable[Loss]:
    """Rows alone go into tables whose behaviour is the target's affair."""
    if spec.extent is Extent.DATA:
        return ()
    return locale_losses(reading.locale, reading.target_locale)


def _left_with_database(spec: Spec, reading: Reading, chosen: Wanted) -> Iterable[str]:
    has_own = any(kind in ("setting", "limit", "comment") for kind, *_ in reading.properties.values)
    if has_own and not chosen.is_everything and spec.extent is not Extent.DATA:
        yield (
            "settings, connection limit, comment and grants of the database are not carried over,"
            " as only a part of it is selected"
        )


def _left_closed(spec: Spec, reading: Reading, chosen: Wanted) -> Iterable[str]:
    if spec.extent is Extent.DATA or not chosen.is_everything:
        return ()
    return closed_notices(reading.properties, reading.target_properties)


def _left_stale(spec: Spec, reading: Reading, sides: Sides) -> Iterable[str]:
    """With rows alone no materialised view is refreshed."""
    there = {one.name for one in reading.target.relations if one.kind is Kind.MATERIALIZED_VIEW}
    views = (one for one in sides.relations if one.kind is Kind.MATERIALIZED_VIEW and one.populated)
    names = [str(name) for one in views if (name := target_name(one.name, sides.schemas)) in there]
    if names and spec.extent is Extent.DATA:
        verb = "is" if len(names) == 1 else "are"
        yield f"{several(names, MOST_NAMED)} {verb} not refreshed, as only rows are migrated"


def _aside(
    spec: Spec,
    run: str,
    reading: Reading,
    in_the_way: Sequence[InTheWay],
    entries: Sequence[Entry],
    schemas: Mapping[str, str],
) -> Aside:
    if spec.existing is not OnExisting.REPLACE or spec.extent is Extent.DATA:
        return Aside()
    unmoved = [item for item in in_the_way if not item.entry.schema]
    since = Since.of(reading.source.server.major, reading.target.server.major)
    same = same_definitions(unmoved, schemas, reading.target_archive, since)
    return plan_aside(run, in_the_way, entries, reading.target, same)


def _repointing(
    spec: Spec,
    run: str,
    reading: Reading,
    aside: Aside,
    relations: Iterable[Relation],
    written: Written,
    schemas: Mapping[str, str],
) -> Repointing:
    if not aside.items:
        return Repointing()
    return plan_repointing(
        Replacing(
            run=run,
            set_aside=aside.items,
            arriving={target_name(one.name, schemas): one for one in relations},
            made={(one.kind, one.name) for one in written.statements},
            references=reading.references(),
            archive=reading.target_archive,
            foreign_keys=reading.target_foreign_keys,
            populated={
                one.name
                for one in reading.target.relations
                if one.kind is Kind.MATERIALIZED_VIEW and one.populated
            },
            around=_around(reading, {}),
        )
    )


def _all_schemas(reading: Reading) -> set[str]:
    named = {entry.tag for entry in reading.entries if entry.kind == "SCHEMA"}
    return named | {relation.name.schema for relation in reading.source.relations} | {"public"}


def _schema_map(
    spec: Spec, reading: Reading, relations: Iterable[Relation], chosen: Wanted
) -> dict[str, str]:
    if chosen.is_everything:
        names = _all_schemas(reading)
    else:
        names = {relation.name.schema for relation in relations} | set(chosen.schemas)
    return {name: spec.map_schema.get(name, name) for name in sorted(names)}


def _merged_schemas(schemas: Mapping[str, str]) -> list[Problem]:
    """Two schemas cannot become one: what they hold would meet under the same names."""
    arriving: dict[str, list[str]] = {}
    for old, new in schemas.items():
        arriving.setdefault(new, []).append(old)
    return [
        Problem(
            f"schema {new}",
            f"is where {' and '.join(some)} would all arrive",
            f"map {some[0]} to another name as well",
        )
        for new, some in arriving.items()
        if len(some) > 1
    ]


def _arrival(spec: Spec, name: Name, target: Catalog) -> Arrival:
    if not any(relation.name == name for relation in target.relations):
        return Arrival.CREATE
    if spec.existing is OnExisting.FILL or spec.extent is Extent.DATA:
        return Arrival.FILL
    return Arrival.REPLACE if spec.existing is OnExisting.REPLACE else Arrival.REFUSE


def _write(
    spec: Spec,
    reading: Reading,
    entries: Sequence[Entry],
    in_the_way: Iterable[InTheWay],
    aside: Aside,
    arriving: Mapping[Name, Arrival],
    renamed: Mapping[str, str],
) -> Written:
    if spec.extent is Extent.DATA:
        return Written((), (), ())
    skip: Collection[int] = aside.skip
    if spec.existing is OnExisting.FILL:
        skip = _with_parts({item.entry.id for item in in_the_way}, entries, reading.source)
    large = {
        relation.oid
        for relation in reading.source.relations
        if relation.size_bytes >= SMALL_BYTES and relation.name in arriving
    }
    return write_statements(
        entries,
        _around(reading, renamed),
        skip=skip,
        apart={key.oid: key for key in reading.key_constraints if key.relation_oid in large},
        foreign_keys={key.oid: key for key in reading.foreign_keys},
    )


def _around(reading: Reading, renamed: Mapping[str, str]) -> Surroundings:
    server = reading.target.server
    return Surroundings(reading.existing, server.user, renamed, server.superuser, server.major)


_IN_SCHEMA = "PUBLICATION TABLES IN SCHEMA"


def _with_parts(ids: set[int], entries: Iterable[Entry], source: Catalog) -> set[int]:
    """What belongs to objects that the target has already is there, or not wanted there.

    A foreign key belongs to the relation that it leaves from.
    """
    found = set(ids)
    by_id = {entry.id: entry for entry in entries}
    there = [by_id[id_] for id_ in ids if by_id[id_].kind in RELATION_KINDS]
    skipped = {Name(entry.schema, entry.tag) for entry in there}
    fed = {item.name for item in source.sequences if item.owner in skipped}
    for entry in by_id.values():
        if entry.kind == "SEQUENCE" and Name(entry.schema, entry.tag) in fed:
            found.add(entry.id)
        elif entry.kind == "FK CONSTRAINT":
            leaves_from = {name.name for name in skipped if name.schema == entry.schema}
            if any(entry.tag.startswith(f"{name} ") for name in leaves_from):
                found.add(entry.id)
        elif entry.kind in {*PARTS, _IN_SCHEMA} and found.intersection(entry.depends_on):
            found.add(entry.id)
    return found


def _plan_relations(
    spec: Spec,
    reading: Reading,
    relations: Iterable[Relation],
    arriving: Mapping[Name, Arrival],
    schemas: Mapping[str, str],
) -> tuple[RelationPlan, ...]:
    """Largest first, then by name: the order of copying."""
    there = {relation.name: relation for relation in reading.target.relations}
    ordered = sorted(
        (relation for relation in relations if relation.holds_rows),
        key=lambda relation: (-relation.size_bytes, relation.name),
    )
    plans = []
    most = min(BATCH_RELATIONS, portion_size(reading.target_locks, spec.jobs))
    total = sum(relation.size_bytes for relation in ordered)
    for relation, batch in zip(ordered, batches(ordered, most), strict=True):
        name = target_name(relation.name, schemas)
        arrival = arriving[relation.name]
        filled = there.get(name) if arrival is Arrival.FILL else None
        columns = _columns(relation, filled)
        plans.append(
            RelationPlan(
                relation=relation,
                target=name,
                arrival=arrival,
                wire=_wire(relation, columns),
                columns=columns,
                chunks=split(
                    relation,
                    _chunk_by(spec, relation, total),
                    spec.chunk_size,
                    reading.bounds,
                    Limits(spec.chunk_threshold, spec.max_chunks, spec.min_chunk_rows),
                ),
                batch=batch,
                enters=target_name(relation.route, schemas) if relation.route else name,
            )
        )
    return tuple(plans)


def _with_unlogged(
    spec: Spec,
    reading: Reading,
    statements: tuple[Statement, ...],
    relations: Iterable[RelationPlan],
) -> tuple[Statement, ...]:
    """Made unlogged while they are empty, and logged when their rows are in: that writes the whole
    relation once more, so it pays off only where the target need not log it (MEASURED: 13.6 s
    against 7 s elsewhere). What is unlogged on the source stays so."""
    if spec.unlogged is Unlogged.NEVER or spec.extent is not Extent.ALL:
        return statements
    always = spec.unlogged is Unlogged.ALWAYS
    names = {
        item.target
        for item in relations
        if item.arrival is not Arrival.FILL
        and (always or (reading.logs_little and len(item.chunks) > 1))
    }
    found: list[Statement] = []
    logged: list[Statement] = []
    for statement in statements:
        found.append(statement)
        is_unlogged = "CREATE UNLOGGED TABLE" in statement.sql
        if statement.kind == "TABLE" and statement.name in names and not is_unlogged:
            found.append(_persistence(statement, "UNLOGGED", Phase.TABLES))
            logged.append(_persistence(statement, "LOGGED", Phase.LOGGED))
    return (*found, *logged)


def _persistence(table: Statement, word: LiteralString, phase: Phase) -> Statement:
    name = sql.Identifier(table.name.schema, table.name.name)
    text = sql.SQL("ALTER TABLE {} SET " + word + ";\n").format(name).as_string(None)
    kind = f"SET {word}"
    return replace(table, kind=kind, sql=text, drop="", phase=phase, relation=table.name)


def _chunk_by(spec: Spec, relation: Relation, total_bytes: int) -> ChunkBy:
    if spec.chunk_threshold and relation.rows >= spec.chunk_threshold:
        return spec.chunk_by  # asked for
    if spec.chunk_by is ChunkBy.AUTO and is_better_whole(
        relation.size_bytes, total_bytes, spec.jobs, spec.chunk_size
    ):
        return ChunkBy.WHOLE
    return spec.chunk_by


def _columns(relation: Relation, filled: Relation | None) -> tuple[ColumnPlan, ...]:
    """By name. A column that the target generates is not sent."""
    there = {column.name: column for column in (filled or relation).columns}
    return tuple(
        plan_column(column, there[column.name])
        for column in relation.columns
        if column.name in there
    )


def plan_column(column: Column, target: Column) -> ColumnPlan:
    return ColumnPlan(
        source=column.name,
        source_type=column.type,
        target=target.name,
        target_type=target.type,
        generated=target.generated,
        not_null=column.not_null,
        fills_itself="identity"
        if column.identity
        else column.default and f"default {column.default}",
        conversion=conversion(column, target),
    )


def _wire(relation: Relation, columns: Iterable[ColumnPlan]) -> Wire:
    """Binary values fit only the very same type. A column that only the source computes is sent."""
    wires = {column.name: column.wire for column in relation.columns}
    sent = [column for column in columns if not column.generated]
    as_text = any(one.conversion or wires[one.source] is Wire.TEXT for one in sent)
    return Wire.TEXT if as_text else Wire.BINARY


def _filled(plans: Iterable[RelationPlan]) -> list[Name]:
    return [plan.target for plan in plans if plan.arrival is Arrival.FILL]


def _with_triggers(reading: Reading, plans: Iterable[RelationPlan]) -> list[Name]:
    filled = set(_filled(plans))
    return [one.name for one in reading.target.relations if one.name in filled and one.has_triggers]


def _firing_problems(reading: Reading, plans: Iterable[RelationPlan]) -> list[Problem]:
    if reading.may_silence_triggers:
        return []
    user = reading.target.server.user
    return [
        Problem(
            str(name),
            f"has triggers or foreign keys on the target, and {user} may not switch them off",
            f"GRANT SET ON PARAMETER session_replication_role TO {user} (since 15), or a superuser",
        )
        for name in _with_triggers(reading, plans)
    ]


def _silenced(reading: Reading, plans: Iterable[RelationPlan]) -> list[Loss]:
    message = (
        "is filled with its triggers off: only those that are ENABLE ALWAYS or REPLICA fire, and"
        " its foreign keys are not checked"
    )
    return [Loss(str(name), message, LossClass.TRIGGERS) for name in _with_triggers(reading, plans)]


def _stranded_relations(stranded: Iterable[Loss]) -> list[Problem]:
    return [
        Problem(loss.object, loss.message.removeprefix("left out: "), "select it as well")
        for loss in stranded
        if loss.object.startswith(("table ", "foreign table "))
    ]


def _without(losses: Iterable[Loss], problems: Iterable[Problem]) -> list[Loss]:
    """Those that no problem is about already."""
    named = {problem.object for problem in problems}
    return [loss for loss in losses if loss.object not in named]


def _refreshed(
    statements: Iterable[Statement], source: Catalog, renamed: Mapping[str, str]
) -> tuple[Name, ...]:
    """Populated on the source; the archive's order has what a view reads before it."""
    populated = {
        target_name(relation.name, renamed)
        for relation in source.relations
        if relation.kind is Kind.MATERIALIZED_VIEW and relation.populated
    }
    return tuple(
        statement.name
        for statement in statements
        if statement.kind == "MATERIALIZED VIEW" and statement.name in populated
    )


def _encoding_loss(source: str, target: str) -> Loss:
    if source == _ANY_BYTES:
        why = (
            f"the source has {source}, which holds any bytes: the target takes valid {target} only"
        )
        return Loss("encoding", why, LossClass.VALUES)
    if target == _ANY_BYTES:
        why = f"text is stored in UTF8, and {target} counts and compares its bytes"
        return Loss("encoding", why, LossClass.BEHAVIOUR)
    why = f"text is converted from {source} to the target's {target}"
    return Loss("encoding", why, LossClass.ENCODING)


_ANY_BYTES = "SQL_ASCII"


def _other_losses(reading: Reading, chosen: Wanted, relations: Sequence[Relation]) -> list[Loss]:
    losses = []
    source, target = reading.source.server.encoding, reading.target.server.encoding
    if source != target:
        losses.append(_encoding_loss(source, target))
    schemas = {relation.name.schema for relation in relations}
    why = "is left out: it is not valid on the source, and no query uses it"
    invalid = [name for name in reading.invalid_indexes if name.schema in schemas]
    losses += [Loss(f"index {name}", why, LossClass.OBJECTS) for name in invalid]
    why = "gets its columns in another order: the inherited ones first"
    losses += [Loss(str(one.name), why, LossClass.BEHAVIOUR) for one in relations if one.reordered]
    why = (
        "may be NULL although the parent's may not, and becomes NOT NULL: rows without it will stop"
    )
    losses += [
        Loss(str(one.name), f"column {column} {why} the run", LossClass.BEHAVIOUR)
        for one in relations
        for column in one.loosened
    ]
    if chosen.is_everything:
        why = "is not carried over: what it connects to may hold a password; create it again"
        losses += [
            Loss(f"subscription {name}", why, LossClass.SECRETS) for name in reading.subscriptions
        ]
    return losses
