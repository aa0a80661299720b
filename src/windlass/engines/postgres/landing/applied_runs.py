"""Runs of loads that were applied: what undoing one would do, undoing it, and their watermarks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import psycopg

from windlass.engines.postgres.landing import names
from windlass.engines.postgres.landing.books import APPLY, Books, Journal
from windlass.engines.postgres.landing.columns import find_oid
from windlass.engines.postgres.landing.locking import lock_patiently
from windlass.engines.postgres.landing.undoing import Applied, Changed, Undoing, stayed_of
from windlass.engines.postgres.session import Connection
from windlass.engines.stopping import Stops
from windlass.errors import Refused
from windlass.model.flow import Result
from windlass.model.load import Load, LoadRun
from windlass.model.outcome import UNDOING, State
from windlass.model.past import Foreseen, Others, Undone
from windlass.model.report import Problem
from windlass.model.units import plural


def read(connection: Connection, books: Books, run: str) -> LoadRun:
    """Raises:
    Refused: no such run of loads is known.
    """
    found = books.read(connection, run)
    if found is None:
        raise Refused([Problem(f"run {run}", "is no run of loads into this database")])
    return found


def _applied(connection: Connection, books: Books, run: str = "") -> list[Applied]:
    """The loads of a run, or of all runs that are not undone; in the order of undoing, the last one
    first."""
    history = books.history(connection, [APPLY, UNDOING])
    restored: dict[str, list[int]] = {}
    for _, _, step, _, note in history:
        for xid, writer in note.get("written", {}).items() if step == UNDOING else ():
            restored.setdefault(xid, []).append(int(writer))
    return [
        Applied.of(load, note, restored.get(str(note["xid"]), ()))
        for one, state, step, load, note in reversed(history)
        if step == APPLY and run in ("", one) and (run or state is not State.ROLLED_BACK)
    ]


def foresee(connection: Connection, books: Books, run: str) -> Foreseen | None:
    """See `windlass.engines.landing.Landing.foresee`."""
    found = read(connection, books, run)
    if found.state is State.ROLLED_BACK:
        return None
    applied = _applied(connection, books, run)
    with connection.transaction(force_rollback=True):
        changed = {one.load: _undoing(connection, one).changed() for one in applied}
    written = [problem for load, one in changed.items() for problem in one.problems(load)]
    notes = found.lines.get(APPLY, {})
    said = [f"{load}: {_summary(note)}" for load, note in notes.items() if _summary(note)]
    return Foreseen("; ".join(said) or "nothing was loaded", written)


def _summary(note: Result) -> str:
    parts = [
        (int(note["inserted"]), "deletes", "inserted row"),
        (int(note["updated"]), "restores", "updated row"),
        (int(note["deleted"]), "restores", "deleted or marked row"),
    ]
    return ", ".join(f"{does} {plural(rows, what)}" for rows, does, what in parts if rows)


def _undoing(connection: Connection, one: Applied) -> Undoing:
    connection.execute(one.settings.encode(), prepare=False)
    return Undoing(connection, one)


def undo(
    connection: Connection,
    books: Books,
    journal: Journal,
    run: LoadRun,
    others: Others,
    stops: Stops,
) -> Undone:
    """See `windlass.engines.landing.Landing.undo`: all loads of the run in one transaction."""
    applied = _applied(connection, books, run.run)
    there = [one for one in applied if find_oid(connection, one.table) is not None]

    def work(lock: Callable[[Connection], None]) -> Result:
        return journal.once(
            connection,
            UNDOING,
            "",
            lambda session: _undo(session, books, run, applied, others, lock),
        )

    note = lock_patiently([one.table for one in there], stops, work)
    rows = int(note.get("rows", 0))
    return Undone(
        f"run {run.run} is rolled back: {plural(rows, 'row')} put back",
        tuple(note.get("stayed", ())),
        rows=0,
    )


def _undo(
    connection: Connection,
    books: Books,
    run: LoadRun,
    applied: Sequence[Applied],
    others: Others,
    lock: Callable[[Connection], None],
) -> Result:
    lock(connection)
    changed: dict[str, Changed] = {}
    for one in applied:
        changed[one.load] = _undoing(connection, one).changed()
    if others is Others.REFUSE:
        problems = [problem for load, one in changed.items() for problem in one.problems(load)]
        if problems:
            raise Refused(problems)
    rows = 0
    stayed = stayed_of(changed, others, applied)
    written: dict[str, str] = {}
    mine = {one.xid for one in applied}
    known = [one for one in _applied(connection, books) if not one.ident and one.xid not in mine]
    for one in applied:
        undoing = _undoing(connection, one)
        rows += undoing.restore(others, [it for it in known if it.table == one.table])
        written.update(undoing.written)
        if one.created:
            stayed += _drop(connection, one)
    books.mark_undone(connection, run.run)
    return {"rows": rows, "stayed": stayed, "written": written}


def _drop(connection: Connection, one: Applied) -> list[str]:
    """Drop a table that the load created, unless it has rows of others or others need it."""
    table = psycopg.sql.SQL("select 1 from {} limit 1").format(names.identifier(one.table))
    if connection.execute(table).fetchone():
        return [f"{one.table}: the table, which holds rows of others"]
    drop = psycopg.sql.SQL("drop table {}").format(names.identifier(one.table))
    try:
        with connection.transaction():
            connection.execute(drop)
    except psycopg.errors.DependentObjectsStillExist:
        return [f"{one.table}: the table, which is empty, as other objects depend on it"]
    return []


def watermark(connection: Connection, books: Books, load: Load) -> str:
    """The watermark of the newest run that has one for this table, these inputs and this field."""
    for run in books.runs(connection):
        if run.state is State.ROLLED_BACK:
            continue
        found = books.read(connection, run.run)
        note = found.lines.get(APPLY, {}).get(load.name, {}) if found else {}
        is_same = note.get("from") == list(load.inputs) and note.get("by") == load.watermark
        if is_same and note.get("watermark"):
            return str(note["watermark"])
    return ""
