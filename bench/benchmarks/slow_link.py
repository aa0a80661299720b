"""Many small relations over a link with a round trip of ten milliseconds.

The same migration in turn with and without a delay, both servers behind a proxy each time, so that
only the delay differs. What counts is the ratio: where it is high, something waits for answers one
by one. Round trips do not depend on what else the machine does. pg_dump runs alone as well: nothing
can overlap it at the beginning and at the end of a migration.
"""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from psycopg import sql

from bench.machine import ROOT
from bench.measure import measure
from bench.result import Case, Figures, Measured, Metric, judged, ratio
from bench.servers import Server, running
from bench.setup import Setup, rounded, take_turns
from bench.shell import environment
from windlass.engines.postgres.pg_dump import find_pg_dump

DELAY_SECONDS = 0.005  # each way
GOALS = (ratio("far", "near", Metric.SECONDS, at_most=2.0),)
PG_DUMP = "pg_dump"


@dataclass(frozen=True, slots=True)
class Link:
    """The delay of the link to both servers."""

    name: str
    title: str
    seconds: float  # each way


LINKS = (Link("near", "no delay", 0.0), Link("far", "10 ms a round trip", DELAY_SECONDS))


@dataclass(slots=True)
class Proxied:
    """A server behind a proxy. The round trips are known once the proxy has ended."""

    server: Server
    round_trips: int = field(default=0, init=False)
    most_round_trips: int = field(default=0, init=False)  # of one connection


@contextmanager
def behind_a_proxy(server: Server, seconds: float) -> Iterator[Proxied]:
    """The server, at an address where each direction takes `seconds` longer."""
    program = [sys.executable, "-m", "bench.programs.slow_proxy", str(server.port), str(seconds)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True, cwd=ROOT) as proxy:
        assert proxy.stdout is not None
        try:
            proxied = Proxied(Server(int(proxy.stdout.readline())))
            yield proxied
            proxy.send_signal(signal.SIGTERM)
            trips, most = map(int, proxy.stdout.readline().split())
            proxied.round_trips, proxied.most_round_trips = trips, most
        finally:
            proxy.kill()


def measure_slow_link(setup: Setup) -> Measured:
    relations = setup.choose(300, 30)
    with (
        running(setup.folder / "source", setup.programs) as source,
        running(setup.folder / "target", setup.programs) as target,
    ):
        _fill(source, relations)

        def run(link: Link) -> Figures:
            return _migrate(source, target, link, setup)

        cases = take_turns(LINKS, run, setup.repeat)
        dumps = [_dump(source, link, setup) for link in LINKS]
    data = (
        f"{relations} relations with a key, an index and 100 rows each, verified; both servers"
        " behind a proxy, without delay and with 5 ms in each direction"
    )
    return Measured(data=data, cases=(*cases, *dumps), goals=judged(GOALS, cases))


def _fill(server: Server, relations: int) -> None:
    server.make_empty("bench")
    with server.connect("bench") as connection:
        for number in range(relations):
            name, index = sql.Identifier(f"t{number}"), sql.Identifier(f"t{number}_note")
            create = "create table {} (id int primary key, note text)"
            connection.execute(sql.SQL(create).format(name))
            rows = "insert into {} select i, 'note ' || i from generate_series(1, 100) i"
            connection.execute(sql.SQL(rows).format(name))
            connection.execute(sql.SQL("create index {} on {} (note)").format(index, name))


def _migrate(source: Server, target: Server, link: Link, setup: Setup) -> Figures:
    target.make_empty("bench")
    with (
        behind_a_proxy(source, link.seconds) as reading,
        behind_a_proxy(target, link.seconds) as writing,
        setup.empty_folder() as folder,
    ):
        urls = {"SOURCE": reading.server.url("bench"), "TARGET": writing.server.url("bench")}
        script = 'windlass migrate --quiet --source "$SOURCE" --target "$TARGET"'
        figures = measure(script, environment(folder) | urls, folder)
    return figures | {
        Metric.SOURCE_ROUND_TRIPS: reading.round_trips,
        Metric.TARGET_ROUND_TRIPS: writing.round_trips,
        Metric.MOST_ROUND_TRIPS: max(reading.most_round_trips, writing.most_round_trips),
    }


def _dump(source: Server, link: Link, setup: Setup) -> Case:
    """The definitions alone, by the pg_dump that a migration over such a link uses."""
    with source.connect("bench") as connection:
        major = connection.info.server_version // 10000
    pg_dump = find_pg_dump(major, major, in_few_trips=link.seconds > 0)
    assert pg_dump is not None
    with (
        behind_a_proxy(source, link.seconds) as proxied,
        setup.empty_folder() as folder,
    ):
        script = f'"{pg_dump.path}" --schema-only --dbname "$SOURCE" > /dev/null'
        shell = environment(folder) | {"SOURCE": proxied.server.url("bench")}
        figures = measure(script, shell, folder)
    figures[Metric.SOURCE_ROUND_TRIPS] = proxied.round_trips
    return Case(
        name=f"{PG_DUMP}-{link.name}",
        title=f"pg_dump {pg_dump} alone, {link.title}",
        group=PG_DUMP,
        runs=(rounded(figures),),
    )
