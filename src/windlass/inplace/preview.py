"""What a rewrite would do, for people to review. Reads only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from psycopg import sql

from windlass.engines.postgres.session import Connection
from windlass.inplace.access import enter
from windlass.inplace.backup import place_of
from windlass.inplace.check import plan_rewrite
from windlass.inplace.keeping import surplus
from windlass.inplace.staging import Staging
from windlass.inplace.stamping import stamps
from windlass.model.relation import Name
from windlass.model.rewrite import RewritePlan
from windlass.spec.rewrite import RewriteSpec


@dataclass(frozen=True, slots=True)
class Preview:
    plan: RewritePlan
    selected: int  # rows
    statements: tuple[str, ...]
    replaces: tuple[str, ...] = ()  # the runs whose backups the new one would replace


def preview(connection: Connection, spec: RewriteSpec) -> Preview:
    """Raises:
    Refused: with every problem.
    """
    enter(connection, Name(spec.schema_, spec.table))
    plan = plan_rewrite(connection, spec, "plan")
    staging = Staging(plan, extras=plan.duplicates is not None)
    row = connection.execute(staging.count_selected()).fetchone()
    assert row is not None
    statements = tuple(one.as_string(connection) for one in _statements(staging))
    gone = surplus(connection, plan) if plan.keeps_backup else []
    replaces = tuple(one.run for one in gone)
    return Preview(plan, int(str(row[0])), statements, replaces)


def _statements(staging: Staging) -> Iterator[sql.Composable]:
    """The statements that do not depend on a function."""
    plan = staging.plan
    yield staging.read()
    if plan.deletes_by_key:
        yield staging.read_others()
    if any(change.expression for change in plan.changes):
        yield staging.make_set(staging.given)
        yield staging.set(staging.given)
    if plan.call.function:
        yield sql.SQL(f"-- every staged row through {plan.call.function}")
    if plan.duplicates is not None:
        yield staging.find_extra()
    if plan.keeps_backup:
        yield sql.SQL(f"-- {plan.kept.level} backup into {place_of(plan)}")
    if staging.extras:
        yield staging.delete_extra()
    if plan.deletes_by_key:
        yield staging.delete_others()
    for name in plan.missing:
        yield sql.SQL("alter table {} add column if not exists {} {}").format(
            staging.target, sql.Identifier(name), sql.SQL(plan.type_of(name))
        )
    yield staging.write() if staging.written_columns else staging.find_unchanged()
    if plan.stamp:
        yield from stamps(staging)
