"""Reads both sides and makes the plan: everything before a run may write."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache, partial

from windlass.engines.postgres import catalog
from windlass.engines.postgres.archive import NO_ROOM, Dumping, Entry
from windlass.engines.postgres.census import count_names, take_census
from windlass.engines.postgres.database import read_properties
from windlass.engines.postgres.hold import Hold
from windlass.engines.postgres.keyset import read_bounds
from windlass.engines.postgres.largeobjects import read_collisions
from windlass.engines.postgres.locale import read_locale
from windlass.engines.postgres.locks import read_lock_room
from windlass.engines.postgres.open_schemas import read_open_schemas
from windlass.engines.postgres.own_schemas import JOURNAL, OwnSchemas, read_own_schemas
from windlass.engines.postgres.pg_dump import find_pg_dump, pg_dump_hint, pg_dump_versions
from windlass.engines.postgres.session import (
    Address,
    Connection,
    why_libpq,
)
from windlass.engines.postgres.trial import try_out
from windlass.engines.postgres.undumped import read_undumped
from windlass.errors import WindlassError
from windlass.flows.migrate.source_dump import SourceDump
from windlass.flows.migrate.target_reading import (
    dump_target,
    read_references_with_states,
    start_reading,
)
from windlass.journal import door
from windlass.journal.records import get_ready, read_kept_objects
from windlass.model.plan import Address as ObjectAddress
from windlass.model.plan import Plan, Purpose
from windlass.model.relation import Relation
from windlass.model.report import Problem
from windlass.planning.estimate import ASSUMED, Speeds
from windlass.planning.postgres.build import extension_schema
from windlass.planning.postgres.inputs import (
    Questions,
    Read,
    Request,
    SourceRead,
    wanted,
)
from windlass.planning.postgres.locks import lock_problem, locked_tables
from windlass.planning.postgres.make import make_plan
from windlass.planning.postgres.own import others_relations
from windlass.planning.postgres.select import select_relations
from windlass.spec.choices import Extent, Verify
from windlass.spec.migrate import Spec
from windlass.trust.overloads import read_overloads
from windlass.trust.planted import read_foreign_schemas
from windlass.version import __version__


@dataclass(frozen=True, slots=True)
class Sight:
    """Sessions on both sides; the source's is inside the snapshot."""

    source_address: Address
    source: Connection
    snapshot_id: str
    target_address: Address
    target: Connection
    measures: bool = False  # the speed of both, for an estimate shown to people
    # keeps pg_dump's reading of the source, once it is complete
    keep: Callable[[Dumping], None] = lambda _: None

    @classmethod
    def of(cls, hold: Hold, keep: Callable[[Dumping], None], *, measures: bool = False) -> Sight:
        """The sessions of a run's hold."""
        source, snapshot = hold.reader, hold.snapshot.id
        return cls(hold.source, source, snapshot, hold.target, hold.control, measures, keep)


def read_and_plan(run: str, spec: Spec, sight: Sight, purpose: Purpose = Purpose.MOVE) -> Plan:
    """Read everything in the snapshot, the target and pg_dump in parallel. The plan contains its
    problems."""
    states: dict[ObjectAddress, str] = {}
    read, problems = _read_both(spec, sight, states)
    if purpose is Purpose.MOVE:
        planted = _planted(sight, spec, read.entries)
        problems += planted
        if planted:  # what is tried there could run another role's code
            read = replace(read, ask=replace(read.ask, try_out=lambda scripts: {}))
    request = Request(run, spec, purpose)
    if spec.mapping:
        from windlass.flows.migrate.mapping import plan_mapped, probed  # few migrations have one

        plan = plan_mapped(request, read, problems, sight.source)
        plan = probed(plan, sight.source, sight.target)
    else:
        plan = make_plan(request, read, problems)
    untrusted = _untrusted(sight, spec, plan, read.entries) if purpose is Purpose.MOVE else ()
    slowly = _through_libpq(sight) if plan.how.copies_rows else ()
    made_at = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return replace(
        plan,
        dependents=tuple(
            replace(one, state=states.get(one.address, "")) for one in plan.dependents
        ),
        findings=replace(
            plan.findings,
            problems=(*plan.findings.problems, *untrusted),
            notices=(*plan.findings.notices, *slowly),
        ),
        made=replace(plan.made, at=made_at, version=__version__, options=spec.options()),
    )


def _read_both(
    spec: Spec, sight: Sight, states: dict[ObjectAddress, str]
) -> tuple[Read, list[Problem]]:
    """Read both sides and the source's archive, with the problems of reading them."""
    source, target = sight.source, sight.target
    with contextlib.ExitStack() as stack:
        # the target's session: the source need not wait for its answers
        beside = ThreadPoolExecutor(1, "windlass-target")
        stack.callback(beside.shutdown, cancel_futures=True)
        reading_target = beside.submit(catalog.read_catalog, target)
        source_dump = stack.enter_context(
            SourceDump(sight.source_address, source, sight.snapshot_id, target)
        )
        if spec.extent is not Extent.DATA:
            source_dump.start()
        own = read_own_schemas(source, side="source")
        read = others_relations(catalog.read_catalog(source), own)
        there = reading_target.result()
        chosen = select_relations(read, wanted(spec))
        problems: list[Problem] = []
        if spec.extent is not Extent.DATA:
            problems += _without_pg_dump(spec, read.server.major, there.server.major)
        dumping = source_dump.of(read, chosen)
        target_read = start_reading(beside, target, there)
        both = Read(
            source=_read_source(source, read, own),
            target=target_read(),
            ask=_questions(sight, there, states),
            pg_dump=str(dumping.pg_dump) if dumping else "none",
            speeds=_read_speeds(sight, chosen, problems) if sight.measures else ASSUMED,
        )
        get_ready()  # while pg_dump runs
        entries = _entries(dumping, sight, read, problems) if dumping else []
    return replace(both, entries=entries), problems


def _read_source(source: Connection, read: catalog.Catalog, own: OwnSchemas) -> SourceRead:
    return SourceRead(
        catalog=read,
        key_constraints=catalog.read_key_constraints(source),
        foreign_keys=catalog.read_foreign_keys(source),
        invalid_indexes=catalog.read_invalid_indexes(source),
        subscriptions=catalog.read_subscriptions(source),
        large_objects=catalog.read_large_objects(source),
        properties=read_properties(source),
        open_schemas=read_open_schemas(source, side="source"),
        locale=read_locale(source, side="source"),
        undumped=read_undumped(source),
        own_schemas=own,
        kept_objects=read_kept_objects(source) if JOURNAL in own.names else {},
    )


def _questions(
    sight: Sight, target_catalog: catalog.Catalog, states: dict[ObjectAddress, str]
) -> Questions:
    source, target = sight.source, sight.target
    return Questions(
        bounds=lambda relation, count: read_bounds(source, relation, count),
        census=partial(take_census, source),
        count_names=partial(count_names, source),
        empty=lambda names: catalog.read_emptiness(target, names),
        try_out=lambda scripts: try_out(target, scripts),
        collisions=lambda: read_collisions(source, target),
        references=partial(read_references_with_states, target, states),
        target_archive=cache(partial(dump_target, sight.target_address, target, target_catalog)),
    )


def _through_libpq(sight: Sight) -> Iterator[str]:
    """Notices about sides whose rows cannot use the fast copy."""
    for side, session in (("source", sight.source), ("target", sight.target)):
        if reasons := why_libpq(session):
            yield f"{side}: {', '.join(reasons)}: rows are copied through libpq, which is slower"


def _untrusted(sight: Sight, spec: Spec, plan: Plan, entries: Sequence[Entry]) -> list[Problem]:
    """Objects of other roles on the target that could run code as the user who runs the plan."""
    target = sight.target
    made_in = {item.target.schema for item in plan.relations}
    made_in |= {one.name.schema for one in plan.statements}
    return [
        *read_foreign_schemas(
            target, made_in - {"", *_extended(spec, entries)}, plan.objects.owners
        ),
        *read_overloads(sight.source, target, plan.objects.owners, plan.schemas),
    ]


def _planted(sight: Sight, spec: Spec, entries: Sequence[Entry]) -> list[Problem]:
    """Objects that could run code when others are created: event triggers, and what an extension's
    script finds in its schema."""
    owners = {entry.owner for entry in entries}
    return [
        *door.read_problems(sight.target),
        *read_foreign_schemas(sight.target, _extended(spec, entries), owners),
    ]


def _extended(spec: Spec, entries: Sequence[Entry]) -> set[str]:
    """Schemas of the target that extensions go into."""
    found = {extension_schema(entry.definition) for entry in entries if entry.kind == "EXTENSION"}
    return {spec.map_schema.get(name, name) for name in found - {""}}


def _read_speeds(sight: Sight, chosen: Sequence[Relation], problems: Sequence[Problem]) -> Speeds:
    from windlass.flows.migrate.speeds import read_speeds  # no other process needs it

    if problems:
        return ASSUMED
    return read_speeds(sight.source, sight.target, chosen)


def _entries(
    dumping: Dumping, sight: Sight, read: catalog.Catalog, problems: list[Problem]
) -> list[Entry]:
    """The archive's entries. None, and a problem, if the source has no room for pg_dump's locks."""
    try:
        found = dumping.entries()
    except WindlassError as error:
        if NO_ROOM not in str(error):
            raise
    else:
        sight.keep(dumping)
        return found
    tables = len(locked_tables(read.relations))
    problems.append(lock_problem("source", tables, read_lock_room(sight.source)))
    return []


def _without_pg_dump(spec: Spec, source: int, target: int) -> Iterator[Problem]:
    """Problems of finding one pg_dump that reads the source and, if definitions are compared, both
    sides."""
    wanted = {"source": source}
    if spec.verify_ is not Verify.NONE:
        wanted["target"] = target
    found = ", ".join(pg_dump_versions()) or "none"
    for side, major in wanted.items():
        if find_pg_dump(major, major) is None:
            yield Problem(
                "pg_dump",
                f"none is as new as the {side} ({major}); found: {found}",
                pg_dump_hint(major),
            )
            return
