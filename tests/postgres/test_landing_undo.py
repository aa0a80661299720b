"""Undoing a load after others have written to the table: only rows that are still what the load
made are put back, and the others are named."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from landings import Loaded, Loads, Record, Records, load_of, words
from servers import PASSWORD, Database, verifier
from windlass.errors import ConstraintViolated, Refused, WindlassError
from windlass.model.past import Others

ORDERS = """
create schema shop;
create table shop.orders (id integer primary key, total numeric, at timestamptz default now());
insert into shop.orders values (1, 1), (2, 2), (3, 3);
create table shop.log (line text);
"""
FIELDS = ("id", "total")
INPUT: list[Record] = [("2", "20"), ("3", "30"), ("4", "40"), ("5", "50")]
ALL = "select id, total::int from shop.orders order by id"
BEFORE = [(1, 1), (2, 2), (3, 3)]
AFTER = [(2, 20), (3, 30), (4, 40), (5, 50)]


@pytest.fixture
def shop(database: Callable[[int], Database]) -> Database:
    made = database(16)
    made.run(ORDERS)
    return made


@pytest.fixture
def loads(shop: Database) -> Iterator[Loads]:
    with Loads(shop) as found:
        yield found


def mirrored(loads: Loads) -> Loaded:
    return loads.run("shop.orders", words("mirror", "id"), Records(FIELDS, INPUT))


CHANGES = [
    ("update shop.orders set total = 21 where id = 2", 2, [(2, 21)]),
    ("delete from shop.orders where id = 3", 3, []),
    ("delete from shop.orders where id = 4", 4, []),
    ("update shop.orders set at = '2001-01-01' where id = 5", 5, [(5, 50)]),
    ("insert into shop.orders values (1, 11)", 1, [(1, 11)]),
]


@pytest.mark.parametrize(("statement", "key", "stays"), CHANGES)
def test_a_row_that_others_changed_refuses_is_left_or_is_lost(
    statement: str, key: int, stays: list[tuple[int, int]], loads: Loads, shop: Database
) -> None:
    run = mirrored(loads).run
    shop.run(statement)
    now = shop.rows(ALL)
    with pytest.raises(Refused) as caught:
        loads.undo(run)
    assert [one.object for one in caught.value.problems] == [f"shop.orders (id = {key})"]
    foreseen = loads.landing.foresee(run)
    assert foreseen is not None
    assert [one.object for one in foreseen.written] == [f"shop.orders (id = {key})"]
    assert shop.rows(ALL) == now
    undone = loads.undo(run, Others.SKIP)
    assert shop.rows(ALL) == sorted([*(one for one in BEFORE if one[0] != key), *stays])
    assert "1 row" in undone.stayed[0]


@pytest.mark.parametrize(("statement", "key", "stays"), CHANGES)
def test_with_force_everything_is_as_it_was(
    statement: str, key: int, stays: object, loads: Loads, shop: Database
) -> None:
    run = mirrored(loads).run
    shop.run(statement)
    loads.undo(run, Others.LOSE)
    assert shop.rows(ALL) == BEFORE


def test_the_last_load_is_undone_first(loads: Loads, shop: Database) -> None:
    first = mirrored(loads).run
    second = loads.run("shop.orders", words("merge", "id"), Records(FIELDS, [("4", "41")])).run
    with pytest.raises(Refused) as caught:
        loads.undo(first)
    assert caught.value.problems[0].object == "shop.orders (id = 4)"
    loads.undo(second)
    assert shop.rows(ALL) == AFTER
    loads.undo(first)
    assert shop.rows(ALL) == BEFORE


def test_undoing_twice_changes_nothing_more(loads: Loads, shop: Database) -> None:
    run = mirrored(loads).run
    loads.undo(run)
    shop.run("insert into shop.orders values (4, 44)")
    assert loads.undo(run).already
    assert loads.landing.foresee(run) is None
    assert shop.rows(ALL) == [*BEFORE, (4, 44)]


def test_rows_that_others_added_stay(loads: Loads, shop: Database) -> None:
    run = loads.run("shop.orders", words("replace"), Records(FIELDS, INPUT)).run
    shop.run("insert into shop.orders values (9, 9)")
    loads.undo(run)
    assert shop.rows(ALL) == [*BEFORE, (9, 9)]


def test_rows_without_a_key_are_known_by_their_transaction(loads: Loads, shop: Database) -> None:
    lines: list[Record] = [("a",), ("a",), ("b",)]
    run = loads.run("shop.log", words("append"), Records(("line",), lines)).run
    shop.run("insert into shop.log values ('a')", "update shop.log set line = 'c' where line = 'b'")
    with pytest.raises(Refused) as caught:
        loads.undo(run)
    assert "1 row changed or deleted by others" in caught.value.problems[0].message
    undone = loads.undo(run, Others.SKIP)
    assert shop.rows("select line from shop.log order by 1") == [("a",), ("c",)]
    assert undone.stayed


def test_all_rows_of_a_table_without_a_key_come_back(loads: Loads, shop: Database) -> None:
    shop.run("insert into shop.log values ('x'), ('x'), (null)")
    run = loads.run("shop.log", words("replace"), Records(("line",), [("a",)])).run
    assert shop.rows("select line from shop.log") == [("a",)]
    loads.undo(run)
    assert shop.rows("select line from shop.log order by 1") == [("x",), ("x",), (None,)]


def test_a_column_that_others_added_does_not_matter(loads: Loads, shop: Database) -> None:
    run = mirrored(loads).run
    shop.run("alter table shop.orders add more text default 'x'")
    loads.undo(run)
    assert shop.rows(ALL) == BEFORE


def test_the_roles_settings_may_change_in_between(loads: Loads, shop: Database) -> None:
    run = mirrored(loads).run
    shop.run(f"alter database {shop.name} set timezone = 'Asia/Tokyo'")
    shop.run(f"alter database {shop.name} set datestyle = 'German'")
    with Loads(shop) as later:
        later.undo(run)
    assert shop.rows(ALL) == BEFORE


PARTS = """
create table shop.parts (id integer primary key, total numeric, at timestamptz default now())
  partition by range (id);
create table shop.parts_1 partition of shop.parts for values from (0) to (3);
create table shop.parts_2 partition of shop.parts for values from (3) to (9);
insert into shop.parts select * from shop.orders;
"""


@pytest.mark.parametrize("table", ["shop.orders", "shop.parts"])
@pytest.mark.parametrize("computed", [{}, {"total": "total * 1"}], ids=["as it is", "computed"])
def test_rows_of_several_inputs_are_each_merged_and_put_back(
    table: str, computed: dict[str, str], loads: Loads, shop: Database
) -> None:
    shop.run(PARTS)
    found = ALL.replace("shop.orders", table)
    inputs = [Records(FIELDS, INPUT[at::2], place=f"{at}.csv") for at in (0, 1)]
    loaded = loads.run(table, words("merge", "id"), *inputs, sql=computed)
    assert (loaded.counts.updated, loaded.counts.inserted) == (2, 2)
    assert shop.rows(found) == [(1, 1), *AFTER]
    loads.undo(loaded.run)
    assert shop.rows(found) == BEFORE


def test_what_a_trigger_made_of_a_row_is_what_the_load_made(loads: Loads, shop: Database) -> None:
    shop.run(
        "create function shop.stamp() returns trigger language plpgsql as"
        " $$ begin new.at := '2020-01-01'; return new; end $$",
        "create trigger stamp before insert or update on shop.orders"
        " for each row execute function shop.stamp()",
    )
    run = mirrored(loads).run
    assert shop.value("select count(*) from shop.orders where at = '2020-01-01'") == 4
    loads.undo(run)
    assert shop.rows(ALL) == BEFORE


@pytest.mark.parametrize("version", [13, 14, 15, 18])
def test_a_trigger_that_a_partition_has_from_its_parent_counts(
    version: int, database: Callable[[int], Database]
) -> None:
    """Versions before 15 mark it as the server's."""
    shop = database(version)
    shop.run(
        ORDERS,
        PARTS,
        "create function shop.stamp() returns trigger language plpgsql as"
        " $$ begin new.at := '2020-01-01'; return new; end $$",
        "create trigger stamp before update on shop.parts"
        " for each row execute function shop.stamp()",
    )
    with Loads(shop) as loads:
        given = Records(FIELDS, [("1", "10"), ("2", "20")])
        run = loads.run("shop.parts_1", words("merge", "id"), given).run
        assert shop.value("select count(*) from shop.parts where at = '2020-01-01'") == 2
        loads.undo(run)
    assert shop.rows(ALL.replace("orders", "parts")) == BEFORE


def test_a_merge_that_does_not_update_all_rows_that_it_kept_changes_nothing(
    loads: Loads, shop: Database
) -> None:
    """Of a row that was not updated, a before-image would say that it was."""
    shop.run(
        f"create role merging login password '{verifier(PASSWORD)}'",
        "alter table shop.orders owner to merging",
        "grant usage on schema shop to merging",
        f"grant create on database {shop.name} to merging",
    )
    given = Records(FIELDS, INPUT)
    try:
        with Loads(shop, "merging") as ours:
            run = ours.begin()
            load = load_of(ours.table("shop.orders"), words("merge", "id"), given)
            ours.landing.stage(run, load, 0, given)
            ours.landing.check(run, load)
            shop.run(
                "alter table shop.orders enable row level security, force row level security",
                "create policy reading on shop.orders for select using (true)",
                "create policy adding on shop.orders for insert with check (true)",
                "create policy changing on shop.orders for update using (id = 2)",
            )
            with pytest.raises(WindlassError, match=r"^shop\.orders: 1 of 2 rows"):
                ours.landing.apply(run, load)
        assert shop.rows(ALL) == BEFORE
        assert shop.value("select count(*) from pg_class where relname ~ '^undo_'") == 0
    finally:
        shop.run("drop owned by merging cascade", "drop role merging")


def test_a_row_that_others_refer_to_stops_the_undoing_as_a_whole(
    loads: Loads, shop: Database
) -> None:
    run = mirrored(loads).run
    shop.run("create table shop.lines (o int references shop.orders)")
    shop.run("insert into shop.lines values (5)")
    with pytest.raises(ConstraintViolated):
        loads.undo(run)
    assert shop.rows(ALL) == AFTER
    shop.run("delete from shop.lines")
    loads.undo(run)
    assert shop.rows(ALL) == BEFORE


def test_a_table_that_is_gone_is_named(loads: Loads, shop: Database) -> None:
    run = mirrored(loads).run
    shop.run("drop table shop.orders")
    with pytest.raises(WindlassError, match="is gone"):
        loads.undo(run)


def test_an_unknown_run_is_refused(loads: Loads) -> None:
    mirrored(loads)
    with pytest.raises(Refused, match="before the start"):
        loads.undo("20200101_0000_0000")


def test_what_a_run_left_is_listed_and_removed(loads: Loads, shop: Database) -> None:
    run = mirrored(loads).run
    (left,) = loads.landing.left(run)
    assert left.size_bytes > 0
    loads.landing.clean([left])
    assert loads.landing.runs() == []
    assert shop.value("select count(*) from pg_class where relname ~ '^undo_'") == 0
    assert shop.rows(ALL) == AFTER


def test_rows_known_by_their_transaction_are_known_again_when_they_are_put_back(
    loads: Loads, shop: Database
) -> None:
    added = Records(("id", "total", "at"), [("6", "6", None), ("7", "7", None)])
    first = loads.run("shop.orders", words("append"), added, at_once=True).run
    lines = loads.run("shop.log", words("append"), Records(("line",), [("a",), ("b",)])).run
    for _ in range(2):
        merged = loads.run("shop.orders", words("mirror", "id"), Records(FIELDS, [("6", "60")])).run
        replaced = loads.run("shop.log", words("replace"), Records(("line",), [("c",)])).run
        assert shop.rows(ALL) == [(6, 60)]
        loads.undo(merged)
        loads.undo(replaced)
    assert shop.rows(ALL) == [*BEFORE, (6, 6), (7, 7)]
    loads.undo(first)
    loads.undo(lines)
    assert shop.rows(ALL) == BEFORE
    assert shop.rows("select line from shop.log") == []
