"""Writes a run's rows: what comes before the first batch, the batches, and what comes after them.

A run that cannot finish ends in one of two ways. If it has written no row, what it deleted comes
back, and it has changed nothing. If it has, those rows stay, with their stamp.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from psycopg import sql

from windlass.engines.postgres.errors import explaining
from windlass.engines.postgres.session import Connection
from windlass.engines.postgres.table import read_columns
from windlass.errors import WindlassError
from windlass.flows.rewrite.batches import Batches, check_unaltered
from windlass.flows.rewrite.context import Rewriting
from windlass.flows.rewrite.runs import attempts, deleted_rows, written_rows
from windlass.flows.rewrite.waits import in_short_waits, met_a_lock
from windlass.inplace import backup, deleted
from windlass.inplace.returning import Returned, return_deleted
from windlass.inplace.stamping import stamp_again
from windlass.inplace.triggers import (
    RESETS,
    RESETS_HINT,
    is_maintained,
    read_resetting,
    read_triggers,
    takes_key,
)
from windlass.inplace.writing import Kind, Span, Stamp, change, count_altered
from windlass.model.event import Noticed
from windlass.model.flow import Result
from windlass.model.outcome import Reason, State
from windlass.model.rewrite import RewritePlan
from windlass.model.units import plural

SWAP_ATTEMPTS = 10  # for the previous backup, which somebody may be reading
_LOCK_ROWS = "for no key update"  # foreign keys of others may point to the rows
_LOCK_KEYS = "for update"


def add_columns(run: Rewriting) -> None:
    """Raises:
    ConnectionLost: somebody held the table for long; retrying may help.
    """
    plan = run.plan
    clauses = sql.SQL(", ").join(
        sql.SQL("add column if not exists {} {}").format(
            sql.Identifier(name), sql.SQL(plan.type_of(name))
        )
        for name in plan.missing
    )

    def add(timeout: str) -> Result:
        def work(connection: Connection) -> Result:
            there = {one.name for one in read_columns(connection, plan.number)}
            connection.execute(sql.SQL("set local lock_timeout to {}").format(sql.Literal(timeout)))
            connection.execute(sql.SQL("alter table {} {}").format(run.staging.target, clauses))
            return {"columns": [name for name in plan.missing if name not in there]}

        return run.once("write_rows", "add column", work)

    in_short_waits(add, wants_long=lambda: is_maintained(run.connection, plan.number))


def begin(run: Rewriting) -> None:
    """Prepare what all batches have in common: the moment of the stamp, and the state of the
    table's triggers."""

    def prepare(connection: Connection) -> Result:
        plan, staging = run.plan, run.staging
        check_unaltered(run)
        if plan.keeps_backup:
            backup.check_place(connection, plan)
        _check_keys(connection, plan, staging.written_columns)
        triggers = read_triggers(connection, plan.number)
        connection.execute(staging.make_written())
        if triggers:
            staging.index(connection, "_written")
        row = connection.execute("select clock_timestamp()::text").fetchone()
        assert row is not None
        columns = staging.written_columns
        stamped = [*columns, *([plan.stamp] if plan.stamp else [])]
        return {
            "moment": row[0],
            "columns": columns,
            "triggers": [one.name for one in triggers],
            "may_skip": [one.name for one in triggers if one.may_skip_rows],
            "locks": _LOCK_KEYS if takes_key(connection, plan.number, stamped) else _LOCK_ROWS,
        }

    run.once("write_rows", "begin", prepare)


def _check_keys(connection: Connection, plan: RewritePlan, columns: Sequence[str]) -> None:
    """Check the columns that a function has changed, which no plan knows.

    Raises:
        WindlassError: their change would take values from rows of other tables.
    """
    if keys := read_resetting(connection, plan.number, columns):
        raise WindlassError(f"{plan.table}: {RESETS}: {', '.join(keys)}", hint=RESETS_HINT)


def write_batches(run: Rewriting) -> None:
    """Change the rows, and stamp them with the same statement."""
    note, plan = run.note("write_rows", "begin"), run.plan
    stamp = Stamp(plan.stamp, note["moment"]) if plan.stamp else None
    staging = run.staging
    sets = bool(staging.written_columns or stamp)

    def write(connection: Connection, span: Span, skips: bool) -> tuple[int, int, int]:
        locks = note["locks"] if skips and sets else ""
        counts = _counts(connection, change(staging, Kind.ROWS, span, stamp=stamp, locks=locks))
        if stamp and note["triggers"]:
            stamp_again(connection, staging, stamp, span)
        return counts

    def altered(connection: Connection, span: Span) -> int:
        return _one(connection, count_altered(staging, span))

    whole = Span(1, run.selected + 1)
    batches = Batches(run, "write_rows", Kind.ROWS, whole, write, moves=sets)
    if note["triggers"] and staging.written_columns:
        batches.count_altered = altered
    batches.all()
    batches.sweep()


def delete_batches(run: Rewriting) -> None:
    """Delete duplicates, and if requested rows with the same key."""
    staging = run.staging
    run.once("delete_rows", "begin", lambda found: _make_gone(run, found))

    def delete(kind: Kind, whole: Span) -> None:
        def some(connection: Connection, span: Span, skips: bool) -> tuple[int, int, int]:
            locks = _LOCK_KEYS if skips else ""
            return _counts(connection, change(staging, kind, span, locks=locks))

        Batches(run, "delete_rows", kind, whole, some).all()

    if staging.extras:
        delete(Kind.DUPLICATES, Span(1, run.selected + 1))
    if run.plan.deletes_by_key:
        others = int(run.note("delete_rows", "begin")["others"])
        delete(Kind.OTHERS, Span(-others, 0))


def _make_gone(run: Rewriting, connection: Connection) -> Result:
    staging, others = run.staging, 0
    connection.execute(staging.make_gone())
    if run.plan.deletes_by_key:
        query = sql.SQL("select count(*) from {}").format(staging.table("_others"))
        others = _one(connection, query)
    return {"others": others}


def left_over(run: Rewriting, step: str, *kinds: Kind) -> dict[str, int]:
    """The rows of a step: how many were wanted, skipped because others had locked them, or kept by
    a trigger."""
    notes = [note for kind in kinds for note in attempts(run.journal.by_step, step, kind).values()]
    return {key: sum(int(note[key]) for note in notes) for key in ("wanted", "locked", "kept")}


def altered_rows(run: Rewriting) -> int:
    """How many written rows triggers have given other values."""
    notes = attempts(run.journal.by_step, "write_rows", Kind.ROWS).values()
    return sum(int(note.get("altered", 0)) for note in notes)


def finish(run: Rewriting) -> Result:
    """After the batches: duplicates of rows that were not written come back, and the new backup
    replaces the previous one, unless somebody is reading that."""

    def swapping(timeout: str) -> Result:
        return run.once("write_rows", "", lambda found: _finish(run, found, timeout))

    def keeping(timeout: str) -> Result:
        work = partial(_finish, run, timeout=timeout, swaps=False)
        return run.once("write_rows", "", work)

    try:
        return in_short_waits(swapping, attempts=SWAP_ATTEMPTS)
    except WindlassError as error:
        if not met_a_lock(error):
            raise
    return in_short_waits(keeping)


def _finish(run: Rewriting, connection: Connection, timeout: str, *, swaps: bool = True) -> Result:
    plan, staging = run.plan, run.staging
    connection.execute(sql.SQL("set local lock_timeout to {}").format(sql.Literal(timeout)))
    rows = written_rows(run.journal.by_step)
    kept = _one(connection, staging.count_kept())
    staging.analyze(connection, "_written")
    returned = Returned()
    if deleted_rows(run.journal.by_step) and rows < kept:
        returned = return_deleted(connection, staging, staging.stray())
        if returned.rows == returned.wanted:
            connection.execute(staging.forget_gone(staging.stray()))
        tell_kept(run, returned)
    gone = deleted_rows(run.journal.by_step) - returned.rows
    place = ""
    if plan.keeps_backup and (rows or gone):
        if plan.kept.level == "touched" and rows + gone < run.note("back_up_rows", "copy")["rows"]:
            backup.keep_touched(connection, staging)
        if gone:
            deleted.keep(connection, staging)
        keep = backup.swap if swaps else backup.keep_beside
        place = str(keep(connection, plan))
    left = left_over(run, "write_rows", Kind.ROWS)
    undone = kept - left.pop("wanted")
    return {
        "rows": rows,
        "left": kept - rows - undone - sum(left.values()),
        "undone": undone,
        **left,
        "returned": returned.rows,
        "columns": staging.written_columns,
        "swapped": bool(place),
        "backup": place,
    }


def give_up(run: Rewriting, error: WindlassError) -> None:
    """End a run that can never finish, so that it does not hold up later ones. A run that has
    written rows without a stamp is not ended: the next one would change them a second time."""
    if not written_rows(run.journal.by_step):
        if deleted_rows(run.journal.by_step):
            _undo_deletes(run, error)
    elif run.plan.stamp:
        close(run, error)


def close(run: Rewriting, error: WindlassError) -> None:
    """End a run that has written some of its rows, and can write no more."""
    finish(run)
    run.once("stamp_rows", "", lambda found: clear(run, found))
    message = f"{plural(written_rows(run.journal.by_step), 'row')} written; then {error}"
    run.end(State.DONE, run.outcome(State.DONE, Reason(message)))
    run.emit(Noticed(f"run {run.plan.run} is over: {message}"))


def clear(run: Rewriting, connection: Connection) -> Result:
    """Drop what the run has made beside the table."""
    run.staging.drop(connection)
    backup.drop_unfinished(connection, run.plan)
    return {"rows": run.counts()["stamped"]}


def _undo_deletes(run: Rewriting, error: WindlassError) -> None:
    """Restore the rows that the run deleted, and end it: then it has changed nothing, and the
    previous backup stays."""
    connection, plan, staging = run.connection, run.plan, run.staging
    doing = f"putting back what run {plan.run} has deleted"
    with explaining(doing, side="database"), connection.transaction():
        returned = return_deleted(connection, staging, staging.all_gone())
        tell_kept(run, returned)
        staging.drop(connection)
        backup.drop_unfinished(connection, plan)
        message = f"{error}; {plural(returned.rows, 'row')} that it had deleted are back"
        run.end(State.ROLLED_BACK, run.outcome(State.ROLLED_BACK, Reason(message)))
    run.emit(Noticed(f"{plural(returned.rows, 'row')} that run {plan.run} had deleted are back"))


def tell_kept(run: Rewriting, returned: Returned) -> None:
    if returned.kept_in:
        missing = f"{returned.wanted - returned.rows} of {plural(returned.wanted, 'row')}"
        run.emit(
            Noticed(
                f"{missing} that run {run.plan.run} has deleted cannot be put back:"
                f" {returned.kept_in} has them all"
            )
        )


def _counts(connection: Connection, statement: sql.Composed) -> tuple[int, int, int]:
    row = connection.execute(statement).fetchone()
    assert row is not None
    wanted, changed, held = (int(str(one)) for one in row)
    return wanted, changed, held


def _one(connection: Connection, query: sql.Composed) -> int:
    row = connection.execute(query).fetchone()
    assert row is not None
    return int(str(row[0]))
