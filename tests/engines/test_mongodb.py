"""MongoDB as the source: documents become rows, and paths columns, by what all documents hold."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from command import DIFFERENT, DONE, REFUSED
from killing import kill
from mongo_server import MongoServer
from repairs import expect_repair, rows_of
from servers import PASSWORD
from servers import Database as Target
from translating import Move, Source
from windlass.engines.mongodb.colliding import Keyed, Part, collisions
from windlass.engines.mongodb.origin import MongoOrigin
from windlass.engines.mongodb.selecting import reader_of
from windlass.engines.registry import open_origin
from windlass.errors import BadSpec, ConnectionLost, WindlassError
from windlass.model.chunk import KeyRange, Whole
from windlass.model.relation import Name
from windlass.model.translation import (
    Answers,
    Digest,
    Field,
    Fit,
    Key,
    Reading,
    Sort,
    SourceTable,
    Type,
)

pytest.importorskip("bson")
if TYPE_CHECKING:
    from pymongo.database import Database

ITEMS = 6_000
TYPES = (
    "--type", "items.qty=integer", "--type", "Items.total=numeric(12,3)",
    "--type", "items.address.city=text", "--type", "items.seen=timestamptz",
)  # fmt: skip


@pytest.fixture
def shop(mongodb: MongoServer, database: Callable[[int], Target]) -> Iterator[Move]:
    made = fill(mongodb.database())
    yield Move(Source(mongodb.url(made.name), _no_sql, made.name), database(16))
    made.client.drop_database(made.name)


def _no_sql(*statements: str) -> None:
    raise AssertionError("MongoDB has no SQL")


def fill(made: Database[Any]) -> Database[Any]:
    moment = datetime.datetime(2026, 1, 1)
    made.items.insert_many(
        {
            "_id": at, "qty": at % 5, "total": at * 0.125, "note": f"note\t{at} é\\",
            "seen": moment + datetime.timedelta(minutes=at),
            "address": {"city": f"c{at % 7}"} if at % 3 else None, "tags": ["a", at],
        }
        for at in range(ITEMS)
    )  # fmt: skip
    made.items.create_index([("qty", 1), ("address.city", -1)], name="by_qty")
    return made


@pytest.fixture
def held(mongodb: MongoServer) -> Iterator[Callable[..., tuple[MongoOrigin, Database[Any]]]]:
    made: list[MongoOrigin] = []

    def hold() -> tuple[MongoOrigin, Database[Any]]:
        there = mongodb.database()
        made.append(MongoOrigin(mongodb.url(there.name)))
        made[-1].hold()
        return made[-1], there

    yield hold
    for one in made:
        one.close()


def fitted(
    origin: MongoOrigin, name: str, *, accepts: bool = False, **types: str
) -> tuple[SourceTable, Fit]:
    schema = origin.schemas({f"{name}.{path}": word for path, word in types.items()})
    table = next(one for one in schema.tables if one.name.name == name)
    return table, origin.fit(table, Answers(types, accepts))


def test_documents_and_their_paths_arrive_are_proven_and_undone(shop: Move) -> None:
    plan = shop.command("plan", *TYPES[:2]).expect(REFUSED)
    assert "note (string)" in plan.said and "address.city (string 4,000)" in plan.said
    assert "by_qty" in plan.said and "address.city: no column" in plan.said
    found = shop.command("migrate", *TYPES).expect(DONE).result
    assert (found["verified"], found["rows"]) == ("full", ITEMS)
    items, target = shop.table("items"), shop.target
    assert target.rows(
        f"select _id, qty, total, address_city, seen = '2026-01-01 00:07Z', doc->>'note',"
        f" doc #>> '{{tags,1,$numberInt}}' from {items} where _id = 7"
    ) == [(7, 2, pytest.approx(0.875), "c0", True, "note\t7 é\\", "7")]
    assert target.value(f"select count(*) from {items} where address_city is null") == ITEMS // 3
    indexed = f"select pg_get_indexdef('{shop.source.schema}.by_qty'::regclass)"
    assert "(qty, address_city DESC)" in target.value(indexed)
    target.run(
        f"update {items} set total = total + 0.001 where _id = 8",
        f"update {items} set doc = jsonb_set(doc, '{{note}}', '\"Note\"') where _id = 9",
        f"delete from {items} where _id = 10",
    )
    found = shop.command("verify", *TYPES).expect(DIFFERENT).result["differences"]
    assert {(one["kind"], *one["key"].values(), *one["columns"]) for one in found} == {
        ("count",), ("changed", "8", "total"), ("changed", "9", "doc"), ("missing", "10"),
    }  # fmt: skip
    run = shop.command("status").expect(DONE).result["runs"][0]["run"]
    shop.command("rollback", run, "--yes", "--force").expect(DONE)
    assert target.value("select count(*) from pg_class where relname = 'items'") == 0


def test_rows_that_differ_are_repaired_and_the_repair_is_undone(shop: Move) -> None:
    shop.command("migrate", *TYPES).expect(DONE)
    items = shop.table("items")
    images = [f"select * from {items} order by _id"]
    as_moved = rows_of(shop, images)
    shop.target.run(
        f"update {items} set total = total + 0.001, seen = null where _id in (8, {ITEMS - 1})",
        f"update {items} set doc = jsonb_set(doc, '{{note}}', '\"Note\"') where _id = 9",
        f"delete from {items} where _id = 10",
        f"insert into {items} (_id, doc) values ({ITEMS}, '{{}}')",
    )
    expect_repair(shop, images, as_moved, *TYPES)


@pytest.mark.parametrize(
    "place",
    [
        "call windlass.flows.translate.rows._copied 3",
        "call windlass.flows.translate.proof.find_differences",
    ],
)
def test_killed_the_same_command_ends_it(shop: Move, place: str) -> None:
    words = ("migrate", *TYPES, "--chunk-size", "256kB")
    kill(place, words, shop.env)
    found = shop.command(*words).expect(DONE).result
    assert found["resumed"] and found["verified"] == "full" and found["rows"] == ITEMS


def test_ids_of_every_type_are_in_exactly_one_chunk(
    held: Callable[..., tuple[MongoOrigin, Database[Any]]],
) -> None:
    from bson.binary import Binary
    from bson.decimal128 import Decimal128
    from bson.int64 import Int64
    from bson.max_key import MaxKey
    from bson.min_key import MinKey
    from bson.objectid import ObjectId

    origin, there = held()
    ids: list[Any] = [MinKey(), None, MaxKey(), True, False, b"x", "", {"b": 1, "a": 2}]
    ids += [{"a": 2, "b": 1}, {}, Binary(UUID(int=5).bytes, 4), Decimal128("2.25"), float("nan")]
    ids += [*range(50), *(Int64(2**40 + at) for at in range(50)), *(at + 0.5 for at in range(50))]
    ids += [f"k{at}" for at in range(50)] + [ObjectId() for _ in range(50)]
    ids += [datetime.datetime(2020, 1, 1 + at) for at in range(20)]
    there.mixed.insert_many({"_id": one} for one in ids)
    table, fit = fitted(origin, "mixed")
    assert not fit.problems and fit.rows == len(ids)
    assert fit.fields[0].type.sort is Sort.TEXT
    reading = Reading(table.name, fit.fields, ("_id",))
    ranges = origin.cut(table, 12)
    assert len(ranges) > 8 and all(isinstance(one, KeyRange) for one in ranges)
    lines = [line for one in ranges for line in b"".join(origin.lines(reading, one)).splitlines()]
    assert len(lines) == len(set(lines)) == len(ids)
    assert lines.count(rb'null	{"_id": null}') == 1
    parts = sum((origin.digest(reading, one) for one in ranges), Digest())
    assert parts == origin.digest(reading, Whole())


@pytest.mark.parametrize(
    ("ids", "sort"),
    [
        ([1, 2.0, 3], Sort.INTEGER),
        ([1, 2.5], Sort.DECIMAL),
        (["a", "b"], Sort.TEXT),
        ([UUID(int=1), UUID(int=2)], Sort.UUID),
        ([datetime.datetime(2020, 1, 1)], Sort.INSTANT),
        ([None], Sort.TEXT),
        ([], Sort.TEXT),
    ],
)
def test_the_key_s_type_is_that_of_all_keys(
    held: Callable[..., tuple[MongoOrigin, Database[Any]]], ids: list[Any], sort: Sort
) -> None:
    from bson.binary import Binary

    origin, there = held()
    there.create_collection("t")
    for one in ids:
        there.t.insert_one({"_id": Binary(one.bytes, 4) if isinstance(one, UUID) else one})
    _, fit = fitted(origin, "t")
    assert fit.fields[0].type.sort is sort and not fit.problems


def test_keys_that_only_mongodb_tells_apart_are_counted(
    held: Callable[..., tuple[MongoOrigin, Database[Any]]],
) -> None:
    from bson.objectid import ObjectId

    origin, there = held()
    one, other = ObjectId(), ObjectId()
    there.mixed.insert_many({"_id": at} for at in (1, "1", 2, "3"))
    there.texts.create_index([("who", 1), ("n", 1)], unique=True, name="by_who")
    there.texts.insert_many(
        [
            {"who": one, "n": 1},
            {"who": str(one), "n": 1},
            {"who": other, "n": 1},
            {"who": str(other), "n": 2},
            {"who": str(other)},
            {"who": other},
        ]
    )
    assert not fitted(origin, "mixed")[1].problems
    (problem,) = fitted(origin, "mixed", _id="text")[1].problems
    assert problem.message.startswith(
        "1 document with a key that differs from another's in MongoDB, and is the same as text"
    )
    assert not fitted(origin, "texts")[1].problems
    (problem,) = fitted(origin, "texts", who="text", n="integer")[1].problems
    assert "1 document with a key in unique index by_who that differs from" in problem.message
    assert not fitted(origin, "texts", who="jsonb", n="integer")[1].problems


def test_a_double_and_a_decimal_become_one_number() -> None:
    """MongoDB tells them apart; the server that the tests run on does not."""
    from bson import encode
    from bson.decimal128 import Decimal128

    number = Field("_id", Type(Sort.DECIMAL), "_id")
    table = SourceTable(Name("shop", "t"), (), Key("", ("_id",)))

    def found(*ids: object) -> list[str]:
        part = Part(number, reader_of(number, None, None), {1, 0x13})  # double and decimal
        documents = [encode({"_id": one}) for one in ids]
        key = Keyed("key", [part])
        problems = collisions(table, [key], lambda: iter(documents), lambda _: "this one")
        return [one.message.partition(" with")[0] for one in problems]

    assert found(0.1, Decimal128("0.10"), 1.5) == ["1 document"]
    assert found(300.0, Decimal128("3E2"), 0.0, Decimal128("-0"), 7.0) == ["2 documents"]
    long = "1.000000000000000000000000000000001"
    assert found(0.1, Decimal128("0.11"), 1.0, Decimal128(long)) == []


def test_all_that_is_wrong_is_said_at_once_with_counts_and_the_first_key(
    held: Callable[..., tuple[MongoOrigin, Database[Any]]],
) -> None:
    origin, there = held()
    there.bad.insert_many(
        [
            {"_id": 1, "n": 1, "s": "x"},
            {"_id": 2, "n": 2.5, "s": "a\0b"},
            {"_id": 3, "n": "3", "s": None},
            {"_id": 4, "s": {"$oid": "no"}},
            {"_id": "k" * 3000, "n": [1]},
        ]
    )
    _, fit = fitted(origin, "bad", n="integer", s="jsonb", late="time")
    said = [f"{one.object}: {one.message}" for one in fit.problems]
    name = there.name
    assert said == [
        f"{name}.bad.late: no value can become time",
        f"{name}.bad: 1 document that jsonb cannot hold: a text with U+0000 (first: _id ="
        ' {"$numberInt": "2"})',
        f"{name}.bad: 1 _id of more than 2,700 bytes, which no index of PostgreSQL holds (first:"
        f' _id = "{"k" * 79})',
        f"{name}.bad: 1 document with an object whose keys are those of Extended JSON's types, such"
        ' as $oid (first: _id = {"$numberInt": "4"})',
        f"{name}.bad.n: 3 values do not fit integer of 32 bits: 1 double, 1 string, 1 array (first:"
        ' _id = {"$numberInt": "2"})',
        f'{name}.bad.s: 1 value with a text with U+0000 (first: _id = {{"$numberInt": "2"}})',
    ]
    _, fit = fitted(origin, "bad", accepts=True, s="jsonb")
    assert any("$oid" in one.message for one in fit.losses)
    assert any("NULL in 1 document without it, and in 1 where" in one.message for one in fit.losses)


def test_what_collections_do_beside_is_named(
    held: Callable[..., tuple[MongoOrigin, Database[Any]]],
) -> None:
    origin, there = held()
    there.create_collection("capped", capped=True, size=100_000)
    there.create_collection("times", timeseries={"timeField": "t"})
    there.create_collection("ruled")
    there.command("collMod", "ruled", validator={"a": {"$gt": 1}})
    there.create_collection("seen", viewOn="ruled", pipeline=[])
    there.ruled.create_index([("a", 1)], unique=True, name="one_a")
    there.ruled.create_index([("b", 1)], name="old", expireAfterSeconds=10)
    there.ruled.create_index([("c", 1)], name="some", partialFilterExpression={"c": {"$gt": 1}})
    schema = origin.schemas({"ruled.a": "integer", "ruled.b": "timestamptz", "ruled.c": "text"})
    assert [(kind, name.name) for kind, name in schema.others] == [("view", "seen")]
    tables = {one.name.name: one for one in schema.tables}
    assert set(tables) == {"capped", "times", "ruled"} and tables["times"].primary_key is None
    made = {one.name: one for one in tables["ruled"].indexes}
    assert made["one_a"].is_unique and not made["one_a"].kind and not made["old"].kind
    assert made["some"].kind == "with partialFilterExpression"
    losses = [
        one.message for table in tables.values() for one in origin.fit(table, Answers()).losses
    ]
    for word in ("capped", "time-series", "validation", "one_a is unique", "old lets documents"):
        assert any(word in one for one in losses), word


def test_every_read_names_the_moment_of_the_snapshot(
    mongodb: MongoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tests' server takes the time and reads what is there: so what is asked of it counts."""
    from pymongo import monitoring

    asked: list[dict[str, Any]] = []

    class Listener(monitoring.CommandListener):
        def started(self, event: monitoring.CommandStartedEvent) -> None:
            asked.append({"name": event.command_name, **event.command})

        def succeeded(self, event: monitoring.CommandSucceededEvent) -> None: ...

        def failed(self, event: monitoring.CommandFailedEvent) -> None: ...

    there = mongodb.database()
    there.t.insert_many({"_id": at} for at in range(2_000))
    monkeypatch.setattr(monitoring, "_LISTENERS", monitoring._Listeners([], [], [], [], []))
    monitoring.register(Listener())
    with MongoOrigin(mongodb.url(there.name)) as origin:
        snapshot = origin.hold()
        table, fit = fitted(origin, "t")
        reading = Reading(table.name, fit.fields, ("_id",))
        for one in origin.cut(table, 3):
            list(origin.lines(reading, one))
        origin.digest(reading, Whole())
        origin.check()
        assert "as of one moment" in " ".join(origin.notices())
    reads = [
        one
        for one in asked
        if one["name"] in ("find", "aggregate") and "$collStats" not in str(one)
    ]
    times = {str(one["readConcern"].get("atClusterTime")) for one in reads[1:]}
    assert len(times) == 1 and len(reads) >= 7
    time = reads[1]["readConcern"]["atClusterTime"]
    assert snapshot.id.startswith(f"{time.time}.{time.inc}")
    assert all(one["readConcern"]["level"] == "snapshot" for one in reads)


def test_without_a_snapshot_a_sentence_says_so(mongodb: MongoServer) -> None:
    alone = MongoServer("")
    try:
        alone.start().database("shop").t.insert_one({"_id": 1})
        with MongoOrigin(alone.url("shop")) as origin:
            origin.hold()
            table, fit = fitted(origin, "t")
            assert "not read as of one moment, as the server is no replica set" in str(
                origin.notices()
            )
            reading = Reading(table.name, fit.fields, ("_id",))
            assert origin.digest(reading, Whole()).rows == 1
    finally:
        alone.remove()
    with MongoOrigin(mongodb.url("shop", query="?snapshot=false")) as origin:
        origin.hold()
        assert "?snapshot=false was given" in str(origin.notices())


def _structure(url: str) -> None:
    with open_origin(url) as origin:
        origin.hold()
        origin.schemas()


def test_who_may_not_read_is_told_why_without_a_password() -> None:
    server = MongoServer()
    try:
        there = server.start().database("shop")
        there.t.insert_one({"_id": 1})
        for name, roles in (("app", [{"role": "read", "db": "shop"}]), ("nobody", [])):
            there.command("createUser", name, pwd=PASSWORD, roles=roles)
        server.stop()
        server.needs_login = True
        server.start()
        with MongoOrigin(server.url("shop", "app")) as origin:
            origin.hold()
            assert [one.name.name for one in origin.schemas().tables] == ["t"]
        for user, secret, said in (
            ("app", "wrong-pass", "check user and password"),
            ("nobody", PASSWORD, "role `read`"),
        ):
            with pytest.raises(WindlassError) as raised:
                _structure(server.url("shop", user, secret))
            assert said in raised.value.hint
            assert secret not in f"{raised.value} {raised.value.hint}"
        server.stop()
        url = server.url("shop", "app", query="?serverSelectionTimeoutMS=200")
        with open_origin(url) as dead, pytest.raises(ConnectionLost) as raised:
            dead.hold()
        assert "server is up" in raised.value.hint and PASSWORD not in str(raised.value)
    finally:
        server.remove()


@pytest.mark.parametrize(
    "url",
    [
        "mongodb://app:p@ss@h/shop", "mongodb://h", "mongodb://h/", "mongodb://h/a.b",
        "mongodb://h/shop?x", "mongodb://h/shop?snapshot=maybe", "mongodb://app:a/b@h/shop",
    ],
)  # fmt: skip
def test_urls_that_cannot_be_understood_are_refused_without_being_shown(url: str) -> None:
    with pytest.raises(BadSpec) as raised:
        open_origin(url)
    assert "p@ss" not in str(raised.value) and "a/b" not in str(raised.value)


def test_options_that_the_driver_does_not_know_are_refused() -> None:
    origin = open_origin("mongodb://app:secret-word@127.0.0.1:1/shop?nosuch=1")
    with pytest.raises(WindlassError, match="options") as raised, suppress(ConnectionLost):
        origin.hold()
    assert "secret-word" not in f"{raised.value}{raised.value.__cause__}"
