"""Items divided into shares, one per mapped task: none lost, none duplicated, about equal in
size."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windlass.model.flow import Item
from windlass.model.relation import Name
from windlass.planning.patterns import matches

if TYPE_CHECKING:
    from windlass.airflow.shares import Share

Divide = Callable[[Sequence[Item], int], "list[Share]"]
Count = Callable[[Sequence[Item], int, int], int]
MOST_MAPPED = 1024  # Airflow's core.max_map_length, unless somebody sets it
MOST_TOLD = 250  # characters of a mapped task's name in Airflow's database
SHARE_BYTES = 256 << 20
COSTS = st.integers(0, 10 * SHARE_BYTES)

quickly = settings(deadline=None, max_examples=100)


@st.composite
def many(draw: st.DrawFn, most: int = 60, costs: st.SearchStrategy[int] = COSTS) -> list[Item]:
    return [Item(f"i{n}", cost=cost) for n, cost in enumerate(draw(st.lists(costs, max_size=most)))]


def divide_there(items: Sequence[Item], count: int) -> list[Share]:
    from windlass.airflow.shares import divide

    return divide(items, count)


def count_there(items: Sequence[Item], jobs: int, most: int) -> int:
    from windlass.airflow.shares import count_shares

    return count_shares(items, jobs, most)


@pytest.fixture(scope="module")
def divide(process: Executor) -> Divide:
    return lambda *words: process.submit(divide_there, *words).result()


@pytest.fixture(scope="module")
def count_shares(process: Executor) -> Count:
    return lambda *words: process.submit(count_there, *words).result()


def costs(items: Sequence[Item], shares: Sequence[Share]) -> list[int]:
    """Of each share. An item costs something even if it is empty."""
    cost = {item.id: max(item.cost, 1) for item in items}
    return [sum(cost[id_] for id_ in share["items"]) for share in shares]


# whose item is whose


@quickly
@given(items=many(), count=st.integers(1, 40))
def test_every_item_is_in_exactly_one_share(divide: Divide, items: list[Item], count: int) -> None:
    shares = divide(items, count)
    found = Counter(id_ for share in shares for id_ in share["items"])
    assert found == Counter(item.id for item in items)


@quickly
@given(items=many(), count=st.integers(1, 40))
def test_there_are_as_many_shares_as_asked_for_and_none_is_empty_that_need_not_be(
    divide: Divide, items: list[Item], count: int
) -> None:
    shares = divide(items, count)
    assert len(shares) == count
    assert len([share for share in shares if share["items"]]) == min(count, len(items))


@quickly
@given(items=many(), count=st.integers(1, 40))
def test_a_share_keeps_the_items_order(divide: Divide, items: list[Item], count: int) -> None:
    places = {item.id: place for place, item in enumerate(items)}
    for share in divide(items, count):
        assert share["items"] == sorted(share["items"], key=lambda id_: places[id_])


def test_nothing_is_no_share(divide: Divide, count_shares: Count) -> None:
    assert count_shares([], 4, 256) == 0
    assert divide([], 0) == []


def test_the_same_items_are_the_same_shares(divide: Divide) -> None:
    """A list that is made again, after a crash, has to fit the tasks that there are."""
    items = [Item(f"i{n}", cost=n % 7) for n in range(100)]
    assert divide(items, 9) == divide(items, 9)


# how equal they are


@quickly
@given(items=many(), count=st.integers(1, 40))
def test_no_share_costs_more_than_its_part_and_one_item(
    divide: Divide, items: list[Item], count: int
) -> None:
    """Graham 1966, for items in any order; in whole numbers."""
    found = costs(items, divide(items, count))
    largest = max((max(item.cost, 1) for item in items), default=0)
    assert count * max(found) <= sum(found) + (count - 1) * largest


@quickly
@given(items=many(most=7, costs=st.integers(1, 20)), count=st.integers(1, 3))
def test_largest_first_no_share_costs_a_third_more_than_in_the_best_division(
    divide: Divide, items: list[Item], count: int
) -> None:
    items.sort(key=lambda item: -item.cost)
    best = min(
        max(sum(i.cost for i, p in zip(items, places, strict=True) if p == n) for n in range(count))
        for places in product(range(count), repeat=len(items))
    )
    assert 3 * max(costs(items, divide(items, count))) <= 4 * best


def test_items_without_a_cost_are_dealt_out_one_by_one(divide: Divide) -> None:
    shares = divide([Item(f"i{n}") for n in range(10)], 4)
    assert sorted(len(share["items"]) for share in shares) == [2, 2, 3, 3]


def test_a_large_item_is_alone_where_there_is_room(divide: Divide) -> None:
    small = [Item(f"s{n}", cost=1) for n in range(8)]
    shares = divide([Item("large", cost=1_000), *small], 3)
    assert shares[0]["items"] == ["large"]


# how many there are


@quickly
@given(items=many(), jobs=st.integers(1, 1024), most=st.integers(1, 2_000))
def test_there_are_never_more_shares_than_items_or_than_airflow_maps(
    count_shares: Count, items: list[Item], jobs: int, most: int
) -> None:
    assert 0 <= count_shares(items, jobs, most) <= min(len(items), most)


@quickly
@given(items=many(), jobs=st.integers(1, 64))
def test_no_worker_is_without_a_share_while_there_are_items(
    count_shares: Count, items: list[Item], jobs: int
) -> None:
    assert count_shares(items, jobs, 256) >= min(len(items), jobs)


@pytest.mark.parametrize(
    ("sizes", "jobs", "most", "count"),
    [
        ([0] * 100, 4, 256, 4),  # small ones: as many as keep the workers busy
        ([SHARE_BYTES] * 100, 4, 256, 100),  # each is worth a task
        ([SHARE_BYTES] * 300, 4, 256, 256),
        ([SHARE_BYTES // 2] * 100, 4, 256, 50),
        ([SHARE_BYTES // 2] * 3, 1, 256, 2),
        ([SHARE_BYTES * 50], 4, 256, 1),
        ([1], 64, 256, 1),
        ([0] * 10, 64, 3, 3),
    ],
)
def test_a_share_is_worth_a_task_or_keeps_a_worker_busy(
    count_shares: Count, sizes: list[int], jobs: int, most: int, count: int
) -> None:
    assert count_shares([Item(f"i{n}", cost=s) for n, s in enumerate(sizes)], jobs, most) == count


@pytest.mark.parametrize("cost", [0, 1, SHARE_BYTES, 100 * SHARE_BYTES])
def test_5000_items_are_never_more_than_airflow_maps_and_all_in(
    divide: Divide, count_shares: Count, cost: int
) -> None:
    items = [Item(f"i{n}", cost=cost) for n in range(5_000)]
    count = count_shares(items, 1024, min(2_000, MOST_MAPPED))
    shares = divide(items, count)
    assert len(shares) == count <= MOST_MAPPED
    assert len({id_ for share in shares for id_ in share["items"]}) == 5_000
    assert max(len(share["items"]) for share in shares) == -(-5_000 // count)


# what they are called


def test_the_list_s_task_makes_no_more_shares_than_airflow_is_set_to_map(
    process: Executor,
) -> None:
    assert process.submit(listed, 5_000, 2_000).result() == MOST_MAPPED
    assert process.submit(listed, 5_000, 300).result() == 300
    assert process.submit(listed, 20, 300).result() == 20


def listed(items: int, most: int) -> int:
    """Shares that the task makes of so many items, each worth a task."""
    from windlass.airflow.operators import ListOperator

    class Part:
        jobs = 4

        def list_items(self) -> list[Item]:
            return [Item(f"i{n}", cost=SHARE_BYTES) for n in range(items)]

    task = ListOperator(task_id="list", flow="", step="", words="", most=most)
    task.part = lambda *_, **__: Part()  # type: ignore[method-assign, assignment]
    return len(task.execute({}))


@pytest.mark.parametrize(
    ("items", "name"),
    [
        ([Item("shop.item")], "shop.item"),
        ([Item("a"), Item("b")], "a, b"),
        ([Item("a"), Item("b"), Item("c")], "a, b and 1 more"),
        ([Item(f"i{n}") for n in range(5_000)], "i0, i1 and 4,998 more"),
        ([Item("1", detail={"name": "shop.item 0 <= ctid < 9"})], "shop.item 0 <= ctid < 9"),
        ([Item("1", detail={"name": "shop.item"}), Item("b")], "shop.item, b"),
        (
            [Item("1", detail={"name": "a, b and 7 more", "names": [*"abcdefghi"]}), Item("j")],
            "a, b and 8 more",
        ),
        ([Item("1", detail={"name": "a, b and 1 more", "names": [*"abc"]})], "a, b and 1 more"),
    ],
)
def test_a_share_is_called_after_its_first_items(
    divide: Divide, items: list[Item], name: str
) -> None:
    (share,) = divide(items, 1)
    assert share["name"] == name


def test_a_share_s_name_fits_into_airflow_s_database(divide: Divide) -> None:
    """It refuses a longer one with an error, and the task that tells it fails."""
    long = [Item(f"{'s' * 63}.{'t' * 62}{n}") for n in range(3)]
    (share,) = divide(long, 1)
    assert 0 < len(share["name"]) <= MOST_TOLD


def test_one_item_alone_shows_its_detail_and_several_each_their_own(divide: Divide) -> None:
    first, second = Item("1", detail={"rows": 5}), Item("2", detail={"rows": 7})
    assert divide([first], 1) == [{"name": "1", "items": ["1"], "rows": 5}]
    assert divide([first, second, Item("3")], 1) == [
        {
            "name": "1, 2 and 1 more",
            "items": ["1", "2", "3"],
            "details": [{"rows": 5}, {"rows": 7}],
        }
    ]


def test_what_a_share_is_named_after_is_not_shown_again(divide: Divide) -> None:
    one, two = (Item(name, detail={"names": [name]}) for name in "ab")
    assert divide([one, two], 1) == [{"name": "a, b", "items": ["a", "b"]}]
    assert divide([one], 1) == [{"name": "a", "items": ["a"]}]


def test_a_detail_does_not_hide_what_a_share_is(divide: Divide) -> None:
    (share,) = divide([Item("1", detail={"name": "one", "items": ["all"]})], 1)
    assert (share["name"], share["items"]) == ("one", ["1"])


@quickly
@given(
    details=st.lists(
        st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.text(max_size=5)),
        max_size=6,
    ),
    count=st.integers(1, 4),
)
def test_a_share_is_json(divide: Divide, details: list[Mapping[str, Any]], count: int) -> None:
    items = [Item(f"i{n}", detail=detail) for n, detail in enumerate(details)]
    shares = divide(items, count)
    assert json.loads(json.dumps(shares)) == shares


# the tables of a pair that moves


TABLES = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "Odd", "p*", "a_b", "x1"]),
        st.integers(0, 9),
        st.integers(0, 10 * SHARE_BYTES),
        st.booleans(),
    ),
    max_size=40,
    unique_by=lambda one: one[:2],
)


def table_shares_there(relations: Any, spec: Any) -> Any:
    from windlass.airflow.table_shares import shares_of

    return shares_of(relations, spec)


@settings(deadline=None, max_examples=60)
@given(tables=TABLES)
def test_every_table_is_compared_by_exactly_one_task(process: Executor, tables: Any) -> None:
    names = [Name("shop", f"{letters}{number}") for letters, number, _, _ in tables]
    relations = [
        {"source": str(name), "bytes": size, "partition_of": str(names[0]) if child else None}
        for name, (_, _, size, child) in zip(names, tables, strict=True)
    ]
    if relations:
        relations[0]["partition_of"] = None
    spec = {"schema": "shop", "exclude": "*.tmp", "follow": True}
    shares = process.submit(table_shares_there, relations, spec).result()
    assert len(shares) <= 16

    def takes(share: Any, name: Name) -> bool:
        words = share["spec"]
        wanted = [words["exclude"]] if isinstance(words["exclude"], str) else words["exclude"]
        is_in = any(matches(name, one) for one in words.get("include", ["*"]))
        return is_in and not any(matches(name, one) for one in wanted)

    for name in names:
        assert sum(takes(share, name) for share in shares) == 1, (name, shares)
