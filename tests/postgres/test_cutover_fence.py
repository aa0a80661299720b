"""The fence of a cutover: nobody writes but we, and it can be undone to the letter."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg import pq

from awaiting import until
from followed import RUN, Clients, Session, in_thread, our_session
from servers import PASSWORD, Database, verifier
from windlass.engines.postgres.fencing import read_default
from windlass.errors import TakenBack
from windlass.following.fence import Before, Fence, WriterLock
from windlass.following.limit import Limit
from windlass.model.relation import Name

VERSIONS = [16, 18]
READ_ONLY = psycopg.errors.ReadOnlySqlTransaction


@pytest.fixture(params=VERSIONS)
def old(request: pytest.FixtureRequest, database: Callable[[int], Database]) -> Database:
    made = database(request.param)
    made.run("create table t (id int)", "create table u (id int)")
    return made


@pytest.fixture
def session(old: Database) -> Iterator[Session]:
    with our_session(old) as made:
        yield made


@pytest.fixture
def role(old: Database) -> Iterator[Callable[[str], str]]:
    """Makes roles that can log in; what they own goes with them."""
    made: list[str] = []

    def make(name: str) -> str:
        old.run(f"create role {name} login password '{verifier(PASSWORD)}'")
        made.append(name)
        return name

    yield make
    for name in made:
        old.run(
            "set default_transaction_read_only to off",
            f"reassign owned by {name} to postgres",
            f"drop owned by {name}",
            f"drop role {name}",
        )


def limit(seconds: float = 20.0) -> Limit:
    return Limit(seconds)


def is_gone(one: psycopg.Connection[tuple[object, ...]]) -> bool:
    try:
        one.execute("select 1")
    except psycopg.OperationalError:
        return True
    return False


def test_writers_are_ended_and_nobody_else_can_write(old: Database, session: Session) -> None:
    writer = old.connect()
    writer.execute("begin")
    writer.execute("insert into t values (1)")
    assert Fence(session, RUN).close(limit()) == 1
    assert is_gone(writer)
    with old.connect() as later, pytest.raises(READ_ONLY):
        later.execute("insert into t values (2)")
    assert old.value("select count(*) from t") == 0


def test_sessions_of_the_run_and_of_spared_roles_stay(
    old: Database, session: Session, role: Callable[[str], str]
) -> None:
    ours = our_session(old, purpose="follow")
    spared = psycopg.connect(old.url_for(role("spared")), autocommit=True)
    other_run = old.connect(application_name="windlass follow 20261129_2000_0000")
    assert Fence(session, RUN, spare={"spared"}).close(limit()) == 1
    assert is_gone(other_run) and not is_gone(spared)
    ours.execute("insert into public.t values (1)")


@pytest.mark.parametrize("name", ["windlass cutover", "windlass end"])
def test_a_command_that_begins_while_a_fence_is_undone_is_not_ended(
    old: Database, session: Session, name: str
) -> None:
    """It has no run's name yet; the process that follows undoes a fence whose cutover has died."""
    fence = Fence(session, RUN)
    kept = fence.read_before()
    fence.close(limit())
    command, load = (old.connect(application_name=one) for one in (name, "windlass load"))
    fence.restore(kept, limit())
    assert not is_gone(command) and is_gone(load)


def test_no_client_that_connects_meanwhile_writes_after_the_fence_is_closed(
    old: Database, session: Session
) -> None:
    with Clients(old) as clients:
        for _ in range(5):
            clients.until_written(1)
            fence = Fence(session, RUN)
            kept = fence.read_before()
            fence.close(limit())
            written = session.execute("select count(*) from public.written").fetchone()
            clients.until_refused(8)
            assert session.execute("select count(*) from public.written").fetchone() == written
            fence.restore(kept, limit())
    assert old.value("select count(*) from public.written") >= len(clients.acknowledged)


@pytest.mark.parametrize("value", [None, "off", "on"])
def test_what_a_database_had_set_comes_back(
    old: Database, session: Session, value: str | None
) -> None:
    if value:
        old.run(f"alter database {old.name} set default_transaction_read_only = {value}")
    fence = Fence(session, RUN)
    before = fence.read_before()
    fence.close(limit())
    reader = old.connect()
    fence.restore(Before.from_json(before.to_json()), limit())
    assert read_default(session) == value
    assert is_gone(reader) is (value != "on"), "those that began read-only have to connect again"


def test_a_session_that_sets_itself_to_write_is_ended(old: Database, session: Session) -> None:
    fence = Fence(session, RUN)
    fence.close(limit())
    late = old.connect()
    late.execute("set default_transaction_read_only to off")
    late.execute("begin")
    late.execute("insert into t values (1)")
    fence.check_quiet(limit())
    assert is_gone(late)


def test_a_writer_whom_we_cannot_end_is_named(old: Database, role: Callable[[str], str]) -> None:
    old.run(f"alter database {old.name} owner to {role('owning')}")
    writer = old.connect(application_name="billing")
    writer.execute("begin")
    writer.execute("insert into t values (1234567)")
    with (
        our_session(old, user="owning") as weak,
        pytest.raises(TakenBack, match="billing") as caught,
    ):
        Fence(weak, RUN).close(limit(0.6))
    assert f"pid {writer.info.backend_pid}" in str(caught.value)


def test_a_prepared_transaction_keeps_it_from_closing(old: Database, session: Session) -> None:
    old.run("begin; insert into t values (1); prepare transaction 'of_billing'")
    try:
        with pytest.raises(TakenBack, match="of_billing"):
            Fence(session, RUN).close(limit())
    finally:
        session.execute("rollback prepared 'of_billing'")


def test_an_interrupt_ends_the_wait() -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(TakenBack, match="interrupted"):
        Limit(5, stop).wait(1, "waiting")


def test_the_lock_holds_writers_up_and_lets_readers_read(old: Database, session: Session) -> None:
    lock = WriterLock(our_session(old, purpose="lock"))
    lock.take([Name("public", "u"), Name("public", "t")], limit())
    writer = old.connect()
    thread = in_thread(lambda: writer.execute("insert into t values (1)"))
    until(
        lambda: old.value("select count(*) from pg_locks where not granted"), "a writer that waits"
    )
    assert old.value("select count(*) from t") == 0
    lock.release()
    thread.join(20)
    assert old.value("select count(*) from t") == 1
    assert writer.info.transaction_status is pq.TransactionStatus.IDLE


def test_the_lock_gives_up_in_time(old: Database, session: Session) -> None:
    writer = old.connect()
    writer.execute("begin")
    writer.execute("insert into t values (1)")
    lock = WriterLock(our_session(old, purpose="lock"))
    with pytest.raises(TakenBack, match="transactions that write"):
        lock.take([Name("public", "t")], limit(0.4))
    writer.execute("insert into t values (2)")
    writer.execute("commit")
    lock.release()
