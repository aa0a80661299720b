"""Divides the items of a step into shares, one for each mapped task."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from math import ceil
from typing import Any

from windlass.model.flow import Item
from windlass.model.units import several

Share = dict[str, Any]  # JSON: name, items (ids), and the details of each item

# A task costs half a second of a core (docs/benchmarks-airflow.md); copying this much takes about
# two.
SHARE_BYTES = 256 << 20
_NAMES = "names"  # of a detail
MOST_NAMED = 250  # characters, in Airflow's database


def count_shares(items: Sequence[Item], jobs: int, most: int) -> int:
    """One share for each SHARE_BYTES, but at least `jobs`, and at most `most`."""
    worth = ceil(sum(item.cost for item in items) / SHARE_BYTES)
    return min(len(items), most, max(worth, jobs))


def divide(items: Sequence[Item], count: int) -> list[Share]:
    """`count` shares of about equal cost. Every item is in exactly one; each share keeps the items'
    order.

    The next item always goes to the lightest share. If items come largest first, that is at most a
    third above the best division (Graham, Bounds on multiprocessing timing anomalies, 1969).
    """
    lightest = [(0, place) for place in range(count)]
    found: list[list[Item]] = [[] for _ in range(count)]
    for item in items:
        cost, place = heapq.heappop(lightest)
        found[place].append(item)
        heapq.heappush(lightest, (cost + max(item.cost, 1), place))
    return [_share(some) for some in found]


def _share(items: Sequence[Item]) -> Share:
    """A share. Its name lists what its items consist of, if they say so: `names`."""
    names = [str(one) for item in items for one in item.detail.get(_NAMES, [_name(item)])]
    name = _name(items[0]) if len(items) == 1 else several(names)
    share = {"name": name[:MOST_NAMED], "items": [item.id for item in items]}
    details = [{key: one for key, one in it.detail.items() if key != _NAMES} for it in items]
    if len(items) == 1:
        return {**details[0], **share}
    details = [detail for detail in details if detail.keys() - {"name"}]
    return {**share, "details": details} if details else share


def _name(item: Item) -> str:
    return str(item.detail.get("name", item.id))
