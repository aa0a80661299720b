"""Items of a step divided into shares: one mapped task each."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any

from windlass.model.flow import Item

Share = dict[str, Any]  # of Json: name, items (ids), and for one item alone its detail


def divide(items: Sequence[Item], most: int) -> list[Share]:
    """At most `most` shares of about equal cost, every item in exactly one; in the items' order.

    The next item goes to the lightest share: at most a third over the best division where the
    items come largest first (Graham, Bounds on multiprocessing timing anomalies, 1969).
    """
    if len(items) <= most:
        return [_share([item]) for item in items]
    lightest = [(0, place) for place in range(most)]
    found: list[list[Item]] = [[] for _ in range(most)]
    for item in items:
        cost, place = heapq.heappop(lightest)
        found[place].append(item)
        heapq.heappush(lightest, (cost + max(item.cost, 1), place))
    return [_share(some) for some in found]


def _share(items: Sequence[Item]) -> Share:
    first = items[0]
    ids = [item.id for item in items]
    if len(items) == 1:
        return {"name": str(first.detail.get("partition_name", first.id)), "items": ids,
                **first.detail}  # fmt: skip
    details = [dict(item.detail) for item in items if item.detail]
    parts = {"partitions": details} if details else {}
    return {"name": f"{first.id} and {len(items) - 1} more", "items": ids, **parts}
