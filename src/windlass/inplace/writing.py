"""The statements that change the table: they delete, write and stamp a span of the staged rows.

A row is found by its place and its image together, so a row that others have changed is never
touched. `skips` says how a row that others have locked is treated: left for the next run, or waited
for as long as the transaction's `lock_timeout` allows. Waiting is faster where nobody has locks.

A stamp is written by the very UPDATE that changes the row, so no change of others can come between
the two. Each statement returns one row: how many rows were wanted, changed, and could be locked.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from psycopg import sql

from windlass.inplace.staging import Staging, comma_list, same_image

_NOTHING = sql.SQL("")


class Kind(StrEnum):
    """The kinds of changes."""

    ROWS = "rows"  # those that stay: written, and stamped
    DUPLICATES = "duplicates"  # deleted
    OTHERS = "others"  # with the key of a selected row; deleted


@dataclass(frozen=True, slots=True)
class Span:
    """Ordinals of staged rows, half-open: ``low <= ordinal < high``."""

    low: int
    high: int

    def __len__(self) -> int:
        return self.high - self.low

    def holds(self, alias: str) -> sql.Composed:
        ordinal = sql.Identifier(alias, "ordinal")
        bounds = sql.Literal(self.low), sql.Literal(self.high)
        return sql.SQL("{0} >= {1} and {0} < {2}").format(ordinal, *bounds)


@dataclass(frozen=True, slots=True)
class Stamp:
    """What is written into a column of the rows, besides their changes."""

    column: str
    moment: str  # as the server writes it


def change(
    staging: Staging, kind: Kind, span: Span, *, stamp: Stamp | None = None, locks: str = ""
) -> sql.Composed:
    """The statement for one span. With `locks`, a row's lock such as ``for update``, rows that
    others have locked are skipped; without, they are waited for."""
    if kind is Kind.ROWS:
        sets = _sets(staging, stamp)
        work = _write(staging, span, sets, locks) if sets else _find(staging, span)
        into = staging.table("_written")
    else:
        work, into = _delete(staging, kind, span, locks), staging.table("_gone")
    return sql.SQL(
        "with {held}{work}, noted as (insert into {into} select {columns} from changed)"
        " select (select count(*) from {staged} s where {within}{wanted}),"
        " (select count(*) from changed), {count_held}"
    ).format(
        held=_held(staging, kind, span, locks),
        work=work,
        into=into,
        columns=sql.SQL("*") if kind is Kind.ROWS else sql.SQL("ordinal"),
        staged=_staged(staging, kind),
        within=span.holds("s"),
        wanted=_wanted(staging, kind),
        count_held=sql.SQL("(select count(*) from held where now_at = place)")
        if locks
        else sql.SQL("0"),
    )


def count_unchanged(staging: Staging, kind: Kind, span: Span) -> sql.Composed:
    """Of a span, the rows that are still as they were read: those that were locked, and those that
    a trigger kept from being changed."""
    return sql.SQL("select count(*) from {} t join {} s on {} where {}{}").format(
        staging.target,
        _staged(staging, kind),
        staging.is_the_very_row(),
        span.holds("s"),
        _condition(staging, kind),
    )


def count_altered(staging: Staging, span: Span) -> sql.Composed:
    """Of the rows that were written, those that have other values than were written, as a trigger
    has changed them on the way, and those that a trigger has changed again since."""
    names = staging.written_columns
    type_of = staging.plan.type_of
    written = [
        sql.SQL("({})::{}").format(staging.current(name), sql.SQL(type_of(name))) for name in names
    ]
    within = [span.holds(alias) for alias in ("s", *staging.joined_aliases())]
    return sql.SQL(
        "select count(*) from {joined} join {written} w using (ordinal) left join {target} t"
        " on t.ctid = w.place and t.tableoid = w.place_in where {within} and {span}"
        " and (t.ctid is null or not {same})"
    ).format(
        joined=staging.joined(),
        written=staging.table("_written"),
        target=staging.target,
        within=sql.SQL(" and ").join(within),
        span=span.holds("w"),
        same=same_image([sql.Identifier("t", name) for name in names], written),
    )


def _staged(staging: Staging, kind: Kind) -> sql.Identifier:
    return staging.table("_others" if kind is Kind.OTHERS else "")


def _wanted(staging: Staging, kind: Kind) -> sql.Composable:
    if kind is Kind.ROWS:
        return staging.kept()
    if kind is Kind.OTHERS:
        return _NOTHING
    return sql.SQL(" and exists (select from {} e where e.ordinal = s.ordinal)").format(
        staging.table("_extra")
    )


def _condition(staging: Staging, kind: Kind) -> sql.Composable:
    """Of a duplicate, that the row that stays is still as it was read."""
    if kind is not Kind.DUPLICATES:
        return _wanted(staging, kind)
    return sql.SQL(
        " and exists (select from {extra} e where e.ordinal = s.ordinal and exists"
        " (select from {target} t join {staged} s on {same} where s.ordinal = e.first))"
    ).format(
        extra=staging.table("_extra"),
        target=staging.target,
        staged=staging.table(),
        same=staging.is_the_very_row(),
    )


def _held(staging: Staging, kind: Kind, span: Span, locks: str) -> sql.Composable:
    if not locks:
        return _NOTHING
    return sql.SQL(
        "held as materialized (select s.ordinal, s.place_in, s.place, t.ctid as now_at"
        " from {target} t join {staged} s on {same} where {within}{condition}"
        " {locks} of t skip locked), "
    ).format(
        target=staging.target,
        staged=_staged(staging, kind),
        same=staging.is_the_very_row(),
        within=span.holds("s"),
        condition=_condition(staging, kind),
        locks=sql.SQL(locks),
    )


_AT_ITS_PLACE = sql.SQL("t.ctid = s.place and t.tableoid = s.place_in")


def _sets(staging: Staging, stamp: Stamp | None) -> list[sql.Composable]:
    sets: list[sql.Composable] = [
        sql.SQL("{} = {}").format(sql.Identifier(name), staging.current(name))
        for name in staging.written_columns
    ]
    if stamp:
        sets.append(sql.SQL("{} = {}").format(sql.Identifier(stamp.column), moment_of(stamp)))
    return sets


def moment_of(stamp: Stamp) -> sql.Composed:
    return sql.SQL("{}::timestamptz").format(sql.Literal(stamp.moment))


def _write(staging: Staging, span: Span, sets: list[sql.Composable], locks: str) -> sql.Composed:
    """Change the rows in place; nobody ever sees the table without them."""
    within = [span.holds(alias) for alias in ("s", *staging.joined_aliases())]
    return sql.SQL(
        "changed as (update {target} t set {sets} from {joined} where {found} and {within}"
        " returning s.ordinal, t.tableoid, t.ctid)"
    ).format(
        target=staging.target,
        sets=comma_list(sets),
        joined=staging.joined(sql.SQL("held") if locks else None),
        found=_AT_ITS_PLACE if locks else staging.is_the_very_row() + staging.kept(),
        within=sql.SQL(" and ").join(within),
    )


def _find(staging: Staging, span: Span) -> sql.Composed:
    """For a run that changes no column: the rows are right already."""
    return sql.SQL(
        "changed as (select s.ordinal, t.tableoid, t.ctid from {} t join {} s on {} where {}{})"
    ).format(
        staging.target,
        staging.table(),
        staging.is_the_very_row(),
        span.holds("s"),
        staging.kept(),
    )


def _delete(staging: Staging, kind: Kind, span: Span, locks: str) -> sql.Composed:
    found = staging.is_the_very_row() + _condition(staging, kind)
    return sql.SQL(
        "changed as (delete from {} t using {} s where {} and {} returning s.ordinal)"
    ).format(
        staging.target,
        sql.SQL("held") if locks else _staged(staging, kind),
        _AT_ITS_PLACE if locks else found,
        span.holds("s"),
    )
