"""Undoes runs of loads, foresees what that would do, and removes what ended runs have left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from psycopg import sql

from windlass.engines.incoming.names import name_of
from windlass.engines.incoming.past import (
    Made,
    check_ended,
    done_text,
    gone,
    left_by,
    made_by,
    still_made,
    summary,
    unknown,
)
from windlass.engines.landing import APPLIED, STAGED
from windlass.engines.snowflake.landing.books import Books, being_worked_on
from windlass.engines.snowflake.landing.catalog import read_table
from windlass.engines.snowflake.landing.naming import beside, table_of
from windlass.engines.snowflake.landing.undoing import Undoing
from windlass.engines.snowflake.names import stored
from windlass.engines.snowflake.session import Session
from windlass.engines.statements import names, statement
from windlass.errors import Refused
from windlass.model.load import LoadRun
from windlass.model.outcome import UNDOING, State
from windlass.model.past import Foreseen, Left, Others, Undone
from windlass.model.report import Problem
from windlass.model.units import plural

Opens = Callable[[], AbstractContextManager[Session]]


class Undos:
    """The runs into one schema."""

    def __init__(self, place: str, schema: str, opens: Opens) -> None:
        self._place, self._schema, self._opens = place, schema, opens

    def foresee(self, run: str) -> Foreseen | None:
        with self._opens() as session:
            books = Books(session, self._schema)
            found = self._found(books, run)
            if found.state is State.ROLLED_BACK:
                return None
            loads = still_made(found)
            blocked = _blocked(session, loads)
            if other := books.worker(run, with_own=True):
                blocked += being_worked_on(self._place, run, other).problems
            written = []
            for made in [] if blocked else loads:
                written += Undoing(session, made).look()
            return Foreseen(summary(loads), written, blocked)

    def undo(self, run: str, others: Others) -> Undone:
        """Put the rows of each load back in one transaction, those of the last one first. After a
        kill, another command does the rest."""
        stayed: list[str] = []
        with self._opens() as session:
            books = Books(session, self._schema)
            found = self._found(books, run)
            if found.state is State.ROLLED_BACK:
                return Undone(f"run {run} is rolled back already", already=True)
            if other := books.worker(run, with_own=True):
                raise being_worked_on(self._place, run, other)
            loads = still_made(found)
            if blocked := _blocked(session, loads):
                raise Refused(blocked)
            if others is Others.REFUSE:
                written = [one for made in loads for one in Undoing(session, made).look()]
                if written:
                    raise Refused(written)
            for made in loads:
                stayed += _undo(session, books, run, made, others)
            stayed += _drop_made(session, made_by(found))
            with session.transaction():
                books.set_state(run, State.ROLLED_BACK)
        return Undone(f"run {run} is rolled back: {done_text(loads)}", tuple(stayed))

    def _found(self, books: Books, run: str) -> LoadRun:
        found = books.read(run) if books.are_there else None
        if found is None:
            raise unknown(self._place, run)
        return found

    # what is left

    def left(self, run: str) -> list[Left]:
        with self._opens() as session:
            books = Books(session, self._schema)
            runs = {one.run: one for one in books.runs()} if books.are_there else {}
        if run and run not in runs:
            raise unknown(self._place, run)
        if run:
            check_ended(run, runs[run].state)
        return left_by(runs.values(), run)

    def clean(self, lefts: Sequence[Left]) -> None:
        for one in lefts:
            with self._opens() as session:
                books = Books(session, self._schema)
                found = books.read(one.run)
                if found is None:
                    continue
                for table in _tables_of(found, self._schema):
                    session.run(
                        statement("drop table if exists {t}", t=table),
                        doing=f"cleaning up after run {one.run}",
                    )
                with session.transaction():
                    books.forget(one.run)


def _tables_of(run: LoadRun, schema: str) -> list[sql.Identifier]:
    loads = set(run.lines.get(APPLIED, {}))
    loads |= {item.rpartition(" ")[0] for item in run.lines.get(STAGED, {})}
    return [
        beside(name_of(load, schema), what, run.run, load)
        for load in sorted(loads)
        for what in ("stage", "undo")
    ]


def _blocked(session: Session, loads: Sequence[Made]) -> list[Problem]:
    return [one for made in loads for one in gone(made, read_table(session, made.table))]


def _undo(session: Session, books: Books, run: str, made: Made, others: Others) -> list[str]:
    undoing = Undoing(session, made)
    undoing.look()  # defines tables, so before the transaction
    with session.transaction():
        problems = undoing.look_again()
        if problems and others is Others.REFUSE:
            raise Refused(problems)
        undoing.undo(others)
        books.lock()
        if books.note(run, UNDOING, made.load) is None:
            books.add_line(run, UNDOING, made.load, {})
        else:  # by another process
            session.rollback()
    kept = names(stored(made.table.schema), made.undo)
    session.run(statement("drop table if exists {t}", t=kept), doing=f"undoing run {run}")
    keeps = others is Others.SKIP or not made.key
    return [one.text for one in problems] if keeps else []


def _drop_made(session: Session, loads: Sequence[Made]) -> list[str]:
    """Drop tables that the run made, if they are empty."""
    stayed = []
    for made in loads:
        if not made.creates or read_table(session, made.table) is None:
            continue
        table, doing = table_of(made.table), f"dropping {made.table}"
        ((rows,),) = session.run(statement("select count(*) from {t}", t=table), doing=doing)
        if rows:
            stayed.append(f"{made.table}: the table stays, as it has {plural(int(rows), 'row')}")
        else:
            session.run(statement("drop table if exists {t}", t=table), doing=doing)
    return stayed
