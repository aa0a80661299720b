"""A plan of mapped tables as the source is read: its real names, and the mappings through which its
rows are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from windlass.model.plan import Plan, RelationPlan
from windlass.model.relation import Name
from windlass.model.report import loss_problems
from windlass.planning.chunks import plan_loads
from windlass.planning.postgres.inputs import Request
from windlass.planning.postgres.mapped.source import MappedSource


def as_read(plan: Plan, source: MappedSource, request: Request) -> Plan:
    relations = tuple(_as_read(item, source) for item in plan.relations)
    loads = plan_loads((item.batch, item.chunks) for item in relations)
    findings = plan.findings
    if request.migrates:
        problems = loss_problems(source.losses, request.spec.accept)
        findings = replace(
            findings,
            losses=(*findings.losses, *source.losses),
            problems=(*findings.problems, *problems),
        )
    return replace(
        plan,
        relations=relations,
        loads=loads if plan.loads else (),
        sequences=tuple((_real(one, source.called), to) for one, to in plan.sequences),
        findings=findings,
        objects=replace(plan.objects, left_out=tuple(source.left_out)),
    )


def _as_read(item: RelationPlan, source: MappedSource) -> RelationPlan:
    """The relation as it is read. Columns keep their mapped names, because it is read through the
    mapping."""
    name = _real(item.relation.name, source.called)
    if name not in source.tables:
        return item
    return replace(
        item,
        relation=replace(item.relation, name=name),
        chunks=tuple(replace(chunk, relation=name) for chunk in item.chunks),
        mapping=source.tables[name].mapping,
    )


def _real(name: Name, called: Mapping[Name, Name]) -> Name:
    return called.get(name, name)
