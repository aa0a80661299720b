"""A cutover without its fence: measures each of its parts, and predicts how long writers wait."""

from __future__ import annotations

import time
from collections.abc import Callable

from windlass.engines.postgres.sequences import read_sequences
from windlass.following.limit import Limit
from windlass.following.order import Order, Pairing
from windlass.following.seals import await_marker, put_marker
from windlass.following.sequences import PER_QUERY
from windlass.model.following import Purpose

ROUNDS = 5
ENDING_MS = 20.0  # time to end sessions and see that they are gone, in addition to the queries


def rehearse(order: Order, pair: Pairing, limit: Limit) -> dict[str, float]:
    """Milliseconds for each part; the slowest of several rounds."""
    fence = pair.fence(order)

    def drain() -> None:
        # a seal is applied at once, and so is this marker; one that measures lag waits for other
        # changes
        number = put_marker(pair.closed, order.run, order.way.direction, Purpose.PROOF)
        await_marker(
            pair.opened, order.run, order.way.direction, number, limit, "a marker to arrive"
        )

    def sequences() -> None:
        names = [name for name, _ in order.sequences]
        read_sequences(pair.closed, names, side=order.way.closes.name, per_query=PER_QUERY)

    def commit() -> None:
        put_marker(pair.closed, order.run, order.way.direction, Purpose.LAG)

    drained, read, committed = _slowest(drain), _slowest(sequences), _slowest(commit)
    looked = _slowest(lambda: fence.foreign())
    return {
        "fence": round(2 * committed + 3 * looked + (ENDING_MS if order.closes else 0), 3),
        "drain": round(drained, 3),
        "sequences": round(2 * read, 3),
        "seal": round(drained + looked, 3),
        "decide": round(committed, 3),
        "open": round(2 * committed, 3),
    }


def _slowest(work: Callable[[], object]) -> float:
    found = []
    for _ in range(ROUNDS):
        started = time.monotonic()
        work()
        found.append((time.monotonic() - started) * 1000)
    return max(found)
