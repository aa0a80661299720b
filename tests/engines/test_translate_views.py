"""Views of another engine: made on the target where their rows are the same there, and named where
they cannot be made or differ."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from command import DIFFERENT, DONE, REFUSED, windlass
from mariadb_server import MariaServer
from servers import Database
from translating import CUSTOMERS, Move, Source, mariadb_shop, sqlite_shop

# in an order in which they cannot be made
GOOD = (
    "create view a_best (Who, Items) as select Name, Number from z_counted where Number > 1",
    "create view b_open as select c.Id, c.Email from Customers c left join Items i on"
    " i.Customer = c.Id where i.Id is null union all select Id, 'x' from Customers where Id < 3",
)
COUNTED = (
    "create view z_counted as select c.Name as Name, count(i.Id) as Number, sum(i.Qty) as Pieces"
    " from Customers c join Items i on i.Customer = c.Id group by c.Name"
)
ITEMS = 700


@pytest.fixture(params=["sqlite", "mariadb"])
def shop(
    request: pytest.FixtureRequest, tmp_path: Path, database: Callable[[int], Database]
) -> Callable[..., Move]:
    def make(*more: str) -> Move:
        if request.param == "sqlite":
            return Move(sqlite_shop(tmp_path / "shop.db", *more, items=ITEMS), database(16))
        server: MariaServer = request.getfixturevalue("mariadb")
        name: str = request.getfixturevalue("maria_database")()
        return Move(mariadb_shop(server, name, *more, items=ITEMS), database(16))

    return make


def test_a_view_shows_the_same_rows_there_and_is_compared_and_undone(
    shop: Callable[..., Move],
) -> None:
    move = shop(COUNTED, *GOOD)
    found = move.command("migrate").expect(DONE).result
    best, counted, items = (move.table(name) for name in ("a_best", "z_counted", "items"))
    many = ITEMS // CUSTOMERS + 1
    assert move.target.value(f"select count(*) from {counted} where number = {many}") == (
        ITEMS % CUSTOMERS
    )
    assert move.target.value(f"select count(*) from {best} where items = {many}") == (
        ITEMS % CUSTOMERS
    )
    assert move.target.value(f"select sum(pieces) from {counted}") == ITEMS * 3
    move.command("verify").expect(DONE)
    text = f"select Name, count(i.id), sum(i.qty) + 1 from {move.table('customers')} c"
    move.target.run(
        f"create or replace view {counted} (name, number, pieces) as {text} join {items} i"
        " on i.customer = c.id group by name"
    )
    differing = move.command("verify").expect(DIFFERENT).result["differences"]
    assert [(one["object"], one["kind"]) for one in differing] == [
        (f"view {move.source.schema}.z_counted", "content")
    ]
    undone = windlass("rollback", found["run"], "--target", move.target.url, "-y")
    undone.expect(DONE)
    left = "select count(*) from pg_class where relname in ('a_best', 'z_counted', 'items')"
    assert move.target.value(left) == 0


def test_a_view_whose_rows_differ_is_named_with_its_text_and_not_kept(
    shop: Callable[..., Move],
) -> None:
    move = shop(
        "create table words (word varchar(9), n decimal(9, 2), m decimal(9, 2))",
        "insert into words values ('one', 0.1, 0.2), ('two', null, null)",
        # to SQLite the sum is a double, to MariaDB the letters are equal
        "create view odd as select n + m as n, 'a' = 'A' as same from words",
        "create view on_odd as select n from odd",
        "create view upper_words as select upper(word) as word from words",
    )
    assert move.command("plan").expect(DONE).result["losses"] == []
    ended = move.command("migrate").expect(DIFFERENT).result
    named = {one["object"]: one["message"] for one in ended["losses"]}
    schema = move.source.schema
    assert named.keys() == {f"view {schema}.odd", f"view {schema}.on_odd"}
    lost = named[f"view {schema}.odd"]
    assert "is not kept on the target, as it shows other values there" in lost
    assert "same" in lost
    views = "select relname from pg_class where relkind = 'v' and relnamespace = '{}'::regnamespace"
    assert move.target.rows(views.format(f'"{schema}"')) == [("upper_words",)]
    run = ended["run"]
    windlass("rollback", run, "--target", move.target.url, "-y").expect(DONE)


def test_a_view_that_cannot_be_made_is_named_in_the_plan(shop: Callable[..., Move]) -> None:
    move = shop(
        "create view odd as select Id, hex(Name) as h from Customers",
        "create view on_odd as select h from odd",
        COUNTED,
    )
    refused = move.command("migrate").expect(REFUSED).result
    objects = {one["object"]: one["message"] for one in refused["problems"]}
    odd, on_odd = (
        next(message for name, message in objects.items() if name.endswith(f".{view}"))
        for view in ("odd", "on_odd")
    )
    assert "is not made on the target" in odd
    assert "select" in odd.lower() and "hex" in odd.lower()
    assert "it reads odd, which is not migrated" in on_odd
    found = move.command("migrate", "--accept", "objects").expect(DONE).result
    assert len([one for one in found["losses"] if "view" in one["object"]]) == 2
    assert move.target.value(f"select count(*) from {move.table('z_counted')}") == CUSTOMERS
    move.command("verify", "--accept", "objects").expect(DONE)


def test_a_view_of_what_is_gone_is_named(
    tmp_path: Path, database: Callable[[int], Database]
) -> None:
    source = sqlite_shop(
        tmp_path / "shop.db",
        "create table gone (n int)",
        "create view of_gone as select n from gone",
        "create view odd as select no_such_function(Id) as n from Customers",
        "drop table gone",
        items=5,
    )
    move = Move(source, database(16))
    said = move.command("migrate").expect(REFUSED).result["problems"]
    named = {one["object"]: one["message"] for one in said}
    assert named.keys() == {"broken view main.of_gone", "broken view main.odd"}
    move.command("migrate", "--accept", "objects").expect(DONE)


@pytest.mark.full
def test_texts_that_ignore_case_are_compared_and_sorted_as_the_source_does(
    tmp_path: Path,
    mariadb: MariaServer,
    maria_database: Callable[..., str],
    database: Callable[[int], Database],
) -> None:
    path = tmp_path / "some.db"
    statements = (
        "create table t (id integer primary key, word text collate nocase check (word <> 'NONE'),"
        " kept int as (max(0, min(100, id))) stored,"
        " low int as (case when word < 'm' then 1 else 0 end) stored,"
        " cut text as (replace(substr(word, -3), 'a', 'b')) stored)",
        "create view last as select word as w, max(other) as m from t, u where word in ('ABCD')"
        " group by word",
        "create view two as select other from u order by other limit 2",
        "create table u (other text)",
        "insert into t (id, word) values (1, 'abcd'), (200, 'Zed'), (-1, null)",
        "insert into u values ('a'), ('B'), ('c')",
    )
    with closing(sqlite3.connect(path)) as session, session:
        for one in statements:
            session.execute(one)
    move = Move(Source(f"sqlite:///{path}", lambda: None, "public"), database(18))
    (lost,) = move.command("plan").result["losses"]
    assert "NOCASE" in lost["message"]
    move.command("migrate", "--accept", "behaviour").expect(DONE)
    assert move.target.rows("select kept, low, cut from t order by id") == [
        (0, 0, None),
        (1, 1, "bcd"),
        (100, 0, "Zed"),
    ]
    assert move.target.rows("select w, m from last") == [("abcd", "c")]
    assert sorted(move.target.rows("select other from two")) == [("B",), ("a",)]
    with pytest.raises(psycopg.errors.CheckViolation):
        move.target.run("insert into t (id, word) values (3, 'none')")
    name = maria_database(
        "create table t (id int primary key, word varchar(9) check (word in ('open', 'SHUT IN')),"
        " state int as (case word when 'OPEN' then 1 else 2 end) stored,"
        " best varchar(9) as (replace(word, 'o', 'x')) stored,"
        " third decimal(9,4) as (id / 3) stored)",
        "create view opened as select id from t where word = 'OPEN'",
        "create view most as select max(word) as m from t",
        "insert into t (id, word) values (1, 'Open'), (2, 'shut in')",
    )
    other = Move(Source(mariadb.url(name), lambda: None, name), database(18))
    found = other.command("plan").result["losses"]
    assert [(one["class"], one["object"]) for one in found] == [
        ("behaviour", f"{name}.t"),
        ("objects", f"view {name}.most"),
    ]
    assert "column third" in found[0]["message"]
    other.command("migrate", "--accept", "behaviour", "--accept", "objects").expect(DONE)
    rows = f"select state, best from {other.table('t')} order by id"
    assert other.target.rows(rows) == [(1, "Open"), (2, "shut in")]
    other.target.run(f"insert into {other.table('t')} (id, word) values (3, 'OPEN')")
    assert other.target.rows(f"select id from {other.table('opened')} order by id") == [(1,), (3,)]
