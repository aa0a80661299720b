"""Reads the source and makes the plan: everything before a run may write."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from psycopg import sql
from pydantic import TypeAdapter

from windlass.engines.destination import Destination
from windlass.engines.postgres.projecting import (
    ProjectedSource,
    expression_of,
    table_of,
    verbatim,
)
from windlass.errors import CannotResume
from windlass.model.conversion import (
    ColumnPlan,
    ConversionPlan,
    PgConstraint,
    PgTable,
    Standing,
    Tried,
)
from windlass.model.units import several
from windlass.planning.postgres.converted.make import Read, make_plan
from windlass.planning.postgres.converted.tables import Asking
from windlass.spec.migrate import Spec

_PLANS: TypeAdapter[ConversionPlan] = TypeAdapter(ConversionPlan)


def read_and_plan(
    run: str, spec: Spec, source: ProjectedSource, target: Destination, *, migrates: bool = True
) -> ConversionPlan:
    """The plan, with its problems. Rows are read as far as the plan depends on them."""
    read = Read(
        source.server,
        source.structure(),
        target.standing() if migrates else Standing(True),
        Asking(
            source.value,
            _prover(source, target) if migrates else None,
            _orderer(source) if migrates and not spec.schema_only else None,
        ),
        _counter(source) if migrates else None,
    )
    return make_plan(run, spec, read, target)


def _orderer(source: ProjectedSource) -> Callable[[PgTable, PgConstraint], bool]:
    def is_ordered(table: PgTable, key: PgConstraint) -> bool:
        return source.is_ordered(table.name, key, only=not table.is_partitioned)

    return is_ordered


def _counter(source: ProjectedSource) -> Any:
    def counts(table: PgTable, conditions: Sequence[tuple[str, str]]) -> list[int]:
        made = [verbatim(when).format(sql.Identifier(column)) for column, when in conditions]
        return source.counts(table.name, made, only=not table.is_partitioned)

    return counts


def _prover(source: ProjectedSource, target: Destination) -> Any:
    """Reads every row once, for all expressions of a table."""

    def prove(
        table: PgTable, columns: Sequence[ColumnPlan], tried: Sequence[Tried]
    ) -> Sequence[int]:
        read = [one for one in columns if any(one.source in it.columns for it in tried)]
        by_name = {one.source: one for one in columns}
        expressions = [*map(expression_of, read), *(_expected(one, by_name) for one in tried)]
        given = [(one.target, one.carried) for one in read]
        rows = table_of(table.name, only=not table.is_partitioned)
        with target.proving(given, tried) as proving:
            for batch in source.rows(rows, expressions, _about(table), str(table.name)):
                proving.add(batch)
            return list(proving.wrong())

    return prove


def _expected(one: Tried, columns: dict[str, ColumnPlan]) -> sql.Composable:
    """What the source computes."""
    if one.column:
        return expression_of(columns[one.column])
    cast = sql.SQL(")::int4") if one.is_condition else sql.SQL(")::text")
    return sql.Composed([sql.SQL("("), verbatim(one.source), cast])


def _about(table: PgTable) -> int:
    """A row's size in bytes; 0 if it is not known."""
    return table.size_bytes // table.rows if table.rows > 0 else 0


def as_journalled(plan: ConversionPlan) -> dict[str, Any]:
    found: dict[str, Any] = _PLANS.dump_python(plan, mode="json")
    return found


def from_journal(found: Any) -> ConversionPlan:
    return _PLANS.validate_python(found)


def check_source(plan: ConversionPlan, source: ProjectedSource) -> None:
    """Raises:
    CannotResume: tables of the source are not what they were when the run began.
    """
    if changes := list(_changes(plan, source)):
        raise CannotResume(
            f"the source has changed since the plan: {several(changes, 10)}",
            hint="undo that change, then run the same command again; or roll the run back and"
            " begin another one",
        )


def _changes(plan: ConversionPlan, source: ProjectedSource) -> Iterator[str]:
    structure = source.structure()
    for one in plan.tables:
        table = structure.table(one.source)
        if table is None:
            yield f"{one.source} is gone"
            continue
        now = {column.name: column.type.text for column in table.columns}
        then = {column.source: column.source_type for column in one.columns}
        for name in dict.fromkeys((*then, *now)):
            if name not in now:
                yield f"{one.source}: column {name} is gone"
            elif name not in then:
                yield f"{one.source}: column {name} is new"
            elif now[name] != then[name]:
                yield f"{one.source}: column {name} is {now[name]} now, and was {then[name]}"
