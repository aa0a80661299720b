"""`python -m bench.slow_link`: many small relations, while every answer takes ten milliseconds.

The same migration in turn with and without a delay, both servers behind a proxy each time, so that
only the delay differs. What counts is the ratio: where it is high, somebody waits for answers one
by one. The proxy is a separate process, and counts round trips: figures that do not depend on what
else the machine does. So does pg_dump alone: nothing can overlap it at the beginning and at the end
of a migration.
"""

import argparse
import asyncio
import contextlib
import logging
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from psycopg import sql

from bench.machine import describe_machine
from bench.servers import POSTGRES_BIN, Server, running
from windlass.engines.postgres.pg_dump import find_pg_dump

log = logging.getLogger(__name__)

RELATIONS = 300
DELAY_SECONDS = 0.005  # each way
MOST_TIMES = 2.0
_BLOCK = 1 << 16


@dataclass
class _Turns:
    """Of one connection: a round trip begins where the client sends after the server has."""

    is_asking: bool = False
    count: int = 0

    def take(self, *, asks: bool) -> None:
        self.count += asks and not self.is_asking
        self.is_asking = asks


async def _pass_on(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    seconds: float,
    take: Callable[[], None],
) -> None:
    """Every block after its own delay: the link is slow to answer, not narrow."""
    queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def deliver() -> None:
        while True:
            due, block = await queue.get()
            if (rest := due - time.monotonic()) > 0:
                await asyncio.sleep(rest)
            if not block:
                writer.close()
                return
            writer.write(block)
            await writer.drain()

    delivering = asyncio.create_task(deliver())
    with contextlib.suppress(ConnectionError):
        while block := await reader.read(_BLOCK):
            take()
            queue.put_nowait((time.monotonic() + seconds, block))
    queue.put_nowait((time.monotonic() + seconds, b""))
    with contextlib.suppress(ConnectionError):
        await delivering


async def _serve(port: int, seconds: float) -> None:
    """Prints its port, and when it is asked to end, the round trips: all, and the most of one
    connection."""
    connections: list[_Turns] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection("127.0.0.1", port)
        turns = _Turns()
        connections.append(turns)
        await asyncio.gather(
            _pass_on(reader, there[1], seconds, partial(turns.take, asks=True)),
            _pass_on(there[0], writer, seconds, partial(turns.take, asks=False)),
        )

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    ending = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.set)
    await ending.wait()
    counts = [turns.count for turns in connections]
    print(sum(counts), max(counts, default=0), flush=True)


@dataclass
class Slow:
    """A server at an address where each direction takes longer."""

    server: Server
    round_trips: int = 0  # of all connections, when it is left
    most_round_trips: int = 0  # of one of them


@contextmanager
def behind_a_proxy(server: Server, seconds: float) -> Iterator[Slow]:
    """The server, at an address where each direction takes `seconds` longer."""
    words = [sys.executable, "-m", "bench.slow_link", "--proxy", str(server.port), str(seconds)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as proxy:
        assert proxy.stdout is not None
        try:
            slow = Slow(Server(int(proxy.stdout.readline())))
            yield slow
            proxy.send_signal(signal.SIGTERM)
            slow.round_trips, slow.most_round_trips = map(int, proxy.stdout.readline().split())
        finally:
            proxy.send_signal(signal.SIGKILL)


def fill(server: Server, database: str, relations: int) -> None:
    """Each with a key, an index, and 100 rows."""
    server.make_empty(database)
    with server.connect(database) as connection:
        for at in range(relations):
            name, index = sql.Identifier(f"t{at}"), sql.Identifier(f"t{at}_note")
            make = "create table {} (id int primary key, note text)"
            connection.execute(sql.SQL(make).format(name))
            rows = "insert into {} select i, 'note ' || i from generate_series(1, 100) i"
            connection.execute(sql.SQL(rows).format(name))
            connection.execute(sql.SQL("create index {} on {} (note)").format(index, name))


@dataclass(frozen=True)
class Took:
    seconds: float
    source_trips: int
    target_trips: int
    most_trips: int  # of one connection


def run(source: Server, target: Server, seconds: float) -> Took:
    """What one migration takes; the target is emptied before."""
    target.make_empty("bench")
    with behind_a_proxy(source, seconds) as reading, behind_a_proxy(target, seconds) as writing:
        words = [sys.executable, "-m", "windlass", "migrate", "--quiet"]
        words += ["--source", reading.server.url("bench")]
        words += ["--target", writing.server.url("bench")]
        began = time.monotonic()
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        took = time.monotonic() - began
    most = max(reading.most_round_trips, writing.most_round_trips)
    return Took(took, reading.round_trips, writing.round_trips, most)


def run_pg_dump(source: Server, seconds: float) -> tuple[str, Took]:
    """The definitions alone, by the pg_dump that a migration over such a link uses."""
    with source.connect("bench") as connection:
        major = connection.info.server_version // 10000
    pg_dump = find_pg_dump(major, major, in_few_trips=seconds > 0)
    assert pg_dump is not None
    with behind_a_proxy(source, seconds) as slow:
        words = [str(pg_dump.path), "--schema-only", "--dbname", slow.server.url("bench")]
        began = time.monotonic()
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        took = time.monotonic() - began
    return str(pg_dump), Took(took, slow.round_trips, 0, slow.most_round_trips)


def main() -> int:
    """Exit 0: within the limit; 1: not."""
    parser = argparse.ArgumentParser(prog="python -m bench.slow_link")
    parser.add_argument("--relations", type=int, default=RELATIONS)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument(
        "--bin", type=Path, default=POSTGRES_BIN, metavar="FOLDER", help="the servers' programs"
    )
    parser.add_argument("--write", type=Path, metavar="FILE", help="the page, in markdown")
    parser.add_argument("--proxy", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.proxy:
        asyncio.run(_serve(int(options.proxy[0]), float(options.proxy[1])))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    found: dict[float, list[Took]] = {0.0: [], DELAY_SECONDS: []}
    dumps: dict[float, tuple[str, Took]] = {}
    machine = describe_machine()
    with tempfile.TemporaryDirectory(prefix="windlass-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        source_data, target_data = folder / "source", folder / "target"
        with (
            running(source_data, options.bin) as source,
            running(target_data, options.bin) as target,
        ):
            fill(source, "bench", options.relations)
            for _ in range(options.repeat):
                for delay, times in found.items():
                    times.append(run(source, target, delay))
                    log.info("delay=%s took=%s", delay, times[-1])
            for delay in found:
                dumps[delay] = run_pg_dump(source, delay)
    page, reached = _page(found, dumps, options.relations, machine)
    print(page)
    if options.write:
        options.write.write_text(page)
    return 0 if reached else 1


def _page(
    found: dict[float, list[Took]],
    dumps: dict[float, tuple[str, Took]],
    relations: int,
    machine: dict[str, str],
) -> tuple[str, bool]:
    near, far = (statistics.median(took.seconds for took in some) for some in found.values())
    reached = far <= MOST_TIMES * near
    (near_dump, near_took), (far_dump, far_took) = dumps.values()
    trips = found[DELAY_SECONDS][-1]
    lines = [
        "# Benchmark: many relations over a slow link",
        "",
        "Made by `python -m bench.slow_link`. A migration, verified, of"
        f" {relations} relations with a key, an index and 100 rows each, both servers behind a"
        " proxy: without delay, and with 5 ms in each direction.",
        "",
        "| | seconds (median) | all runs |",
        "|---|---|---|",
        f"| no delay | {near:.1f} | {_span(found[0.0])} |",
        f"| 10 ms a round trip | {far:.1f} | {_span(found[DELAY_SECONDS])} |",
        f"| ratio, at most {MOST_TIMES} | {far / near:.1f} |"
        f" {'reached' if reached else 'not reached'} |",
        f"| pg_dump {near_dump} alone, no delay | {near_took.seconds:.1f} | |",
        f"| pg_dump {far_dump} alone, 10 ms a round trip | {far_took.seconds:.1f} | |",
        "",
        f"Round trips with delay: {trips.source_trips:,} to the source and"
        f" {trips.target_trips:,} to the target, {trips.most_trips:,} of one connection; pg_dump"
        f" alone makes {far_took.source_trips:,}. It reads the source before anything can be"
        " written, and the target when all is written, so its time counts twice, whatever the rest"
        " takes. Before version 16 pg_dump locks tables one by one, a round trip each; over a slow"
        " link a newer one reads, if there is one.",
        "",
        *(f"- {name}: {value}" for name, value in machine.items()),
        "",
    ]
    return "\n".join(lines), reached


def _span(values: list[Took]) -> str:
    return ", ".join(f"{value.seconds:.1f}" for value in values)


if __name__ == "__main__":
    sys.exit(main())
