"""Views of another engine: made on the target where their rows are the same there, and named where
they cannot be made or differ."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from command import DIFFERENT, DONE, REFUSED, windlass
from mariadb_server import MariaServer
from servers import Database
from translating import CUSTOMERS, Move, mariadb_shop, sqlite_shop

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
