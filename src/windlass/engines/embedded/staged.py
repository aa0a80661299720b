"""The other tables of a file of staged rows: bad records, and inputs that are staged."""

from __future__ import annotations

from windlass.engines.embedded.dialect import Session, fetch
from windlass.engines.embedded.names import bad_rows, done_inputs
from windlass.engines.statements import statement
from windlass.model.load import Staged


def prepare(session: Session) -> None:
    session.execute(
        statement(
            "create table if not exists {bad} (input integer, record bigint, line bigint,"
            " field text, reason text, fields text)", bad=bad_rows(),
        )
    )  # fmt: skip
    session.execute(
        statement(
            "create table if not exists {done} (number integer primary key, place text,"
            " rows bigint, refused bigint)", done=done_inputs(),
        )
    )  # fmt: skip


def find_done(session: Session, number: int) -> Staged | None:
    """An input that a process has staged."""
    query = statement("select rows, refused from {done} where number = ?", done=done_inputs())
    for row in fetch(session, query, [number]):
        return Staged(*row)
    return None


def note_done(session: Session, number: int, place: str, staged: Staged) -> None:
    session.execute(
        statement("insert into {done} values (?, ?, ?, ?)", done=done_inputs()),
        [number, place, staged.rows, staged.refused],
    )
