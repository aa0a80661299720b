"""`python -m bench.slow_link`: many small relations, while every answer takes ten milliseconds.

The same migration in turn with and without a delay, both servers behind a proxy each time, so that
only the delay differs. What counts is the ratio: where it is high, somebody waits for answers one
by one. The proxy is a process of its own.
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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from psycopg import sql

from bench.machine import describe_machine
from bench.servers import Server, running

log = logging.getLogger(__name__)

RELATIONS = 300
DELAY_SECONDS = 0.005  # each way
MOST_TIMES = 2.0
_BLOCK = 1 << 16


async def _pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float
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
            queue.put_nowait((time.monotonic() + seconds, block))
    queue.put_nowait((time.monotonic() + seconds, b""))
    with contextlib.suppress(ConnectionError):
        await delivering


async def _serve(port: int, seconds: float) -> None:
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(
            _pass_on(reader, there[1], seconds), _pass_on(there[0], writer, seconds)
        )

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


@contextmanager
def behind_a_proxy(server: Server, seconds: float) -> Iterator[Server]:
    """The server, at an address where each direction takes `seconds` longer."""
    words = [sys.executable, "-m", "bench.slow_link", "--proxy", str(server.port), str(seconds)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as proxy:
        assert proxy.stdout is not None
        try:
            yield Server(int(proxy.stdout.readline()))
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


def run(source: Server, target: Server, seconds: float) -> float:
    """How long one migration takes; the target is emptied before."""
    target.make_empty("bench")
    with behind_a_proxy(source, seconds) as slow_source, behind_a_proxy(target, seconds) as slow:
        words = [sys.executable, "-m", "windlass", "migrate", "--quiet"]
        words += ["--source", slow_source.url("bench"), "--target", slow.url("bench")]
        began = time.monotonic()
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return time.monotonic() - began


def main() -> int:
    """Exit 0: within the limit; 1: not."""
    parser = argparse.ArgumentParser(prog="python -m bench.slow_link")
    parser.add_argument("--relations", type=int, default=RELATIONS)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--write", type=Path, metavar="FILE", help="the page, in markdown")
    parser.add_argument("--proxy", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.proxy:
        asyncio.run(_serve(int(options.proxy[0]), float(options.proxy[1])))
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    found: dict[float, list[float]] = {0.0: [], DELAY_SECONDS: []}
    machine = describe_machine()
    with tempfile.TemporaryDirectory(prefix="windlass-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with running(folder / "source") as source, running(folder / "target") as target:
            fill(source, "bench", options.relations)
            for _ in range(options.repeat):
                for delay, times in found.items():
                    times.append(run(source, target, delay))
                    log.info("delay=%s seconds=%.1f", delay, times[-1])
    page, reached = _page(found, options.relations, machine)
    print(page)
    if options.write:
        options.write.write_text(page)
    return 0 if reached else 1


def _page(
    found: dict[float, list[float]], relations: int, machine: dict[str, str]
) -> tuple[str, bool]:
    near, far = (statistics.median(times) for times in found.values())
    reached = far <= MOST_TIMES * near
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
        "",
        *(f"- {name}: {value}" for name, value in machine.items()),
        "",
    ]
    return "\n".join(lines), reached


def _span(values: list[float]) -> str:
    return ", ".join(f"{value:.1f}" for value in values)


if __name__ == "__main__":
    sys.exit(main())
