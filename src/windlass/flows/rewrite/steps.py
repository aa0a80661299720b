"""The steps of the flow `rewrite`: rows are picked, changed and written back in place.

Each step's work and its journal line commit in one transaction of the one database, so every step
can be killed at any point and run again. Until something is deleted or written, a run that was
abandoned is dropped by the next; from then on it is finished.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from itertools import cycle
from typing import TypeVar

import psycopg
import tenacity
from psycopg import sql

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.lock import end_sessions, read_holder, relation_key, try_lock
from windlass.engines.postgres.session import Connection
from windlass.engines.postgres.table import read_columns, read_name
from windlass.errors import Interrupted, Refused, TargetFull, WindlassError
from windlass.flows.migrate.context import UNFINISHED
from windlass.flows.migrate.written import written_since
from windlass.flows.rewrite.context import (
    Rewriting,
    count,
    read_rewrite_plan,
    said_lately,
    session_name,
)
from windlass.flows.rollback import already_undone, find_run
from windlass.inplace import backup
from windlass.inplace.access import enter
from windlass.inplace.frames import call_function, first_misfit, take_over
from windlass.inplace.staging import Staging
from windlass.journal import records
from windlass.journal.records import Line
from windlass.model.event import Noticed
from windlass.model.flow import ONE, Item, Result
from windlass.model.outcome import Outcome, RunStatus, State
from windlass.model.past import Foreseen, Undone
from windlass.model.report import Problem
from windlass.model.rewrite import RewriteChange, RewritePlan
from windlass.model.units import plural

# Others' statements queue behind ours for as long as it waits for a lock. Autovacuum gives way only
# to who has waited for deadlock_timeout, which is 1 s.
SHORT_WAIT, LONG_WAIT, LONG_EVERY = "100ms", "1500ms", 10
LOCK_ATTEMPTS = 80
T = TypeVar("T")
Lines = Mapping[str, Mapping[str, Line]]


def _explained(step: Callable[[Rewriting, Item], Result]) -> Callable[[Rewriting, Item], Result]:
    """A step, with the driver's errors as ours."""

    @wraps(step)
    def explained(run: Rewriting, item: Item) -> Result:
        try:
            return step(run, item)
        except psycopg.Error as error:
            raise explain(error, step.__name__, side="database") from error

    return explained


@_explained
def reading_from_database(run: Rewriting, _: Item) -> Result:
    """Pick the rows: copy them, with their places, into the staging table. What an abandoned run
    has left is finished or dropped before."""

    def read(connection: Connection) -> Result:
        staging = Staging(run.plan)
        row = connection.execute(staging.any_selected()).fetchone()
        if not (row and row[0]):
            return {"rows": 0}
        rows = connection.execute(staging.read()).rowcount
        if run.plan.deletes_by_key:
            connection.execute(staging.read_others())
            staging.analyze(connection, "_others")
        staging.analyze(connection, "")
        return {"rows": rows}

    run.begin(settle, read)
    return {"run": run.plan.run, "table": str(run.plan.table), "rows": run.selected}


@_explained
def adding_row(run: Rewriting, _: Item) -> Result:
    """Compute what the rows become: by SQL, by the function, and which of them are equal then."""
    run.join()
    if not run.selected or run.is_over:
        return _counted(run, "adding_row")
    if any(change.expression for change in run.plan.changes):
        run.once("adding_row", "expressions", lambda connection: _set(run, connection))
    if run.plan.function and ("adding_row", "function") not in run:
        conninfo = run.address.conninfo(run.connection, f"windlass rewrite {run.plan.run}")
        columns, rows = call_function(run.connection, conninfo, run.staging, run.check)

        def take(connection: Connection) -> Result:
            staging = Staging(run.plan, columns)
            changed = take_over(connection, staging, rows)
            staging.analyze(connection, "_called")
            return {"columns": columns, "changed": changed, "rows": rows}

        run.once("adding_row", "function", take)
    if run.plan.duplicates is not None:
        run.once("adding_row", "duplicates", lambda connection: _find_extra(run, connection))
    return {"rows": run.selected, "columns": run.staging.written_columns}


def _set(run: Rewriting, connection: Connection) -> Result:
    staging = run.staging
    rows = 0

    def assign(given: Sequence[RewriteChange]) -> int:
        with connection.transaction():
            connection.execute(staging.make_set(given))
            return connection.execute(staging.set(given)).rowcount

    try:
        rows = assign(staging.given)
    except psycopg.DataError as error:
        name = first_misfit(connection, staging.given, assign)
        raise explain(error, f"adding_row: column {name}", side="database") from error
    staging.analyze(connection, "_set")
    if rows != run.selected:
        raise WindlassError(
            f"an expression makes {rows} rows of {run.selected}",
            hint="set and add take expressions that have one value in each row",
        )
    return {"rows": rows}


def _find_extra(run: Rewriting, connection: Connection) -> Result:
    rows = connection.execute(run.staging.find_extra()).rowcount
    run.staging.analyze(connection, "_extra")
    return {"rows": rows}


@_explained
def backup_table(run: Rewriting, _: Item) -> Result:
    """Copy what may be wanted back, and count it. It replaces the backup before together with the
    write: a run that writes nothing leaves that one."""
    run.join()
    if not run.selected or run.is_over or not run.plan.keeps_backup:
        return _counted(run, "backup_table")

    def copy(connection: Connection) -> Result:
        backup.drop_unfinished(connection, run.plan)
        rows = backup.copy(connection, run.staging)
        return {"rows": rows, "table": str(backup.place_of(run.plan))}

    return run.once("backup_table", "copy", copy, one_snapshot=True)


@_explained
def delete_records_from_table(run: Rewriting, _: Item) -> Result:
    """Take out what is not written back: duplicates, and rows with the same key where asked for.
    Nothing that somebody has changed since it was read."""
    run.join()
    if not run.selected or run.is_over:
        return _counted(run, "delete_records_from_table")

    def delete(connection: Connection) -> Result:
        staging, plan = run.staging, run.plan
        if not (staging.extras or plan.deletes_by_key):
            return {"rows": 0}
        connection.execute(staging.make_gone())
        extra = connection.execute(staging.delete_extra()).rowcount if staging.extras else 0
        others = connection.execute(staging.delete_others()).rowcount if plan.deletes_by_key else 0
        return {"rows": extra + others, "duplicates": extra, "others": others}

    return run.once("delete_records_from_table", "", delete)


@_explained
def writing_to_database(run: Rewriting, _: Item) -> Result:
    """Write the rows back in place. Those that somebody has changed or deleted since they
    were read are left, counted and told: the next run finds them.

    If the write cannot happen, such as for a constraint, what was deleted comes back.
    """
    run.join()
    if not run.selected or run.is_over:
        return _counted(run, "writing_to_database")
    try:
        if run.plan.missing and ("writing_to_database", "") not in run:
            _add_columns(run)
        done = run.once("writing_to_database", "", lambda connection: _write(run, connection))
    except WindlassError as error:
        may_yet_work = error.retryable or isinstance(error, Interrupted | TargetFull)
        if run.deleted and not may_yet_work:
            _give_up(run, error)
        raise
    if done["left"]:
        run.emit(
            Noticed(
                f"{plural(done['left'], 'row')} left, as others changed or deleted them:"
                " the next run finds what is still to be done"
            )
        )
    return done


def _write(run: Rewriting, connection: Connection) -> Result:
    staging, plan = run.staging, run.plan
    if run.is_stale():
        raise WindlassError(
            f"{plan.table} was altered after its rows were read; nothing was written",
            hint="run the same command again: it undoes this run and starts over",
        )
    if plan.keeps_backup:
        backup.lock_place(connection, plan)
    row = connection.execute(staging.count_kept()).fetchone()
    kept = int(row[0]) if row and isinstance(row[0], int) else 0
    connection.execute(staging.make_written())
    _expect_order(connection)
    writes = staging.write() if staging.written_columns else staging.find_unchanged()
    rows = connection.execute(writes).rowcount
    staging.analyze(connection, "_written")
    returned = backup.Returned()
    if run.note("delete_records_from_table").get("duplicates") and rows < kept:
        returned = backup.return_deleted(connection, staging, staging.stray())
        if returned.rows == returned.wanted:
            connection.execute(staging.forget_gone(staging.stray()))
        _tell_kept(run, returned)
    gone = run.deleted - returned.rows
    swaps = plan.keeps_backup and bool(rows or gone)
    if swaps:
        if plan.backup == "touched" and rows + gone < run.note("backup_table", "copy")["rows"]:
            backup.keep_touched(connection, staging)
        backup.swap(connection, plan)
    return {
        "rows": rows,
        "left": kept - rows,
        "returned": returned.rows,
        "columns": staging.written_columns,
        "swapped": swaps,
    }


def _expect_order(connection: Connection) -> None:
    """For this transaction: rows are found by their places, which come in the table's order, so
    each page is fetched once. By its defaults the planner would rather read the whole table: 0.8
    instead of 0.2 s for 100,000 of a million rows."""
    connection.execute("set local random_page_cost to 0.05")


def _tell_kept(run: Rewriting, returned: backup.Returned) -> None:
    if returned.kept_in:
        missing = f"{returned.wanted - returned.rows} of {plural(returned.wanted, 'row')}"
        run.emit(
            Noticed(
                f"{missing} that run {run.plan.run} has deleted cannot be put back:"
                f" {returned.kept_in} has them all"
            )
        )


def _add_columns(run: Rewriting) -> None:
    """Raises:
    ConnectionLost: somebody has had the table for long; worth another try.
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
            there = {one.name for one in read_columns(connection, plan.oid)}
            connection.execute(sql.SQL("set local lock_timeout to {}").format(sql.Literal(timeout)))
            connection.execute(sql.SQL("alter table {} {}").format(run.staging.target, clauses))
            return {"columns": [name for name in plan.missing if name not in there]}

        return run.once("writing_to_database", "add column", work)

    _in_short_waits(add)


def _in_short_waits(work: Callable[[str], T]) -> T:
    """Try until a lock is had, each time for so long: everybody else queues behind who waits."""
    timeouts = cycle([*[SHORT_WAIT] * (LONG_EVERY - 1), LONG_WAIT])
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(_met_a_lock),
        stop=tenacity.stop_after_attempt(LOCK_ATTEMPTS),
        wait=tenacity.wait_random(0.05, 0.5),
        reraise=True,
    )
    return retrying(lambda: work(next(timeouts)))


def _met_a_lock(error: BaseException) -> bool:
    return isinstance(error.__cause__, psycopg.errors.LockNotAvailable)


@_explained
def updating_exported_at(run: Rewriting, _: Item) -> Result:
    """Stamp the rows that were written, drop the staging tables, and write the run's end."""
    run.join()
    if run.is_over:
        return {**_summary(run), "resumed": True}
    if run.selected:
        done = run.once("updating_exported_at", "", lambda connection: _stamp(run, connection))
        if done["unstamped"]:
            run.emit(
                Noticed(
                    f"{plural(done['unstamped'], 'row')} not stamped, as others have changed or"
                    " deleted them, or their columns, since they were written"
                )
            )
    run.end(State.DONE, run.outcome(State.DONE))
    return _summary(run)


def _stamp(run: Rewriting, connection: Connection) -> Result:
    """By their places and ids; not if id or stamp are other columns by now."""
    plan, staging = run.plan, run.staging
    rows = 0
    if plan.stamp and not run.is_stale({plan.id, plan.stamp}):
        _expect_order(connection)
        rows = connection.execute(staging.stamp_by_place()).rowcount
        rows += connection.execute(staging.stamp_by_id()).rowcount
    return _clear(run, connection, rows)


def _clear(run: Rewriting, connection: Connection, stamped: int) -> Result:
    run.staging.drop(connection)
    backup.drop_unfinished(connection, run.plan)
    written = int(run.note("writing_to_database")["rows"])
    return {"rows": stamped, "unstamped": written - stamped if run.plan.stamp else 0}


def _summary(run: Rewriting) -> Result:
    counts = {
        name.replace(", ", "_").replace(" ", "_"): rows for name, rows in run.counts().items()
    }
    result: dict[str, object] = {"run": run.plan.run, "table": str(run.plan.table), **counts}
    if counts["written"]:
        table = run.plan.table
        result["assets"] = [
            {
                "place": run.plan.place,
                "database": run.plan.database,
                "schema": table.schema,
                "table": table.name,
            }
        ]
    return result


def _counted(run: Rewriting, step: str) -> Result:
    """Of a step that has nothing to do, or did it when another ended this run."""
    rows = [int(run.note(*work).get("rows", 0)) for work in ((step, ""), (step, "copy"))]
    return {"rows": max(rows)}


# an abandoned run


def settle(run: Rewriting) -> None:
    """Finish a run that has changed the table, and drop one that has not."""
    name = run.plan.run
    end_sessions(run.connection, session_name(name))
    if not run.has_changed_table:
        dropped = _drop(run.connection, run.plan, run.added)
        run.emit(Noticed(f"run {name} was abandoned, and is {dropped}"))
        return
    try:
        writing_to_database(run, ONE)
    except WindlassError as error:
        if not run.is_over:
            raise
        run.emit(Noticed(f"run {name} was abandoned half-way, and cannot be finished: {error}"))
        return
    try:
        updating_exported_at(run, ONE)
    except WindlassError as error:
        if error.retryable or isinstance(error, TargetFull):
            raise
        run.once("updating_exported_at", "", lambda connection: _clear(run, connection, 0))
        run.emit(Noticed(f"run {name} could not stamp what it had written: {error}"))
        updating_exported_at(run, ONE)
    run.emit(Noticed(f"run {name} was abandoned half-way, and is finished now"))


def _give_up(run: Rewriting, error: WindlassError) -> None:
    """The rows that the run has deleted come back, and it is over: it has changed nothing, and the
    backup before it stays."""
    connection, plan, staging = run.connection, run.plan, run.staging
    try:
        with connection.transaction():
            returned = backup.return_deleted(connection, staging, staging.all_gone())
            _tell_kept(run, returned)
            staging.drop(connection)
            backup.drop_unfinished(connection, plan)
            message = f"{error}; {plural(returned.rows, 'row')} that it had deleted are back"
            run.end(State.ROLLED_BACK, run.outcome(State.ROLLED_BACK, message))
    except psycopg.Error as failed:
        doing = f"putting back what run {plan.run} has deleted"
        raise explain(failed, doing, side="database") from failed
    run.emit(Noticed(f"{plural(returned.rows, 'row')} that run {plan.run} had deleted are back"))


def _drop(connection: Connection, plan: RewritePlan, added: Sequence[str]) -> str:
    """What a run has made outside the table, but for a backup that is in its place; in words."""
    message = "dropped: it had not changed a row"
    if added:  # and does not go: with the next run of its kind it would come again
        message += f"; {', '.join(added)}, which it had added, stays"
    outcome = Outcome(plan.run, State.ROLLED_BACK, source=plan.title, message=message)
    try:
        with connection.transaction():
            Staging(plan).drop(connection)
            backup.drop_unfinished(connection, plan)
            records.set_state(connection, plan.run, State.ROLLED_BACK, outcome)
    except psycopg.Error as error:
        raise explain(error, f"dropping run {plan.run}", side="database") from error
    return message


# the way back


def foresee_rewrite(connection: Connection, found: records.Run) -> Foreseen:
    """What undoing it would do, and what others have changed since."""
    plan = read_rewrite_plan(connection, found.run)
    place = backup.find_place(connection, plan) if plan.keeps_backup else None
    summary = f"puts the rows of {plan.table} back as they are in {place or 'its backup'}"
    lines = _lines(connection, found.run)
    is_over = found.state not in UNFINISHED and _has_changed(plan, lines)
    if not is_over or place is None or read_name(connection, plan.oid) != plan.table:
        return Foreseen(summary)
    enter(connection, plan.table)
    rows = backup.count_others(connection, plan, _done(found.run, lines))
    written = [written_since(str(plan.table), rows)] if rows else []
    return Foreseen(summary, written)


def _done(run: str, lines: Lines) -> backup.Done:
    write = _noted(lines, "writing_to_database", "")
    deleted = _noted(lines, "delete_records_from_table", "").get("rows", 0)
    return backup.Done(
        added=_noted(lines, "writing_to_database", "add column").get("columns", ()),
        changed=write.get("columns", ()),
        deleted=deleted - write.get("returned", 0),
        transactions=records.transactions(run),
    )


def undo_rewrite(connection: Connection, found: records.Run, *, force: bool = False) -> Undone:
    """Make the table what it is in the run's backup. All or nothing. Rows that others have added
    since stay in any case; those that they have changed or deleted are put back only by `force`.

    Raises:
        Refused: there is no such backup any more, a later run has changed the table, or others
            have; nothing was changed.
    """
    plan = read_rewrite_plan(connection, found.run)
    what = f"run {found.run}"
    if not try_lock(connection, relation_key(plan.oid)):
        holder = read_holder(connection, relation_key(plan.oid))
        raise Refused([Problem(str(plan.table), f"is being rewritten: {holder}", "wait for it")])
    found = find_run(connection, found.run)
    if found.state is State.ROLLED_BACK:
        return already_undone(found)
    lines = _lines(connection, found.run)
    done = _done(found.run, lines)
    if not _has_changed(plan, lines):
        if found.state is State.DONE:
            raise Refused([Problem(what, "has changed nothing, so there is nothing to undo")])
        return Undone(_drop(connection, plan, done.added))
    if read_name(connection, plan.oid) != plan.table:
        raise Refused([Problem(what, f"{plan.table} is another table now, or gone")])
    backup.find_backup(connection, plan)
    _expect_no_later(connection, found)
    enter(connection, plan.table)

    def put_back(timeout: str) -> backup.Restored:
        try:
            with connection.transaction():
                connection.execute("set local synchronous_commit = on")
                connection.execute(
                    sql.SQL("set local lock_timeout to {}").format(sql.Literal(timeout))
                )
                if found.state in UNFINISHED and plan.backup == "touched":
                    backup.keep_touched(connection, Staging(plan))
                restored = backup.put_back(connection, plan, done, force=force)
                Staging(plan).drop(connection)
                backup.drop_unfinished(connection, plan)
                records.set_state(connection, found.run, State.ROLLED_BACK)
                return restored
        except psycopg.Error as error:
            raise explain(error, f"undoing run {found.run}", side="database") from error

    restored = _in_short_waits(put_back)
    message = (
        f"{plan.table} is back where it was: {plural(restored.put_back, 'row')} put back,"
        f" {plural(restored.inserted, 'row')} inserted"
    )
    if restored.dropped_columns:
        message += f"; without {', '.join(restored.dropped_columns)}"
    return Undone(message, [f"column {name}" for name in restored.kept_columns])


def _lines(connection: Connection, run: str) -> dict[str, dict[str, Line]]:
    lines: dict[str, dict[str, Line]] = {}
    for line in records.read_lines(connection, run):
        lines.setdefault(line.step, {})[line.item] = line
    return lines


def _noted(lines: Lines, step: str, item: str) -> Result:
    line = lines.get(step, {}).get(item)
    return (line.note or {}) if line else {}


def _has_changed(plan: RewritePlan, lines: Lines) -> bool:
    counts = count(plan, lines)
    return bool(counts["duplicates deleted"] or counts["others deleted"] or counts["written"])


def _expect_no_later(connection: Connection, found: records.Run) -> None:
    """A later run without a backup, or with one elsewhere, leaves this one's in its place.

    Raises:
        Refused: its changes would go, too.
    """
    runs = records.read_runs(connection, flow=found.flow)
    for one in runs[: next(place for place, one in enumerate(runs) if one.run == found.run)]:
        if one.source != found.source or one.state is State.ROLLED_BACK:
            continue
        plan = read_rewrite_plan(connection, one.run)
        if _has_changed(plan, _lines(connection, one.run)):
            message = f"run {one.run}, which came later, has changed the table as well"
            hint = "undo that one first, if it has a backup, or restore by hand"
            raise Refused([Problem(f"run {found.run}", message, hint)])


def rewrite_status(connection: Connection, found: records.Run) -> RunStatus:
    """One line of `windlass status`."""
    plan = read_rewrite_plan(connection, found.run)
    lines = _lines(connection, found.run)
    holder = read_holder(connection, relation_key(plan.oid))
    counts = count(plan, lines)
    place = backup.find_place(connection, plan)
    return RunStatus(
        run=found.run,
        flow=found.flow,
        state=found.state,
        source=str(plan.table),
        started_at=found.started_at,
        finished_at=found.finished_at,
        relations_done=int(found.state is State.DONE),
        relations=1,
        rows=counts["written"],
        bytes=0,
        bytes_planned=0,
        step=next(reversed(lines), ""),
        set_aside=0,
        backup=str(place) if plan.keeps_backup and place else "",
        active=found.state is State.RUNNING
        and (session_name(found.run) in holder or said_lately(connection, found)),
    )
