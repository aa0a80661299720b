"""Tables of DuckDB, of ODBC databases and of MongoDB that get other names, rows and columns, on the
way into PostgreSQL."""

from __future__ import annotations

import hashlib
import hmac
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from command import DIFFERENT, DONE, REFUSED, Ran, windlass
from killing import kill
from mariadb_server import MariaServer
from mongo_server import MongoServer
from odbc_urls import driver, of_mariadb
from servers import PASSWORD, Database
from translating import Move, Source, mariadb_shop

pytest.importorskip("duckdb")
KEY = "correct horse battery staple"
ENV = {"WINDLASS_HASH_KEY": KEY}
ITEMS, CUSTOMERS = 3000, 300
ACCEPTED = ("--accept", "constraints", "--accept", "behaviour", "--accept", "objects")
DUCKDB = (
    "create table Customers (Id integer primary key, Name varchar not null, Email varchar unique,"
    " Score double default 1.5, Created timestamp default current_timestamp)",
    "create table Items (Id integer primary key, Customer integer not null references"
    " Customers (Id), Qty integer not null default 3, Note varchar, Total double,"
    " unique (Customer, Note))",
    f"insert into Customers select i, 'n' || i, case when i % 3 > 0 then 'e' || i || '@x' end,"
    f" i * 0.25, '2026-01-01' from range(1, {CUSTOMERS + 1}) t (i)",
    f"insert into Items select i, i % {CUSTOMERS} + 1, i % 5 + 1, 'note ' || i, i * 0.125"
    f" from range(1, {ITEMS + 1}) t (i)",
)
Write = Callable[..., str]


def duckdb_shop(path: Path, *statements: str) -> Source:
    import duckdb

    def run(*some: str) -> None:
        with duckdb.connect(str(path)) as session:
            for one in some:
                session.execute(one)

    run(*(statements or DUCKDB))
    return Source(f"duckdb://{path}", run, "public")


def odbc_shop(server: MariaServer, name: str) -> Source:
    made = mariadb_shop(server, name, items=ITEMS)
    return Source(of_mariadb(server, name), made.run, name)


@pytest.fixture(params=("duckdb", "odbc"))
def shop(
    request: pytest.FixtureRequest, tmp_path: Path, database: Callable[[int], Database]
) -> Move:
    if request.param == "duckdb":
        return Move(duckdb_shop(tmp_path / "shop.duckdb"), database(16))
    server: MariaServer = request.getfixturevalue("mariadb")
    return Move(odbc_shop(server, request.getfixturevalue("maria_database")()), database(16))


@pytest.fixture
def spec(tmp_path: Path) -> Write:
    def write(mapping: dict[str, Any], **more: Any) -> str:
        path = tmp_path / "migrate.yaml"
        path.write_text(yaml.safe_dump({"flow": "migrate", "mapping": mapping, **more}))
        return str(path)

    return write


def hashed(text: str) -> str:
    return hmac.digest(KEY.encode(), text.encode(), hashlib.sha256).hex()


def problems(ran: Ran) -> str:
    found = ran.expect(REFUSED).result["problems"]
    return "\n".join(f"{one['object']}: {one['message']}" for one in found)


def command(move: Move, *words: str) -> Ran:
    ran = windlass(*words, "--json", env={**move.env, **ENV})
    assert KEY not in ran.said
    return ran


def differences(ran: Ran) -> set[tuple[str, ...]]:
    found = ran.expect(DIFFERENT).result["differences"]
    return {(one["kind"], *one["key"].values(), *one["columns"]) for one in found}


MAPPING: dict[str, Any] = {
    "Customers": {
        "into": "crm.people",
        "where": "Id <= 200",
        "columns": {
            "mail": {"from": "Email", "mask": "hash"},
            "Name": "full_name",
            "Created": {"mask": "null"},
            "Score": {"sql": "Score * 2"},
            "country": {"value": "DE"},
            "initial": {"sql": "upper(substr(Name, 1, 1))"},
        },
        "types": {"Score": "double precision"},
    },
    "Items": {"where": "Customer <= 200", "columns": {"Total": "amount", "Qty": "pieces"}},
}


def test_a_mapped_table_arrives_as_declared_whatever_is_killed_and_is_proven(
    shop: Move, spec: Write
) -> None:
    path = spec(MAPPING)
    plan = command(shop, "plan", "-f", path, *ACCEPTED).expect(DONE).result
    people = next(one for one in plan["relations"] if one["target"] == "crm.people")
    how = {one["target"]: (one["source"], one["expression"]) for one in people["columns"]}
    assert how["score"] == ("Score", "Score * 2") and how["full_name"] == ("Name", None)
    assert people["where"] == "Id <= 200" and people["dropped"] == []
    words = ("migrate", "-f", path, "--chunk-size", "64kB", "--jobs", "1", *ACCEPTED)
    kill("call windlass.flows.translate.rows._copied 2", words, {**shop.env, **ENV})
    done = command(shop, *words).expect(DONE).result
    assert done["resumed"] and done["verified"] == "full"
    target, items = shop.target, shop.table("items")
    assert target.rows(
        "select id, full_name, mail, score, created, country, initial from crm.people where id = 7"
    ) == [(7, "n7", hashed("e7@x"), 3.5, None, "DE", "N")]
    assert target.value("select count(*) from crm.people") == 200
    kept = [i for i in range(1, ITEMS + 1) if i % CUSTOMERS + 1 <= 200]
    totals = f"select count(*), sum(amount), bool_and(pieces = id % 5 + 1) from {items}"
    assert target.rows(totals) == [(len(kept), sum(kept) * 0.125, True)]
    verify = ("verify", "-f", path, *ACCEPTED)
    command(shop, *verify).expect(DONE)
    target.run(
        "update crm.people set initial = 'x' where id = 7",
        "update crm.people set mail = 'y' where id = 11",
        f"update {items} set amount = amount + 1 where id = 8",
        f"delete from {items} where id = 9",
    )
    assert differences(command(shop, *verify)) >= {
        ("changed", "7", "initial"), ("changed", "11", "mail"), ("changed", "8", "amount"),
        ("missing", "9"),
    }  # fmt: skip
    command(shop, "rollback", done["run"], "--yes", "--force").expect(DONE)
    assert not target.rows("select 1 from pg_namespace where nspname = 'crm'")


def test_what_python_and_the_target_make_of_rows_is_made_again_and_proven(
    shop: Move, spec: Write
) -> None:
    columns = {
        "phone": {"from": "Name", "function": "mapping_functions:phone"},
        "shout": {"target-sql": 'upper("phone") || id'},
        "Score": {"target-sql": "id * 0.5"},
    }
    path = spec({"Customers": {"columns": columns}})
    done = shop.command("migrate", "-f", path, *ACCEPTED).expect(DONE).result
    assert done["verified"] == "full"
    target, people = shop.target, shop.table("customers")
    query = f"select phone, shout, score::float from {people} where id = 8"
    assert target.rows(query) == [("n8…2", "N8…28", 4.0)]
    target.run(
        f"update {people} set phone = 'x' where id = 7",
        f"update {people} set shout = 'y' where id = 8",
    )
    found = differences(shop.command("verify", "-f", path, *ACCEPTED))
    assert found >= {("changed", "7", "phone"), ("changed", "8", "shout")}


def test_what_a_mapping_cannot_mean_is_refused_all_at_once(shop: Move, spec: Write) -> None:
    faults = {
        "Customers": {
            "where": "1) from Items; drop table Items; select (1",
            "columns": {"nope": "x", "Score": {"sql": "max(Score)"}, "Name": "Email",
                        "chance": {"sql": "random()"},
                        "Created": {"sql": "row_number() over (order by Id)"}},
        },
        "Items": {"columns": {"Note": {"value": "x"}}},
    }  # fmt: skip
    found = problems(shop.command("migrate", "-f", spec(faults)))
    for expected in (
        "has no column nope",
        "Name and Email would both be column Email",
        "column Score counts over several rows",
        "column Created counts over several rows",
        "column chance calls random",
        "where is not one expression",
        "column Note is part of key",
    ):
        assert expected in found, f"{expected} is not in\n{found}"
    masked = {"Customers": {"columns": {"Score": {"mask": "hash"}}}}
    assert "no hash of double" in problems(command(shop, "plan", "-f", spec(masked))).lower()
    wrong = {"Items": {"columns": {"z": {"sql": "nope + 1"}}}}
    found = problems(shop.command("migrate", "-f", spec(wrong)))
    assert "cannot be read as it is mapped" in found
    found = problems(shop.command("migrate", "-f", spec({"Customers": {"where": "Id > 100"}})))
    assert "1,000 rows refer to no row of" in found
    assert not shop.target.rows("select 1 from pg_namespace where nspname = 'windlass'")


def test_every_kind_of_value_goes_through_a_mapping_of_duckdb(
    tmp_path: Path, spec: Write, database: Callable[[int], Database]
) -> None:
    source = duckdb_shop(
        tmp_path / "t.duckdb",
        'create table t (id integer primary key, j json, l integer[], "B b" blob, d decimal(9,3),'
        " m enum ('a', 'b'), u uuid, f float)",
        "insert into t values (1, '{\"b\": 1, \"a\": 2}', [1, 2], '\\x00'::blob, 1.5, 'b',"
        " 'f47ac10b-58cc-4372-a567-0e02b2c3d479', 0.1)",
    )
    move = Move(source, database(16))
    columns = {
        "B b": "bytes",
        "n": {"value": 5},
        "yes": {"value": True},
        "price": {"sql": "d * 2"},
        "u": {"mask": "hash"},
        "m": {"value": "a"},
        "id": {"sql": "id"},  # its key would be of replaced values
        "now_then": {"sql": "(select max(id) from main.t)"},
    }
    found = problems(command(move, "migrate", "-f", spec({"t": {"columns": columns}})))
    assert "column id is part of key" in found
    del columns["id"]
    path = spec({"t": {"into": "other", "columns": columns}})
    done = command(move, "migrate", "-f", path, "--accept", "behaviour").expect(DONE).result
    assert done["verified"] == "full"
    query = (
        "select id, j::text, l::text, bytes, d, m::text, u, f, n, yes, price, now_then"
        " from public.other"
    )
    assert move.target.rows(query) == [
        (1, '{"a": 2, "b": 1}', "[1, 2]", b"\0", pytest.approx(1.5), "a",
         hashed("f47ac10b-58cc-4372-a567-0e02b2c3d479"), pytest.approx(0.1), 5, True,
         pytest.approx(3), 1)
    ]  # fmt: skip


def test_sqlite_s_odbc_driver_is_believed_only_in_what_sqlite_itself_says(
    tmp_path: Path, spec: Write, database: Callable[[int], Database]
) -> None:
    path = tmp_path / "o.db"
    with closing(sqlite3.connect(path)) as session, session:
        session.execute("create table t (id integer primary key, i int, r real, s text)")
        session.execute("insert into t values (1, 5, 0.1 + 0.2, 'x'), (2, 'abc', 0.5, 'y')")
    move = Move(Source(f"{driver('SQLite3')};Database={path}", print, "public"), database(16))
    found = problems(move.command("migrate"))
    assert "t.i: 1 value that the driver changes, or shows as NULL" in found
    assert "t.r: 1 value that the driver changes, or shows as NULL" in found
    doubled = {"t": {"columns": {"i": None, "r": {"sql": "r * 2"}}}}
    found = problems(move.command("migrate", "-f", spec(doubled)))
    assert "takes the type of an expression from the first row" in found
    mapping = {"t": {"where": "id = 1", "columns": {"r": None, "s": {"mask": "hash"},
                                                    "kind": {"value": "k"}}}}  # fmt: skip
    done = command(move, "migrate", "-f", spec(mapping)).expect(DONE).result
    assert done["verified"] == "full"
    assert move.target.rows("select id, i, s, kind from public.t") == [(1, 5, hashed("x"), "k")]


def test_an_odbc_source_of_postgresql_is_mapped_with_all_digits(
    spec: Write, database: Callable[[int], Database]
) -> None:
    there = database(16)
    there.run(
        "create table t (id int primary key, d float8, n numeric, s text, tz timestamptz)",
        "insert into t values (1, 0.1 + 0.2::float8, 1e20, repeat('é', 20000),"
        " '2026-01-01 05:00:00.123456+02')",
    )
    url = (
        f"{driver('PostgreSQL Unicode')};SERVER=127.0.0.1;PORT={there.server.port};UID=postgres;"
        f"PWD={{{PASSWORD}}};DATABASE={there.name}"
    )
    move = Move(Source(url, there.run, "public"), database(16))
    columns = {
        "twice": {"sql": "d + 0"},
        "more": {"sql": "n + 0.5"},
        "long": {"sql": "s || 'x'"},
        "moment": {"sql": "tz + interval '1 hour'"},
        "day": {"sql": "date '2026-01-01'"},
    }
    done = move.command("migrate", "-f", spec({"t": {"columns": columns}})).expect(DONE).result
    assert done["verified"] == "full"
    query = (
        "select twice = d, more, length(long), moment::timestamptz = tz + interval '1 hour', day"
        " from public.t"
    )
    ((twice, more, length, moment, day),) = move.target.rows(query)
    assert (twice, str(more), length, moment) == (True, f"1{'0' * 20}.5", 20_001, True)
    assert str(day) == "2026-01-01"


@pytest.fixture
def documents(mongodb: MongoServer, database: Callable[[int], Database]) -> Iterator[Move]:
    made = mongodb.database()
    made.items.insert_many(
        {"_id": at, "qty": at % 5, "mail": f"e{at}@x" if at % 3 else None,
         "name": f"n{at}", "address": {"city": f"c{at % 7}"}}
        for at in range(2000)
    )  # fmt: skip
    yield Move(Source(mongodb.url(made.name), print, made.name), database(16))
    made.client.drop_database(made.name)


LIFTED = {
    "items.qty": "integer", "items.mail": "text", "items.name": "text",
    "items.address.city": "text",
}  # fmt: skip
DOCUMENTS: dict[str, Any] = {
    "items": {
        "into": "crm.things",
        "where": '{"qty": {"$gte": 1}, "_id": {"$lt": {"$numberInt": "1500"}}}',
        "columns": {
            "_id": "id",
            "doc": None,
            "qty": "pieces",
            "mail": {"mask": "hash"},
            "address_city": {"mask": "null"},
            "town": {"from": "address_city", "mask": "hash"},
            "country": {"value": "DE"},
            "phone": {"from": "name", "function": "mapping_functions:phone"},
            "shout": {"target-sql": "upper(name) || pieces"},
            "name": "name",
        },
        "types": {"pieces": "bigint"},
    }
}


def test_documents_arrive_by_their_mapping_and_are_proven(documents: Move, spec: Write) -> None:
    path = spec(DOCUMENTS, types=LIFTED)
    words = ("migrate", "-f", path, "--chunk-size", "64kB", "--jobs", "1", *ACCEPTED)
    kill("call windlass.flows.translate.rows._copied 1", words, {**documents.env, **ENV})
    done = command(documents, *words).expect(DONE).result
    assert done["verified"] == "full"
    target = documents.target
    assert target.value("select count(*) from crm.things") == 1200
    query = "select id, pieces, mail, address_city, town, country, phone, shout from crm.things"
    assert target.rows(f"{query} where id = 7") == [
        (7, 2, hashed("e7@x"), None, hashed("c0"), "DE", "n7…2", "N72")
    ]
    assert target.value("select count(*) from crm.things where mail is null") == 400
    names = "select string_agg(attname, ' ' order by attnum) from pg_attribute where attnum > 0"
    assert "doc" not in target.value(f"{names} and attrelid = 'crm.things'::regclass").split()
    target.run(
        "update crm.things set mail = 'x' where id = 7",
        "update crm.things set country = 'FR' where id = 8",
        "delete from crm.things where id = 9",
    )
    assert differences(command(documents, "verify", "-f", path, *ACCEPTED)) >= {
        ("changed", "7", "mail"), ("changed", "8", "country"), ("missing", "9"),
    }  # fmt: skip


def test_what_documents_cannot_be_mapped_to_is_refused_with_what_to_do(
    documents: Move, spec: Write
) -> None:
    columns = {
        "qty": {"sql": "qty * 2"}, "zzz": "text", "doc": {"mask": "hash"},
        "n": {"value": "five"},
    }  # fmt: skip
    mapping: dict[str, Any] = {"items": {"where": '{"$where": "true"}', "columns": columns}}
    ran = command(documents, "migrate", "-f", spec(mapping, types=LIFTED))
    found = problems(ran)
    assert "column qty cannot be computed: MongoDB has no SQL" in found
    assert "where has $where" in found and "has no column zzz" in found
    assert "there is no hash of a document" in found
    hints = [one["hint"] for one in ran.result["problems"]]
    assert any("target-sql" in one for one in hints)
    assert "name its path in types first: then it is a column" in hints
    for where, said in (
        ("{", "where is no filter of MongoDB"),
        ('{"a": 1, "a": 2}', "a key occurs twice"),
        ("[1]", "it is no object"),
        ('{"at": {"$gt": "$$NOW"}}', "$$NOW"),
    ):
        found = problems(documents.command("plan", "-f", spec({"items": {"where": where}})))
        assert said in found, where
    found = problems(
        documents.command("plan", "-f", spec({"items": {"where": '{"qty": {"$nope": 1}}'}}))
    )
    assert "cannot be read as it is mapped" in found
    typed = {"columns": {"n": {"value": "five"}}, "types": {"n": "integer"}}
    found = problems(documents.command("plan", "-f", spec({"items": typed})))
    assert "its value is not of the type integer" in found
    hashing = {"columns": {"address": {"mask": "hash"}}}
    lifted = {"items.address": "jsonb"}
    ran = command(documents, "plan", "-f", spec({"items": hashing}, types=lifted))
    assert "no value can become jsonb" in problems(ran)
