"""Stamps again what triggers of the table have reset, in the transaction that wrote the rows.

A trigger may reset the stamp of every row that changes, to put the row back into the queue. Then
the stamp alone is written once more: the rows are still locked, so nobody else has changed them.
"""

from __future__ import annotations

from psycopg import sql

from windlass.engines.postgres.session import Connection
from windlass.errors import WindlassError
from windlass.inplace.staging import Staging
from windlass.inplace.writing import Span, Stamp, moment_of
from windlass.model.units import plural


def stamp_again(connection: Connection, staging: Staging, stamp: Stamp, span: Span) -> None:
    """For tables with triggers, after a span's rows were written.

    Raises:
        WindlassError: some rows still do not bear the stamp, so that the next run would change them
            a second time.
    """
    if not _unstamped(connection, staging, stamp, span):
        return
    for statement in (_by_place(staging, stamp, span), _by_id(staging, stamp, span)):
        connection.execute(statement)
    if rows := _unstamped(connection, staging, stamp, span):
        raise WindlassError(
            f"stamp {stamp.column}: a trigger of {staging.plan.table} resets it in"
            f" {plural(rows, 'row')}, which the next run would change again; they are not written",
            hint="change that trigger, or stamp another column",
        )


def _unstamped(connection: Connection, staging: Staging, stamp: Stamp, span: Span) -> int:
    row = connection.execute(_count_without(staging, stamp, span)).fetchone()
    return int(str(row[0])) if row else 0


def _by_place(staging: Staging, stamp: Stamp, span: Span) -> sql.Composed:
    """Rows that are where they were written."""
    found = sql.SQL("select w.ordinal, w.place_in, w.place from {} w where {}")
    written = staging.table("_written")
    return _again(staging, stamp, found.format(written, span.holds("w")))


def _by_id(staging: Staging, stamp: Stamp, span: Span) -> sql.Composed:
    """Rows that a trigger has changed since, if exactly one row has their id."""
    id_ = sql.Identifier(staging.plan.id)
    return _again(
        staging,
        stamp,
        sql.SQL(
            "select l.ordinal, (array_agg(t.tableoid))[1] as place_in,"
            " (array_agg(t.ctid))[1] as place from ({lost}) l join {target} t on t.{id} = l.id_now"
            " group by l.ordinal having count(*) = 1"
        ).format(lost=_lost(staging, span), target=staging.target, id=id_),
    )


def _again(staging: Staging, stamp: Stamp, found: sql.Composed) -> sql.Composed:
    return sql.SQL(
        "with again as (update {target} t set {column} = {moment} from ({found}) f"
        " where t.ctid = f.place and t.tableoid = f.place_in and {differs}"
        " returning f.ordinal, t.tableoid as place_in, t.ctid as place)"
        " update {written} w set place_in = again.place_in, place = again.place"
        " from again where w.ordinal = again.ordinal"
    ).format(
        target=staging.target,
        column=sql.Identifier(stamp.column),
        moment=moment_of(stamp),
        found=found,
        differs=_differs(staging, stamp),
        written=staging.table("_written"),
    )


def _lost(staging: Staging, span: Span) -> sql.Composed:
    """Rows that are no longer where they were written, with their ids."""
    within = [span.holds(alias) for alias in ("s", *staging.joined_aliases())]
    return sql.SQL(
        "select w.ordinal, {id} as id_now from {joined} join {written} w using (ordinal)"
        " where {within} and {span} and not exists (select from {target} t"
        " where t.ctid = w.place and t.tableoid = w.place_in)"
    ).format(
        id=staging.current(staging.plan.id),
        joined=staging.joined(),
        written=staging.table("_written"),
        within=sql.SQL(" and ").join(within),
        span=span.holds("w"),
        target=staging.target,
    )


def _count_without(staging: Staging, stamp: Stamp, span: Span) -> sql.Composed:
    """Rows of the span that do not bear the stamp, where they are now."""
    return sql.SQL(
        "select (select count(*) from {written} w join {target} t"
        " on t.ctid = w.place and t.tableoid = w.place_in where {span} and {differs})"
        " + (select count(*) from ({lost}) l where not exists"
        " (select from {target} t where t.{id} = l.id_now and not ({differs})))"
    ).format(
        written=staging.table("_written"),
        target=staging.target,
        span=span.holds("w"),
        differs=_differs(staging, stamp),
        lost=_lost(staging, span),
        id=sql.Identifier(staging.plan.id),
    )


def _differs(staging: Staging, stamp: Stamp) -> sql.Composed:
    return sql.SQL("t.{} is distinct from {}::{}").format(
        sql.Identifier(stamp.column),
        moment_of(stamp),
        sql.SQL(staging.plan.type_of(stamp.column)),
    )
