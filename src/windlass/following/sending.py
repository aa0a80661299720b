"""Sends statements to the target, many in one round trip. Does not decide what they are.

Uses libpq's functions directly: with psycopg's cursors, a statement costs 100 us of Python or more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import count

import psycopg
from psycopg import pq
from psycopg.abc import PQGen
from psycopg.errors import error_from_result
from psycopg.generators import copy_to, fetch, fetch_many, send
from psycopg.pq.abc import PGconn, PGresult

from windlass.engines.postgres.replication.messages import Value
from windlass.engines.postgres.session import Connection

# Between two syncs. Without a limit, libpq moves unsent data again and again: 64 seconds instead of
# 4 for a file of 85 MB in planetscale/pgcopydb PR #51.
_STATEMENTS = 1000
_BYTES = 1 << 20
_PREPARED = 1000  # statements that the session keeps

_NUMBERS = count(1)  # in names of statements

_FAILED = (pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.BAD_RESPONSE)


class Unfit(Exception):
    """A change does not fit the target, or not in this way. `tag` identifies the change, if
    known."""

    def __init__(self, why: str, tag: int | None = None) -> None:
        super().__init__(why)
        self.tag = tag


class Missed(Unfit):
    """A statement did not change as many rows as it had to."""

    def __init__(self, count: int, tag: int | None = None) -> None:
        super().__init__(f"{count or 'no'} such rows on the target", tag)


class Rejected(Unfit):
    """The server refused a statement, for the reason `error`."""

    def __init__(self, error: psycopg.Error, tag: int | None = None) -> None:
        super().__init__(type(error).__name__, tag)
        self.error = error


class Sender:
    """Sends statements in pipeline mode. Keeps them until there are many, or until `flush`."""

    def __init__(self, session: Connection) -> None:
        self._session = session
        self._waiting: list[tuple[bytes, Sequence[Value], int | None]] = []
        self._size_bytes = 0
        self._prepared: dict[bytes, bytes] = {}  # names by statement

    def add(self, query: bytes, values: Sequence[Value], tag: int | None = None) -> None:
        """Add a statement that must change exactly one row. The tag identifies it.

        Raises:
            Missed, Rejected: it did not, or one before it.
            psycopg.OperationalError: the session is gone.
        """
        self._waiting.append((query, values, tag))
        self._size_bytes += sum([len(value) for value in values if isinstance(value, bytes)])
        if len(self._waiting) >= _STATEMENTS or self._size_bytes >= _BYTES:
            self.flush()

    def forget(self) -> None:
        """Drop what waits."""
        self._waiting, self._size_bytes = [], 0

    def flush(self) -> None:
        """Send the waiting statements, and check all results. Raises like `add`."""
        waiting = self._waiting
        self.forget()
        if not waiting:
            return
        connection = self._session.pgconn
        connection.enter_pipeline_mode()
        made: list[bytes | None] = []  # one for each answer; None is a statement of `waiting`
        for query, values, _ in waiting:
            name = self._prepared.get(query)
            if name is None:
                name = self._name(query)
                connection.send_prepare(name, query)
                made.append(query)
            connection.send_query_prepared(name, values)  # type: ignore[arg-type]
            made.append(None)
        connection.pipeline_sync()
        results = self._session.wait(_answers(connection, len(made)))
        connection.exit_pipeline_mode()
        self._check(results, made, [tag for _, _, tag in waiting])
        if len(self._prepared) > _PREPARED:
            self._deallocate()

    def _check(
        self,
        results: list[PGresult],
        made: list[bytes | None],
        tags: list[int | None],
    ) -> None:
        """Raise for the first result that is not as expected."""
        for result, query in zip(results, made, strict=True):
            if query is not None and result.status != pq.ExecStatus.COMMAND_OK:
                self._prepared.pop(query, None)  # this statement failed, or an earlier one did
        position = 0
        for result, query in zip(results, made, strict=True):
            if result.status in _FAILED:
                raise Rejected(_error(self._session, result), tags[position])
            if query is None:
                changed = result.command_tuples or 0
                if changed != 1:
                    raise Missed(changed, tags[position])
                position += 1

    def _name(self, query: bytes) -> bytes:
        name = self._prepared[query] = b"windlass_%d" % next(_NUMBERS)
        return name

    def _deallocate(self) -> None:
        names = [b"deallocate " + name for name in self._prepared.values()]
        self._prepared.clear()
        run(self._session, b"; ".join(names))


def run(session: Connection, query: bytes) -> list[int]:
    """Run statements in one round trip; returns how many rows each one changed.

    Raises:
        Rejected: one of them failed.
        psycopg.OperationalError: the session is gone.
    """
    session.pgconn.send_query(query)
    return _counts(session, session.wait(_sent(session.pgconn)))


def run_copy(session: Connection, query: bytes, blocks: Iterable[bytes]) -> list[int]:
    """Like `run`; the first statement is a COPY, which gets these rows."""
    connection = session.pgconn
    connection.send_query(query)
    results = session.wait(_sent(connection))
    if results[-1].status != pq.ExecStatus.COPY_IN:
        _counts(session, results)
        raise psycopg.InternalError("the server does not take rows")
    try:
        for block in blocks:
            session.wait(_put(connection, block))
    except BaseException:
        with suppress(psycopg.Error):
            session.wait(_end(connection, b"stopped by the client"))
        raise
    return _counts(session, session.wait(_end(connection, None)))


def _sent(connection: PGconn) -> PQGen[list[PGresult]]:
    yield from send(connection)
    results: list[PGresult] = yield from fetch_many(connection)
    return results


def _answers(connection: PGconn, count: int) -> PQGen[list[PGresult]]:
    """The answers to as many statements of a pipeline, and the end of its sync."""
    yield from send(connection)
    found: list[PGresult] = []
    while len(found) < count:
        result = yield from fetch(connection)
        if result is not None:
            found.append(result)
    while True:  # until the result of the sync; no None follows it
        result = yield from fetch(connection)
        if result is not None and result.status == pq.ExecStatus.PIPELINE_SYNC:
            return found


def _put(connection: PGconn, block: bytes) -> PQGen[None]:
    yield from copy_to(connection, block)


def _end(connection: PGconn, error: bytes | None) -> PQGen[list[PGresult]]:
    while connection.put_copy_end(error) == 0:
        yield from send(connection)
    return (yield from _sent(connection))


def _counts(session: Connection, results: list[PGresult]) -> list[int]:
    for result in results:
        if result.status in _FAILED:
            raise Rejected(_error(session, result))
    return [result.command_tuples or 0 for result in results]


def _error(session: Connection, result: PGresult) -> psycopg.Error:
    return error_from_result(result, encoding=session.info.encoding)
