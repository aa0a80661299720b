"""A session that the server has just ended is a lost connection, whatever is about to use it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from servers import Database, Server
from windlass.engines.postgres.bulk import open_bulk
from windlass.engines.postgres.copy import Bulk, copy_in, copy_out, execute
from windlass.engines.postgres.keepalive import Loop
from windlass.engines.postgres.session import Address, Role
from windlass.errors import ConnectionLost, WindlassError
from windlass.model.chunk import Whole
from windlass.model.relation import Column, Kind, Name, Relation, Wire

T = Relation(Name("public", "t"), Kind.TABLE, (Column("a", "text"),))
END = (
    "select pg_terminate_backend(pid, 60_000) from pg_stat_activity"
    " where application_name = 'ended' and datname = current_database()"
)


async def nothing(_: bytes) -> None:
    raise AssertionError("a block has come")


async def row() -> AsyncIterator[bytes]:
    yield b"x\n"


USES: dict[str, Callable[[Bulk], Awaitable[object]]] = {
    "reading": lambda bulk: copy_out(bulk, T, ["a"], Whole(), Wire.TEXT, nothing),
    "writing": lambda bulk: copy_in(bulk, T.name, ["a"], Wire.TEXT, row(), freeze=False),
    "a statement": lambda bulk: execute(bulk, "select 1", "asking"),
}


@pytest.fixture(scope="module")
def there(server: Callable[[int], Server]) -> Database:
    made = server(18).create_database()
    made.run("create table t (a text)")
    return made


def end_sessions(there: Database) -> None:
    """Returns once the sockets have all that the server sends."""
    assert there.rows(END) == [(True,)]


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("use", USES)
def test_what_uses_a_session_after_its_end_finds_the_connection_lost(
    there: Database, use: str, turns: int
) -> None:
    """The event loop reads why the session ends in one turn, and that the socket is closed in the
    next: a driver that has read only the first reports its internal error for what comes
    next."""
    address = Address.parse("source", there.url)

    async def work() -> None:
        with address.connect(Role.TARGET, "beside") as like:
            bulk = await open_bulk(address, like, Role.TARGET, "ended")
        end_sessions(there)
        for _ in range(turns):
            await asyncio.sleep(0)
        try:
            await USES[use](bulk)
        finally:
            bulk.terminate()

    with asyncio.Runner(loop_factory=Loop) as runner, pytest.raises(ConnectionLost) as found:
        runner.run(work())
    assert "protocol" not in str(found.value) and "state" not in str(found.value)


def opened(address: Address, like: Any) -> None:
    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(open_bulk(address, like, Role.SOURCE, "second"))


def test_a_session_is_not_opened_beside_one_that_is_closed(there: Database) -> None:
    address = Address.parse("source", there.url)
    like = address.connect(Role.SOURCE, "first")
    like.close()
    with pytest.raises(WindlassError) as found:
        opened(address, like)
    assert found.value.where["side"] == "source"
