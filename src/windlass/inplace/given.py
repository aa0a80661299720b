"""Converts what a function returned to the columns' types, and finds the columns it changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import psycopg
from psycopg import sql

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.session import Connection
from windlass.engines.postgres.table import open_type
from windlass.errors import WindlassError
from windlass.inplace.staging import Staging
from windlass.model.rewrite import RewriteChange

C = TypeVar("C", str, RewriteChange)


def take_over(connection: Connection, staging: Staging, rows: int) -> list[str]:
    """Convert what the function returned to the columns' types, in the table `_called`. Returns the
    columns that changed in at least one row.

    Raises:
        WindlassError: a value does not fit, rows are missing, or the function changed a column that
            it must not change.
    """
    given = staging.called

    def assign(names: Sequence[str]) -> None:
        with connection.transaction():
            _assign(connection, staging, names)

    try:
        assign(given)
    except psycopg.DataError as error:
        name = first_misfit(connection, given, assign)
        raise explain(
            error, f"function {staging.plan.call.function}: column {name}", side="database"
        ) from error
    connection.execute(sql.SQL("drop table {}").format(staging.table("_batches")))
    changed = _changed(connection, staging, rows)
    _check_untouched(staging, changed)
    return changed


def _assign(connection: Connection, staging: Staging, names: Sequence[str]) -> None:
    """Assign to columns of the table's types, which refuse a value that does not fit."""
    types = [staging.plan.type_of(name) for name in names]
    places = {name: place for place, name in enumerate(staging.called)}
    casts = [
        sql.SQL("{}::{}").format(
            sql.Identifier(f"n{places[name]}"), sql.SQL(open_type(connection, type_))
        )
        for name, type_ in zip(names, types, strict=True)
    ]
    connection.execute(staging.make_called(types))
    connection.execute(
        sql.SQL("insert into {} select {} from {}").format(
            staging.table("_called"),
            sql.SQL(", ").join([sql.SQL("ordinal"), *casts]),
            staging.table("_batches"),
        )
    )


def _changed(connection: Connection, staging: Staging, rows: int) -> list[str]:
    given = staging.called
    differs = sql.SQL(", ").join(
        sql.SQL("coalesce(bool_or(row({})::record *<> row({})::record), false)").format(
            staging.current(name), staging.before_call(name)
        )
        for name in given
    )
    query = sql.SQL("select count(*), {} from {}").format(differs, staging.joined())
    row = connection.execute(query).fetchone()
    assert row is not None
    count, *changed = row
    if count != rows:
        raise WindlassError(
            f"function {staging.plan.call.function}: {count} of {rows} rows have come back",
            hint="run the same command again: the function is called again",
        )
    return [name for name, differs in zip(given, changed, strict=True) if differs]


def _check_untouched(staging: Staging, changed: Sequence[str]) -> None:
    plan = staging.plan
    fixed = {one.name for one in plan.columns if one.is_generated or one.is_fixed}
    if plan.stamp:
        fixed.add(plan.stamp)
    if fixed.intersection(changed):
        touched = ", ".join(sorted(fixed.intersection(changed)))
        raise WindlassError(
            f"function {plan.call.function}: has changed {touched}, which is not its to change",
            hint="let it leave those columns as they are, or out",
        )


def first_misfit(
    connection: Connection, columns: Sequence[C], assign: Callable[[Sequence[C]], object]
) -> str:
    """The first column with a value that does not fit it, by assigning each alone."""
    for one in columns:
        try:
            with connection.transaction(force_rollback=True):
                assign([one])
        except psycopg.DataError:
            return one if isinstance(one, str) else one.column
    return "unknown"
