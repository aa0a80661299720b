"""A SQLite file into PostgreSQL, with its keys and indexes, beside pgloader, in turn."""

import random
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bench.loading import Loader, make_files, run_loader
from bench.measure import RunFailed
from bench.result import Case, Figures, Goal, Measured, Metric, judged, ratio
from bench.servers import Server, running
from bench.setup import Setup, take_turns, with_rate

LEAST_TIMES, LEAST_TIMES_VERIFIED = 3.0, 1.5  # of pgloader's speed
MOST_MB = 200
AT_ONCE = 10_000  # rows, in an INSERT
STATEMENTS = (
    "create table orders (id integer primary key, customer integer not null, status text not null,"
    " total real, note text, created text, paid boolean, code text)",
    "create index orders_customer on orders (customer)",
    "create unique index orders_code on orders (code)",
)
SUMS = (
    "select count(*), sum(id), sum(customer), sum(length(note)),"
    " sum(cast(total as double precision)) from orders"
)


@dataclass(frozen=True, slots=True)
class Contestant:
    name: str
    title: str
    words: str

    def loader(self, group: str) -> Loader:
        return Loader(f"{self.name} {group}", self.title, self.words)


PGLOADER = Contestant("pgloader", "pgloader", 'pgloader "sqlite://$SHARE.db" "$TARGET"')
_MIGRATE = 'WINDLASS_TARGET="$TARGET" windlass migrate --source "sqlite:///$SHARE.db" -q'
PLAIN = Contestant("windlass", "windlass migrate --verify none", f"{_MIGRATE} --verify none")
VERIFIED = Contestant("verified", "windlass migrate, every row verified", _MIGRATE)


def measure_sqlite(setup: Setup) -> Measured:
    cases: list[Case] = []
    goals: list[Goal] = []
    with running(setup.folder / "server", setup.programs) as server:
        files = make_files(setup.folder)
        for rows in (setup.choose(1_000_000, 20_000), setup.choose(5_000_000, 40_000)):
            group = f"{rows:,} rows"
            expected = _make_file(files / "all.db", rows)

            def run(one: Loader, expected: Sequence[object] = expected) -> Figures:
                return _run(server, one, expected, files, setup)

            racing = [one.loader(group) for one in (PGLOADER, PLAIN, VERIFIED)]
            found = take_turns(racing, run, setup.repeat)
            cases += [in_group(group, with_rate(one, rows)) for one in found]
            goals += _goals(group)
    return Measured(
        data="`orders`, 8 columns, a primary key and two indexes, in a SQLite file",
        cases=tuple(cases),
        goals=judged(goals, cases),
    )


def in_group(group: str, case: Case) -> Case:
    return Case(
        name=case.name,
        title=case.title,
        group=group,
        runs=case.runs,
        printed=case.printed,
        failed=case.failed,
    )


def _goals(group: str) -> Iterator[Goal]:
    peer, plain, verified = (f"{one.name} {group}" for one in (PGLOADER, PLAIN, VERIFIED))
    yield ratio(plain, peer, Metric.SECONDS, at_most=round(1 / LEAST_TIMES, 3))
    yield ratio(verified, peer, Metric.SECONDS, at_most=round(1 / LEAST_TIMES_VERIFIED, 3))
    yield Goal(subject=verified, metric=Metric.PEAK_MB, at_most=MOST_MB)


def _make_file(path: Path, rows: int) -> tuple[object, ...]:
    """A new file with so many rows; returns what `SUMS` says of them."""
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as session, session:
        first, *indexes = STATEMENTS
        session.execute(first)
        numbers = random.Random(1)
        session.executemany(
            "insert into orders values (?, ?, ?, ?, ?, ?, ?, ?)",
            (_row(at, numbers) for at in range(1, rows + 1)),
        )
        for one in indexes:
            session.execute(one)
        found: tuple[object, ...] = session.execute(SUMS).fetchone()
        return found


def _row(at: int, numbers: random.Random) -> tuple[object, ...]:
    status = ("new", "paid", "sent")[at % 3]
    created = f"2026-{at % 12 + 1:02d}-{at % 28 + 1:02d} {at % 24:02d}:00:00"
    total, customer = numbers.random() * 1000, numbers.randrange(100_000)
    note = f"note number {at} for somebody"
    return at, customer, status, total, note, created, at % 2, f"C{at:09d}"


def _is_same(found: Sequence[object], expected: Sequence[object], one: Loader) -> bool:
    """To ten digits, as sums of doubles depend on the order in which they are added. pgloader makes
    a `real` of four bytes of a double: its sums have four digits."""
    digits = 4 if one.name.startswith(PGLOADER.name) else 10
    pairs = zip(found, expected, strict=True)
    return all(
        f"{float(str(here)):.{digits}g}" == f"{float(str(there)):.{digits}g}"
        for here, there in pairs
    )


def _run(
    server: Server, one: Loader, expected: Sequence[object], files: Path, setup: Setup
) -> Figures:
    """Raises:
    RunFailed: it failed, or the rows are others.
    """
    server.make_empty("target")
    server.checkpoint()
    figures = run_loader(one, server.url("target"), files, setup)
    with server.connect("target") as connection:
        row = connection.execute(SUMS).fetchone()
    if row is None or not _is_same(row, expected, one):
        raise RunFailed(f"{one.name} has moved other rows")
    return figures
