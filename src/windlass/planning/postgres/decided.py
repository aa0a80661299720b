"""The decisions of a plan, from which its problems, losses and notices follow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from windlass.engines.postgres.lock_waits import OTHER_SESSIONS
from windlass.engines.postgres.undumped import Undumped
from windlass.model.plan import Arrival, RelationPlan
from windlass.model.relation import LargeObjects, Name
from windlass.model.statement import Statement
from windlass.planning.postgres.definitions import Definitions, plan_definitions
from windlass.planning.postgres.inputs import Read, Request
from windlass.planning.postgres.narrowing import Narrowed
from windlass.planning.postgres.open_schemas import close_public
from windlass.planning.postgres.persistence import with_unlogged
from windlass.planning.postgres.properties import Carried, carry_properties
from windlass.planning.postgres.scope import Scope, choose_scope, plan_arrivals
from windlass.planning.postgres.sequences import Sequences, ToSet, plan_sequences
from windlass.planning.postgres.table_plans import plan_tables


@dataclass(frozen=True, slots=True)
class Decided:
    """The parts of a plan that others depend on."""

    request: Request
    read: Read
    scope: Scope
    definitions: Definitions
    tables: Narrowed
    sequences: ToSet
    large_objects: LargeObjects
    properties: Carried  # of the database
    closed: Carried  # of schema public
    statements: tuple[Statement, ...]  # for all of these

    @property
    def relations(self) -> tuple[RelationPlan, ...]:
        return self.tables.relations

    @property
    def written(self) -> tuple[Statement, ...]:
        """The statements that come from the archive."""
        return self.definitions.written.statements

    @property
    def undumped(self) -> Undumped:
        """What is in neither the dump nor the copy. Rows in tables of extensions count only if all
        of the database is migrated."""
        found = self.read.source.undumped
        everything = self.request.copies_rows and self.scope.wanted.is_everything
        return found if everything else replace(found, extension_rows={})

    def filled(self) -> list[Name]:
        """Existing tables of the target that rows are loaded into."""
        return [plan.target for plan in self.relations if plan.arrival is Arrival.FILL]

    def filled_with_triggers(self) -> Iterator[Name]:
        filled = set(self.filled())
        for one in self.read.target.catalog.relations:
            if one.name in filled and one.has_triggers:
                yield one.name


def decide(request: Request, read: Read) -> Decided:
    """Decide what is migrated, where to, and by which statements and chunks."""
    scope = choose_scope(request, read)
    arriving = plan_arrivals(request, read, scope)
    definitions = plan_definitions(request, read, scope, arriving)
    tables = plan_tables(request, read, scope, arriving)
    closed = _closed(request, read, scope.schemas)
    properties = _properties(request, read, scope)
    statements = with_unlogged(
        request.spec,
        definitions.written.statements,
        tables.relations,
        logs_little=read.target.logs_little,
    )
    everything = request.copies_rows and scope.wanted.is_everything
    return Decided(
        request=request,
        read=read,
        scope=scope,
        definitions=definitions,
        tables=tables,
        sequences=_sequences(request, read, scope, definitions),
        large_objects=read.source.large_objects if everything else LargeObjects(),
        properties=properties,
        closed=closed,
        statements=(*statements, *closed.statements, *properties.statements),
    )


def _closed(request: Request, read: Read, schemas: Mapping[str, str]) -> Carried:
    if not request.creates:
        return Carried()
    return close_public(
        read.source.open_schemas,
        read.target.open_schemas,
        schemas=schemas,
        server=read.target.catalog.server,
        existing=read.target.existing,
    )


def _properties(request: Request, read: Read, scope: Scope) -> Carried:
    """Properties of the database; they are only migrated if all of it is."""
    if not request.creates or not scope.wanted.is_everything:
        return Carried()
    server = read.target.catalog.server
    return carry_properties(
        read.source.properties,
        read.target.properties,
        database=server.database,
        roles=read.target.existing.roles,
        existing=request.existing,
        try_out=read.ask.try_out,
        sessions=0 if server.superuser else 2 * request.spec.jobs + OTHER_SESSIONS,
    )


def _sequences(request: Request, read: Read, scope: Scope, definitions: Definitions) -> ToSet:
    selected, written = scope.selection.entries, definitions.written.statements
    return plan_sequences(
        Sequences(
            read.source.catalog,
            read.target.catalog,
            scope.relations,
            scope.schemas,
            {Name(one.schema, one.tag) for one in selected if one.kind == "SEQUENCE"},
            {one.name for one in written if one.kind == "SEQUENCE"},
        ),
        request.spec.extent,
        scope.wanted,
        request.purpose,
    )
