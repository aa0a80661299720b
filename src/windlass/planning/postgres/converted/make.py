"""The plan of a migration into another engine. Pure: what it asks, others read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from windlass.engines.destination import Columns, Destination, folded
from windlass.engines.postgres.ranges import RANGES_SINCE
from windlass.model.conversion import (
    ConversionPlan,
    PgStructure,
    PgTable,
    PgView,
    Standing,
    TableConversion,
    TableDraft,
    ViewConversion,
)
from windlass.model.plan import Server
from windlass.model.relation import Name
from windlass.model.report import Loss, LossClass, Problem, loss_problems
from windlass.planning.chunks import block_ranges, count_between_engines
from windlass.planning.postgres.converted.columns import Arriving, Counts, arrive, column_plan
from windlass.planning.postgres.converted.existing import (
    replacing,
    taken_names,
    taken_sequences,
    unwanted,
)
from windlass.planning.postgres.converted.scope import Scope, scope_of
from windlass.planning.postgres.converted.tables import Asking, Drafting
from windlass.planning.postgres.select import Wanted
from windlass.spec.migrate import Spec


@dataclass(frozen=True, slots=True)
class Read:
    """What was read before planning. Without `counts`, no rows are looked at."""

    server: Server
    structure: PgStructure
    standing: Standing
    ask: Asking
    counts: Counts | None


def make_plan(run: str, spec: Spec, read: Read, target: Destination) -> ConversionPlan:
    """The plan, with its problems."""
    wanted = Wanted(spec.schemas, spec.include, spec.exclude, spec.allow_unmatched)
    migrates = read.counts is not None
    scope = scope_of(read.structure, wanted, spec.map_schema, target)
    found = read.standing if migrates else Standing(True)
    replaced = replacing(run, spec, scope.names, found, target)
    standing = replaced.standing
    arriving = arrive(scope.tables, scope.names, spec.types, target, read.counts)
    taken = {folded(target, one) for one in scope.names.values()} | set(standing.names)
    known: dict[Name, TableDraft] = {}
    tables: list[TableConversion] = []
    losses: list[Loss] = []
    for table in scope.tables:
        drafting = Drafting(table, scope, arriving, target, read.ask)
        made = drafting.made(taken, known)
        tables.append(_cut(made, table, spec, read.server) if target.writes_beside else made)
        losses += drafting.losses
    views, unmade = _views(scope, arriving, target)
    plan = ConversionPlan(
        run=run,
        source=str(read.server),
        identity=read.server.identity,
        target=target.place,
        engine=target.engine,
        is_new=standing.is_new,
        tables=tuple(tables),
        views=views if not spec.data_only else (),
        options=spec.options(),
        verify=spec.verify_.value,
        copies_rows=not spec.schema_only,
        set_aside=replaced.set_aside,
    )
    plan, untried = _tried(plan, target)
    losses = [*arriving.losses, *losses, *unmade, *untried, *(scope.losses if migrates else ())]
    problems = [*_words(spec, read.server, target), *read.standing.problems, *scope.problems]
    problems += [*replaced.problems, *taken_names(spec, scope.names, target, standing)]
    problems += taken_sequences(tables, target, standing)
    problems += arriving.problems or _unmakeable(plan, target, problems)
    if not migrates:
        return replace(plan, problems=tuple(problems))
    return replace(
        plan,
        losses=tuple(losses),
        problems=(*problems, *loss_problems(losses, spec.accept)),
        notices=(
            *replaced.notices,
            *arriving.notices,
            *_notices(scope, target),
            *target.notices(),
        ),
    )


def _cut(made: TableConversion, table: PgTable, spec: Spec, server: Server) -> TableConversion:
    """The table in chunks of blocks, if the server reads these without reading all of it."""
    if server.version < RANGES_SINCE or made.itself:
        return made
    count = count_between_engines(spec, table.size_bytes, table.rows)
    bounds = tuple(one.low for one in block_ranges(table.divisible_blocks, count)[1:])
    return replace(made, extent=replace(made.extent, bounds=bounds))


def _words(spec: Spec, server: Server, target: Destination) -> Iterator[Problem]:
    """Options that have no meaning for this pair."""
    yield from unwanted(spec, target)
    if spec.map_schema and not target.has_schemas:
        yield Problem("map-schema", f"{target.engine} has one schema, for all tables")
    if server.encoding == "SQL_ASCII":
        message = "has the encoding SQL_ASCII: which characters its bytes are is not known"
        yield Problem("source", message, "migrate it into a PostgreSQL database in UTF8 first")


def _notices(scope: Scope, target: Destination) -> Iterator[str]:
    comments = sum(bool(one.comment) for table in scope.tables for one in table.columns)
    comments += sum(bool(one.comment) for one in scope.tables)
    if comments and not target.has_comments:
        yield f"{comments:,} comments are left out: {target.engine} has none"
    partitioned = [str(one.name) for one in scope.tables if one.is_partitioned]
    if partitioned:
        yield f"one table each, without partitions: {', '.join(partitioned)}"


def _views(
    scope: Scope, arriving: Arriving, target: Destination
) -> tuple[tuple[ViewConversion, ...], list[Loss]]:
    tables = {one.name: arriving.named(one) for one in scope.tables}
    made: list[ViewConversion] = []
    losses: list[Loss] = []
    for view in scope.views:
        found = None if view.is_materialized else _view(view, scope, tables, target)
        if found is None:
            losses.append(lost_view(view.name.plain, view.query))
        else:
            made.append(found)
    return tuple(made), losses


def lost_view(name: str, query: str) -> Loss:
    text = " ".join(query.split())
    return Loss(f"view {name}", f"is not made on the target: {text}", LossClass.OBJECTS)


def _view(
    view: PgView, scope: Scope, tables: Mapping[Name, Columns], target: Destination
) -> ViewConversion | None:
    plans = []
    for column in view.columns:
        carried = target.carry(column, "")
        if isinstance(carried, str):
            return None
        plans.append(column_plan(column, carried))
    name = scope.names[view.name]
    names = [one.target for one in plans]
    statement = target.view(name, names, view.query, tables, scope.names)
    if statement is None:
        return None
    return ViewConversion(view.name, name, tuple(plans), statement, view.query)


def _tried(plan: ConversionPlan, target: Destination) -> tuple[ConversionPlan, list[Loss]]:
    """The plan without the statements that the target refuses, and the losses."""
    refused = target.tried(plan)
    losses: list[Loss] = []
    tables = []
    for table in plan.tables:
        kept = []
        for one in table.indexes:
            why = refused.get(f"{table.target} {one.name}")
            if why is None or str(table.target) in refused:
                kept.append(one)
                continue
            message = f"{one.kind} {one.name} is not made: {why}: {one.statement}"
            class_ = LossClass.CONSTRAINTS if one.is_unique else LossClass.OBJECTS
            losses.append(Loss(str(table.source), message, class_))
        tables.append(replace(table, indexes=tuple(kept)))
    views = []
    for view in plan.views:
        if str(view.target) in refused:
            losses.append(lost_view(view.source.plain, view.query))
        else:
            views.append(view)
    return replace(plan, tables=tuple(tables), views=tuple(views)), losses


def _unmakeable(
    plan: ConversionPlan, target: Destination, others: Sequence[Problem]
) -> Iterator[Problem]:
    """Statements that the target refuses for a reason that no other problem explains."""
    if others:
        return
    refused = target.tried(plan)
    for table in plan.tables:
        if why := refused.get(str(table.target)):
            message = f"cannot be made in {target.engine}: {why}"
            yield Problem(str(table.source), message, "leave it out")
