"""What a rewrite has changed, by column, for catalogs of data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from windlass.engines.postgres.syntax import Node, SyntaxProblem, nodes, tree_of
from windlass.flows.rewrite.context import Rewriting
from windlass.model.lineage import Arrived, Change, ColumnLineage, relation_dataset
from windlass.model.outcome import Outcome
from windlass.model.rewrite import RewriteChange, RewritePlan


def lineage_of(run: Rewriting, outcome: Outcome) -> Sequence[Arrived]:
    """The table is read and written: only the changed columns have origins."""
    plan = run.plan
    table = relation_dataset(plan.where.place, plan.where.database, plan.table)
    if table is None or not outcome.totals.counts.get("written"):
        return ()
    columns = tuple(_columns(plan))
    read = tuple((one.name, one.type) for one in plan.columns)
    return [Arrived((table,), table, columns, read, rows=outcome.totals.counts["written"])]


def _columns(plan: RewritePlan) -> Iterator[ColumnLineage]:
    changes = {one.column: one for one in plan.changes}
    for column in dict.fromkeys([*(one.name for one in plan.columns), *plan.missing]):
        type_ = plan.type_of(column)
        if column in changes:
            yield _changed(plan, changes[column], type_)
        elif column == plan.stamp:
            yield ColumnLineage(column, type_, (), Change.CONVERTED, "stamped")
        else:
            yield ColumnLineage(column, type_)


def _changed(plan: RewritePlan, change: RewriteChange, type_: str) -> ColumnLineage:
    names = tuple(one.name for one in plan.columns)
    if not change.expression:
        how = f"the function {plan.call.function}"
        return ColumnLineage(change.column, type_, names, Change.CONVERTED, how)
    origins = _named(change.expression, names)
    return ColumnLineage(change.column, type_, origins, Change.CONVERTED, "an expression")


def _named(expression: str, names: Sequence[str]) -> tuple[str, ...]:
    """The columns that an expression names; all of them if it cannot be read, or takes the whole
    row."""
    try:
        found = {_last(one) for one in nodes(tree_of(f"select {expression}"))
                 if one.tag == "ColumnRef"}  # fmt: skip
    except SyntaxProblem:
        return tuple(names)
    return tuple(one for one in names if one in found) if found <= set(names) else tuple(names)


def _last(reference: Node) -> str:
    """The last word of a reference: ``*`` of a whole row."""
    word: Node = reference.fields[-1]
    return str(word.sval) if word.tag == "String" else "*"
