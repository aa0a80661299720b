"""The round-trip time to a server, and how many parallel copies it justifies.

Copying a small relation is two round trips, however little its rows cost. On a slow link a session
mostly waits, so several share the work; on a fast link more sessions would only cost their
start-up.
"""

from __future__ import annotations

import time

from windlass.engines.postgres.session import Connection

MOST_STREAMS = 16  # of one run, over all its workers, to leave connections for others
SLOW_SECONDS = 0.004  # of a round trip; between machines in one building it takes a tenth of that
# of a round trip: about as long as the servers need for a small relation
_SECONDS_PER_STREAM = 0.00125
_TRIES = 5  # the shortest counts, because a busy server is no slow link


_known: dict[tuple[str, int], float] = {}  # by host and port


def round_trip_seconds(connection: Connection) -> float:
    """The shortest of several empty round trips; measured once per server and process."""
    place = connection.info.host, connection.info.port
    if place not in _known:
        _known[place] = _measure(connection)
    return _known[place]


def _measure(connection: Connection) -> float:
    found = []
    for _ in range(_TRIES):
        started = time.perf_counter()
        connection.execute(b"", prepare=False)
        found.append(time.perf_counter() - started)
        if found[-1] < SLOW_SECONDS:
            break
    return min(found)


def is_slow(connection: Connection) -> bool:
    return round_trip_seconds(connection) >= SLOW_SECONDS


def streams_for(seconds: float, workers: int) -> int:
    """How many sessions on each side a worker copies small relations with."""
    if seconds < SLOW_SECONDS:
        return 1
    return max(1, min(MOST_STREAMS // workers, int(seconds / _SECONDS_PER_STREAM)))
