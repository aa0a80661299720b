"""Converts what a function returned to the columns' types, and finds the columns it changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import psycopg
from psycopg import sql

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.session import Connection
from windlass.engines.postgres.table import open_type, under
from windlass.errors import WindlassError
from windlass.inplace.frames import show_row
from windlass.inplace.staging import Staging
from windlass.model.rewrite import RewriteChange

_MISFITS = (psycopg.DataError, psycopg.IntegrityError, psycopg.errors.CannotCoerce)
C = TypeVar("C", str, RewriteChange)
_ROUNDED = {
    "numeric",
    "character varying",
    "timestamp without time zone",
    "timestamp with time zone",
    "time without time zone",
    "time with time zone",
    "interval",
}


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
    except _MISFITS as error:
        name = first_misfit(connection, given, assign)
        ordinal = _first_row(connection, staging, name, rows)
        doing = f"function {staging.plan.call.function}: column {name}, row {ordinal}"
        found = explain(error, doing, side="database")
        found.hint = found.hint or show_row(staging.name(), ordinal)
        raise found from error
    _expect_unrounded(connection, staging)
    connection.execute(sql.SQL("drop table {}").format(staging.table("_batches")))
    changed = _changed(connection, staging, rows)
    _check_untouched(staging, changed)
    return changed


def _assign(
    connection: Connection, staging: Staging, names: Sequence[str], last: int | None = None
) -> None:
    """Assign to columns of the table's types, which refuse a value that does not fit; all rows, or
    those up to an ordinal."""
    types = [staging.plan.type_of(name) for name in names]
    casts = [
        _opened(connection, staging, name, type_) for name, type_ in zip(names, types, strict=True)
    ]
    connection.execute(staging.make_called(types))
    connection.execute(
        sql.SQL("insert into {} select {} from {} b{}").format(
            staging.table("_called"),
            sql.SQL(", ").join([sql.SQL("ordinal"), *casts]),
            staging.table("_batches"),
            sql.SQL("" if last is None else " where ordinal <= {}").format(last),
        )
    )


def _opened(connection: Connection, staging: Staging, name: str, type_: str) -> sql.Composed:
    """What the function returned, as the column's type without its length."""
    place = sql.Identifier(f"n{list(staging.called).index(name)}")
    return sql.SQL("b.{}::{}").format(place, sql.SQL(open_type(connection, type_)))


def _first_row(connection: Connection, staging: Staging, name: str, rows: int) -> int:
    """The ordinal of the first row whose value does not fit the column."""
    low, high = 0, rows
    while high - low > 1:
        middle = (low + high) // 2
        try:
            with connection.transaction(force_rollback=True):
                _assign(connection, staging, [name], middle)
        except _MISFITS:
            high = middle
        else:
            low = middle
    return high


def _expect_unrounded(connection: Connection, staging: Staging) -> None:
    """An assignment rounds a number to its column's scale and a time to its precision, and cuts
    blanks off.

    Raises:
        WindlassError: it has changed a value.
    """
    rounded = {
        place: staging.plan.type_of(name)
        for place, name in enumerate(staging.called)
        if _is_rounded(connection, staging.plan.type_of(name))
    }
    if not rounded:
        return
    tests = [
        sql.SQL("min(ordinal) filter (where c.{} is distinct from {})").format(
            sql.Identifier(f"n{place}"), _opened(connection, staging, staging.called[place], type_)
        )
        for place, type_ in rounded.items()
    ]
    query = sql.SQL("select {} from {} c join {} b using (ordinal)").format(
        sql.SQL(", ").join(tests), staging.table("_called"), staging.table("_batches")
    )
    found = connection.execute(query).fetchone() or ()
    for (place, type_), ordinal in zip(rounded.items(), found, strict=True):
        if isinstance(ordinal, int):
            name = staging.called[place]
            message = f"column {name}, row {ordinal}: more digits or blanks than {type_} keeps"
            raise WindlassError(
                f"function {staging.plan.call.function}: {message}",
                hint="round it in the function: its values are written exactly, or not at all;"
                f" {show_row(staging.name(), ordinal)}",
            )


def _is_rounded(connection: Connection, type_: str) -> bool:
    opened = open_type(connection, type_)
    return opened.removesuffix("[]") in _ROUNDED and opened != under(connection, type_)


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
        except _MISFITS:
            return one if isinstance(one, str) else one.column
    return "unknown"
