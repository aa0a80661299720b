"""The step `validate_schema` of `validate` and `migrate`: compares definitions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from windlass.engines.postgres.archive import ATTRIBUTES, Dumping, Entry
from windlass.engines.postgres.catalog import Existing, read_existing, read_sequence_owners
from windlass.engines.postgres.database import read_properties
from windlass.engines.postgres.link import is_slow
from windlass.engines.postgres.mapped_reading import users_of
from windlass.engines.postgres.meaning import Since
from windlass.engines.postgres.own_schemas import read_own_schemas
from windlass.engines.postgres.pg_dump import PgDump, find_pg_dump, pg_dump_hint
from windlass.engines.postgres.presence import read_presence
from windlass.engines.postgres.printing import Printing
from windlass.engines.postgres.quoting import quote_identifier
from windlass.engines.postgres.session import Connection
from windlass.engines.postgres.syntax import Node, parse
from windlass.errors import WindlassError
from windlass.flows.migrate.dependents import astray, remade_statements
from windlass.flows.sides import Sides
from windlass.flows.validate.attributes import attribute_differences, view_differences
from windlass.flows.validate.calls import call_differences, overload_differences
from windlass.flows.validate.owners import differing_owners
from windlass.flows.validate.pairing import filled
from windlass.flows.validate.steps import reported
from windlass.model.event import Noticed
from windlass.model.flow import Item, Result
from windlass.model.following import STREAM
from windlass.model.plan import Purpose
from windlass.model.relation import Name
from windlass.model.report import Difference, DifferenceKind, LossClass
from windlass.model.statement import Statement
from windlass.model.units import plural, several
from windlass.planning.naming import is_backup, target_name
from windlass.planning.postgres.inputs import wanted
from windlass.planning.postgres.mapped.again import Again, as_planned
from windlass.planning.postgres.own import others_entries
from windlass.planning.postgres.present import Present
from windlass.planning.postgres.properties import property_differences
from windlass.planning.postgres.select import describe, select_entries
from windlass.planning.postgres.statements import Written, write_statements
from windlass.planning.postgres.surroundings import Surroundings
from windlass.spec.choices import Extent, Verify
from windlass.verifying.postgres.schema import Key, Leeway, Ties, compare_schemas, only_there

# losses by which the target's objects differ or are not enforced
_ALTERED = {LossClass.CONSTRAINTS, LossClass.OBJECTS}

MOST_KEPT = 20  # named in a notice


def validate_schema(run: Sides, _: Item) -> Result:
    """Dump both sides with one pg_dump, and compare the statements for the target."""
    if run.spec.verify_ is Verify.NONE:
        return {}
    if run.spec.extent is Extent.DATA:
        return _views_alone(run) if run.purpose is Purpose.COMPARE else {}
    with run.room_for_locks():
        schema = _differing_schema(run)
    views, notices = view_differences(run)
    if schema.extra and run.purpose is Purpose.COMPARE:
        count = plural(len(schema.extra), "object")
        notices.append(f"{count} on the target only, not compared: {several(schema.extra, 3)}")
    if schema.kept:
        notices.append(
            "existing tables were filled and keep their definitions, which differ from the"
            f" source's: {several(schema.kept, MOST_KEPT)}"
        )
    for notice in notices:
        run.emit(Noticed(notice))
    found = [
        *schema.differences,
        *attribute_differences(run),
        *views,
        *_differing_properties(run),
    ]
    return {"compared": True, "notices": notices, **reported(found)}


def _views_alone(run: Sides) -> Result:
    """If definitions are not compared, compare the content of materialised views; not after a
    migration of rows only, which refreshes none."""
    views, notices = view_differences(run)
    for notice in notices:
        run.emit(Noticed(notice))
    return {"notices": notices, **reported(views)}


def _differing_properties(run: Sides) -> list[Difference]:
    """Differences in database properties, if all of the database is compared."""
    if not wanted(run.spec).is_everything:
        return []
    source, target = run.sessions().source(run.snapshot.id), run.sessions().target()
    found = property_differences(read_properties(source), read_properties(target))
    excused = {loss.object for loss in run.losses()}
    return [
        Difference(DifferenceKind.SCHEMA, name, how)
        for name, how in found.items()
        if name not in excused
    ]


@dataclass(frozen=True, slots=True)
class _Schemas:
    differences: list[Difference]
    extra: list[str]  # only on the target
    kept: list[str]  # of filled relations: definitions that differ and were kept


@dataclass(frozen=True, slots=True)
class _Sides:
    """The definitions of both sides, and the target's objects that they must fit."""

    source: Sequence[Entry]
    target: list[Entry]
    existing: Existing
    fed: Mapping[Name, Name]  # sequences of the source, and the columns they feed

    def written(self, run: Sides, schemas: Mapping[str, str], entries: Sequence[Entry]) -> Written:
        """As statements for the target."""
        server = run.plan.target
        around = Surroundings(self.existing, server.user, schemas, server.superuser, server.major)
        return write_statements(entries, around)


def _read_sides(run: Sides) -> _Sides:
    """Dump both sides with one pg_dump, in parallel."""
    plan = run.plan
    newest = max(plan.source.major, plan.target.major)
    source = run.sessions().source(run.snapshot.id)
    pg_dump = find_pg_dump(newest, newest, in_few_trips=is_slow(source))
    if pg_dump is None:  # the plan was made on another machine
        raise WindlassError(
            f"definitions are not compared: no pg_dump here reads PostgreSQL {newest}",
            hint=pg_dump_hint(newest),
        )
    target = run.sessions().target()
    moved = [(item.relation.name, item.target) for item in plan.relations]
    moved += [(name, there) for _, name, there in plan.objects.others]
    unreadable = frozenset(_unreadable(source, "source", {name for name, _ in moved}))
    dumps = [
        _dumped(run, pg_dump, unreadable)
        or Dumping(pg_dump, run.hold.source.program_access(source), run.snapshot.id, unreadable),
        Dumping(
            pg_dump,
            run.hold.target.program_access(target),
            leave_out=_unreadable(target, "target", {name for _, name in moved}),
        ),
    ]
    try:
        existing = read_existing(target)
        owners = read_sequence_owners(source)
        own = read_own_schemas(source, side="source")
        entries, there = (dump.entries() for dump in dumps)
    finally:
        for dump in dumps:
            dump.close()
    entries = list(others_entries(entries, own).entries)
    there = [entry for entry in there if not _is_published_by_us(entry)]
    if not plan.target.superuser:
        there = _without_own_grants(there, plan.target.user, entries)
    return _Sides(entries, there, existing, {one.name: one.owner for one in owners if one.owner})


def _ties(
    sides: _Sides, expected: Written, selected: Sequence[Entry], renamed: Mapping[str, str]
) -> Ties:
    return Ties(
        depends_on={entry.id: entry.depends_on for entry in selected},
        belongs_to=_belongings(sides.target),
        adds_to=_additions(sides.target, sides.source, renamed),
        selected=_keys(expected.statements, selected, renamed),
        owners={
            target_name(name, renamed): target_name(owner, renamed)
            for name, owner in sides.fed.items()
        },
    )


def _differing_schema(run: Sides) -> _Schemas:
    """The differing definitions of both sides."""
    plan, (sides, again) = run.plan, _mapped(run, _read_sides(run))
    chosen = wanted(run.spec, again.called)
    since = Since.of(plan.source.major, plan.target.major)
    present = Present(sides.source, plan.schemas, sides.existing, lambda: sides.target, since)
    names = again.relations(plan)
    selected = select_entries(sides.source, names, chosen, sides.fed, present).entries
    renamed = plan.renamed
    expected, losses = sides.written(run, renamed, selected), run.losses()
    is_selected = {entry.id for entry in selected}
    left_out = {loss.object for loss in losses} | {
        describe(replace(one, schema=renamed.get(one.schema, one.schema)))
        for one in sides.source
        if one.id not in is_selected
    }
    remade = () if run.purpose is Purpose.COMPARE else remade_statements(plan)
    # which extensions a selection needs is in no archive
    unsure = set() if chosen.is_everything else {"EXTENSION"}
    statements = [one for one in expected.statements if one.kind not in unsure]
    found = sides.written(run, {}, sides.target)
    holders = _holders(sides.target)

    reowned = {
        str(one): {expected.owners.get(str(one), ""), holders.get(one.name, "")}
        for one in expected.statements
        if str(one) in expected.reowned
    }
    ties = _ties(sides, expected, selected, renamed)

    def differences(spared: Collection[Name]) -> list[Difference]:
        return compare_schemas(
            (*statements, *remade),
            found.statements,
            judge=Printing(run.sessions().target()),
            since=since,
            leeway=Leeway(
                left_out=left_out,
                excused={loss.object for loss in losses if loss.kind in _ALTERED},
                reowned=reowned,
                filled=spared,
                reordered=[item.target for item in plan.relations if item.reordered],
            ),
            ties=ties,
        )

    spared = () if run.purpose is Purpose.COMPARE else filled(plan)
    differing = differences(spared)
    kept = [one.object for one in differences(()) if one not in differing] if spared else []
    differing += _beside_the_text(run, sides, selected, {one.object for one in differing})
    return _Schemas(
        differing,
        only_there(
            expected.statements,
            (one for one in _but_backups(found.statements) if str(one) not in left_out),
            None if chosen.is_everything else set(plan.schemas.values()),
        ),
        sorted(dict.fromkeys(kept), key=lambda name: not name.startswith("table ")),
    )


def _mapped(run: Sides, sides: _Sides) -> tuple[_Sides, Again]:
    """The source's definitions with the names and columns that its mapped tables get."""
    source = run.sessions().source(run.snapshot.id)
    again = as_planned(run.plan, sides.source, sides.fed, partial(users_of, source))
    return replace(sides, source=again.entries, fed=again.fed), again


def _beside_the_text(
    run: Sides, sides: _Sides, selected: Sequence[Entry], reported: Collection[str]
) -> Iterator[Difference]:
    """Differences between definitions with the same text, except those already `reported`."""
    plan = run.plan
    if run.purpose is Purpose.COMPARE:
        user, roles = plan.target.user, sides.existing.roles
        others = differing_owners(selected, sides.target, plan.renamed, user=user, roles=roles)
        yield from (one for one in others if one.object not in reported)
    else:
        yield from astray(plan, run.sessions().target(), sides.existing)
        yield from overload_differences(run)
    yield from call_differences(run, reported)


def _dumped(run: Sides, pg_dump: PgDump, unreadable: Collection[Name]) -> Dumping | None:
    """The dump from which the plan was made, if it is of the same snapshot."""
    found = run.dumped
    if found is None or found.snapshot_id != run.snapshot.id:
        return None
    is_same = found.pg_dump == pg_dump and found.leave_out == unreadable
    return found if is_same else None


def _but_backups(found: Iterable[Statement]) -> Iterator[Statement]:
    """Without objects that runs set aside, which `status` and `clean` list."""
    return (one for one in found if not is_backup(one.name.schema or one.name.name))


def _is_published_by_us(entry: Entry) -> bool:
    """Whether it is a publication of a run that follows, or a table in one."""
    return entry.kind.startswith("PUBLICATION") and STREAM.match(entry.tag) is not None


def _without_own_grants(
    entries: Iterable[Entry], user: str, source: Iterable[Entry]
) -> list[Entry]:
    """The entries without schema grants that this user has only on the target, to be able to
    migrate into it."""
    ending = f" TO {quote_identifier(user)};"
    asked = {line for one in source if one.kind == "ACL" for line in one.definition.splitlines()}
    found = []
    for entry in entries:
        if entry.kind == "ACL" and entry.tag.startswith("SCHEMA "):
            lines = [
                line
                for line in entry.definition.splitlines()
                if line.strip() and (line in asked or not line.endswith(ending))
            ]
            if not lines:
                continue
            entry = replace(entry, definition="".join(f"{line}\n" for line in lines))
        found.append(entry)
    return found


def _holders(entries: Iterable[Entry]) -> dict[Name, str]:
    """Owners of objects, by the tag of a grant on them. The tag begins with GRANT's word for the
    kind; that of a column with COLUMN and its relation."""
    found = {}
    for entry in entries:
        kind = _GRANTED_AS.get(entry.kind, entry.kind)
        found[Name(entry.schema, f"{kind} {entry.tag}")] = entry.owner
    for entry in entries:
        if entry.kind == "ACL" and entry.tag.startswith("COLUMN "):
            found[Name(entry.schema, entry.tag)] = entry.owner
    return found


_GRANTED_AS = {
    "AGGREGATE": "FUNCTION",
    "DOMAIN": "TYPE",
    "FOREIGN TABLE": "TABLE",
    "MATERIALIZED VIEW": "TABLE",
    "PROCEDURAL LANGUAGE": "LANGUAGE",
    "SERVER": "FOREIGN SERVER",
    "VIEW": "TABLE",
}


def _keys(
    statements: Iterable[Statement], entries: Iterable[Entry], renamed: Mapping[str, str]
) -> set[Key]:
    """The kinds and names of everything that is compared, including schemas."""
    schemas = {renamed.get(entry.schema, entry.schema) for entry in entries}
    return {("SCHEMA", Name("", one)) for one in schemas if one} | {
        (one.kind, one.name) for one in statements
    }


def _belongings(entries: Sequence[Entry]) -> dict[int, list[Key]]:
    """The entries that comments, grants and the like belong to; public has no entry."""
    keys = {entry.id: (entry.kind, Name(entry.schema, entry.tag)) for entry in entries}
    found: dict[int, list[Key]] = {}
    for entry in entries:
        if entry.kind in ATTRIBUTES:
            found[entry.id] = [keys[id_] for id_ in entry.depends_on if id_ in keys]
            if entry.tag == "SCHEMA public":
                found[entry.id] = [("SCHEMA", Name("", "public"))]
    return found


def _additions(
    there: Iterable[Entry], source: Iterable[Entry], renamed: Mapping[str, str]
) -> dict[int, list[Key]]:
    """For each entry that only the target has, the objects that it adds something to."""
    known = {(one.kind, renamed.get(one.schema, one.schema), one.tag) for one in source}
    domains = {one.id: Name(one.schema, one.tag) for one in there if one.kind == "DOMAIN"}
    found: dict[int, list[Key]] = {}
    for entry in there:
        if (entry.kind, entry.schema, entry.tag) in known:
            continue
        match entry.kind:
            case "TABLE ATTACH" | "TABLE" | "FOREIGN TABLE":
                found[entry.id] = [("TABLE", name) for name in _parents(entry)]
            case "CHECK CONSTRAINT":
                owners = (domains[id_] for id_ in entry.depends_on if id_ in domains)
                found[entry.id] = [("DOMAIN", name) for name in owners]
            case "USER MAPPING":
                _, _, server = entry.tag.rpartition(" SERVER ")
                found[entry.id] = [("SERVER", Name("", server))]
    return found


def _parents(entry: Entry) -> Iterator[Name]:
    """The tables in which rows of a partition or child are visible."""
    match parse(entry.definition)[0].tree:
        case Node("AlterTableStmt", relation=parent) if entry.kind == "TABLE ATTACH":
            yield Name(parent.schemaname, parent.relname)
        case Node("CreateStmt", inhRelations=parents):
            yield from (Name(one.schemaname, one.relname) for one in parents or ())
        case Node("CreateForeignTableStmt", base=table):
            yield from (Name(one.schemaname, one.relname) for one in table.inhRelations or ())


def _unreadable(connection: Connection, side: str, selected: Collection[Name]) -> list[Name]:
    """Unselected relations that this user may not read, at which pg_dump would fail."""
    present = read_presence(connection, side=side)
    return [name for name, one in present.items() if not one.readable and name not in selected]
