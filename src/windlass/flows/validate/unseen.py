"""What a comparison of rows does not cover and must not report as equal: columns that the target
lacks, and rows of partitions that only the target has."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from windlass.engines.postgres.presence import Present
from windlass.model.plan import Plan
from windlass.model.relation import Name
from windlass.model.report import Difference, DifferenceKind
from windlass.planning.naming import target_name


def unseen(
    plan: Plan, source: Collection[Name], target: Mapping[Name, Present]
) -> Iterator[Difference]:
    """The problems. `source` and `target` have the relations of each side, by its own names."""
    for item in plan.relations:
        if item.target not in target or not target[item.target].takes_rows:
            continue  # missing relations are already reported
        there = {column.source for column in item.columns}
        if lacking := [one.name for one in item.relation.columns if one.name not in there]:
            message = f"has no column {', '.join(lacking)} on the target"
            yield _difference(item.target, message)
    known = {target_name(name, plan.schemas) for name in source}
    compared = {there for *_, there in plan.objects.others}  # partitioned tables: by partition
    for item in plan.relations:  # partitioned only on the target: read as a whole
        if item.target in target and target[item.target].kind != "p":
            compared.add(item.target)
    for name, one in sorted(target.items()):
        parents = [str(parent) for parent in one.parents if parent in compared]
        if parents and name not in known:
            message = f"is a part of {', '.join(parents)} on the target only: its rows are in it"
            yield _difference(name, message)


def _difference(name: Name, message: str) -> Difference:
    return Difference(DifferenceKind.SCHEMA, f"table {name}", message, relation=str(name))
