"""Rows of the journal of runs that follow their source: phase, position, markers, requests.

Composes and reads; the transaction is the caller's. `windlass.applied` and `windlass.marker` exist
on both sides: a position is where the changes are applied, a marker where the stream is read.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

from psycopg import Connection, sql
from psycopg.rows import class_row

from windlass.errors import RunLost
from windlass.journal.records import Run
from windlass.model.following import Applied, Asked, Direction, Phase, Purpose

Session = Connection[Any]


# the phase, in the target's journal


def begin_following(connection: Session, run: str, detail: Mapping[str, Any]) -> None:
    """A run that will follow; it begins with copying."""
    connection.execute(
        "insert into windlass.following (run, phase, detail) values (%s, %s, %s)"
        " on conflict (run) do nothing",
        (run, Phase.COPYING, json.dumps(detail)),
    )


def read_phase(connection: Session, run: str) -> tuple[Phase, dict[str, Any]] | None:
    """A run's phase with its details; None if it does not follow."""
    row = connection.execute(
        "select phase, detail from windlass.following where run = %s", (run,)
    ).fetchone()
    return (Phase(row[0]), row[1]) if row else None


def undoing(connection: Session, run: Run, when: str = "") -> str:
    """How to undo a run or, if it still follows, to end it, which comes first."""
    found = read_phase(connection, run.run) if run.flow == "follow" else None
    phase = found[0] if found else Phase.ABANDONED
    return f"{'undo' if phase.is_over else 'end'} it{when}: {phase.undoing(run.run)}"


def read_followed(connection: Session) -> list[tuple[str, Phase]]:
    """Runs that follow or have been switched, newest first."""
    rows = connection.execute(
        "select f.run, f.phase from windlass.following f join windlass.run r using (run)"
        " where f.phase <> all (%s) order by r.started_at desc",
        ([Phase.FINISHED, Phase.ABANDONED],),
    ).fetchall()
    return [(run, Phase(phase)) for run, phase in rows]


def change_phase(
    connection: Session, run: str, old: Phase, new: Phase, detail: Mapping[str, Any]
) -> bool:
    """Change a run's phase, on disk once the caller's transaction has committed. `detail` is added
    to the existing details. False if the run is not in the phase `old`: another process was faster.
    """
    connection.execute("set local synchronous_commit = on")
    changed = connection.execute(
        "update windlass.following set phase = %s, detail = detail || %s::jsonb,"
        " at = clock_timestamp() where run = %s and phase = %s",
        (new, json.dumps(detail), run, old),
    )
    return changed.rowcount == 1


def note_detail(connection: Session, run: str, detail: Mapping[str, Any]) -> None:
    """Add to the details of a run, whatever phase it is in."""
    connection.execute(
        "update windlass.following set detail = detail || %s::jsonb where run = %s",
        (json.dumps(detail), run),
    )


# the position of a stream, in the database to which it is applied


def begin_applied(connection: Session, run: str, direction: Direction, lsn: int) -> None:
    """The position of a stream of which nothing is applied yet: changes count from `lsn`, where a
    slot begins. A transaction whose commit record begins exactly there counts."""
    connection.execute(
        "insert into windlass.applied (run, direction, epoch, commit_lsn, end_lsn)"
        " values (%s, %s, 0, '0/0'::pg_lsn + %s::numeric, '0/0'::pg_lsn + %s::numeric)"
        " on conflict (run, direction) do nothing",
        (run, direction, lsn - 1, lsn),
    )


def read_applied(connection: Session, run: str, direction: Direction) -> Applied | None:
    with connection.cursor(row_factory=class_row(Applied)) as cursor:
        return cursor.execute(
            "select run, direction, epoch, (commit_lsn - '0/0')::bigint as commit_lsn,"
            " (end_lsn - '0/0')::bigint as end_lsn, transactions, changes, marker, late, lag_ms,"
            " extract(epoch from clock_timestamp() - at)::float8 as age_seconds"
            " from windlass.applied where run = %s and direction = %s",
            (run, direction),
        ).fetchone()


def take_stream(
    connection: Session, run: str, direction: Direction, epoch: int | None = None
) -> Applied:
    """Take a stream over: from now on no other session can move its position. With `epoch`, only if
    nobody has taken it over since that epoch.

    Raises:
        RunLost: there is no such stream, because the run is over; or somebody has taken it.
    """
    with connection.transaction():
        connection.execute("set local synchronous_commit = on")
        taken = connection.execute(
            "update windlass.applied set epoch = epoch + 1 where run = %s and direction = %s"
            " and epoch = coalesce(%s, epoch)",
            (run, direction, epoch),
        )
        found = read_applied(connection, run, direction)
    if found is None:
        raise RunLost(f"run {run} follows nothing {direction} any more")
    if not taken.rowcount:
        raise RunLost(f"another process has taken over the stream {direction} of run {run}")
    return found


ADVANCE = (
    "update windlass.applied set commit_lsn = '0/0'::pg_lsn + %(commit_lsn)s::numeric,"
    " end_lsn = '0/0'::pg_lsn + %(end_lsn)s::numeric,"
    " transactions = transactions + %(transactions)s, changes = changes + %(changes)s,"
    " marker = greatest(marker, %(marker)s), lag_ms = coalesce(%(lag_ms)s::float8, lag_ms),"
    " at = clock_timestamp()"
    " where run = %(run)s and direction = %(direction)s and epoch = %(epoch)s"
    " and commit_lsn = '0/0'::pg_lsn + %(previous)s::numeric"
)
"""Moves a position: the first statement of each transaction that applies changes. It changes one
row; none if another process has taken the stream over. `previous` is the `commit_lsn` until now."""


def begin_again(connection: Session, run: str, direction: Direction, lsn: int) -> None:
    """Let changes count from `lsn`, where a new slot begins; on disk once this returns. A process
    that had taken the stream over has lost it."""
    with connection.transaction():
        connection.execute("set local synchronous_commit = on")
        moved = connection.execute(
            "update windlass.applied set epoch = epoch + 1, late = null, at = clock_timestamp(),"
            " commit_lsn = '0/0'::pg_lsn + %s::numeric, end_lsn = '0/0'::pg_lsn + %s::numeric"
            " where run = %s and direction = %s",
            (lsn - 1, lsn, run, direction),
        )
    if moved.rowcount != 1:
        raise RunLost(f"run {run} follows nothing {direction} any more")


def forget_applied(connection: Session, run: str, direction: Direction) -> None:
    """Forget the position: there is no longer a stream in this direction."""
    with connection.transaction():
        connection.execute("set local synchronous_commit = on")
        connection.execute(
            "delete from windlass.applied where run = %s and direction = %s", (run, direction)
        )


def note_late(
    connection: Session, run: str, direction: Direction, late: Mapping[str, Any] | None
) -> None:
    """What others wrote after a seal; None forgets it."""
    connection.execute(
        "update windlass.applied set late = %s, at = clock_timestamp()"
        " where run = %s and direction = %s",
        (json.dumps(late) if late else None, run, direction),
    )


# statements that changed definitions, in the database that is read


def read_noted(connection: Session, run: str, most: int) -> list[tuple[str, str, str]]:
    """Tag, objects and text of the last statements that the event trigger of a run has noted; the
    oldest first."""
    rows = connection.execute(
        "select tag, objects, statement from windlass.ddl where run = %s order by at desc limit %s",
        (run, most),
    ).fetchall()
    return [(tag, objects, statement) for tag, objects, statement in reversed(rows)]


# markers, in the database that is read


def write_marker(connection: Session, run: str, direction: Direction, purpose: Purpose) -> int:
    """The next marker of a stream; returns its number. It counts once the caller's transaction has
    committed."""
    row = connection.execute(
        "insert into windlass.marker as there (run, direction, number, purpose)"
        " values (%s, %s, 1, %s) on conflict (run, direction) do update"
        " set number = there.number + 1, purpose = excluded.purpose, at = clock_timestamp()"
        " returning number",
        (run, direction, purpose),
    ).fetchone()
    assert row is not None
    return int(row[0])


# requests, in the target's journal


def ask(connection: Session, run: str, what: str, given: Mapping[str, Any]) -> str:
    """Send a request to the process that follows, which is notified through `channel`. Returns the
    id by which to read its answer."""
    name = uuid.uuid4().hex
    connection.execute(
        "insert into windlass.request (id, run, what, given) values (%s, %s, %s, %s)",
        (name, run, what, json.dumps(given)),
    )
    connection.execute("select pg_catalog.pg_notify(%s, %s)", (channel(run), name))
    return name


def answer(connection: Session, request: str, given: Mapping[str, Any]) -> None:
    """Answer a request; whoever asked listens to `channel`."""
    row = connection.execute(
        "update windlass.request set answer = %s, answered_at = clock_timestamp() where id = %s"
        " returning run",
        (json.dumps(given), request),
    ).fetchone()
    if row:
        connection.execute("select pg_catalog.pg_notify(%s, %s)", (channel(row[0]), request))


def read_asked(connection: Session, run: str) -> list[Asked]:
    """Requests without an answer, the oldest first."""
    rows = connection.execute(
        "select id, what, given from windlass.request"
        " where run = %s and answer is null order by asked_at",
        (run,),
    ).fetchall()
    return [Asked(name, what, given, None) for name, what, given in rows]


def read_answer(connection: Session, request: str) -> Mapping[str, Any] | None:
    """The answer to a request; None if there is none yet."""
    row = connection.execute(
        "select answer from windlass.request where id = %s", (request,)
    ).fetchone()
    return row[0] if row else None


def channel(run: str) -> str:
    """The channel of NOTIFY on which a run's requests and answers are announced."""
    return f"windlass_{run}"


def listen(connection: Session, run: str) -> None:
    """Listen for requests and answers in this session, which must not be in a transaction."""
    connection.execute(sql.SQL("listen {}").format(sql.Identifier(channel(run))))
