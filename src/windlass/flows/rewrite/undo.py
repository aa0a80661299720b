"""Undoes a rewrite: restores the table from the run's backup."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from psycopg import sql

from windlass.engines.postgres.errors import explaining
from windlass.engines.postgres.lock import read_holder, relation_key, try_lock
from windlass.engines.postgres.session import Connection
from windlass.engines.postgres.table import read_name
from windlass.errors import Refused
from windlass.flows.migrate.written import written_since
from windlass.flows.rewrite.runs import deleted_rows, has_changed, read_lines, read_rewrite_plan
from windlass.flows.rewrite.waits import in_short_waits
from windlass.flows.rollback import already_undone, find_run
from windlass.inplace import backup, deleted, restoring
from windlass.inplace.access import enter
from windlass.inplace.staging import Staging
from windlass.journal import records
from windlass.journal.records import Lines, note_of
from windlass.model.outcome import UNFINISHED, Outcome, Reason, State
from windlass.model.past import Foreseen, Others, Undone
from windlass.model.relation import Name
from windlass.model.report import Problem
from windlass.model.rewrite import RewritePlan
from windlass.model.units import plural


def foresee_rewrite(connection: Connection, found: records.Run) -> Foreseen:
    """What undoing it would do, and what others changed since.

    Raises:
        Refused: it cannot be undone, so nobody has to be asked.
    """
    plan = read_rewrite_plan(connection, found.run)
    place = backup.find_place(connection, plan) if plan.keeps_backup else None
    summary = f"puts the rows of {plan.table} back as they are in {place or 'its backup'}"
    lines = read_lines(connection, found.run)
    if found.state in UNFINISHED:
        return Foreseen(summary)
    if not has_changed(plan, lines):
        _expect_unfinished(found)
        return Foreseen(summary)
    _expect_undoable(connection, found, plan)
    enter(connection, plan.table)
    rows = restoring.count_others(connection, plan, _done(found.run, lines))
    written = [written_since(str(plan.table), rows)] if rows else []
    return Foreseen(summary, written)


def _done(run: str, lines: Lines) -> restoring.Done:
    write = note_of(lines, "write_rows", "")
    return restoring.Done(
        added=note_of(lines, "write_rows", "add column").get("columns", ()),
        changed=note_of(lines, "write_rows", "begin").get("columns", ()),
        deleted=deleted_rows(lines) - write.get("returned", 0),
        transactions=records.transactions(run),
    )


def undo_rewrite(
    connection: Connection, found: records.Run, *, others: Others = Others.REFUSE
) -> Undone:
    """Restore the table from the run's backup, all or nothing. Rows that others added since always
    stay; `others` is about those that they changed or deleted.

    Raises:
        Refused: the backup no longer exists, or a later run or others have changed the table;
        nothing was changed.
    """
    plan = read_rewrite_plan(connection, found.run)
    if not try_lock(connection, relation_key(plan.number)):
        holder = read_holder(connection, relation_key(plan.number))
        raise Refused([Problem(str(plan.table), f"is being rewritten: {holder}", "wait for it")])
    found = find_run(connection, found.run)
    if found.state is State.ROLLED_BACK:
        return already_undone(found)
    lines = read_lines(connection, found.run)
    done = _done(found.run, lines)
    if not has_changed(plan, lines):
        _expect_unfinished(found)
        return Undone(drop_run(connection, plan, done.added))
    done = replace(done, undone=_expect_undoable(connection, found, plan))
    enter(connection, plan.table)

    def put_back(timeout: str) -> restoring.Restored:
        with explaining(f"undoing run {found.run}", side="database"), connection.transaction():
            connection.execute("set local synchronous_commit = on")
            connection.execute(sql.SQL("set local lock_timeout to {}").format(sql.Literal(timeout)))
            if found.state in UNFINISHED:
                _keep_unfinished(connection, Staging(plan))
            restored = restoring.put_back(connection, plan, done, others)
            Staging(plan).drop(connection)
            deleted.drop(connection, plan.run)
            backup.drop_unfinished(connection, plan)
            records.set_state(connection, found.run, State.ROLLED_BACK)
            records.touch(connection, found.run)
            return restored

    restored = in_short_waits(put_back)
    message = (
        f"{plan.table} is restored: {plural(restored.put_back, 'row')} put back,"
        f" {plural(restored.inserted, 'row')} inserted"
    )
    if restored.dropped_columns:
        message += f"; without {', '.join(restored.dropped_columns)}"
    stayed = [f"column {name} stays, as others use it" for name in restored.kept_columns]
    if restored.skipped:
        rows = plural(restored.skipped, "row")
        stayed.append(f"{plan.table}: {rows} not put back: changed or deleted by others since")
    if restored.altered:
        rows = plural(restored.altered, "row")
        stayed.append(f"{plan.table}: {rows} as triggers have made them, not as in the backup")
    return Undone(message, stayed)


def _keep_unfinished(connection: Connection, staging: Staging) -> None:
    """Keep what a rollback needs, at the moment when the last row has been written."""
    if staging.plan.kept.level == "touched":
        backup.keep_touched(connection, staging)
    if staging.exists(connection, "_gone"):
        deleted.keep(connection, staging)


def restore_rewrite(connection: Connection, found: records.Run, into: Name) -> Undone:
    """Restore the rows of the run's backup in a new table. Changes nothing else: the run can still
    be rolled back.

    Raises:
        Refused: the backup no longer exists, the run has not ended, or the table exists.
    """
    if found.state in UNFINISHED:
        message = f"is {found.state}: its backup may still change"
        hint = "resume it, or roll it back, first"
        raise Refused([Problem(f"run {found.run}", message, hint)])
    plan = read_rewrite_plan(connection, found.run)
    with explaining(f"restoring from run {found.run}", side="database"), connection.transaction():
        connection.execute("set local synchronous_commit = on")
        rows = restoring.restore_beside(connection, plan, into)
    whole = "all rows" if plan.kept.level == "full" else "the rows that it has written or deleted"
    message = f"{into} has {whole} of {plan.table}, as they were before run {found.run}"
    return Undone(f"{message}; {plan.table} is unchanged", rows=rows)


def _expect_unfinished(found: records.Run) -> None:
    """Refuse a finished run that has changed no row: there is nothing to drop."""
    if found.state is State.DONE:
        message = "has changed nothing, so there is nothing to undo"
        raise Refused([Problem(f"run {found.run}", message)])


def _expect_undoable(connection: Connection, found: records.Run, plan: RewritePlan) -> list[str]:
    """Check that the table and the backup exist, and that no later run depends on them. Returns
    later runs that were rolled back.

    Raises:
        Refused: one of them is not so.
    """
    if read_name(connection, plan.number) != plan.table:
        message = f"{plan.table} is another table now, or gone"
        raise Refused([Problem(f"run {found.run}", message)])
    restoring.find_backup(connection, plan)
    return _expect_no_later(connection, found)


def _expect_no_later(connection: Connection, found: records.Run) -> list[str]:
    """Check for later runs. One without a backup, or with one elsewhere, does not affect this
    run's. Returns those that were rolled back.

    Raises:
        Refused: a later run's changes would be lost too.
    """
    undone: list[str] = []
    runs = records.read_runs(connection, flow=found.flow)
    for one in runs[: next(place for place, one in enumerate(runs) if one.run == found.run)]:
        if one.source != found.source:
            continue
        if one.state is State.ROLLED_BACK:
            undone.append(one.run)
            continue
        plan = read_rewrite_plan(connection, one.run)
        if has_changed(plan, read_lines(connection, one.run)):
            message = f"run {one.run}, which came later, has changed the table as well"
            hint = "undo that one first, if it has a backup, or restore by hand"
            raise Refused([Problem(f"run {found.run}", message, hint)])
    return undone


def drop_run(connection: Connection, plan: RewritePlan, added: Sequence[str]) -> str:
    """Drop everything that a run made outside the table, except a backup in use; returns a
    description."""
    message = "dropped: it had not changed a row"
    if added:  # they stay: the next such run would add them again
        message += f"; {', '.join(added)}, which it had added, stays"
    reason = Reason(message)
    outcome = Outcome(plan.run, State.ROLLED_BACK, source=plan.title, reason=reason)
    with explaining(f"dropping run {plan.run}", side="database"), connection.transaction():
        Staging(plan).drop(connection)
        backup.drop_unfinished(connection, plan)
        records.set_state(connection, plan.run, State.ROLLED_BACK, outcome)
    return message
