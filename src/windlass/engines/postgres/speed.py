"""How fast two servers are, measured in about a second. Reads only."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import LiteralString

from psycopg import sql

from windlass.engines.postgres.session import Connection
from windlass.model.relation import Relation

# Formatting, hashing and sorting, like COPY, index builds and fingerprints.
_WORK: LiteralString = (
    "select count(*) from (select md5(n::text) as word from generate_series(1, {}) as n"
    " order by word offset 1) as sorted"
)
ROWS = 60_000  # with fewer, the result is less reliable
REFERENCE_SECONDS = 2.5e-6  # for each row, on the machine of the forecast's rates
TRIES = 3
SAMPLE_BYTES = 8 << 20
LEAST_BYTES = 1 << 20  # a smaller sample is meaningless


@dataclass(frozen=True, slots=True)
class Measured:
    """`cpu`: for each side, how many times as long as on the reference machine the same work takes.
    `read_byte`: seconds to read a byte from the source by COPY; 0 if no relation is large enough to
    measure. `round_trip`: seconds, both servers together."""

    source_cpu: float
    target_cpu: float
    read_byte: float
    round_trip: float


def measure(source: Connection, target: Connection, relations: Sequence[Relation]) -> Measured:
    """Time a fixed piece of work on each side, and reading a part of the largest relation."""
    return Measured(
        source_cpu=_cpu(source),
        target_cpu=_cpu(target),
        read_byte=_read_byte(source, relations),
        round_trip=_round_trip(source) + _round_trip(target),
    )


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _cpu(connection: Connection) -> float:
    work = sql.SQL(_WORK).format(sql.Literal(ROWS))
    found = [_seconds(lambda: connection.execute(work).fetchone()) for _ in range(TRIES)]
    return statistics.median(found) / (ROWS * REFERENCE_SECONDS)


def _round_trip(connection: Connection) -> float:
    return min(_seconds(lambda: connection.execute("select 1")) for _ in range(TRIES + 2))


def _read_byte(connection: Connection, relations: Sequence[Relation]) -> float:
    """Read only the first rows: LIMIT stops the scan on every version."""
    largest = max(relations, key=lambda one: one.size_bytes, default=None)
    if largest is None or largest.size_bytes < LEAST_BYTES or largest.rows <= 0:
        return 0.0
    size = min(largest.size_bytes, SAMPLE_BYTES)
    rows = max(int(largest.rows * size / largest.size_bytes), 1)
    statement = sql.SQL("copy (select * from only {} limit {}) to stdout (format binary)").format(
        sql.Identifier(largest.name.schema, largest.name.name), sql.Literal(rows)
    )

    def read() -> None:
        with connection.cursor() as cursor, cursor.copy(statement) as stream:
            for _ in stream:
                pass

    return _seconds(read) / size
