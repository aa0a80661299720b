"""The parts of a cutover: sequences, markers, and what a process that died has left."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
import pytest

from awaiting import until
from followed import RUN, Session, begin_run, in_thread, our_session
from servers import Pair
from windlass.engines.postgres.fencing import read_default
from windlass.errors import Refused, RunLost, TakenBack
from windlass.flows.cutover.recopying import Recopying
from windlass.flows.cutover.unstreamed import Objects, Unstreamed
from windlass.following.fence import Fence
from windlass.following.freezing import Freeze, decide, hold_still
from windlass.following.limit import Limit
from windlass.following.order import Order, Pairing
from windlass.following.reopening import (
    BACK,
    FORTH,
    OPENING,
    Leaving,
    Side,
    cutting_over,
    open_side,
    reopen,
)
from windlass.following.seals import await_marker, put_marker
from windlass.following.sequences import copy_sequences, sequence_problems, turned
from windlass.journal.following import change_phase, note_late, read_applied, read_phase
from windlass.model.following import Direction, Phase, Purpose
from windlass.model.relation import Name


@pytest.fixture
def source(pair: Pair) -> Iterator[Session]:
    with our_session(pair.source) as made:
        yield made


@pytest.fixture
def target(pair: Pair) -> Iterator[Session]:
    with our_session(pair.target) as made:
        yield made


# sequences

DEFINED = {
    "untouched": "create sequence {}.untouched",
    "used": "create sequence {}.used start 5",
    "down": "create sequence {}.down increment -3 minvalue -9223372036854775807 maxvalue -1",
    "big": "create sequence {}.big maxvalue 9223372036854775807",
    "small": "create sequence {}.small as smallint cycle",
    "t_id_seq": "create table {}.t (id int generated always as identity, note text)",
    'Odd "name" %s': 'create sequence {}."Odd ""name"" %s"',
}
DRAWN = (
    "select nextval('s.used'), nextval('s.used'), nextval('s.down'), nextval('s.small')",
    "select setval('s.big', 9223372036854775807)",
    "insert into s.t (note) select 'x' from generate_series(1, 41)",
    'select setval(\'s."Odd ""name"" %s"\', 77, false)',
)
PAIRS = [(Name("s", name), Name("r", name)) for name in DEFINED]


@pytest.fixture
def sequences(pair: Pair) -> Pair:
    for database, schema in ((pair.source, "s"), (pair.target, "r")):
        database.run(f"create schema {schema}", *(one.format(schema) for one in DEFINED.values()))
    pair.source.run(*DRAWN)
    return pair


def positions(pair: Pair) -> list[list[tuple[object, ...]]]:
    query = 'select last_value, is_called from {}."{}"'
    return [
        [database.rows(query.format(schema, name.replace('"', '""')))[0] for name in DEFINED]
        for database, schema in ((pair.source, "s"), (pair.target, "r"))
    ]


def test_sequences_are_exactly_those_of_the_other_side(
    sequences: Pair, source: Session, target: Session
) -> None:
    assert list(sequence_problems(source, target, PAIRS)) == []
    assert copy_sequences(source, target, PAIRS) == len(PAIRS)
    first, second = positions(sequences)
    assert first == second and len(set(first)) > 4
    sequences.target.run("select nextval('r.used'), nextval('r.untouched')")
    copy_sequences(target, source, turned(PAIRS))
    third, fourth = positions(sequences)
    assert third == fourth != first


def test_many_sequences_are_read_at_once(pair: Pair, source: Session, target: Session) -> None:
    many = "do $$ begin for n in 1..700 loop execute format('create sequence public.q%s start %s', n, n); end loop; end $$"  # noqa: E501
    pair.source.run(many)
    pair.target.run(many.replace("start %s', n, n", "', n"))
    names = [(Name("public", f"q{n}"), Name("public", f"q{n}")) for n in range(1, 701)]
    assert copy_sequences(source, target, names) == 700
    assert pair.target.value("select nextval('q642')") == 642


def test_a_sequence_that_cannot_be_set_is_named_with_the_statement_that_helps(
    sequences: Pair, source: Session, target: Session
) -> None:
    sequences.target.run("alter sequence r.used maxvalue 30", "drop sequence r.down")
    found = {one.object: one for one in sequence_problems(source, target, PAIRS)}
    assert set(found) == {"r.used", "r.down"}
    sequences.target.run(found["r.used"].hint, DEFINED["down"].format("r"))
    assert list(sequence_problems(source, target, PAIRS)) == []


# markers


def arrives(target: Session, number: int) -> None:
    target.execute("update windlass.applied set marker = %s where run = %s", (number, RUN))


def test_a_marker_is_awaited_until_it_has_arrived(
    pair: Pair, source: Session, target: Session
) -> None:
    begin_run(pair)
    put_marker(source, RUN, Direction.FORWARD, Purpose.LAG)
    number = put_marker(source, RUN, Direction.FORWARD, Purpose.SEAL)
    assert number == 2
    assert pair.source.rows("select number, purpose from windlass.marker") == [(2, "seal")]
    arrives(target, 1)
    found = []
    waiting = in_thread(
        lambda: found.append(
            await_marker(target, RUN, Direction.FORWARD, number, Limit(20), "catching up")
        )
    )
    with our_session(pair.target) as other:
        arrives(other, number)
    waiting.join()
    assert [one.marker for one in found] == [number]


def test_a_marker_that_does_not_arrive_in_time_takes_the_cutover_back(
    pair: Pair, target: Session
) -> None:
    begin_run(pair)
    with pytest.raises(TakenBack, match=r"catching up took longer than 0\.10 s"):
        await_marker(target, RUN, Direction.FORWARD, 1, Limit(0.1), "catching up")


def test_a_late_write_takes_the_cutover_back(pair: Pair, target: Session) -> None:
    begin_run(pair)
    note_late(target, RUN, Direction.FORWARD, {"lsn": "0/16B3748", "relation": "shop.orders"})
    with pytest.raises(TakenBack, match=r"wrote to shop\.orders.*0/16B3748") as caught:
        await_marker(target, RUN, Direction.FORWARD, 1, Limit(20), "catching up")
    assert caught.value.where["stopped_by"] == "late_write"


def test_a_run_that_is_gone_is_not_waited_for(pair: Pair, target: Session) -> None:
    begin_run(pair)
    with pytest.raises(RunLost):
        await_marker(target, "another", Direction.FORWARD, 1, Limit(20), "catching up")


# what a cutover that died has left

WAYS = pytest.mark.parametrize("way", [FORTH, BACK], ids=["forth", "back"])


def side_of(pair: Pair, side: Side) -> Callable[[], Session]:
    return lambda: our_session(pair.source if side is Side.SOURCE else pair.target)


def begin_freeze(pair: Pair, way: Leaving) -> None:
    """As a process does that dies once its fence is closed."""
    begin_run(pair, way.begins)
    with side_of(pair, way.closes)() as closed, our_session(pair.target) as target:
        fence = Fence(closed, RUN)
        kept = {way.closes.value: fence.read_before().to_json()}
        assert change_phase(target, RUN, way.begins, way.freezes, kept)
        fence.close(Limit(20))


def settle(pair: Pair, target: Session) -> tuple[Phase | None, list[str]]:
    notices: list[str] = []
    with cutting_over(target):
        phase = reopen(RUN, target, side_of(pair, Side.SOURCE), notices.append)
    return phase, notices


@WAYS
def test_before_it_is_decided_writers_continue_where_they_were(
    pair: Pair, target: Session, way: Leaving
) -> None:
    begin_freeze(pair, way)
    applied = pair.target if way is FORTH else pair.source
    with our_session(applied) as session:
        note_late(session, RUN, way.direction, {"lsn": "0/1", "relation": "t"})
    phase, notices = settle(pair, target)
    assert phase is way.begins and len(notices) == 1
    with side_of(pair, way.closes)() as session:
        assert read_default(session) is None
    with our_session(applied) as session:
        found = read_applied(session, RUN, way.direction)
        assert found and found.late is None, "what came late would never be applied"
    assert read_phase(target, RUN) == (way.begins, {way.closes.value: None})
    assert settle(pair, target) == (way.begins, [])


@WAYS
def test_once_it_is_decided_the_other_side_is_opened(
    pair: Pair, target: Session, way: Leaving
) -> None:
    begin_freeze(pair, way)
    with side_of(pair, way.opens)() as opened:
        opened_fence = Fence(opened, RUN)
        kept = {way.opens.value: opened_fence.read_before().to_json(), OPENING: ""}
        opened_fence.close(Limit(20))
        assert change_phase(target, RUN, way.freezes, way.ends, kept)
        phase, notices = settle(pair, target)
        assert phase is way.ends and len(notices) == 1
        assert read_default(opened) is None
    with side_of(pair, way.closes)() as closed:
        assert read_default(closed) == "on", "what was left stays closed"
    assert settle(pair, target) == (way.ends, [])


@WAYS
def test_a_side_that_its_owner_had_closed_is_opened_too(pair: Pair, way: Leaving) -> None:
    begin_run(pair, way.begins)
    with side_of(pair, way.opens)() as session:
        database = session.info.dbname
        session.execute(
            f"alter database {database} set default_transaction_read_only = on".encode()
        )
        open_side(session, RUN, way, {}, Limit(20))
        assert read_default(session) is None


def test_a_pool_that_may_be_paused_is_named(pair: Pair, target: Session) -> None:
    begin_run(pair)
    kept = {"fence_source": {"default": None, "pool": "pool shop at 127.0.0.1:6432"}}
    change_phase(target, RUN, Phase.FOLLOWING, Phase.FREEZING, kept)
    _, notices = settle(pair, target)
    assert any("pool shop at 127.0.0.1:6432 may still be paused" in one for one in notices)


def test_only_one_process_cuts_over(pair: Pair, target: Session) -> None:
    begin_run(pair)
    with our_session(pair.target) as other, cutting_over(other):
        with pytest.raises(Refused) as caught, cutting_over(target):
            pass
        assert f"windlass cutover {RUN}" in caught.value.problems[0].message
    with cutting_over(target):
        pass


def test_the_process_that_follows_hears_of_the_phase(pair: Pair, target: Session) -> None:
    begin_freeze(pair, FORTH)
    heard: list[str] = []
    listening = threading.Event()

    def listen() -> None:
        with our_session(pair.target) as session:
            session.execute(f'listen "windlass_{RUN}"'.encode())
            listening.set()
            for one in session.notifies(timeout=20, stop_after=1):
                heard.append(one.payload)

    thread = in_thread(listen)
    until(listening.is_set, "listening")
    settle(pair, target)
    thread.join()
    assert heard == ["phase"]


# what no stream carries


@dataclass
class Recopied:
    """Nothing to copy but what is held still."""

    left: list[Name]

    def again(self, limit: Limit) -> None:
        """It is there."""

    def confirm(self, limit: Limit) -> None:
        """Nobody could write."""


def freeze_of(pair: Pair, source: Session, target: Session) -> Freeze:
    pair.source.run("create unlogged table carts (id int)")
    begin_run(pair, Phase.FREEZING)
    return Freeze(
        Order(RUN, FORTH, [], []),
        Pairing(source, target, FORTH),
        Limit(20),
        lambda: our_session(pair.source, purpose="lock"),
        Recopied([Name("public", "carts")]),
    )


@contextmanager
def late_writer(pair: Pair) -> Iterator[tuple[Session, threading.Thread, list[BaseException]]]:
    """A session that has set itself to write, and is about to write to what is unlogged."""
    failed: list[BaseException] = []
    with pair.source.connect() as late:
        late.execute("set default_transaction_read_only to off")

        def write() -> None:
            try:
                late.execute("insert into carts values (1)")
            except psycopg.Error as error:
                failed.append(error)

        thread = threading.Thread(target=write)
        thread.start()
        waiting = "select count(*) from pg_locks where not granted"
        until(lambda: pair.source.value(waiting) == 1, "the writer waits")
        yield late, thread, failed
        thread.join()


def test_nobody_writes_to_an_unlogged_table_from_its_copy_to_the_decision(
    pair: Pair, source: Session, target: Session
) -> None:
    """Nothing would show what such a session commits; it is ended, and knows."""
    freeze = freeze_of(pair, source, target)
    hold_still(freeze, freeze.recopy.left if freeze.recopy else [])
    with late_writer(pair) as (_, thread, failed):
        decide(freeze)
        freeze.open()
        thread.join()
        assert isinstance(failed[0], psycopg.errors.AdminShutdown)
    assert pair.source.value("select count(*) from carts") == 0


def test_who_waits_for_an_unlogged_table_writes_once_a_cutover_is_taken_back(
    pair: Pair, source: Session, target: Session
) -> None:
    freeze = freeze_of(pair, source, target)
    hold_still(freeze, freeze.recopy.left if freeze.recopy else [])
    with late_writer(pair) as (_, thread, failed):
        freeze.release()
        thread.join()
        assert failed == []
    assert pair.source.value("select count(*) from carts") == 1


def test_a_large_object_that_is_written_to_after_its_copy_takes_a_cutover_back(
    pair: Pair, source: Session, target: Session
) -> None:
    pair.source.run("select lo_from_bytea(20001, 'a'), lo_from_bytea(20002, 'b')")
    begin_run(pair, Phase.FREEZING)
    what = Unstreamed(objects=Objects(frozenset(), frozenset()))
    recopying = Recopying(RUN, FORTH, Pairing(source, target, FORTH), what)
    recopying.again(Limit(20))
    recopying.confirm(Limit(20))
    pair.source.run("select lo_put(20002, 0, 'c')")
    with pytest.raises(TakenBack, match="after they were copied: 20002") as caught:
        recopying.confirm(Limit(20))
    assert caught.value.where["stopped_by"] == "late_write"
    recopying.again(Limit(20))
    pair.source.run("select lo_unlink(20001)")
    with pytest.raises(TakenBack, match="after they were copied: 20001"):
        recopying.confirm(Limit(20))
