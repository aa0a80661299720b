"""The steps of the flow `rewrite`: rows are picked, changed and written back in place.

Each step's work and its journal line commit in one transaction of the one database, so every step
can be killed at any point and run again. The next run drops an abandoned run that has not deleted
or written anything, and finishes one that has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps

import psycopg

from windlass.engines.postgres.errors import explain, explaining
from windlass.engines.postgres.lock import end_sessions
from windlass.engines.postgres.session import Connection
from windlass.errors import Interrupted, TargetFull, WindlassError
from windlass.flows.rewrite.context import Rewriting
from windlass.flows.rewrite.runs import changed_rows, session_name
from windlass.flows.rewrite.undo import drop_run
from windlass.flows.rewrite.writing import (
    add_columns,
    altered_rows,
    begin,
    clear,
    close,
    delete_batches,
    finish,
    give_up,
    left_over,
    write_batches,
)
from windlass.inplace import backup
from windlass.inplace.frames import call_function
from windlass.inplace.given import first_misfit, take_over
from windlass.inplace.staging import Staging
from windlass.inplace.triggers import has_key
from windlass.inplace.writing import Kind
from windlass.model.event import Noticed
from windlass.model.flow import ONE, Item, Result
from windlass.model.outcome import State
from windlass.model.rewrite import RewriteChange
from windlass.model.units import plural


def _explained(step: Callable[[Rewriting, Item], Result]) -> Callable[[Rewriting, Item], Result]:
    """A step that maps the driver's errors to ours."""

    @wraps(step)
    def explained(run: Rewriting, item: Item) -> Result:
        with explaining(step.__name__, side="database"):
            return step(run, item)

    return explained


@_explained
def read_rows(run: Rewriting, _: Item) -> Result:
    """Pick the rows: copy them, with their positions, into the staging table. An abandoned run is
    finished or dropped first."""

    def read(connection: Connection) -> Result:
        staging = Staging(run.plan)
        row = connection.execute(staging.any_selected()).fetchone()
        if not (row and row[0]):
            return {"rows": 0}
        rows = connection.execute(staging.read()).rowcount
        if run.plan.deletes_by_key:
            connection.execute(staging.read_others())
            staging.index(connection, "_others")
            staging.analyze(connection, "_others")
        staging.index(connection, "")
        staging.analyze(connection, "")
        return {"rows": rows}

    run.begin(settle, read)
    return {"run": run.plan.run, "table": str(run.plan.table), "rows": run.selected}


@_explained
def change_rows(run: Rewriting, _: Item) -> Result:
    """Compute the new rows, by SQL and by the function, and find duplicates among them."""
    run.join()
    if not run.selected or run.is_over:
        return _counted(run, "change_rows")
    if run.staging.given:
        run.once("change_rows", "expressions", lambda connection: _set(run, connection))
    if run.plan.call.function and ("change_rows", "function") not in run.journal:
        conninfo = run.hold.address.conninfo(run.connection, f"windlass rewrite {run.plan.run}")
        columns, rows = call_function(run.connection, conninfo, run.staging, run.hold.check)

        def take(connection: Connection) -> Result:
            staging = Staging(run.plan, columns)
            changed = take_over(connection, staging, rows)
            staging.index(connection, "_called")
            staging.analyze(connection, "_called")
            same = 0 if run.plan.writes_every_row else _find_same(connection, staging)
            return {"columns": columns, "changed": changed, "rows": rows, "same": same}

        run.once("change_rows", "function", take)
    if run.plan.duplicates is not None:
        run.once("change_rows", "duplicates", lambda connection: _find_extra(run, connection))
    return {"rows": run.selected, "columns": run.staging.written_columns}


def _find_same(connection: Connection, staging: Staging) -> int:
    rows = connection.execute(staging.find_same()).rowcount
    staging.index(connection, "_same")
    staging.analyze(connection, "_same")
    return rows


def _set(run: Rewriting, connection: Connection) -> Result:
    staging = run.staging

    def assign(given: Sequence[RewriteChange]) -> int:
        with connection.transaction():
            connection.execute(staging.make_set(given))
            return connection.execute(staging.set(given)).rowcount

    try:
        rows = assign(staging.given)
    except psycopg.DataError as error:
        name = first_misfit(connection, staging.given, assign)
        raise explain(error, f"change_rows: column {name}", side="database") from error
    staging.index(connection, "_set")
    staging.analyze(connection, "_set")
    if rows != run.selected:
        raise WindlassError(
            f"an expression makes {rows} rows of {run.selected}",
            hint="set and add take expressions that have one value in each row",
        )
    return {"rows": rows}


def _find_extra(run: Rewriting, connection: Connection) -> Result:
    staging, plan = run.staging, run.plan
    unchanged = set(plan.duplicates or ()) - set(staging.written_columns)
    if has_key(connection, plan.number, sorted(unchanged)):
        return {"rows": 0}  # no two rows can be equal
    rows = connection.execute(staging.find_extra()).rowcount
    run.staging.index(connection, "_extra")
    run.staging.analyze(connection, "_extra")
    return {"rows": rows}


@_explained
def back_up_rows(run: Rewriting, _: Item) -> Result:
    """Back up and count the rows. The write replaces the previous backup: a run that writes nothing
    leaves that in place."""
    run.join()
    if not _has_work(run) or not run.plan.keeps_backup:
        return _counted(run, "back_up_rows")

    def copy(connection: Connection) -> Result:
        backup.drop_unfinished(connection, run.plan)
        rows = backup.copy(connection, run.staging)
        return {"rows": rows, "table": str(backup.place_of(run.plan))}

    return run.once("back_up_rows", "copy", copy, one_snapshot=True)


@_explained
def delete_rows(run: Rewriting, _: Item) -> Result:
    """Delete what is not written back: duplicates and, if requested, rows with the same key; never
    rows changed since they were read."""
    run.join()
    if not _has_work(run):
        return _counted(run, "delete_rows")

    def sum_up(_: Connection) -> Result:
        lines = run.journal.by_step
        counts = {str(kind): changed_rows(lines, "delete_rows", kind) for kind in _DELETED}
        left = left_over(run, "delete_rows", *_DELETED)
        return {"rows": sum(counts.values()), **counts, **left}

    try:
        if (run.staging.extras or run.plan.deletes_by_key) and (
            "delete_rows",
            "",
        ) not in run.journal:
            delete_batches(run)
        return run.once("delete_rows", "", sum_up)
    except WindlassError as error:
        _end_if_final(run, error)
        raise


_DELETED = (Kind.DUPLICATES, Kind.OTHERS)


@_explained
def write_rows(run: Rewriting, _: Item) -> Result:
    """Write the rows back in place and stamp them, in short transactions. Rows that others have
    changed, deleted or locked are left, counted and reported: the next run finds them.

    If no row can be written, for example because of a constraint, deleted rows are restored.
    """
    run.join()
    if not _has_work(run):
        if run.selected and not run.is_over:
            run.emit(Noticed(f"{run.plan.call.function} has changed no row: nothing was written"))
        return _counted(run, "write_rows")
    try:
        if ("write_rows", "") not in run.journal:
            if run.plan.missing:
                add_columns(run)
            begin(run)
            write_batches(run)
        done = finish(run)
    except WindlassError as error:
        _end_if_final(run, error)
        raise
    _tell_left(run, done)
    return done


def _has_work(run: Rewriting) -> bool:
    """Whether there are rows to delete, write or stamp: a function may leave all rows as they are.
    If there are none, the previous backup stays too, which may belong to a run that changed
    rows."""
    if not run.selected or run.is_over:
        return False
    plan, staging = run.plan, run.staging
    sets = staging.written_columns or plan.stamp or plan.missing
    return bool(sets or staging.extras or plan.deletes_by_key)


def _end_if_final(run: Rewriting, error: WindlassError) -> None:
    may_yet_work = error.retryable or isinstance(error, Interrupted | TargetFull)
    if not may_yet_work:
        give_up(run, error)


def _tell_left(run: Rewriting, done: Result) -> None:
    """Report the rows that were left, and why."""
    locked = int(done["locked"]) + int(run.note("delete_rows").get("locked", 0))
    if done["left"]:
        run.emit(
            Noticed(
                f"{plural(done['left'], 'row')} left, as others changed or deleted them:"
                " the next run finds what is still to be done"
            )
        )
    if locked:
        text = f"{plural(locked, 'row')} left, as others had locked them: the next run finds them"
        run.emit(Noticed(text))
    if done["kept"]:
        names = ", ".join(run.note("write_rows", "begin")["may_skip"]) or "a rule"
        run.emit(
            Noticed(
                f"{plural(done['kept'], 'row')} left, as a BEFORE trigger of {run.plan.table}"
                f" returned NULL for them ({names}); so will the next run's"
            )
        )
    if altered := altered_rows(run):
        names = ", ".join(run.note("write_rows", "begin")["triggers"])
        run.emit(
            Noticed(
                f"{plural(altered, 'row')} written with other values than the spec's, or changed"
                f" once more, by a trigger of {run.plan.table} ({names})"
            )
        )
    if done["backup"] not in ("", str(backup.place_of(run.plan))):
        place = backup.place_of(run.plan)
        run.emit(
            Noticed(
                f"the backup of this run is {done['backup']}: {place} is in use. The next run"
                " replaces both"
            )
        )


@_explained
def stamp_rows(run: Rewriting, _: Item) -> Result:
    """Count what was stamped, drop the staging tables, and write the run's end. A row is stamped by
    the statement that writes it."""
    run.join()
    if run.is_over:
        return {**_summary(run), "resumed": True}
    if run.selected:
        run.once("stamp_rows", "", lambda connection: clear(run, connection))
    run.end(State.DONE, run.outcome(State.DONE))
    return _summary(run)


def _summary(run: Rewriting) -> Result:
    counts = {
        name.replace(", ", "_").replace(" ", "_"): rows for name, rows in run.counts().items()
    }
    result: dict[str, object] = {"run": run.plan.run, "table": str(run.plan.table), **counts}
    if counts["written"]:
        table = run.plan.table
        result["assets"] = [
            {
                "place": run.plan.where.place,
                "database": run.plan.where.database,
                "schema": table.schema,
                "table": table.name,
                "rows": counts["written"],
            }
        ]
    return result


def _counted(run: Rewriting, step: str) -> Result:
    """The result of a step that has nothing to do, or whose work another process did when it ended
    this run."""
    rows = [int(run.note(*work).get("rows", 0)) for work in ((step, ""), (step, "copy"))]
    return {"rows": max(rows)}


# an abandoned run


def settle(run: Rewriting) -> None:
    """Finish an abandoned run that has changed the table, or drop one that has not."""
    name = run.plan.run
    end_sessions(run.connection, session_name(name))
    if not run.has_changed_table:
        dropped = drop_run(run.connection, run.plan, run.added)
        run.emit(Noticed(f"run {name} was abandoned, and is {dropped}"))
        return
    try:
        delete_rows(run, ONE)
        write_rows(run, ONE)
    except WindlassError as error:
        if error.retryable or isinstance(error, Interrupted | TargetFull):
            raise
        if not run.is_over:
            close(run, error)
        run.emit(Noticed(f"run {name} was abandoned half-way, and cannot be finished: {error}"))
        return
    stamp_rows(run, ONE)
    run.emit(Noticed(f"run {name} was abandoned half-way, and is finished now"))
