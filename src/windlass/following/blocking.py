"""What keeps a pair from being cut over now, each with its remedy. Changes nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from windlass.engines.postgres import fencing, queries
from windlass.engines.postgres.lock import read_holder
from windlass.errors import WindlassError
from windlass.following.definitions import APART, NEW, UNPUBLISHED
from windlass.following.fence import CLOSED, described
from windlass.following.order import Order, Pairing, Session
from windlass.following.sequences import sequence_problems
from windlass.journal.following import read_applied
from windlass.model.following import Direction, late_where
from windlass.model.report import Problem
from windlass.model.units import plural, seconds_text
from windlass.model.wording import word

SILENT_SECONDS = 5.0  # how long a stream may be silent, whose markers come every second


@dataclass(frozen=True, slots=True)
class Limits:
    """What a user allows."""

    max_lag_seconds: float
    max_freeze_seconds: float


LAG_UNKNOWN = Problem("lag", "is not known yet", "wait until a marker has arrived")
"""The lag of a process that has just begun to follow; it will have measured in a second or two."""


def read_blockers(
    order: Order, pair: Pairing, limits: Limits, detail: Mapping[str, Any]
) -> Iterator[Problem]:
    """All blockers. `detail` is what the journal knows about the run."""
    yield from _stream_problems(order, pair, limits, detail)
    yield from stray_problems(order, pair)
    yield from _transaction_problems(pair.closed, _closed(order), limits)
    if order.closes:
        yield from _fence_problems(order, pair)
    if order.pool is not None:
        yield from _pool_problems(order)
    yield from sequence_problems(pair.closed, pair.opened, order.sequences)
    yield from _unready_problems(pair)
    yield from _definition_problems(order, detail)


def _closed(order: Order) -> str:
    return order.way.closes.name.lower()


def _stream_problems(
    order: Order, pair: Pairing, limits: Limits, detail: Mapping[str, Any]
) -> Iterator[Problem]:
    """Problems with the process that follows, and with its lag."""
    direction = order.way.direction
    if order.run not in read_holder(pair.journal):
        yield Problem(
            f"run {order.run}",
            "no process follows",
            f"start it again: windlass migrate {word('follow')}, with the options that it had",
        )
        return
    found = read_applied(pair.opened, order.run, direction)
    if found is None:
        yield Problem("run", f"nothing is applied {direction}", "there is no way in this direction")
        return
    if found.age_seconds > SILENT_SECONDS:
        message = f"has applied nothing for {seconds_text(found.age_seconds)}"
        yield Problem("the process that follows", message, "look at what it shows, or at its log")
    lag_ms = _lag_ms(detail, direction, found.lag_ms)
    if lag_ms is None:
        yield LAG_UNKNOWN
    elif lag_ms > limits.max_lag_seconds * 1000:
        message = (
            f"{lag_ms:,.0f} ms in the last minute (99th percentile); allowed are"
            f" {limits.max_lag_seconds * 1000:,.0f} ms"
        )
        yield Problem("lag", message, f"wait until it is less, or raise {word('max-lag')}")


def _lag_ms(detail: Mapping[str, Any], direction: Direction, last: float | None) -> float | None:
    """The lag that the process that follows has measured in the last minute; if there is none, that
    of one marker."""
    measured = detail.get("streams", {}).get(str(direction), {}).get("lag_p99_ms")
    return last if measured is None else float(measured)


def stray_problems(order: Order, pair: Pairing) -> Iterator[Problem]:
    """What others wrote to the side that only follows."""
    side = order.way.opens.name.lower()
    found = read_applied(pair.closed, order.run, order.way.direction.other)
    if found and found.late:
        yield Problem(
            side,
            f"others have written to it: {late_where(found.late)}",
            f"windlass verify {word('follow')} names the rows that differ: undo what was written;"
            " once it finds both sides equal, these writes no longer block a cutover",
        )


def _transaction_problems(session: Session, side: str, limits: Limits) -> Iterator[Problem]:
    """Transactions that would make writers wait, or would be lost."""
    for one in fencing.read_prepared(session):
        yield Problem(
            f"prepared transaction {one.gid}",
            f"of {one.owner}, on the {side} for {seconds_text(one.age_seconds)}",
            "COMMIT PREPARED or ROLLBACK PREPARED it",
        )
    for old in fencing.read_open_sessions(session):
        is_ours = old.application.startswith("windlass ")
        if not is_ours and old.transaction_seconds > limits.max_freeze_seconds:
            yield Problem(
                f"session {old.pid} on the {side}",
                f"a long transaction: {described([old])}",
                f"wait for it, or end it: SELECT pg_terminate_backend({old.pid})",
            )


def _fence_problems(order: Order, pair: Pairing) -> Iterator[Problem]:
    """What we are not allowed to do, and whose writes we could not stop."""
    side, access = _closed(order), fencing.read_write_access(pair.closed)
    if not access.may_close:
        yield Problem(
            side,
            "only the database's owner or a superuser can make it read-only",
            f"connect as {access.owner}, or as a member of it; or stop the writers and give"
            f" {word('fence', 'none')}",
        )
    for role in access.always_writing:
        yield Problem(
            f"role {role}",
            f"its own setting lets it write on the {side}, whatever the database's is",
            f"ALTER ROLE {role} RESET default_transaction_read_only",
        )
    for name in access.subscriptions:
        yield Problem(
            f"subscription {name}",
            f"writes to the {side}, whatever the database's default is",
            f"ALTER SUBSCRIPTION {name} DISABLE",
        )
    kept = [one for one in pair.fence(order).foreign() if not one.can_be_ended]
    if kept:
        yield Problem(
            side,
            f"{plural(len(kept), 'session')} cannot be ended by this user: {described(kept)}",
            "GRANT pg_signal_backend to it; sessions of superusers only a superuser can end;"
            f" {word('spare')} leaves sessions of a role alone",
        )
    if fencing.read_default(pair.closed) == CLOSED:
        yield Problem(
            side,
            "is read-only already: ALTER DATABASE has set default_transaction_read_only",
            f"reset it, or give {word('fence', 'none')} if you have stopped the writers that way",
        )


def _definition_problems(order: Order, detail: Mapping[str, Any]) -> Iterator[Problem]:
    """Definitions that were changed on the side that is left, and what was created there."""
    side, other = _closed(order), order.way.opens.name.lower()
    for one in detail.get(APART, ()):
        name, _, what = one.partition(": ")
        yield Problem(name, what, change_hint(what, other))
    for one in detail.get(NEW, ()):
        yield Problem(one, f"is new on the {side}, and not followed", new_hint(other))


def change_hint(what: str, other: str) -> str:
    """What to do about a difference between definitions."""
    if what.endswith(UNPUBLISHED):
        return (
            "changes of it are missing: if it was unlogged when the run began, make it so again on"
            " the source; else windlass abandon, and start over"
        )
    return f"make the same change on the {other}"


def new_hint(other: str) -> str:
    return f"create it on the {other} and copy its rows yourself, or drop it"


def _pool_problems(order: Order) -> Iterator[Problem]:
    assert order.pool is not None
    try:
        order.pool.check()
    except WindlassError as error:
        yield Problem("pgbouncer", str(error), error.hint)


def _unready_problems(pair: Pairing) -> Iterator[Problem]:
    """Constraints that are not valid and indexes that are not built, although those of the other
    side are."""
    there = {what for *_, what, _ in _unready(pair.closed)}
    for schema, name, what, remedy in _unready(pair.opened):
        if what not in there:
            yield Problem(f"{schema}.{name}", f"{what} is not valid", remedy)


def _unready(session: Session) -> Collection[tuple[str, str, str, str]]:
    rows: Any = session.execute(queries.load("unready")).fetchall()
    found: list[tuple[str, str, str, str]] = rows
    return found
