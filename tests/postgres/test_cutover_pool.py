"""PgBouncer in front of the writers: a cutover lets them wait instead of failing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest

from followed import in_thread
from poolers import POOL, Pooler, pooler_of
from servers import Database
from windlass.engines.postgres.pgbouncer import Pool
from windlass.errors import BadSpec, TakenBack, WindlassError
from windlass.following.limit import Limit

SECONDS = 2.0


@pytest.fixture
def old(database: Callable[[int], Database]) -> Database:
    made = database(16)
    made.run("create table t (id int)")
    return made


@pytest.fixture
def pooler(old: Database) -> Iterator[Pooler]:
    with pooler_of(old) as made:
        yield made


def nothing() -> None:
    pass


def test_clients_wait_while_a_pool_is_paused(pooler: Pooler, old: Database) -> None:
    pool = Pool.parse(pooler.url)
    pool.check()
    client = psycopg.connect(pooler.url, autocommit=True)
    assert pool.pause(SECONDS, nothing)
    writing = in_thread(lambda: client.execute("insert into t values (1)"))
    assert old.value("select count(*) from t") == 0
    pool.resume()
    writing.join(20)
    assert old.value("select count(*) from t") == 1
    pool.resume()  # of one that is not paused


def test_a_pause_that_waits_for_a_transaction_is_given_up_and_no_client_hangs(
    pooler: Pooler, old: Database
) -> None:
    pool = Pool.parse(pooler.url)
    busy, other = (psycopg.connect(pooler.url) for _ in range(2))
    busy.execute("insert into t values (1)")
    assert not pool.pause(0.3, nothing)
    pool.resume()
    other.execute("insert into t values (2)")
    for one in (other, busy):
        one.commit()
    assert old.value("select count(*) from t") == 2
    assert pool.pause(SECONDS, nothing), "the one that was given up still waits"
    pool.resume()
    other.execute("insert into t values (3)")
    other.commit()


def test_a_pause_ends_when_the_cutover_is_to_stop(pooler: Pooler) -> None:
    busy = psycopg.connect(pooler.url)
    busy.execute("select 1")
    limit = Limit(0.1)
    with pytest.raises(TakenBack):
        Pool.parse(pooler.url).pause(20, lambda: limit.check("pausing"))


def test_a_pool_can_lead_to_another_server(
    pooler: Pooler, database: Callable[[int], Database]
) -> None:
    client = psycopg.connect(pooler.url, autocommit=True)
    client.execute("select 1")
    new, pool = database(18), Pool.parse(pooler.url)
    new.run("create table t (id int)")
    assert pool.pause(SECONDS, nothing)
    pooler.lead_to(new)
    pool.reload()
    pool.resume()
    client.execute("insert into t values (1)")
    assert new.value("select count(*) from t") == 1


def test_what_is_no_pool_is_refused_and_no_password_is_shown(pooler: Pooler) -> None:
    with pytest.raises(WindlassError, match="no pool nope") as caught:
        Pool.parse(pooler.url.replace(f"/{POOL}", "/nope")).check()
    assert POOL in caught.value.hint
    for text in ("postgresql://a:secret@h:1/pgbouncer", "postgresql://a:secret@h:1", "secret ="):
        with pytest.raises(BadSpec) as bad:
            Pool.parse(text)
        assert "secret" not in str(bad.value) + bad.value.hint
    assert "secret" not in repr(Pool.parse("postgresql://a:secret@h:1/shop"))
