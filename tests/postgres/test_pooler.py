"""A pooler in front of either side: in session mode it is used, in other modes it is refused."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Protocol

import psycopg
import pytest

from command import DONE, REFUSED, windlass
from needs import needs_program
from oracle import content_difference
from servers import Database, Pair, Server, _unprivileged, free_port
from windlass.engines.postgres.session import Address, Role
from windlass.errors import WindlassError

SECONDS = 5.0


@dataclass
class Pooled:
    """A database behind PgBouncer, which asks for no password."""

    port: int
    name: str

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{self.name}"


class Pooler(Protocol):
    def __call__(self, database: Database, mode: str, **settings: object) -> Pooled: ...


@pytest.fixture
def pooler() -> Iterator[Pooler]:
    needs_program("pgbouncer")
    with ExitStack() as stack:

        def start(database: Database, mode: str, **settings: object) -> Pooled:
            server = database.server
            port = free_port()
            folder = server.folder / f"pooler-{port}"
            folder.mkdir()
            words = {
                "listen_addr": "127.0.0.1",
                "listen_port": port,
                "unix_socket_dir": "",
                "auth_type": "any",
                "pool_mode": mode,
                "max_client_conn": 100,
                **settings,
            }
            place = f"host={server.folder} port={server.port} user=postgres"
            lines = ["[databases]", f"* = {place}", "[pgbouncer]"]
            lines += [f"{name} = {value}" for name, value in words.items()]
            config = folder / "pgbouncer.ini"
            config.write_text("\n".join(lines) + "\n")
            process = subprocess.Popen(
                ["pgbouncer", "-q", config],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                **_unprivileged(),
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)
            found = Pooled(port, database.name)
            _wait(found)
            return found

        yield start


def _wait(pooled: Pooled) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with suppress(psycopg.OperationalError), psycopg.connect(pooled.url):
            return
        time.sleep(0.05)
    raise AssertionError("PgBouncer does not start")


@pytest.fixture
def one(server: Callable[[int], Server], database: Callable[[int], Database]) -> Database:
    return database(18)


def crowd(pooled: Pooled, stack: ExitStack) -> None:
    """Leave several sessions of the server behind in the pool."""
    others = [stack.enter_context(psycopg.connect(pooled.url)) for _ in range(3)]
    for other in others:
        other.execute("select 1")  # begins a transaction, so each gets its own session
    for other in others:
        other.rollback()


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize(
    ("mode", "settings", "crowded"),
    [
        ("transaction", {}, False),
        ("transaction", {}, True),
        ("transaction", {"server_round_robin": 1}, False),
        ("transaction", {"server_round_robin": 1}, True),
        ("transaction", {"default_pool_size": 1}, False),
        ("statement", {}, False),
    ],
)
def test_a_pooler_that_shares_sessions_is_refused_soon(
    pooler: Pooler, one: Database, role: Role, mode: str, settings: dict[str, int], crowded: bool
) -> None:
    pooled = pooler(one, mode, **settings)
    with ExitStack() as stack:
        if crowded:
            crowd(pooled, stack)
        since = time.monotonic()
        with pytest.raises(WindlassError, match="transaction or statement mode"):
            Address.parse("source", pooled.url).connect(role, "test")
        assert time.monotonic() - since < SECONDS


@pytest.mark.parametrize("crowded", [False, True])
def test_a_pooler_in_session_mode_is_as_good_as_none(
    pooler: Pooler, one: Database, crowded: bool
) -> None:
    pooled = pooler(one, "session")
    with ExitStack() as stack:
        if crowded:
            crowd(pooled, stack)
        stack.enter_context(Address.parse("source", pooled.url).connect(Role.SOURCE, "test"))


def test_a_full_pool_in_session_mode_is_no_pool_that_shares(pooler: Pooler, one: Database) -> None:
    pooled = pooler(one, "session", default_pool_size=1)
    with Address.parse("source", pooled.url).connect(Role.SOURCE, "test") as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_options_that_a_pooler_refuses_or_drops_are_named(pooler: Pooler, one: Database) -> None:
    options = "?options=-c%20work_mem%3D8MB%20-c%20jit%3Don"
    refusing = pooler(one, "session")
    with pytest.raises(WindlassError, match="unsupported startup parameter") as caught:
        Address.parse("source", refusing.url + options).connect(Role.SOURCE, "test")
    assert not caught.value.retryable
    dropping = pooler(one, "session", ignore_startup_parameters="options")
    with pytest.raises(WindlassError, match=r"drops the options of the connection: work_mem$"):
        Address.parse("source", dropping.url + options).connect(Role.SOURCE, "test")


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_migration_through_poolers(pooler: Pooler, pair: Pair, side: str) -> None:
    pair.source.run("create table t (a int)", "insert into t select generate_series(1, 10000)")
    database: Database = getattr(pair, side)
    env = {f"WINDLASS_{side.upper()}": pooler(database, "transaction").url}
    ran = windlass("migrate", "--json", pair=pair, env=env).expect(REFUSED)
    assert "transaction or statement mode" in ran.result["problems"][0]["message"]
    assert pair.target.value("select count(*) from pg_class where relname = 't'") == 0
    env = {f"WINDLASS_{side.upper()}": pooler(database, "session").url}
    windlass("migrate", "--json", pair=pair, env=env).expect(DONE)
    assert content_difference(pair.source, pair.target) == []


def test_one_database_behind_a_pooler_is_one_database(pooler: Pooler, one: Database) -> None:
    one.run("create table t (a int)")
    words = ("--source", pooler(one, "session").url, "--target", one.url, "--existing", "replace")
    assert "same database" in windlass("plan", *words).expect(REFUSED).said
