"""The statements that stamp the rows of a run with its time, in the spec's `stamp` column."""

from __future__ import annotations

from psycopg import sql

from windlass.inplace.staging import Staging, same_image


def stamps(staging: Staging) -> tuple[sql.Composed, sql.Composed]:
    """Stamp rows by their places, then by their ids those that have moved since."""
    return _by_place(staging), _by_id(staging)


def _by_place(staging: Staging) -> sql.Composed:
    """Stamp rows that are still where they were written. Those left in `_written` have moved."""
    plan = staging.plan
    return sql.SQL(
        "with stamped as (update {target} t set {stamp} = now()"
        " from {joined} join {written} w using (ordinal)"
        " where t.ctid = w.place and t.tableoid = w.place_in and {same_id} and {same_stamp}"
        " returning w.ordinal)"
        " delete from {written} w using stamped where w.ordinal = stamped.ordinal"
    ).format(
        target=staging.target,
        stamp=sql.Identifier(plan.stamp),
        written=staging.table("_written"),
        joined=staging.joined(),
        same_id=same_image(
            [sql.SQL("t.{}").format(sql.Identifier(plan.id))], [staging.current(plan.id)]
        ),
        same_stamp=_same(staging, plan.stamp),
    )


def _by_id(staging: Staging) -> sql.Composed:
    """Stamp rows that somebody has changed since, if exactly one row has the id, and its stamp is
    what was selected."""
    plan = staging.plan
    id_ = sql.Identifier(plan.id)
    return sql.SQL(
        "with lost as (select s.*, {new_id} as id_now from {joined}"
        " where ordinal in (select ordinal from {written})),"
        " single as (select {id} as id_now from {target}"
        " where {id} in (select id_now from lost) group by {id} having count(*) = 1)"
        " update {target} t set {stamp} = now()"
        " from lost s join single o on o.id_now = s.id_now"
        " where t.{id} = s.id_now and {same_stamp}"
    ).format(
        target=staging.target,
        id=id_,
        new_id=staging.current(plan.id),
        joined=staging.joined(),
        written=staging.table("_written"),
        stamp=sql.Identifier(plan.stamp),
        same_stamp=_same(staging, plan.stamp),
    )


def _same(staging: Staging, column: str) -> sql.Composed:
    return same_image(
        [sql.SQL("t.{}").format(sql.Identifier(column))],
        [sql.SQL("s.{}").format(sql.Identifier(staging.plan.column(column).old))],
    )
