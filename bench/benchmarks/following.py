"""Following a source while it is written to: beside PostgreSQL's own subscription, and beside
writers that must not notice it."""

import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

from bench.data import pgbench, psql
from bench.following import (
    SOURCE,
    TARGET,
    Follower,
    Sides,
    Subscription,
    figures_of,
    two_servers,
    until,
    watch_drain,
)
from bench.measure import RunFailed
from bench.result import Case, Figures, Goal, Measured, Metric, judged, ratio
from bench.setup import Setup, rounded, take_turns
from windlass.demo.ledger import acknowledgements, faults, make_ledger, writing

CLIENTS = 4
SECONDS = 30  # of a live measurement
IN_SYNC_SECONDS = 5.0  # within which a follower that keeps up has drained


@dataclass(frozen=True, slots=True)
class Backlog:
    """`fill` makes the tables, `script` the backlog. `counter` is a number in the target that grows
    by `changes` while it is drained."""

    name: str
    title: str
    fill: str
    script: str
    counter: str
    changes: int


def _tpcb(setup: Setup) -> Backlog:
    transactions = setup.choose(100_000, 1_000)
    each = transactions // CLIENTS
    return Backlog(
        "tpcb",
        f"{transactions:,} TPC-B transactions",
        _identified(setup.choose(10, 1)),
        f'pgbench -n -c {CLIENTS} -j 2 -t {each} "$SOURCE"',
        "select count(*) from pgbench_history",
        each * CLIENTS,
    )


def _inserts(setup: Setup) -> Backlog:
    rows = setup.choose(1_000_000, 10_000)
    return Backlog(
        "inserts",
        f"one transaction of {rows:,} inserts",
        psql("bulk.sql", rows=0),
        psql("bulk_insert.sql", rows=rows),
        "select count(*) from bulk",
        rows,
    )


def _updates(setup: Setup) -> Backlog:
    rows = setup.choose(500_000, 10_000)
    return Backlog(
        "updates",
        f"one transaction of {rows:,} updates by key",
        psql("bulk.sql", rows=rows),
        'psql -qX -v ON_ERROR_STOP=1 "$SOURCE" -c "update bulk set n = n + 1"',
        "select sum(n) from bulk",
        rows,
    )


def _identified(scale: int) -> str:
    """pgbench's tables; its history has no key."""
    alter = "alter table pgbench_history replica identity full"
    return pgbench(scale) + f'\npsql -qX "$SOURCE" -c "{alter}"'


def measure_backlogs(setup: Setup) -> Measured:
    """Both drain the same backlog, made while nobody read it."""
    backlogs = (_tpcb(setup), _inserts(setup), _updates(setup))
    cases: list[Case] = []
    with two_servers(setup) as sides:
        for backlog in backlogs:
            contestants = (
                _Contestant("windlass", "windlass", backlog, _drained_by_windlass),
                _Contestant("native", "subscription", backlog, _drained_by_subscription),
            )
            cases += take_turns(contestants, lambda one: one.run(sides), setup.repeat)
    least = {"tpcb": 1.2, "inserts": 1.0, "updates": 1.0}
    goals = tuple(
        ratio(f"native-{name}", f"windlass-{name}", Metric.SECONDS, at_least=least[name])
        for name in least
    )
    data = "backlogs drained: " + ", ".join(one.title for one in backlogs)
    return Measured(data=data, cases=tuple(cases), goals=judged(goals, cases))


@dataclass(frozen=True, slots=True)
class _Contestant:
    who: str
    label: str
    backlog: Backlog
    drain: Callable[[Sides, Backlog], Figures]

    @property
    def name(self) -> str:
        return f"{self.who}-{self.backlog.name}"

    @property
    def title(self) -> str:
        return f"{self.label}, {self.backlog.title}"

    def run(self, sides: Sides) -> Figures:
        sides.empty()
        sides.run(self.backlog.fill)
        figures = self.drain(sides, self.backlog)
        _check_equal(sides, self.backlog)
        return figures


def _check_equal(sides: Sides, backlog: Backlog) -> None:
    """Raises:
    RunFailed: the sides are not equal at the end.
    """
    table = "pgbench_accounts" if backlog.name == "tpcb" else "bulk"
    query = f"select sum(hashtextextended(whole::text, 0)::numeric) from {table} as whole"  # noqa: S608
    if sides.number(SOURCE, query) != sides.number(TARGET, query):
        raise RunFailed(f"{table} is not equal on both sides")


def _drained_by_windlass(sides: Sides, backlog: Backlog) -> Figures:
    with Follower(sides) as follower:
        follower.wait_following()
        follower.stop()
    before = sides.number(TARGET, backlog.counter)
    sides.run(backlog.script)
    sides.source.checkpoint()
    with Follower(sides) as follower:
        seconds = watch_drain(sides, backlog.counter, before + backlog.changes)
        cpu = follower.stop()
    more = {"cpu_seconds": cpu, "peak_mb": follower.peak_bytes / 1e6}
    return figures_of(seconds, **more)


def _drained_by_subscription(sides: Sides, backlog: Backlog) -> Figures:
    native = Subscription(sides)
    native.begin()
    native.stop()
    before = sides.number(TARGET, backlog.counter)
    sides.run(backlog.script)
    sides.source.checkpoint()
    native.go_on()
    return figures_of(watch_drain(sides, backlog.counter, before + backlog.changes))


def measure_live(setup: Setup) -> Measured:
    """pgbench at full speed, alone and followed: its rate, and how far the follower is behind. Then
    beside a subscription; and with a stream that is read and thrown away, which is what the source
    itself has to do where all that applies is on another machine."""
    seconds = setup.choose(SECONDS, 3)
    with two_servers(setup) as sides:
        entrants = (
            _Live("alone", "pgbench alone"),
            _Live("read", "pgbench, its stream read and thrown away"),
            _Live("followed", "pgbench, followed"),
            _Live("native", "pgbench, followed by a subscription"),
        )
        cases = take_turns(entrants, lambda one: one.run(sides, seconds), setup.repeat)
    goals = (
        ratio("followed", "alone", Metric.TRANSACTIONS_PER_SECOND, at_least=0.95),
        Goal(subject="followed", metric=Metric.LAG_P99_SECONDS, at_most=0.5),
        Goal(subject="followed", metric=Metric.DRAIN_SECONDS, at_most=IN_SYNC_SECONDS),
    )
    data = f"TPC-B, {CLIENTS} clients at full speed for {seconds} s"
    return Measured(data=data, cases=cases, goals=judged(goals, cases))


@dataclass(frozen=True, slots=True)
class _Live:
    name: str
    title: str

    def run(self, sides: Sides, seconds: int) -> Figures:
        sides.empty()
        sides.run(_identified(10))
        if self.name == "alone":
            return {Metric.TRANSACTIONS_PER_SECOND: _bench(sides, seconds)}
        if self.name == "read":
            with _thrown_away(sides):
                return {Metric.TRANSACTIONS_PER_SECOND: _bench(sides, seconds)}
        if self.name == "native":
            Subscription(sides).begin()
            rate = _bench(sides, seconds)
            drained = _until_drained(sides)
            return {Metric.TRANSACTIONS_PER_SECOND: rate, Metric.DRAIN_SECONDS: drained}
        with Follower(sides) as follower:
            follower.wait_following()
            lags = _Lags(sides)
            with lags:
                rate = _bench(sides, seconds)
            drained = _until_drained(sides)
            cpu = follower.stop()
        return {
            Metric.TRANSACTIONS_PER_SECOND: rate,
            Metric.LAG_P99_SECONDS: lags.p99,
            Metric.DRAIN_SECONDS: drained,
            Metric.CPU_SECONDS: cpu,
            Metric.PEAK_MB: follower.peak_bytes / 1e6,
        }


def _until_drained(sides: Sides) -> float:
    query = "select count(*) from pgbench_history"
    return _seconds_until(sides, query, sides.number(SOURCE, query))


@contextmanager
def _thrown_away(sides: Sides) -> Iterator[None]:
    """All changes are decoded and sent, and nobody applies them."""
    with sides.source.connect(SOURCE) as connection:
        connection.execute("create publication thrown for all tables")
    tool = ["pg_recvlogical", "-d", _source_url(sides), "--slot", "thrown"]
    options = ["-o", "proto_version=1", "-o", "publication_names=thrown"]
    subprocess.run([*tool, "--create-slot", "-P", "pgoutput"], env=sides.variables, check=True)
    reader = subprocess.Popen(
        [*tool, *options, "--start", "--no-loop", "-f", "/dev/null"], env=sides.variables
    )
    try:
        until(lambda: _is_read(sides), "the stream is read")
        yield
        if reader.poll() is not None:
            raise RunFailed("the stream was not read to the end")
    finally:
        reader.terminate()
        reader.wait()
        subprocess.run([*tool, "--drop-slot"], env=sides.variables, check=True)


def _is_read(sides: Sides) -> bool:
    query = "select count(*) from pg_replication_slots where slot_name = 'thrown' and active"
    return sides.number(SOURCE, query) == 1


class _Lags:
    """Every second's lag, as the follower journals it, while it lasts."""

    def __init__(self, sides: Sides) -> None:
        self._sides = sides
        self._seen: dict[int, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "_Lags":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        query = "select marker, lag_ms from windlass.applied where direction = 'forward'"
        with self._sides.target.connect(TARGET) as connection:
            while not self._stop.wait(0.25):
                if row := connection.execute(query).fetchone():
                    self._seen[int(row[0])] = float(row[1] or 0) / 1000

    @property
    def p99(self) -> float:
        """Of markers during the measurement; the highest, where there are fewer than a hundred."""
        lags = sorted(self._seen.values())
        if not lags:
            raise RunFailed("no marker has arrived")
        return lags[min(len(lags) - 1, int(len(lags) * 0.99))]


def _bench(sides: Sides, seconds: int) -> float:
    """Transactions per second."""
    found = subprocess.run(
        ["pgbench", "-n", "-c", str(CLIENTS), "-j", "2", "-T", str(seconds), _source_url(sides)],
        env=sides.variables,
        capture_output=True,
        text=True,
        check=True,
    )
    rate = re.search(r"tps = ([\d.]+)", found.stdout)
    if rate is None:
        raise RunFailed("pgbench said no rate")
    return float(rate[1])


def _source_url(sides: Sides) -> str:
    return sides.source.url(SOURCE)


def _seconds_until(sides: Sides, query: str, number: float) -> float:
    started = time.perf_counter()
    while sides.number(TARGET, query) < number:
        if time.perf_counter() - started > 300:
            raise RunFailed("it does not keep up")
        time.sleep(0.01)
    return time.perf_counter() - started


def measure_memory(setup: Setup) -> Measured:
    """One transaction of so many rows, while it is followed."""
    sizes = setup.choose((1_000_000, 5_000_000), (10_000, 20_000))
    cases: list[Case] = []
    with two_servers(setup) as sides:
        for rows in sizes:
            entrant = _Huge(rows)
            cases += take_turns([entrant], lambda one: one.run(sides), 1)
    goals = (
        *(Goal(subject=one.name, metric=Metric.PEAK_MB, at_most=200.0) for one in cases),
        ratio(cases[-1].name, cases[0].name, Metric.PEAK_MB, at_most=1.2),
    )
    data = "one transaction that inserts, while it is followed"
    return Measured(data=data, cases=tuple(cases), goals=judged(goals, cases))


@dataclass(frozen=True, slots=True)
class _Huge:
    rows: int

    @property
    def name(self) -> str:
        return f"rows-{self.rows}"

    @property
    def title(self) -> str:
        return f"{self.rows:,} rows"

    def run(self, sides: Sides) -> Figures:
        sides.empty()
        sides.run(psql("bulk.sql", rows=0))
        with Follower(sides) as follower:
            follower.wait_following()
            started = time.perf_counter()
            sides.run(psql("bulk_insert.sql", rows=self.rows))
            _seconds_until(sides, "select count(*) from bulk", self.rows)
            seconds = time.perf_counter() - started
            follower.stop()
        return figures_of(seconds, peak_mb=follower.peak_bytes / 1e6)


def measure_copying(setup: Setup) -> Measured:
    """A copy with writers at half of their full rate: as a plain migration, and to follow."""
    with two_servers(setup) as sides:
        sides.empty()
        sides.run(pgbench(1))
        half = _bench(sides, setup.choose(10, 2)) / 2
        entrants = (
            _Copy("copied", "a migration, with writers", half),
            _Copy("followed", "copied to follow, with writers", half),
        )
        cases = take_turns(entrants, lambda one: one.run(sides, setup), setup.repeat)
    goals = (ratio("followed", "copied", Metric.SECONDS, at_most=1.2),)
    data = "pgbench scale 20 and `events`, 1M rows; writers at half of their full rate"
    return Measured(data=data, cases=cases, goals=judged(goals, cases))


@dataclass(frozen=True, slots=True)
class _Copy:
    name: str
    title: str
    rate: float

    def run(self, sides: Sides, setup: Setup) -> Figures:
        sides.empty()
        rows = setup.choose(1_000_000, 10_000)
        sides.run(_identified(setup.choose(20, 1)) + "\n" + psql("events.sql", rows=rows))
        rate = f"{self.rate:.0f}"
        writers = subprocess.Popen(
            ["pgbench", "-n", "-c", str(CLIENTS), "-R", rate, "-T", "600", _source_url(sides)],
            env=sides.variables,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            if self.name == "copied":
                return sides.run("windlass migrate --verify none -q")
            started = time.perf_counter()
            with Follower(sides, "--verify", "none") as follower:
                follower.wait_following()
                return figures_of(time.perf_counter() - started)
        finally:
            writers.terminate()
            writers.wait()


def measure_cutovers(setup: Setup) -> Measured:
    """Cutovers and flips back in turn, while a ledger is written; each writer's longest wait."""
    times = setup.choose(20, 1)
    with two_servers(setup) as sides:
        sides.empty()
        make_ledger(sides.source.url(SOURCE), history=setup.choose(100_000, 1_000))
        cases = _switched(sides, times)
    goals = tuple(
        goal
        for one in cases
        for goal in (
            Goal(subject=one.name, metric=Metric.FREEZE_SECONDS, at_most=1.0),
            Goal(subject=one.name, metric=Metric.WORST_FREEZE_SECONDS, at_most=2.0),
        )
    )
    data = f"{times} cutovers and {times} flips back; {CLIENTS} clients write a ledger of entries"
    return Measured(data=data, cases=cases, goals=judged(goals, cases))


def _switched(sides: Sides, times: int) -> tuple[Case, ...]:
    """Raises:
    RunFailed: a cutover failed, or the ledger is wrong at the end.
    """
    there = sides.folder / "switched"
    urls = {True: sides.target.url(TARGET), False: sides.source.url(SOURCE)}
    written = sides.folder / "written"
    written.mkdir()
    forth: list[float] = []
    back: list[float] = []
    with Follower(sides) as follower:
        follower.wait_following()
        with writing(written, lambda: urls[there.exists()], clients=CLIENTS):
            for _ in range(times):
                forth.append(_freeze(sides, written, f"touch {there}"))
                back.append(_freeze(sides, written, f"rm {there}", "--back"))
        wrong = [*faults(urls[False], written)]
        count = sides.number(SOURCE, "select count(*) from ledger.entry")
        _seconds_until(sides, "select count(*) from ledger.entry", count)
        wrong += faults(urls[True], written)
    if wrong:
        raise RunFailed("; ".join(wrong))
    return (
        Case(name="forth", title="cutover", runs=(_freezes(forth),)),
        Case(name="back", title="flip back", runs=(_freezes(back),)),
    )


def _freezes(seconds: list[float]) -> Figures:
    return rounded(
        {Metric.FREEZE_SECONDS: median(seconds), Metric.WORST_FREEZE_SECONDS: max(seconds)}
    )


def _freeze(sides: Sides, written: Path, lead: str, *words: str) -> float:
    """Cut over once; the longest that a writer waited."""
    began = time.monotonic()
    command = ["windlass", "cutover", "--yes", "-q", "--on-switch", lead, *words]
    done = subprocess.run(command, env=sides.variables, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RunFailed(
            f"{' '.join(words) or 'cutover'}: {done.stdout[-500:]} {done.stderr[-500:]}"
        )
    ended = time.monotonic()
    while not all(
        max(one.values(), default=0) > ended for one in acknowledgements(written).values()
    ):
        if time.monotonic() - ended > 60:
            raise RunFailed("a client does not write any more")
        time.sleep(0.05)
    return max(
        later - earlier
        for one in acknowledgements(written).values()
        for earlier, later in pairwise(sorted(one.values()))
        if later > began
    )
