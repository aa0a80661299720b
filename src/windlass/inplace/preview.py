"""What a rewrite would do, for people to review: statements, some rows, and costs. Reads only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import psycopg
from psycopg import sql

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.session import Connection
from windlass.inplace.access import enter
from windlass.inplace.backup import place_of
from windlass.inplace.check import plan_rewrite
from windlass.inplace.costs import Costs, read_costs
from windlass.inplace.deleted import read_keys
from windlass.inplace.keeping import surplus
from windlass.inplace.staging import Staging
from windlass.inplace.writing import Kind, Span, Stamp, change
from windlass.model.relation import Name
from windlass.model.rewrite import RewritePlan
from windlass.spec.rewrite import RewriteSpec

SAMPLE_ROWS = 3
Values = Mapping[str, str | None]  # by column, as text


@dataclass(frozen=True, slots=True)
class Sampled:
    """A row before and after. Shown only to the person who plans."""

    before: Values
    after: Values


@dataclass(frozen=True, slots=True)
class Preview:
    plan: RewritePlan
    selected: int  # rows
    statements: tuple[str, ...]
    costs: Costs
    sample: tuple[Sampled, ...] = ()
    no_sample: str = ""  # why an expression cannot be computed
    replaces: tuple[str, ...] = ()  # the runs whose backups the new one would replace
    has_key: bool = True  # by which a rollback can tell the rows apart


def preview(connection: Connection, spec: RewriteSpec) -> Preview:
    """Raises:
    Refused: with every problem.
    """
    enter(connection, Name(spec.schema_, spec.table))
    plan = plan_rewrite(connection, spec, "plan")
    staging = Staging(plan, extras=plan.duplicates is not None)
    row = connection.execute(staging.count_selected()).fetchone()
    assert row is not None
    selected = min(int(str(row[0])), plan.selection.limit_rows or int(str(row[0])))
    statements = tuple(one.as_string(connection) for one in _statements(staging, spec.commit_rows))
    sample, no_sample = _sample(connection, staging)
    return Preview(
        plan,
        selected,
        statements,
        read_costs(connection, staging, selected, spec.commit_rows),
        sample,
        no_sample,
        tuple(one.run for one in surplus(connection, plan)) if plan.keeps_backup else (),
        _has_key(connection, plan),
    )


def _has_key(connection: Connection, plan: RewritePlan) -> bool:
    """Whether a key of the table stays as it is; what a function changes is not known."""
    moved = {plan.stamp, *(one.column for one in plan.changes)}
    return any(moved.isdisjoint(key) for key in read_keys(connection, plan.number))


def _sample(connection: Connection, staging: Staging) -> tuple[tuple[Sampled, ...], str]:
    if not staging.expressions:
        return (), ""
    try:
        with connection.transaction():
            rows = connection.execute(staging.sample(SAMPLE_ROWS)).fetchall()
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        return (), str(explain(error, "computing it", side="database"))
    shown, columns = staging.sampled, [one.column for one in staging.expressions]
    texts = [[None if one is None else str(one) for one in row] for row in rows]
    return tuple(
        Sampled(
            dict(zip(shown, row[: len(shown)], strict=True)),
            dict(zip(columns, row[len(shown) :], strict=True)),
        )
        for row in texts
    ), ""


def _statements(staging: Staging, commit_rows: int) -> Iterator[sql.Composable]:
    """The statements that do not depend on a function, those that change rows for the first
    ones."""
    plan, span = staging.plan, Span(1, commit_rows + 1)
    yield staging.read()
    if plan.deletes_by_key:
        yield staging.read_others()
    if staging.given:
        yield staging.make_set(staging.given)
        yield staging.set(staging.given)
    if plan.call.function:
        yield sql.SQL(f"-- every staged row through {plan.call.function}")
    if plan.duplicates is not None:
        yield staging.find_extra()
    if plan.keeps_backup:
        yield sql.SQL(f"-- {plan.kept.level} backup into {place_of(plan)}")
    if staging.extras:
        yield change(staging, Kind.DUPLICATES, span)
    if plan.deletes_by_key:
        yield change(staging, Kind.OTHERS, Span(-commit_rows, 0))
    for name in plan.missing:
        yield sql.SQL("alter table {} add column if not exists {} {}").format(
            staging.target, sql.Identifier(name), sql.SQL(plan.type_of(name))
        )
    stamp = Stamp(plan.stamp, "now") if plan.stamp else None
    yield change(staging, Kind.ROWS, span, stamp=stamp)
