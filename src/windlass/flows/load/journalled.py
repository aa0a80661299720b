"""Runs of loads in a PostgreSQL server's journal, beside those of other flows: reports them, undoes
them, and finds what they left."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from windlass.engines.landing import Landing
from windlass.engines.registry import open_landing
from windlass.flows.load.past import status_of
from windlass.journal import records
from windlass.journal.loads import LoadBooks
from windlass.model.outcome import RunStatus, State
from windlass.model.past import Foreseen, Left, Others, Undone


def load_status(connection: Any, run: records.Run) -> RunStatus:
    """One line of `windlass status`."""
    found = LoadBooks().read(connection, run.run)
    if found is None:
        return run.status
    status = status_of(found)
    if found.state is not State.RUNNING:
        return status
    with _landing(connection) as landing:
        return replace(status, active=landing.is_active(run.run))


def foresee_load(connection: Any, run: records.Run) -> Foreseen | None:
    """What `undo_load` would do."""
    with _landing(connection) as landing:
        return landing.foresee(run.run)


def undo_load(connection: Any, run: records.Run, others: Others) -> Undone:
    """Put back the rows that are still what the run made of them.

    Raises:
        Refused: others have changed some of them, and `others` is to refuse.
    """
    with _landing(connection) as landing:
        return landing.undo(run.run, others)


def load_left(connection: Any, run: records.Run, left: Left) -> Left:
    """With the tables of before-images and refused rows."""
    with _landing(connection) as landing:
        (found,) = landing.left(run.run)
    return replace(left, tables=found.tables, size_bytes=left.size_bytes + found.size_bytes)


def _landing(connection: Any) -> Landing:
    """Of the database that a session is in, with the password that the session has used."""
    info = connection.info
    words = {**info.get_parameters(), "password": info.password}
    quoted = {key: _quoted(value) for key, value in words.items() if value}
    return open_landing(" ".join(f"{key}={value}" for key, value in quoted.items()))


def _quoted(value: str) -> str:
    """As a value of libpq's connection strings."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
