"""The steps of the flow `rewrite`: rows are picked, changed and written back where they stand.

Each step's work and its journal line commit in one transaction of the one database, so every step
can be killed at any point and run again. Until something is deleted or written, a run that was
abandoned is dropped by the next; from then on it is finished.
"""

from __future__ import annotations

import psycopg
import tenacity
from psycopg import sql

from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.lock import end_sessions, read_holder, relation_key, try_lock
from windlass.engines.postgres.session import Connection
from windlass.engines.postgres.table import find_path, read_columns, read_name
from windlass.errors import Refused, WindlassError
from windlass.flows.rewriting import _PLAN, Rewriting, count, session_name
from windlass.flows.rollback import Undone
from windlass.journal import journal
from windlass.journal.journal import Line
from windlass.model.event import Noticed
from windlass.model.flow import ONE, Item, Result
from windlass.model.outcome import Outcome, RunStatus, State
from windlass.model.report import Problem
from windlass.model.rewrite import RewritePlan
from windlass.model.units import plural
from windlass.rewrite import backup
from windlass.rewrite.frames import call_function, take_over
from windlass.rewrite.staging import Staging

LOCK_TIMEOUT = "1s"  # so that others' statements do not queue behind ours for longer
LOCK_ATTEMPTS = 30


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
    rows = connection.execute(run.staging.set()).rowcount
    run.staging.analyze(connection, "_set")
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


def backup_table(run: Rewriting, _: Item) -> Result:
    """Copy what may be wanted back; when that is complete, let it replace the backup before."""
    run.join()
    if not run.selected or run.is_over or not run.plan.keeps_backup:
        return _counted(run, "backup_table")

    def copy(connection: Connection) -> Result:
        backup.drop_unfinished(connection, run.plan)
        rows = backup.copy(connection, run.staging, has_others=run.plan.deletes_by_key)
        return {"rows": rows, "table": str(backup.place_of(run.plan))}

    def swap(connection: Connection) -> Result:
        backup.swap(connection, run.plan)
        return {}

    done = run.once("backup_table", "copy", copy, one_snapshot=True)
    run.once("backup_table", "swap", swap)
    return done


def delete_records_from_table(run: Rewriting, _: Item) -> Result:
    """Take out what is not written back: duplicates, and rows with the same key where asked for.
    Nothing that somebody has changed since it was read."""
    run.join()
    if not run.selected or run.is_over:
        return _counted(run, "delete_records_from_table")

    def delete(connection: Connection) -> Result:
        staging, plan = run.staging, run.plan
        extra = connection.execute(staging.delete_extra()).rowcount if staging.extras else 0
        others = connection.execute(staging.delete_others()).rowcount if plan.deletes_by_key else 0
        return {"rows": extra + others, "duplicates": extra, "others": others}

    return run.once("delete_records_from_table", "", delete)


def writing_to_database(run: Rewriting, _: Item) -> Result:
    """Write the rows back where they stand. Those that somebody has changed or deleted since they
    were read are left, counted and told: the next run finds them."""
    run.join()
    if not run.selected or run.is_over:
        return _counted(run, "writing_to_database")
    if run.plan.missing and ("writing_to_database", "") not in run:
        _add_columns(run)

    def write(connection: Connection) -> Result:
        staging = run.staging
        row = connection.execute(staging.count_kept()).fetchone()
        kept = int(row[0]) if row and isinstance(row[0], int) else 0
        connection.execute(staging.make_written())
        if run.is_stale():
            return {"rows": 0, "left": kept}
        writes = staging.write() if staging.written_columns else staging.find_unchanged()
        rows = connection.execute(writes).rowcount
        staging.analyze(connection, "_written")
        if rows < kept and run.plan.backup == "touched":
            backup.forget_untouched(connection, staging)
        return {"rows": rows, "left": kept - rows, "columns": staging.written_columns}

    done = run.once("writing_to_database", "", write)
    if done["left"]:
        run.emit(
            Noticed(
                f"{plural(done['left'], 'row')} left, changed or deleted by others meanwhile:"
                " the next run finds what is still to be done"
            )
        )
    return done


def _add_columns(run: Rewriting) -> None:
    """Each wait for the table's lock is short, as everybody else would queue behind it.

    Raises:
        ConnectionLost: somebody has had the table for long; worth another try.
    """
    plan = run.plan
    clauses = sql.SQL(", ").join(
        sql.SQL("add column if not exists {} {}").format(
            sql.Identifier(name), sql.SQL(plan.type_of(name))
        )
        for name in plan.missing
    )

    def add(connection: Connection) -> Result:
        there = {one.name for one in read_columns(connection, plan.oid)}
        connection.execute(
            sql.SQL("set local lock_timeout to {}").format(sql.Literal(LOCK_TIMEOUT))
        )
        connection.execute(sql.SQL("alter table {} {}").format(run.staging.target, clauses))
        return {"columns": [name for name in plan.missing if name not in there]}

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(_met_a_lock),
        stop=tenacity.stop_after_attempt(LOCK_ATTEMPTS),
        wait=tenacity.wait_random(0.05, 0.5),
        reraise=True,
    )
    retrying(run.once, "writing_to_database", "add column", add)


def _met_a_lock(error: BaseException) -> bool:
    return isinstance(error.__cause__, psycopg.errors.LockNotAvailable)


def updating_exported_at(run: Rewriting, _: Item) -> Result:
    """Stamp the rows that were written, drop the staging tables, and write the run's end."""
    run.join()
    if run.is_over:
        return {**_summary(run), "resumed": True}
    if run.selected:

        def stamp(connection: Connection) -> Result:
            staging = run.staging
            rows = 0
            if run.plan.stamp and not run.is_stale():
                rows = connection.execute(staging.stamp_by_place()).rowcount
                rows += connection.execute(staging.stamp_by_id()).rowcount
            written = int(run.note("writing_to_database")["rows"])
            staging.drop(connection)
            return {"rows": rows, "unstamped": written - rows if run.plan.stamp else 0}

        done = run.once("updating_exported_at", "", stamp)
        if done["unstamped"]:
            run.emit(
                Noticed(
                    f"{plural(done['unstamped'], 'row')} not stamped, as others have changed or"
                    " deleted them since they were written"
                )
            )
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
    if run.has_changed_table:
        try:
            writing_to_database(run, ONE)
        except WindlassError as error:
            if error.retryable:
                raise
            _give_up(run, error)
        updating_exported_at(run, ONE)
        run.emit(Noticed(f"run {name} was abandoned half-way, and is finished now"))
        return
    _drop(run.connection, run.plan)
    run.emit(Noticed(f"run {name} was abandoned before it changed anything, and is dropped"))


def _give_up(run: Rewriting, error: WindlassError) -> None:
    """Leave rows that cannot be written, such as for a constraint, as they were read: what the run
    has deleted stays deleted, and a later run finds the others again."""

    def leave(connection: Connection) -> Result:
        connection.execute(run.staging.make_written())
        return {"rows": 0, "left": run.selected}

    run.once("writing_to_database", "", leave)
    run.emit(Noticed(f"run {run.plan.run} could not write its rows, and left them: {error}"))


def _drop(connection: Connection, plan: RewritePlan) -> None:
    """What a run has made outside the table, but for a backup that is in its place."""
    message = "dropped: it had not changed anything"
    outcome = Outcome(plan.run, State.ROLLED_BACK, source=plan.title, message=message)
    try:
        with connection.transaction():
            Staging(plan).drop(connection)
            backup.drop_unfinished(connection, plan)
            journal.set_state(connection, plan.run, State.ROLLED_BACK, outcome)
    except psycopg.Error as error:
        raise explain(error, f"dropping run {plan.run}", side="database") from error


# the way back


def undo_rewrite(connection: Connection, found: journal.Run) -> Undone:
    """Make the table what it is in the run's backup. All or nothing.

    Raises:
        Refused: there is no such backup any more; nothing was changed.
    """
    plan = _PLAN.validate_json(journal.read_packed(connection, found.run))
    what = f"run {found.run}"
    if not try_lock(connection, relation_key(plan.oid)):
        holder = read_holder(connection, relation_key(plan.oid))
        raise Refused([Problem(str(plan.table), f"is being rewritten: {holder}", "wait for it")])
    lines: dict[str, dict[str, Line]] = {}
    for line in journal.read_lines(connection, found.run):
        lines.setdefault(line.step, {})[line.item] = line
    counts = count(plan, lines)
    if not (counts["duplicates deleted"] or counts["others deleted"] or counts["written"]):
        if found.state is State.DONE:
            raise Refused([Problem(what, "has changed nothing, so there is nothing to undo")])
        _drop(connection, plan)
        return Undone("dropped: it had not changed anything")
    if read_name(connection, plan.oid) != plan.table:
        raise Refused([Problem(what, f"{plan.table} is another table by now, or gone")])
    find_path(connection, plan.table.schema)
    written = lines.get("writing_to_database", {})
    made = ((written["add column"].note or {}) if "add column" in written else {}).get(
        "columns", ()
    )
    changed = ((written[""].note or {}) if "" in written else {}).get("columns", ())
    try:
        with connection.transaction():
            connection.execute("set local synchronous_commit = on")
            restored = backup.put_back(connection, plan, made, changed)
            Staging(plan).drop(connection)
            journal.set_state(connection, found.run, State.ROLLED_BACK)
    except psycopg.Error as error:
        raise explain(error, f"undoing run {found.run}", side="database") from error
    message = (
        f"{plan.table} is back where it was: {plural(restored.put_back, 'row')} put back,"
        f" {plural(restored.inserted, 'row')} inserted"
    )
    if restored.dropped_columns:
        message += f"; without {', '.join(restored.dropped_columns)}"
    return Undone(message, [f"column {name}" for name in restored.kept_columns])


def rewrite_status(connection: Connection, found: journal.Run) -> RunStatus:
    """One line of `windlass status`."""
    plan = _PLAN.validate_json(journal.read_packed(connection, found.run))
    journalled = journal.read_lines(connection, found.run)
    lines: dict[str, dict[str, Line]] = {}
    for line in journalled:
        lines.setdefault(line.step, {})[line.item] = line
    holder = read_holder(connection, relation_key(plan.oid))
    counts = count(plan, lines)
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
        step=journalled[-1].step if journalled else "",
        set_aside=0,
        backup=str(backup.place_of(plan)) if _is_kept(connection, plan) else "",
        active=session_name(found.run) in holder and found.state is State.RUNNING,
    )


def _is_kept(connection: Connection, plan: RewritePlan) -> bool:
    return backup.owner_of(connection, backup.place_of(plan)) == plan.run
