"""What a server sends of its changes, read through a slot of a real one."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable

import pytest

from awaiting import until
from following import (
    PUBLICATION,
    SLOT,
    address_of,
    make_slot,
    messages_until,
    of_kind,
    publish,
    session,
    streaming,
)
from proxy import Proxy
from servers import Database, Server
from windlass.engines.postgres.replication import publications, slots
from windlass.engines.postgres.replication.decode import Decoder
from windlass.engines.postgres.replication.lsn import Lsn
from windlass.engines.postgres.replication.messages import (
    UNCHANGED,
    Begin,
    Commit,
    Delete,
    Insert,
    LogicalMessage,
    Relation,
    Truncate,
    TypeName,
    Update,
)
from windlass.errors import ConnectionLost, SlotLost, WindlassError
from windlass.model.relation import Name

Make = Callable[[int], Database]
VERSIONS = [15, 16, 18]

KINDS = """
create table one (id int primary key, label text, body text);
alter table one alter column body set storage external;
create table by_index (id int primary key, code text not null, note text);
create unique index by_code on by_index (code);
alter table by_index replica identity using index by_code;
create table whole (a int, b text);
alter table whole replica identity full;
create type mood as enum ('glad', 'sad');
create table felt (id int primary key, mood mood, at timestamptz, price numeric, f float8,
  span interval, data bytea, bits bit(3), tags text[], doc jsonb, there oid, doubled int
  generated always as (id * 2) stored)
"""


@pytest.fixture(params=VERSIONS)
def source(request: pytest.FixtureRequest, logical: Make) -> Database:
    """With tables of each replica identity, a publication and a slot."""
    made = logical(request.param)
    made.run(KINDS)
    publish(made, "one", "by_index", "whole", "felt")
    make_slot(made)
    return made


def changes_of(source: Database, *statements: str) -> list[object]:
    """What these statements bring, which are one transaction unless they say otherwise."""
    here = Lsn(source.value("select (pg_current_wal_insert_lsn() - '0/0')::bigint"))
    with streaming(source, after=here) as stream:
        source.run("; ".join(statements))
        found = messages_until(stream, Commit)
    kinds = (Insert, Update, Delete, Truncate)
    return [one for one in found if isinstance(one, kinds)]


def test_inserts_come_with_the_text_of_their_values(source: Database) -> None:
    (change,) = changes_of(
        source,
        "insert into felt values (1, 'sad', '2026-01-02 03:04:05.678+00', 1.500, 0.1::float8 + 0.2,"
        " '1 mon 2 days 03:04:05', '\\x00ff', '101', '{a,\"b c\",null}', '{\"k\": [1]}', 5)",
    )
    assert isinstance(change, Insert)
    assert change.relation.name == "felt"
    names = [column.name for column in change.relation.columns]
    expected = {
        "id": b"1",
        "mood": b"sad",
        "at": b"2026-01-02 03:04:05.678+00",
        "price": b"1.500",
        "f": b"0.30000000000000004",
        "span": b"1 mon 2 days 03:04:05",
        "data": b"\\x00ff",
        "bits": b"101",
        "tags": b'{a,"b c",NULL}',
        "doc": b'{"k": [1]}',
        "there": b"5",
    }
    assert dict(zip(names, change.new, strict=True)) == expected


def test_a_type_that_is_not_built_in_is_named_before_its_relation(source: Database) -> None:
    with streaming(source) as stream:
        source.run("insert into felt (id, mood) values (1, 'glad')")
        found = messages_until(stream, Commit)
    (named,) = of_kind(found, TypeName)
    assert isinstance(named, TypeName)
    assert named[1:] == ("public", "mood")
    (relation,) = of_kind(found, Relation)
    assert isinstance(relation, Relation)
    assert named.id == next(one.type_id for one in relation.columns if one.name == "mood")


def test_updates_carry_what_their_replica_identity_says(source: Database) -> None:
    source.run(
        "insert into one values (1, 'a', repeat('x', 5000))",
        "insert into by_index values (1, 'c', 'n')",
        "insert into whole values (1, 'w'), (1, null)",
    )
    found = changes_of(
        source,
        "update one set label = 'b'",
        "update one set id = 2",
        "update by_index set note = 'm'",
        "update by_index set code = 'd'",
        "update whole set b = 'v' where b is null",
    )
    body = b"x" * 5000
    assert [one[1:] for one in found if isinstance(one, Update)] == [
        (None, False, (b"1", b"b", UNCHANGED)),
        ((b"1", None, None), True, (b"2", b"b", UNCHANGED)),
        (None, False, (b"1", b"c", b"m")),
        ((None, b"c", None), True, (b"1", b"d", b"m")),
        ((b"1", None), False, (b"1", b"v")),
    ]
    found = changes_of(source, "update one set body = body || ''")
    assert [one[1:] for one in found if isinstance(one, Update)] == [
        (None, False, (b"2", b"b", body))
    ]


def test_deletes_and_truncates_name_what_they_take_away(source: Database) -> None:
    source.run(
        "insert into one values (1, 'a', 'b')",
        "insert into by_index values (1, 'c', 'n')",
        "insert into whole values (1, 'w')",
    )
    deletes = changes_of(source, "delete from one", "delete from by_index", "delete from whole")
    assert [one[1:] for one in deletes if isinstance(one, Delete)] == [
        ((b"1", None, None), True),
        ((None, b"c", None), True),
        ((b"1", b"w"), False),
    ]
    (emptied,) = changes_of(source, "truncate one, whole restart identity")
    assert isinstance(emptied, Truncate)
    assert {one.name for one in emptied.relations} == {"one", "whole"}
    assert emptied[1:] == (False, True)


def test_savepoints_that_were_rolled_back_bring_nothing(source: Database) -> None:
    found = changes_of(
        source,
        "begin",
        "insert into one values (1)",
        "savepoint a",
        "insert into one values (2)",
        "rollback to a",
        "insert into one values (3)",
        "savepoint b",
        "insert into one values (4)",
        "release b",
        "commit",
    )
    assert [one.new[0] for one in found if isinstance(one, Insert)] == [b"1", b"3", b"4"]


def test_transactions_come_in_the_order_of_their_commits(source: Database) -> None:
    """pgcopydb loses the first of two that commit in the other order (its issue 1044)."""
    with source.connect() as early, source.connect() as late, streaming(source) as stream:
        early.execute("begin")
        early.execute("insert into one values (1)")
        late.execute("begin")
        late.execute("insert into one values (2)")
        late.execute("commit")
        early.execute("commit")
        found = messages_until(stream, Commit, 2)
    assert [one.new[0] for one in found if isinstance(one, Insert)] == [b"2", b"1"]
    begins = [one for one in found if isinstance(one, Begin)]
    commits = [one for one in found if isinstance(one, Commit)]
    assert begins[0].xid > begins[1].xid
    assert [one.commit_lsn for one in begins] == [one.commit_lsn for one in commits]
    assert begins[0].commit_lsn < commits[0].end_lsn <= begins[1].commit_lsn


def test_logical_messages_come_if_they_are_asked_for(source: Database) -> None:
    with streaming(source, with_messages=True) as stream:
        source.run("select pg_logical_emit_message(true, 'windlass', 'within')")
        source.run("select pg_logical_emit_message(false, 'windlass', 'beside')")
        found = messages_until(stream, LogicalMessage, 2)
    assert [(one.is_transactional, one.prefix, one.content) for one in found
            if isinstance(one, LogicalMessage)] == [
        (True, "windlass", b"within"),
        (False, "windlass", b"beside"),
    ]  # fmt: skip


def test_what_is_confirmed_does_not_come_again_and_the_rest_does(source: Database) -> None:
    source.run("insert into one values (1)", "insert into one values (2)")
    with streaming(source) as stream:
        first, second = of_kind(messages_until(stream, Commit, 2), Commit)
        assert isinstance(first, Commit)
        stream.confirm(first.end_lsn)
    with streaming(source) as stream:
        found = messages_until(stream, Commit)
        assert [one.new[0] for one in found if isinstance(one, Insert)] == [b"2"]
        assert isinstance(second, Commit)
        stream.confirm(second.end_lsn)
        stream.report(now=True)
        until(lambda: confirmed(source) == second.end_lsn, "the confirmation")


def confirmed(source: Database) -> int | None:
    with session(source) as connection:
        found = slots.read_slot(connection, SLOT, side="source")
    assert found is not None
    return found.confirmed_lsn


# what a stream does when nothing comes, or the wire goes


def test_an_idle_source_and_a_busy_neighbour_leave_a_stream_alive(
    own_server: Callable[..., Server],
) -> None:
    """The sender's timeout is cut to a second: the server asks, and we answer."""
    server = own_server(16)
    source, other = server.create_database(), server.create_database()
    source.run("create table one (id int primary key)")
    other.run("create table busy (id int)")
    publish(source, "one")
    make_slot(source)
    with streaming(source, sender_timeout_seconds=1) as stream:
        deadline = time.monotonic() + 3.5
        quiet = []
        while time.monotonic() < deadline:
            other.run("insert into busy select generate_series(1, 100)")
            assert stream.read(0.2) == []
            quiet.append(stream.quiet_lsn)
        heard = {lsn for lsn in quiet if lsn}
        assert len(heard) > 1  # each position is further in the server's log
        source.run("insert into one values (1)")
        assert messages_until(stream, Commit)
        assert confirmed(source) is not None


def test_a_cut_wire_is_a_lost_connection(logical: Make) -> None:
    source = logical(16)
    source.run("create table one (id int primary key)")
    publish(source, "one")
    make_slot(source)
    with Proxy(source.server.port) as proxy, streaming(source, port=proxy.port) as stream:
        source.run("insert into one values (1)")
        messages_until(stream, Commit)
        proxy.cut()
        with pytest.raises(ConnectionLost):
            stream.read(10)


def test_a_server_that_stops_ends_the_stream(own_server: Callable[..., Server]) -> None:
    server = own_server(18)
    source = server.create_database()
    source.run("create table one (id int primary key)")
    publish(source, "one")
    make_slot(source)
    with streaming(source) as stream:
        server.stop(signal.SIGQUIT)
        with pytest.raises(ConnectionLost):  # what it had sent before comes first
            until(lambda: stream.read(1) is None, "the end")


def test_another_thread_wakes_a_reader(logical: Make) -> None:
    source = logical(16)
    source.run("create table one (id int primary key)")
    publish(source, "one")
    make_slot(source)
    with streaming(source) as stream:
        waker = threading.Timer(0.1, stream.wake)
        waker.start()
        began = time.monotonic()
        while not (took := time.monotonic() - began) > 0.1:
            assert stream.read(30) == []
        waker.join()
        assert took < 20


# slots


def test_a_slot_begins_exactly_after_its_snapshot(source: Database) -> None:
    source.run("insert into one values (1)")
    with session(source) as connection:
        held = slots.create(address_of(source), connection, "windlass test", "windlass_t_other")
    assert [held.is_alive] == [True]
    source.run("insert into one values (2)")
    with source.connect() as reader:
        reader.execute("begin isolation level repeatable read")
        reader.execute(f"set transaction snapshot '{held.snapshot}'".encode())
        assert reader.execute("select id from one").fetchall() == [(1,)]
    held.release()
    assert not held.is_alive
    with streaming(source, name="windlass_t_other") as stream:
        found = messages_until(stream, Commit)
    assert [one.new[0] for one in found if isinstance(one, Insert)] == [b"2"]


def test_a_temporary_slot_goes_with_its_session(logical: Make) -> None:
    source = logical(18)
    with session(source) as connection:
        address = address_of(source)
        held = slots.create(address, connection, "windlass test", "windlass_t_x", is_temporary=True)
        state = slots.read_slot(connection, "windlass_t_x", side="source")
        assert state is not None
        assert state.is_temporary
        assert not state.is_lost
        held.release()
        until(lambda: slots.read_slot(connection, "windlass_t_x", side="source") is None)


def test_a_slot_that_waits_names_the_transaction_and_leaves_nothing(source: Database) -> None:
    with source.connect() as writer, session(source) as connection:
        writer.execute("begin")
        writer.execute("insert into one values (1, 'a secret')")
        pid = writer.info.backend_pid
        with pytest.raises(ConnectionLost, match=rf"pid {pid} \(user postgres") as caught:
            slots.create(
                address_of(source), connection, "windlass test", "windlass_t_w", wait_seconds=0.5
            )
        assert "insert into one ..." in str(caught.value)
        assert "secret" not in str(caught.value)
        assert slots.read_slot(connection, "windlass_t_w", side="source") is None
        writer.execute("rollback")
        writer.execute("begin")
        writer.execute("insert into one values (1)")
        writer.execute("prepare transaction 'left'")
        try:
            with pytest.raises(ConnectionLost, match="prepared transaction left"):
                slots.create(
                    address_of(source), connection, "windlass test", "windlass_t_w",
                    wait_seconds=0.5,
                )  # fmt: skip
        finally:
            writer.execute("rollback prepared 'left'")
        slots.create(address_of(source), connection, "windlass test", "windlass_t_w").release()


def test_a_slot_in_use_names_who_reads_it(source: Database) -> None:
    with streaming(source), session(source) as connection:
        state = slots.read_slot(connection, SLOT, side="source")
        assert state is not None
        by = f"in use by pid {state.active_pid} of the source"
        with pytest.raises(ConnectionLost, match=by), streaming(source):
            pass
        with pytest.raises(ConnectionLost, match=by):
            slots.drop(connection, SLOT, side="source")


def test_a_slot_that_is_gone_is_lost(source: Database) -> None:
    with session(source) as connection:
        assert slots.drop(connection, SLOT, side="source")
        assert not slots.drop(connection, SLOT, side="source")
    with pytest.raises(SlotLost, match="does not exist"), streaming(source):
        pass


@pytest.mark.parametrize("version", VERSIONS)
def test_a_slot_whose_log_was_removed_is_lost(
    own_server: Callable[..., Server], version: int
) -> None:
    server = own_server(
        version, {"max_slot_wal_keep_size": "1MB", "max_wal_size": "32MB", "min_wal_size": "32MB",
                  "fsync": "off"}
    )  # fmt: skip
    source = server.create_database()
    source.run("create table one (id int primary key)")
    publish(source, "one")
    make_slot(source)
    for _ in range(4):
        source.run("select pg_switch_wal()", "create table x (); drop table x")
    source.run("checkpoint")
    with session(source) as connection:
        state = slots.read_slot(connection, SLOT, side="source")
    assert state is not None
    assert state.is_lost
    with pytest.raises(SlotLost, match="no longer keeps the changes"), streaming(source):
        pass


def test_a_slot_that_exists_is_refused(source: Database) -> None:
    with session(source) as connection, pytest.raises(WindlassError, match="is already on"):
        slots.create(address_of(source), connection, "windlass test", SLOT)


# publications


def test_a_publication_is_what_was_asked_for(source: Database) -> None:
    with session(source) as connection:
        (found,) = publications.read(connection, PUBLICATION, side="source")
        assert found.owner == "postgres"
        assert found.via_root
        assert not found.has_all_tables
        names = ["by_index", "felt", "one", "whole"]
        assert found.relations == tuple(Name("public", name) for name in names)
        publications.drop(connection, PUBLICATION, side="source")
        publications.drop(connection, PUBLICATION, side="source")
        assert publications.read(connection, "%", side="source") == []


def test_changes_of_partitions_come_as_those_of_their_root(source: Database) -> None:
    source.run(
        "create table parted (id int, k int, primary key (id, k)) partition by list (k)",
        "create table parted_1 partition of parted for values in (1)",
        "create table parted_2 (k int, id int, primary key (id, k))",
        "alter table parted attach partition parted_2 for values in (2)",
        "alter publication windlass_t_forward add table parted",
    )
    found = changes_of(
        source, "insert into parted values (7, 1), (8, 2)", "update parted set k = 2 where id = 7"
    )
    assert {one.relation.name for one in found if isinstance(one, Insert | Delete)} == {"parted"}
    assert [one[1] for one in found if isinstance(one, Insert)] == [
        (b"7", b"1"), (b"8", b"2"), (b"7", b"2")
    ]  # fmt: skip


def test_two_million_bytes_of_one_value_come_whole(source: Database) -> None:
    found = changes_of(source, "insert into one values (1, 'a', repeat('0123456789', 200000))")
    assert isinstance(found[0], Insert)
    assert found[0].new[2] == b"0123456789" * 200_000


def test_a_stream_is_closed_in_order(source: Database) -> None:
    """The slot is free at once, also where the server still had much to send."""
    source.run("insert into one select generate_series(1, 50000), 'x', repeat('y', 100)")
    for _ in range(3):
        with streaming(source) as stream:
            until(lambda: stream.read(1), "a frame")
    decoder = Decoder()
    with streaming(source) as stream:
        rows = 0
        while rows < 50_000:
            rows += sum(type(decoder.decode(one)) is Insert for one in stream.read(10))


def test_positions_of_a_slot_are_numbers(source: Database) -> None:
    with session(source) as connection:
        state = slots.read_slot(connection, SLOT, side="source")
        assert state is not None
        at = source.value("select (pg_current_wal_lsn() - '0/0')::bigint")
        assert 0 < Lsn(state.restart_lsn or 0) <= Lsn(state.confirmed_lsn or 0) <= at
        assert state.retained_bytes >= 0
        assert state.wal_status == "reserved"


@pytest.mark.parametrize(("setting", "spills"), [(None, False), ("64MB", True)])
def test_large_transactions_are_decoded_in_memory_unless_somebody_limits_it(
    logical: Make, setting: str | None, spills: bool
) -> None:
    source = logical(18)
    source.run(KINDS)
    publish(source, "one")
    make_slot(source)
    if setting:
        source.run(f"alter database {source.name} set logical_decoding_work_mem = '{setting}'")
    source.run("insert into one values (1, 'a', repeat('x', 80000000))")
    with session(source) as connection, streaming(source) as found:
        messages_until(found, Commit)
        query = (
            "select spill_txns from pg_stat_replication_slots"
            " where slot_name = %s and total_txns > 0"
        )
        until(lambda: connection.execute(query, [SLOT]).fetchone() is not None)
        row = connection.execute(query, [SLOT]).fetchone()
    assert row is not None
    assert bool(row[0]) is spills
