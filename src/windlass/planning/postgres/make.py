"""The plan of a migration, or of a comparison, from what was read on both sides."""

from __future__ import annotations

from collections.abc import Iterable

from windlass.model.plan import Estimate, Findings, How, Load, Made, Objects, Plan
from windlass.model.relation import Name
from windlass.model.report import Problem
from windlass.planning.chunks import plan_loads
from windlass.planning.estimate import Work, estimate
from windlass.planning.naming import target_name
from windlass.planning.postgres.decided import Decided, decide
from windlass.planning.postgres.inputs import Read, Request
from windlass.planning.postgres.locks import most_statements
from windlass.planning.postgres.losses import plan_losses
from windlass.planning.postgres.notices import plan_notices
from windlass.planning.postgres.problems import plan_problems
from windlass.planning.postgres.refreshing import refreshed_bytes
from windlass.planning.postgres.scope import partition_roots
from windlass.spec.choices import Verify


def make_plan(request: Request, read: Read, found: Iterable[Problem] = ()) -> Plan:
    """Decide everything. The plan's problems show why it cannot be carried out, including those
    `found` while reading."""
    decided = decide(request, read)
    losses = plan_losses(decided)
    problems = plan_problems(decided, found, losses)
    scope, definitions = decided.scope, decided.definitions
    return Plan(
        run=request.run,
        source=read.source.catalog.server,
        target=read.target.catalog.server,
        schemas=dict(scope.schemas),
        relations=decided.relations,
        loads=_loads(decided),
        statements=decided.statements,
        sequences=decided.sequences.pairs,
        objects=_objects(decided),
        set_aside=(*definitions.aside.items, *definitions.repointing.followers),
        findings=Findings(losses, problems, plan_notices(decided)),
        estimate=_estimate(decided),
        how=_how(decided),
        made=Made(tools={"pg_dump": read.pg_dump}),
        dependents=definitions.repointing.dependents,
    )


def _objects(decided: Decided) -> Objects:
    return Objects(
        others=_others(decided),
        materialized_views=_refreshed(decided) if decided.request.copies_rows else (),
        partition_roots=partition_roots(decided.scope),
        large_objects=decided.large_objects,
        owners=tuple(sorted({entry.owner for entry in decided.read.entries})),
    )


def _how(decided: Decided) -> How:
    request, target = decided.request, decided.read.target
    spec = request.spec
    return How(
        jobs=spec.jobs,
        verify=spec.verify_.value,
        copies_rows=request.copies_rows,
        silences_triggers=target.may_silence_triggers,
        most_statements=most_statements(target.locks, spec.jobs),
        notes_sums=request.copies_rows and request.migrates and spec.verify_ is not Verify.NONE,
    )


def _others(decided: Decided) -> tuple[tuple[str, Name, Name], ...]:
    """Views and other objects without rows, by kind, with both names."""
    return tuple(
        (str(relation.kind), relation.name, target_name(relation.name, decided.scope.schemas))
        for relation in decided.scope.relations
        if not relation.holds_rows
    )


def _loads(decided: Decided) -> tuple[Load, ...]:
    if not decided.request.copies_rows:
        return ()
    return plan_loads((item.batch, item.chunks) for item in decided.relations)


def _refreshed(decided: Decided) -> tuple[Name, ...]:
    """Materialised views that are populated on the source, in archive order: a view comes after
    what it reads."""
    populated = {
        target_name(relation.name, decided.scope.renamed)
        for relation in decided.read.source.catalog.relations
        if relation.is_populated_view
    }
    return tuple(
        statement.name
        for statement in decided.written
        if statement.kind == "MATERIALIZED VIEW" and statement.name in populated
    )


def _estimate(decided: Decided) -> Estimate:
    request, scope = decided.request, decided.scope
    work = Work(
        decided.relations,
        decided.statements if request.migrates else (),
        request.spec.jobs,
        request.spec.verify_.value,
        copies_rows=request.copies_rows,
        arrives=request.migrates,
        refreshed_bytes=refreshed_bytes(scope.archive, scope.relations),
    )
    return estimate(work, decided.read.speeds)
