"""Tables of another engine that get other names, rows and columns on their way into PostgreSQL."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from command import DIFFERENT, DONE, REFUSED, Ran, windlass
from killing import kill
from mariadb_server import MariaServer
from servers import Database
from translating import Move, mariadb_shop, sqlite_shop


@pytest.fixture(params=("sqlite", "mariadb"))
def shop(
    request: pytest.FixtureRequest, tmp_path: Path, database: Callable[[int], Database]
) -> Move:
    if request.param == "sqlite":
        source = sqlite_shop(tmp_path / "shop.db", items=3000)
    else:
        server: MariaServer = request.getfixturevalue("mariadb")
        name: str = request.getfixturevalue("maria_database")()
        source = mariadb_shop(server, name, items=3000)
    return Move(source, database(16))


@pytest.fixture
def spec(tmp_path: Path) -> Callable[[dict[str, Any]], str]:
    def write(mapping: dict[str, Any]) -> str:
        path = tmp_path / "migrate.yaml"
        path.write_text(yaml.safe_dump({"flow": "migrate", "mapping": mapping}))
        return str(path)

    return write


KEY = "correct horse battery staple"
ENV = {"WINDLASS_HASH_KEY": KEY}
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
ACCEPTED = ("--accept", "constraints", "--accept", "behaviour", "--accept", "objects")


def hashed(text: str) -> str:
    return hmac.digest(KEY.encode(), text.encode(), hashlib.sha256).hex()


def problems(ran: Ran) -> str:
    found = ran.expect(REFUSED).result["problems"]
    return "\n".join(f"{one['object']}: {one['message']}" for one in found)


def command(move: Move, *words: str) -> Ran:
    ran = windlass(*words, "--json", env={**move.env, **ENV})
    assert KEY not in ran.said
    return ran


def test_a_mapped_table_arrives_as_declared_whatever_is_killed_and_is_proven(
    shop: Move, spec: Callable[[dict[str, Any]], str]
) -> None:
    path = spec(MAPPING)
    shop.source.run("create view Names as select Id, Name from Customers")
    lost = problems(command(shop, "migrate", "-f", path))
    assert "Score has no default" in lost and "Created has no default" in lost
    assert "utf8mb4_bin" not in lost, "which is no collation of SQLite, and compares as text does"
    assert "it reads customers, which is mapped" in lost
    plan = command(shop, "plan", "-f", path, *ACCEPTED).expect(DONE).result
    people = next(one for one in plan["relations"] if one["target"] == "crm.people")
    how = {one["target"]: (one["source"], one["expression"]) for one in people["columns"]}
    assert how["score"] == ("Score", "Score * 2") and how["full_name"] == ("Name", None)
    assert people["where"] == "Id <= 200" and people["dropped"] == []
    words = ("migrate", "-f", path, "--chunk-size", "64kB", "--jobs", "1", *ACCEPTED)
    kill("call windlass.flows.translate.rows._copied 3", words, {**shop.env, **ENV})
    done = command(shop, *words).expect(DONE).result
    assert done["resumed"] and done["verified"] == "full"
    target, items = shop.target, shop.table("items")
    names = "select string_agg(attname, ' ' order by attnum) from pg_attribute where attnum > 0"
    assert target.value(f"{names} and attrelid = 'crm.people'::regclass") == (
        "id full_name mail score created country initial"
    )
    assert target.rows("select * from crm.people where id = 7") == [
        (7, "n7", hashed("e7@x"), 3.5, None, "DE", "N")
    ]
    assert target.value("select count(*) from crm.people") == 200
    kept = f"select count(*), sum(amount), bool_and(doubled = 2 * pieces) from {items}"
    rows = [i for i in range(1, 3001) if i % 300 + 1 <= 200]
    assert target.rows(kept) == [(len(rows), sum(rows) * 0.125, True)]
    target.run(f"insert into {items} (customer) values (1)")  # its own number, and its default
    target.run(f"delete from {items} where id > 3000")
    verify = ("verify", "-f", path, *ACCEPTED)
    command(shop, *verify).expect(DONE)
    target.run(
        "update crm.people set initial = 'x' where id = 7",
        "update crm.people set mail = 'y' where id = 11",
        f"update {items} set amount = amount + 1 where id = 8",
        "delete from crm.people where id = 200",
        "insert into crm.people (id, full_name) values (300, 'n300')",
    )
    found = command(shop, *verify).expect(DIFFERENT).result["differences"]
    named = {(one["kind"], *one["key"].values(), *one["columns"]) for one in found}
    assert {
        ("changed", "7", "initial"),
        ("changed", "8", "amount"),
        ("changed", "11", "mail"),
        ("missing", "200"),
        ("extra", "300"),
    } <= named
    assert "is mapped" in problems(command(shop, *verify, "--repair", "--yes"))
    command(shop, "rollback", done["run"], "--yes", "--force").expect(DONE)
    assert not target.rows("select 1 from pg_namespace where nspname = 'crm'")


def by(function: str, **words: Any) -> dict[str, Any]:
    return {"function": f"mapping_functions:{function}", **words}


def test_what_python_and_the_target_make_of_rows_is_made_again_and_proven(
    shop: Move, spec: Callable[[dict[str, Any]], str]
) -> None:
    columns = {
        "phone": {"from": "Name", **by("phone")},
        "shout": {"target-sql": 'upper("phone") || doubled'},
        "Total": {"target-sql": "qty * 0.5"},
        "Note": None,
    }
    shop.source.run("alter table Items add column Name varchar(80) default 'na\tme'")
    path = spec({"Items": {"columns": columns}})
    words = ("migrate", "-f", path, "--chunk-size", "64kB", "--jobs", "1", *ACCEPTED)
    kill("call windlass.flows.translate.rows.move_landed", words, shop.env)
    done = command(shop, *words).expect(DONE).result
    assert done["resumed"] and done["verified"] == "full"
    target, items = shop.target, shop.table("items")
    assert target.rows(f"select phone, shout, total::float from {items} where id = 8") == [
        ("na…5", "NA…58", 2.0)
    ]
    assert target.value(f"select count(*) from {items}") == 3000
    command(shop, "verify", "-f", path, *ACCEPTED).expect(DONE)
    target.run(
        f"update {items} set phone = 'x' where id = 7",
        f"update {items} set shout = 'y' where id = 8",
        f"delete from {items} where id = 9",
    )
    found = command(shop, "verify", "-f", path, *ACCEPTED).expect(DIFFERENT).result["differences"]
    named = {(one["kind"], *one["key"].values(), *one["columns"]) for one in found}
    assert named >= {("changed", "7", "phone"), ("changed", "8", "shout"), ("missing", "9")}
    command(shop, "rollback", done["run"], "--yes", "--force").expect(DONE)
    unsteady = {"columns": {"phone": {"from": "Name", **by("by_hash")}}}
    found = problems(command(shop, "migrate", "-f", spec({"Items": unsteady}), *ACCEPTED))
    assert "gave other values for the same rows" in found
    late = {"phone": {"from": "Name", **by("late_at_random")}}
    ran = command(shop, "migrate", "-f", spec({"Items": {"columns": late}}), *ACCEPTED)
    said = [one["message"] for one in ran.expect(DIFFERENT).result["differences"]]
    assert any(
        "gave other values for the same rows when it was called again" in one for one in said
    )


def test_what_a_mapping_cannot_mean_is_refused_all_at_once(
    shop: Move, spec: Callable[[dict[str, Any]], str]
) -> None:
    faults = {
        "Customer": {},
        "Customers": {
            "where": "1) from Items; drop table Items; select (1",
            "columns": {"nope": "x", "Score": {"sql": "random()"}, "Name": "Email"},
            "types": {"gone": "text"},
        },
        "Items": {"into": 'odd "name', "columns": {"Note": {"value": "x"}, "Qty": {"sql": "1"}}},
    }
    found = problems(shop.command("migrate", "-f", spec(faults)))
    for expected in (
        "mapping Customer: is no table",
        "has no column nope",
        "Name and Email would both be column Email",
        "column Score calls random",
        "where is not one expression",
        "no column gone arrives",
        "column Note is part of key",
        "column Doubled is generated from what is dropped or replaced",
    ):
        assert expected in found, f"{expected} is not in\n{found}"
    masked = {"Customers": {"columns": {"Name": {"mask": "hash"}}}}
    ran = shop.command("plan", "-f", spec(masked))
    assert "WINDLASS_HASH_KEY is not set" in problems(ran)
    assert "mapped tables are shown as they are on the source" in str(ran.result["notices"])
    rows = {"Customers": {"where": "Id > 100"}, "Items": {"columns": {"z": {"sql": "nope + 1"}}}}
    found = problems(shop.command("migrate", "-f", spec(rows)))
    assert "cannot be read as it is mapped" in found
    found = problems(shop.command("migrate", "-f", spec({"Customers": rows["Customers"]})))
    assert "1,000 rows refer" in found
    assert not shop.target.rows("select 1 from pg_namespace where nspname = 'windlass'")
