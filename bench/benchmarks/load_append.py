"""Rows of a CSV file appended to a table with its indexes, beside psql's \\copy, in turn."""

from pathlib import Path

from bench.data import psql
from bench.loading import NO_ROWS, Loader, make_files, run_loader, run_sql, to_csv
from bench.measure import RunFailed
from bench.result import Figures, Measured, Metric, judged, ratio
from bench.servers import Server, running
from bench.setup import Setup, take_turns, with_rate

MOST_TIMES = 1.25
PSQL = Loader(
    "psql",
    "psql, \\copy",
    'psql -qX -v ON_ERROR_STOP=1 "$TARGET"'
    " -c \"\\\\copy events from '$SHARE.csv' (format csv, header)\"",
)
WINDLASS = Loader(
    "windlass",
    "windlass load",
    'windlass load "$SHARE.csv" --target "$TARGET" --into public.events --load append -q',
)
FINGERPRINT = "select count(*), sum(hashtextextended(events::text, 0)) from events"


def measure_append(setup: Setup) -> Measured:
    rows = setup.choose(10_000_000, 20_000)
    with running(setup.folder / "server", setup.programs) as server:
        files = make_files(setup.folder)
        server.make_empty("source")
        fill = psql("events.sql", rows=rows) + "\n" + to_csv("all.csv")
        run_sql(server, "source", fill, setup, files)
        expected = _fingerprint(server, "source")
        server.drop("source")

        def run(one: Loader) -> Figures:
            return _run(server, one, expected, files, setup)

        found = take_turns((PSQL, WINDLASS), run, setup.repeat)
        cases = tuple(with_rate(one, rows) for one in found)
        size_mb = (files / "all.csv").stat().st_size / 1e6
    goals = (ratio(WINDLASS.name, PSQL.name, Metric.SECONDS, at_most=MOST_TIMES),)
    data = f"`events`, {rows:,} rows, a CSV file of {size_mb:,.0f} MB"
    return Measured(data=data, cases=cases, goals=judged(goals, cases))


def _run(server: Server, one: Loader, expected: object, files: Path, setup: Setup) -> Figures:
    """Raises:
    RunFailed: it failed, or the rows are others.
    """
    server.make_empty("target")
    run_sql(server, "target", NO_ROWS, setup, files)
    server.checkpoint()
    figures = run_loader(one, server.url("target"), files, setup)
    if _fingerprint(server, "target") != expected:
        raise RunFailed(f"{one.name} has loaded other rows")
    return figures


def _fingerprint(server: Server, database: str) -> object:
    with server.connect(database) as connection:
        return connection.execute(FINGERPRINT).fetchone()
