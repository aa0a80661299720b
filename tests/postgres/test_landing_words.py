"""Every load word into a PostgreSQL table in use: what the table holds afterwards, the counts, and
that undoing puts back exactly what was there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from landings import LAST, Loaded, Loads, Record, Records, words
from servers import Database
from windlass.errors import BadRecord, ConstraintViolated, Refused
from windlass.model.load import Counts
from windlass.model.load_words import Matched, Missing

VERSION = 16
ORDERS = """
create schema shop;
create table shop.orders (
    id integer primary key, total numeric(10,2), note text, state text default 'new'
);
insert into shop.orders
values (1, 1.50, 'one', 'paid'), (2, 2.50, null, 'new'), (3, 3.50, '', 'new');
"""
FIELDS = ("id", "total", "note")
INPUT: list[Record] = [("2", "2.50", None), ("3", "9.99", ""), ("4", "4.00", "four")]


@pytest.fixture
def shop(database: Callable[[int], Database], request: pytest.FixtureRequest) -> Database:
    made = database(getattr(request, "param", VERSION))
    made.run(ORDERS)
    return made


@pytest.fixture
def loads(shop: Database) -> Iterator[Loads]:
    with Loads(shop) as found:
        yield found


def rows(shop: Database) -> list[tuple[object, ...]]:
    return shop.rows("select id, total::text, note, state from shop.orders order by id, total")


BEFORE = [(1, "1.50", "one", "paid"), (2, "2.50", None, "new"), (3, "3.50", "", "new")]
CHANGED = (3, "9.99", "", "new")
NEW = (4, "4.00", "four", "new")


@pytest.mark.parametrize("shop", [12, 15, 16, 18], indirect=True)
@pytest.mark.parametrize("is_raw", [False, True])
@pytest.mark.parametrize(
    ("how", "after", "counts"),
    [
        (words("merge", "id"), [*BEFORE[:2], CHANGED, NEW], (3, 1, 1, 1, 0)),
        (words("insert", "id"), [*BEFORE, NEW], (3, 1, 0, 2, 0)),
        (words("mirror", "id"), [BEFORE[1], CHANGED, NEW], (3, 1, 1, 1, 1)),
        (words("replace"), [BEFORE[1], CHANGED, NEW], (3, 3, 0, 0, 3)),
    ],
)
def test_each_word_does_what_it_says_and_is_undone(
    how: object, after: object, counts: tuple[int, ...], is_raw: bool, loads: Loads, shop: Database
) -> None:
    loaded = loads.run("shop.orders", how, Records(FIELDS, INPUT, is_raw=is_raw))  # type: ignore[arg-type]
    assert rows(shop) == after
    assert loaded.counts == Counts(*counts)
    loads.undo(loaded.run)
    assert rows(shop) == BEFORE


def test_rows_are_appended_and_taken_out_again(loads: Loads, shop: Database) -> None:
    loaded = loads.run("shop.orders", words("append"), Records(FIELDS, [("7", "7", "x")]))
    assert rows(shop) == [*BEFORE, (7, "7.00", "x", "new")]
    loads.undo(loaded.run)
    assert rows(shop) == BEFORE


def test_all_rows_with_all_columns_are_replaced_by_changing_those_that_differ(
    loads: Loads, shop: Database
) -> None:
    source = Records((*FIELDS, "state"), [(*one, "new") for one in INPUT])
    loaded = loads.run("shop.orders", words("replace"), source)
    assert rows(shop) == [BEFORE[1], CHANGED, NEW]
    assert loaded.counts == Counts(3, 1, 1, 1, 1)
    loads.undo(loaded.run)
    assert rows(shop) == BEFORE


def test_a_slice_is_replaced_and_no_row_outside_of_it_is_touched(
    loads: Loads, shop: Database
) -> None:
    how = words("slice", slice="total > 3")
    loaded = loads.run("shop.orders", how, Records(FIELDS, [("8", "8", None), ("9", "9", None)]))
    assert rows(shop) == [*BEFORE[:2], (8, "8.00", None, "new"), (9, "9.00", None, "new")]
    assert (loaded.counts.inserted, loaded.counts.deleted) == (2, 1)
    loads.undo(loaded.run)
    assert rows(shop) == BEFORE


def test_rows_that_are_missing_are_marked_and_unmarked_when_they_are_back(
    loads: Loads, shop: Database
) -> None:
    shop.run("alter table shop.orders add gone timestamptz")
    how = words("mirror", "id", missing=Missing.MARK, mark="gone")
    first = loads.run("shop.orders", how, Records(FIELDS, INPUT))
    assert shop.rows("select id from shop.orders where gone is not null") == [(1,)]
    assert (first.counts.deleted, first.counts.updated) == (1, 1)
    again = loads.run("shop.orders", how, Records(FIELDS, INPUT))
    assert (again.counts.deleted, again.counts.updated, again.counts.unchanged) == (0, 0, 3)
    back = loads.run("shop.orders", how, Records(FIELDS, [*INPUT, ("1", "1.50", "one")]))
    assert shop.rows("select id from shop.orders where gone is not null") == []
    assert back.counts.updated == 1
    for run in (back.run, again.run, first.run):
        loads.undo(run)
    assert rows(shop) == BEFORE


def test_a_history_closes_what_has_changed_and_adds_what_is_new(
    loads: Loads, shop: Database
) -> None:
    shop.run(
        "create table shop.states (id int, total numeric, note text,"
        " valid_from timestamptz not null, valid_to timestamptz)"
    )
    how = words("history", "id")
    loads.run("shop.states", how, Records(FIELDS, [("1", "1", "a"), ("2", "2", "b")]))
    second = loads.run("shop.states", how, Records(FIELDS, [("1", "1", "a"), ("2", "2", "c")]))
    found = "select id, note, valid_to is null from shop.states order by id, note"
    assert shop.rows(found) == [(1, "a", True), (2, "b", False), (2, "c", True)]
    assert second.counts == Counts(2, 0, 1, 1, 0)
    assert shop.value("select count(*) from shop.states a join shop.states b"
                      " on a.valid_to = b.valid_from and a.id = b.id") == 1  # fmt: skip
    ended = loads.run(
        "shop.states", replace(how, missing=Missing.DELETE), Records(FIELDS, [("2", "2", "c")])
    )
    assert (ended.counts.deleted, ended.counts.unchanged) == (1, 1)
    loads.undo(ended.run)
    loads.undo(second.run)
    assert shop.rows(found) == [(1, "a", True), (2, "b", True)]


def test_the_last_of_several_rows_with_one_key_is_loaded(loads: Loads, shop: Database) -> None:
    how = words("merge", "id", duplicates=LAST)
    records: list[Record] = [("9", "1", "first"), ("9", "2", "second"), ("9", "3", "third")]
    loads.run("shop.orders", how, Records(FIELDS, records))
    assert shop.value("select note from shop.orders where id = 9") == "third"
    by = words("merge", "id", duplicates=LAST, last_by="note")
    loads.run("shop.orders", by, Records(FIELDS, records[:2][::-1]))
    assert shop.value("select note from shop.orders where id = 9") == "second"


def test_a_key_that_is_there_is_refused_where_that_is_asked_for(
    loads: Loads, shop: Database
) -> None:
    with pytest.raises(Refused) as caught:
        loads.run(
            "shop.orders", words("insert", "id", matched=Matched.REFUSE), Records(FIELDS, INPUT)
        )
    assert "has 2 rows of the input already" in caught.value.problems[0].message
    assert rows(shop) == BEFORE


def test_a_merge_in_which_nothing_changes_touches_no_row(loads: Loads, shop: Database) -> None:
    places = "select ctid::text, xmin::text from shop.orders order by id"
    before = shop.rows(places)
    same: list[Record] = [("1", "1.50", "one"), ("2", "2.50", None), ("3", "3.50", "")]
    for name in ("merge", "mirror"):
        counts = loads.run("shop.orders", words(name, "id"), Records(FIELDS, same)).counts
        assert counts == Counts(3, 0, 0, 3, 0)
    assert shop.rows(places) == before


def test_several_inputs_are_one_load(loads: Loads, shop: Database) -> None:
    sources = [
        Records(FIELDS, [(str(at), "1", None)], f"part {at}.csv", is_raw=at % 2 == 0)
        for at in range(4, 9)
    ]
    loaded = loads.run("shop.orders", words("merge", "id"), *sources)
    assert [row[0] for row in rows(shop)] == list(range(1, 9))
    loads.undo(loaded.run)
    assert rows(shop) == BEFORE


# rows that are only added need no staging


def direct(loads: Loads, *records: Record, is_raw: bool = True, **more: Any) -> Loaded:
    source = Records((*FIELDS, "state"), records, is_raw=is_raw)
    return loads.run("shop.orders", words("append"), source, at_once=True, **more)


def is_staged(shop: Database) -> bool:
    return bool(shop.value("select count(*) from windlass.line where step = 'stage_rows'"))


@pytest.mark.parametrize("is_raw", [False, True])
def test_rows_that_are_only_added_go_straight_into_the_table(
    is_raw: bool, loads: Loads, shop: Database
) -> None:
    loaded = direct(loads, ("7", "7.10", 'a "b"\nc', "new"), ("8", None, "", "x"), is_raw=is_raw)
    assert not is_staged(shop)
    assert loaded.counts == Counts(2, 2, 0, 0, 0)
    assert rows(shop)[3:] == [(7, "7.10", 'a "b"\nc', "new"), (8, None, "", "x")]
    assert loaded.staged[0].rows == 2
    loads.undo(loaded.run)
    assert rows(shop) == BEFORE


@pytest.mark.parametrize("is_raw", [False, True])
@pytest.mark.parametrize("total", ["1e1", "10.000"])
def test_what_looks_as_if_it_were_cut_is_looked_at_and_loaded(
    total: str, is_raw: bool, loads: Loads, shop: Database
) -> None:
    loaded = direct(loads, ("7", total, None, "new"), is_raw=is_raw)
    assert is_staged(shop) is (total == "1e1")
    assert loaded.counts == Counts(1, 1, 0, 0, 0)
    assert rows(shop)[3:] == [(7, "10.00", None, "new")]


@pytest.mark.parametrize("is_raw", [False, True])
@pytest.mark.parametrize(("total", "id_"), [("1.005", "7"), ("1", "x"), ("1", None)])
def test_a_bad_value_is_named_as_if_it_were_staged(
    total: str, id_: str | None, is_raw: bool, loads: Loads, shop: Database
) -> None:
    with pytest.raises(BadRecord) as caught:
        direct(loads, ("6", "1", None, "new"), (id_, total, None, "new"), is_raw=is_raw)
    assert [one.line for one in caught.value.bad] == [3]
    assert rows(shop) == BEFORE


def test_a_key_that_is_there_stops_rows_that_are_only_added(loads: Loads, shop: Database) -> None:
    with pytest.raises(ConstraintViolated):
        direct(loads, ("9", "1", None, "new"), ("1", "1", None, "new"))
    assert rows(shop) == BEFORE
