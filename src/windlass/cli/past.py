"""What `status`, `rollback` and `clean` call: runs of the past, in the target's journal."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace

import psycopg

from windlass.cli.hints import SAME, way_on
from windlass.cli.stops import not_begun, with_side
from windlass.engines.postgres.errors import explain
from windlass.engines.postgres.session import Address, Connection, Role
from windlass.errors import Refused, WindlassError
from windlass.flows.clean import Left
from windlass.flows.clean import clean as remove_left
from windlass.flows.clean import read_left as find_left
from windlass.flows.lock_watch import watching_target
from windlass.flows.migrate.written import Foreseen
from windlass.flows.rollback import foresee, roll_back
from windlass.flows.status import read_detail, read_statuses
from windlass.model.event import Emit, Noticed, ignore
from windlass.model.outcome import Outcome, RunDetail, RunStatus, State


def read_status(target: str) -> list[RunStatus]:
    """Every run that the target's journal knows, the newest first.

    Raises:
        WindlassError: the target cannot be read.
    """
    with _reading(target, "windlass status") as connection:
        return read_statuses(connection)


def read_run(target: str, run: str) -> RunDetail:
    """One run that the target's journal knows.

    Raises:
        Refused: it knows no such run.
        WindlassError: the target cannot be read.
    """
    with _reading(target, "windlass status") as connection:
        return read_detail(connection, run)


def foresee_rollback(target: str, run: str) -> Foreseen | None:
    """What `rollback` would do; None if it has been done already.

    Raises:
        Refused: there is no such run.
        WindlassError: the target cannot be read.
    """
    with _reading(target, "windlass rollback") as connection:
        return foresee(connection, run)


def rollback(target: str, run: str, emit: Emit, *, force: bool = False) -> Outcome:
    """Undo a run: what it made is dropped, what was there before returns. All or nothing. With
    `force` also what was written since.

    Raises:
        BadSpec: the target cannot be understood.
    """
    started = time.perf_counter()
    address = Address.parse("target", target)
    try:
        connection = address.connect(Role.TARGET, "windlass control")
    except WindlassError as error:
        return replace(not_begun(error), run=run)
    try:
        with (
            closing(connection),
            watching_target(address.at(connection), emit),
            _explained(f"rolling back run {run}"),
        ):
            undone = roll_back(connection, run, force=force)
    except Refused as error:
        return Outcome(run, State.REFUSED, problems=error.problems)
    except WindlassError as error:
        if not error.retryable:
            return replace(not_begun(error), run=run)
        hint = way_on(error, resume=SAME)
        return Outcome(run, State.STOPPED, message=with_side(error), hint=hint)
    for notice in undone.stayed:
        emit(Noticed(notice))
    return Outcome(
        run,
        State.ROLLED_BACK,
        seconds=time.perf_counter() - started,
        notices=tuple(undone.stayed),
        message=undone.message,
        already=undone.already,
    )


def read_left(target: str, run: str) -> list[Left]:
    """What ended runs have left in the target; or one of them.

    Raises:
        Refused: there is no such run, or it is unfinished.
        WindlassError: the target cannot be read.
    """
    with _reading(target, "windlass clean") as connection:
        return find_left(connection, run)


def clean(target: str, lefts: Sequence[Left], emit: Emit = ignore) -> None:
    """Remove it.

    Raises:
        Refused: something else depends on it.
        WindlassError: the target cannot be reached.
    """
    address = Address.parse("target", target)
    with (
        closing(address.connect(Role.TARGET, "windlass control")) as connection,
        watching_target(address.at(connection), emit),
        _explained("cleaning up"),
    ):
        remove_left(connection, lefts)


@contextmanager
def _reading(target: str, purpose: str) -> Iterator[Connection]:
    """A session of the target that reads the journal."""
    address = Address.parse("target", target)
    with (
        closing(address.connect(Role.TARGET, purpose)) as connection,
        _explained("reading the journal"),
    ):
        yield connection


@contextmanager
def _explained(doing: str) -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        raise explain(error, doing, side="target") from error
