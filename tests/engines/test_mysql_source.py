"""MySQL and MariaDB as the source of a migration: one snapshot, structure, rights, faults."""

from __future__ import annotations

import signal
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from arriving import arrive, reading_of
from mariadb_server import MariaServer
from servers import PASSWORD, Database
from windlass.engines.mysql.address import read_address
from windlass.engines.mysql.catalog import mariadb_default, mysql_default
from windlass.engines.mysql.origin import MysqlOrigin
from windlass.engines.mysql.session import Session
from windlass.engines.registry import open_origin
from windlass.errors import BadSpec, ConnectionLost, Interrupted, SnapshotLost, WindlassError
from windlass.model.chunk import KeyRange, Whole
from windlass.model.relation import Name
from windlass.model.report import LossClass
from windlass.model.translation import (
    Answers,
    Check,
    Digest,
    Fit,
    ForeignKey,
    Index,
    IndexPart,
    Key,
    Reading,
    SourceTable,
)

SHOP = (
    "create table customer (id int auto_increment primary key, email varchar(80) not null"
    " default 'it''s \\\\ no', born date default '2000-01-01', seen timestamp(3) not null default"
    " current_timestamp(3) on update current_timestamp(3), size decimal(5,1) default 1.5,"
    " shout varchar(80) as (upper(email)) stored, low varchar(80) as (lower(email)) virtual,"
    " flag bit(3) default b'101', code char(4) character set latin1 comment 'of the shop',"
    " unique key (email), key by_start (code, email(10) ), fulltext key words (email),"
    " constraint sized check (size > 0)) auto_increment = 70 comment 'who buys'",
    "create table orders (shop smallint, number bigint unsigned, customer int, note json,"
    " place point not null, primary key (shop, number), spatial key near (place),"
    " constraint buyer foreign key (customer) references customer (id) on delete cascade"
    " on update set null)",
    "create table log (line text) engine = myisam",
    "create view buyers as select id, email from customer",
    "create trigger seen_it before insert on log for each row set new.line = 'x'",
    "create procedure tidy() select 1",
    "create sequence numbers",
)


def fitted(origin: MysqlOrigin, name: str) -> tuple[SourceTable, Fit, Reading]:
    table = table_of(origin, name)
    fit = origin.fit(table, Answers())
    return table, fit, reading_of(table, fit)


def table_of(origin: MysqlOrigin, name: str) -> SourceTable:
    return next(one for one in origin.schemas().tables if one.name.name == name)


@pytest.fixture
def held(
    mariadb: MariaServer, maria_database: Callable[..., str]
) -> Iterator[Callable[..., tuple[MysqlOrigin, str]]]:
    """Origins of new databases, with their snapshots."""
    made: list[MysqlOrigin] = []

    def hold(*statements: str, user: str = "app") -> tuple[MysqlOrigin, str]:
        name = maria_database(*statements)
        if user != "app":
            mariadb.grant(user, name, ["select"])
        made.append(MysqlOrigin(mariadb.url(name, user)))
        made[-1].hold()
        return made[-1], name

    yield hold
    for one in made:
        one.__exit__()


def test_the_structure_is_that_of_the_catalog(held: Callable[..., tuple[MysqlOrigin, str]]) -> None:
    origin, name = held(*SHOP)
    customer, orders = table_of(origin, "customer"), table_of(origin, "orders")
    columns = {one.name: one for one in customer.columns}
    assert columns["id"].counts_up and customer.next_number == 70
    assert columns["email"].default == "'it''s \\\\ no'"
    assert (columns["email"].not_null, columns["email"].collation) == (True, "utf8mb4_general_ci")
    assert (columns["born"].default, columns["size"].default) == ("'2000-01-01'", "1.5")
    assert columns["flag"].default == "b'101'"
    seen = columns["seen"]
    assert (seen.default, seen.on_update) == ("current_timestamp(3)", "current_timestamp(3)")
    assert (columns["shout"].generated, columns["shout"].is_stored) == ("ucase(`email`)", True)
    assert (columns["low"].generated, columns["low"].is_stored) == ("lcase(`email`)", False)
    assert (columns["code"].comment, customer.comment) == ("of the shop", "who buys")
    assert (customer.primary_key, customer.uniques) == (
        Key("PRIMARY", ("id",)),
        (Key("email", ("email",)),),
    )
    assert customer.checks == (Check("sized", "`size` > 0"),)
    assert customer.indexes == (
        Index("by_start", (IndexPart("code"), IndexPart("email", prefix=10))),
        Index("words", (IndexPart("email"),), kind="full-text"),
    )
    assert {one.name: one.type for one in orders.columns}["note"] == "json"
    assert orders.foreign_keys == (
        ForeignKey("buyer", ("customer",), Name(name, "customer"), ("id",), "SET NULL", "CASCADE"),
    )
    assert Index("near", (IndexPart("place"),), kind="spatial") in orders.indexes
    assert (orders.checks, orders.pages_by) == ((), ("shop",))
    schema = origin.schemas()
    assert [(one.name.name, one.columns) for one in schema.views] == [("buyers", ("id", "email"))]
    kinds = {(kind, one.name) for kind, one in schema.others}
    assert kinds == {("trigger", "seen_it"), ("procedure", "tidy"), ("sequence", "numbers")}
    assert any("log (MyISAM)" in one for one in origin.notices())


@pytest.mark.parametrize(
    ("default", "type_", "extra", "expression"),
    [
        ("a'b", "varchar(9)", "", "'a''b'"),
        ("1.5", "decimal(4,1)", "", "1.5"),
        ("CURRENT_TIMESTAMP(3)", "datetime(3)", "", "CURRENT_TIMESTAMP(3)"),
        ("uuid()", "varchar(36)", "default_generated", "uuid()"),
        ("concat(_utf8mb4\\'a\\',1)", "varchar(9)", "default_generated", "concat('a',1)"),
        ("b'1'", "bit(1)", "", "b'1'"),
        (None, "int", "", ""),
    ],
)
def test_defaults_of_mysql_become_expressions(
    default: str | None, type_: str, extra: str, expression: str
) -> None:
    assert mysql_default(default, type_, extra) == expression
    assert mariadb_default("NULL", type_, extra) == ""


def test_all_sessions_read_one_moment(
    mariadb: MariaServer, held: Callable[..., tuple[MysqlOrigin, str]]
) -> None:
    origin, name = held("create table t (id int primary key)", "insert into t values (1), (2)")
    mariadb.run(name, "insert into t values (3)", "delete from t where id = 1")
    _, _, reading = fitted(origin, "t")
    streams = [origin.lines(reading, Whole()) for _ in range(4)]  # each has a session
    assert [next(one) for one in streams] == [b"1\n2\n"] * 4
    with closing(mariadb.admin(name)) as other:
        other.run("set session lock_wait_timeout = 1")
        with pytest.raises(ConnectionLost):  # it waits
            other.run("truncate t")


def test_without_the_right_to_lock_one_session_reads(
    held: Callable[..., tuple[MysqlOrigin, str]],
) -> None:
    origin, _ = held("create table t (id int primary key)", user="reader")
    assert "the user may neither LOCK TABLES nor RELOAD" in origin.notices()[0]
    origin.check()


def test_a_writer_that_does_not_end_leaves_one_session(
    mariadb: MariaServer, maria_database: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("windlass.engines.mysql.sessions.LOCK_SECONDS", 1)
    name = maria_database("create table t (id int primary key)")
    with closing(mariadb.admin(name)) as writer, MysqlOrigin(mariadb.url(name)) as origin:
        writer.run("begin")
        writer.run("insert into t values (1)")
        origin.hold()
        assert "others kept tables locked" in origin.notices()[0]
        writer.run("commit")
        assert list(origin.lines(fitted(origin, "t")[2], Whole())) == []


def test_rows_that_refer_to_a_key_in_another_way_are_named(
    held: Callable[..., tuple[MysqlOrigin, str]],
) -> None:
    origin, _ = held(
        "create table p (code varchar(9) primary key)",
        "create table c (id int primary key, code varchar(9), constraint fk foreign key (code)"
        " references p (code))",
        "insert into p values ('a'), ('b'), ('é')",
        "insert into c values (1, 'a'), (2, 'A'), (3, 'e'), (4, 'b '), (5, null)",
        "set foreign_key_checks = 0",
        "insert into c values (6, 'zz')",
    )
    fit = fitted(origin, "c")[1]
    (loss,) = fit.losses
    assert fit.orphaned == ("fk",) and loss.kind is LossClass.CONSTRAINTS
    assert loss.message.startswith("4 rows refer to no row of p (code)")
    assert "3 of them differ from a key by case, accents or trailing blanks" in loss.message
    assert "first: A" in loss.message


def test_keys_of_another_case_are_counted_however_the_server_looks_them_up(
    held: Callable[..., tuple[MysqlOrigin, str]],
) -> None:
    origin, _ = held(
        "create table p (k varchar(20) collate utf8mb4_general_ci primary key)",
        "create table c (id int primary key, k varchar(20) collate utf8mb4_general_ci,"
        " constraint fk foreign key (k) references p (k))",
        "insert into p values ('alpha'), ('omega')",
        "insert into c values (1, 'alpha'), (2, 'ALPHA'), (3, 'omega '), (4, null)",
    )
    (loss,) = fitted(origin, "c")[1].losses
    assert loss.message.startswith("2 rows refer to no row of p (k)")
    assert "2 of them differ from a key by case" in loss.message


def test_keys_that_only_the_source_tells_apart_are_counted(
    held: Callable[..., tuple[MysqlOrigin, str]],
) -> None:
    origin, _ = held(
        "create table nul (k varchar(9) unique, big longtext)",
        f"insert into nul values ('a', repeat('x', {5 << 20} div 2)), ('b', ''), (null, '')",
        "insert into nul values ('a\\0', ''), ('\\0', '')",
        "create table half (k varchar(9) collate utf8mb4_bin primary key)",
        "insert into half values (_utf8mb4 x'61eda080'), (_utf8mb4 x'61eda081'), ('a')",
        "create table words (u char(36) collate utf8mb4_bin unique)",
        "insert into words values ('123e4567-e89b-12d3-a456-42665544000a'),"
        " ('123E4567-e89b-12d3-a456-42665544000A')",
    )
    tables = {one.name.name: one for one in origin.schemas().tables}
    accepted = Answers(accepts_values=True)
    same = "2 rows have keys that differ only on the source"
    for name, answers, key in (
        ("nul", accepted, "k (k)"),
        ("half", accepted, "PRIMARY (k)"),
        ("words", Answers({"u": "uuid"}), "u (u)"),
    ):
        (problem,) = origin.fit(tables[name], answers).problems
        assert problem.message.startswith(f"key {key}: {same}"), name
    assert not origin.fit(tables["words"], Answers()).problems


def test_what_the_server_warns_of_values_is_in_no_log(
    held: Callable[..., tuple[MysqlOrigin, str]], caplog: pytest.LogCaptureFixture
) -> None:
    origin, _ = held(
        "create table t (id int primary key, word varchar(9), number varchar(9))",
        "insert into t values (1, _utf8mb4 x'61eda080', 'twelve')",
    )
    origin.fit(table_of(origin, "t"), Answers({"number": "uuid"}))
    assert [one for one in caplog.records if one.name.startswith("asyncmy")] == []


def test_a_column_that_refers_to_a_number_that_counts_up_has_its_type(
    held: Callable[..., tuple[MysqlOrigin, str]],
) -> None:
    origin, _ = held(
        "create table p (id bigint unsigned auto_increment primary key)",
        "create table c (p bigint unsigned, other bigint unsigned,"
        " foreign key (p) references p (id))",
    )
    types = [one.type.described for one in fitted(origin, "c")[1].fields]
    assert types == ["integer of 64 bits", "decimal(20,0)"]


def test_ranges_have_each_row_once(
    held: Callable[..., tuple[MysqlOrigin, str]], database: Callable[[int], Database]
) -> None:
    origin, _ = held(
        "create table t (id bigint, part int, primary key (id, part))",
        "insert into t select if(seq < 900, seq, cast(seq as signed) * -1000000000000),"
        " seq % 3 from seq_1_to_1000",
    )
    table, fit, reading = fitted(origin, "t")
    ranges = origin.cut(table, 5)
    assert 4 <= len(ranges) <= 6  # the server counts at least one row where there is none
    assert all(isinstance(one, KeyRange) and one.key == ("id",) for one in ranges)
    arrived = arrive(origin, table, fit, database(18), ranges)
    digest = sum((origin.digest(reading, one) for one in ranges), Digest())
    assert digest == arrived.digest() == origin.digest(reading, Whole())
    assert digest.rows == 1000


def test_a_planted_difference_is_found_by_its_bucket(
    held: Callable[..., tuple[MysqlOrigin, str]],
) -> None:
    origin, _ = held(
        "create table t (id int primary key, v varchar(9))",
        "create table u (id int primary key, v varchar(9))",
        "insert into t select seq, seq from seq_1_to_200",
        "insert into u select seq, if(seq = 77, 'x', seq) from seq_1_to_200",
    )
    ours, theirs = (fitted(origin, name)[2] for name in "tu")
    left, right = origin.buckets(ours), origin.buckets(theirs)
    differing = [one for one in left if left[one] != right[one]]
    found = set(origin.rows(ours, differing)) ^ set(origin.rows(theirs, differing))
    assert {(one.key, one.texts[1]) for one in found} == {(("77",), "2:77"), (("77",), "1:x")}


def test_values_that_the_server_cannot_put_together_arrive(
    held: Callable[..., tuple[MysqlOrigin, str]], database: Callable[[int], Database]
) -> None:
    """The server's texts have at most max_allowed_packet bytes, 4 MB here."""
    origin, _ = held(
        "create table t (id int primary key, b longblob, x longtext character set latin1, n int)",
        "insert into t values (1, repeat('ab', 1000000), repeat('é\\\\', 700000), 7)",
        "update t set b = concat(b, b, '\\0'), x = concat(x, x) where id = 1",
        "insert into t values (2, null, null, null), (3, '', '', 0)",
    )
    table, fit, reading = fitted(origin, "t")
    assert [one.form for one in fit.fields if one.form.endswith(" long")]
    arrived = arrive(origin, table, fit, database(18))
    assert arrived.rows("id, length(b), length(x), n") == [
        (1, 4000001, 2800000, 7),
        (2, None, None, None),
        (3, 0, 0, 0),
    ]
    assert origin.digest(reading, Whole()) == arrived.digest()


def test_a_text_that_is_too_long_for_the_server_is_no_null(
    held: Callable[..., tuple[MysqlOrigin, str]],
) -> None:
    origin, _ = held(
        "create table t (id int primary key, b longblob)",
        "insert into t values (1, repeat('ab', 1500000))",
    )
    table, fit, _ = fitted(origin, "t")
    short = tuple(type(one)(one.name, one.type, one.form.split()[0]) for one in fit.fields)
    reading = Reading(table.name, short, ("id",))
    with pytest.raises(WindlassError, match="could not build the text of a row"):
        list(origin.lines(reading, Whole()))
    with pytest.raises(WindlassError, match="could not build the text of a row"):
        origin.digest(reading, Whole())
    with pytest.raises(WindlassError, match="could not build the text of a row"):
        origin.buckets(reading)


def test_reading_stops_when_asked(held: Callable[..., tuple[MysqlOrigin, str]]) -> None:
    origin, _ = held(
        "create table t (id int primary key, v text)",
        "insert into t select seq, repeat('x', 2000) from seq_1_to_3000",
    )
    lines = origin.lines(fitted(origin, "t")[2], Whole())
    assert next(lines)
    thread = threading.Thread(target=origin.cancel)
    thread.start()
    thread.join()
    with pytest.raises(Interrupted):
        list(lines)
    with pytest.raises(Interrupted):
        origin.cut(table_of(origin, "t"), 2) if origin.schemas() else None


def test_lines_that_are_not_read_to_the_end_leave_the_session(
    held: Callable[..., tuple[MysqlOrigin, str]],
) -> None:
    origin, _ = held(
        "create table t (id int primary key, v text)",
        "insert into t select seq, repeat('x', 2000) from seq_1_to_3000",
    )
    reading = fitted(origin, "t")[2]
    for _ in range(5):
        lines = origin.lines(reading, Whole())
        assert next(lines)
        lines.close()  # type: ignore[attr-defined]
    assert origin.digest(reading, Whole()).rows == 3000


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://app:{0}@127.0.0.1:{1}/mysql", "Access denied"),
        ("mysql://app:wrong@127.0.0.1:{1}/{2}", "check user and password in the URL"),
        ("mysql://app:{0}@127.0.0.1:{1}/nowhere", "Access denied for user 'app'"),
        ("mysql://app:{0}@127.0.0.1:1/{2}", "check that the server is up"),
        ("mysql://app:{0}@127.0.0.1:{1}/{2}?socket=/nowhere", "No such file"),
    ],
)
def test_what_cannot_be_connected_to_is_explained(
    url: str, message: str, mariadb: MariaServer, maria_database: Callable[..., str]
) -> None:
    from servers import QUOTED_PASSWORD

    name = maria_database()
    origin = open_origin(url.format(QUOTED_PASSWORD, mariadb.port, name))
    with pytest.raises(WindlassError) as caught:
        origin.hold()
    said = f"{caught.value} {caught.value.hint}"
    assert message in said
    assert PASSWORD not in said
    assert caught.value.retryable is (":1/" in url or "socket" in url)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://host", "names no database"),
        ("mariadb://host/a/b", "names no database"),
        ("mysql://host:port/a", "cannot be read"),
        ("mysql://host/a?color=red", "unknown option color"),
        ("mysql://host/a?ssl=maybe", "ssl is one of"),
        ("mysql://host/a?connect_timeout=0", "connect-timeout"),
    ],
)
def test_a_url_that_cannot_be_understood_is_refused(url: str, message: str) -> None:
    with pytest.raises(BadSpec, match=message):
        open_origin(url)


def test_passwords_are_in_no_text_of_an_address() -> None:
    address = read_address("mysql://a%40b:p%2Fw@db.example.com:3307/shop?ssl=verify-ca")
    assert (address.user, address.password, address.port) == ("a@b", b"p/w", 3307)
    assert "p/w" not in f"{address!r} {address.place}"


def test_a_session_that_is_killed_is_lost_and_the_others_go_on(
    mariadb: MariaServer, held: Callable[..., tuple[MysqlOrigin, str]]
) -> None:
    origin, name = held("create table t (id int primary key)", "insert into t values (1)")
    reading = fitted(origin, "t")[2]
    numbers = mariadb.run(name, f"select id from information_schema.processlist where db = '{name}'"
                          " and user = 'app' order by id")  # fmt: skip
    mariadb.run("mysql", f"kill {int(numbers[0][0] or 0)}")
    for _ in range(2):
        try:
            assert origin.digest(reading, Whole()).rows == 1
        except ConnectionLost:
            continue
    with pytest.raises(SnapshotLost):
        origin.check()


def test_a_server_that_dies_is_lost(own_mariadb: MariaServer) -> None:
    name = own_mariadb.create_database("create table t (id int primary key)")
    with MysqlOrigin(own_mariadb.url(name)) as origin:
        origin.hold()
        reading = fitted(origin, "t")[2]
        own_mariadb.stop(signal.SIGKILL)
        with pytest.raises(ConnectionLost) as caught:
            origin.digest(reading, Whole())
        assert caught.value.retryable
        with pytest.raises(SnapshotLost):
            origin.check()


def test_a_session_writes_nothing(mariadb: MariaServer, maria_database: Callable[..., str]) -> None:
    name = maria_database("create table t (id int primary key)")
    mariadb.run("mysql", f"grant all on {name}.* to app@'127.0.0.1'")
    with MysqlOrigin(mariadb.url(name)) as origin:
        origin.hold()
        with origin._sessions.one() as session, pytest.raises(WindlassError, match="READ ONLY"):
            session.run("insert into t values (1)")


def test_what_the_session_needs_does_not_hang_on_the_servers_settings(
    mariadb: MariaServer, maria_database: Callable[..., str]
) -> None:
    name = maria_database()
    with closing(Session(read_address(mariadb.url(name)))) as session:
        row = session.one("select @@time_zone, @@sql_mode, @@wait_timeout, @@max_statement_time")
    assert row == (b"+00:00", b"NO_BACKSLASH_ESCAPES", b"31536000", b"0.000000")


def test_a_source_is_held_again_after_it_was_closed(
    mariadb: MariaServer, held: Callable[..., tuple[MysqlOrigin, str]]
) -> None:
    origin, name = held("create table t (id int primary key)")
    assert len(origin.schemas().tables) == 1
    mariadb.run(name, "insert into t values (1)", "create table u (id int primary key)")
    origin.close()
    origin.hold(2)
    assert len(origin.schemas().tables) == 2
    assert origin.digest(fitted(origin, "t")[2], Whole()).rows == 1


def test_what_the_server_sends_waits_for_a_slower_reader(
    held: Callable[..., tuple[MysqlOrigin, str]],
) -> None:
    origin, _ = held(
        "create table t (id int primary key, x varchar(400))",
        "insert into t with recursive n (i) as (select 1 union all select i + 1 from n"
        " where i < 999) select a.i * 1000 + b.i, repeat('x', 400) from n as a, n as b"
        " where a.i < 240",
    )
    reading = fitted(origin, "t")[2]
    size = most = 0
    tracemalloc.start()
    try:
        for block in origin.lines(reading, Whole()):
            size += len(block)
            time.sleep(0.005)  # a server that takes rows more slowly than they come
            most = max(most, tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert size > 90_000_000 and most < 8_000_000, f"{most >> 20} MB of {size >> 20}"
