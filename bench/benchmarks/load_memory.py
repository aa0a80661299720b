"""Client memory of loads, by the number of rows: from a CSV file into PostgreSQL and into DuckDB,
whose own memory counts, as it works in the client's process."""

from pathlib import Path

import duckdb

from bench.data import psql
from bench.loading import (
    NO_KEYS,
    NO_ROWS,
    Loader,
    make_files,
    new_duckdb,
    run_loader,
    run_sql,
    to_csv,
)
from bench.measure import RunFailed
from bench.result import Case, Figures, Goal, Measured, Metric, judged, ratio
from bench.servers import Server, running
from bench.setup import Setup, take_turns

MOST_MB, MOST_GROWTH = 250.0, 1.2
TARGETS = {"postgres": "PostgreSQL", "duckdb": "DuckDB"}
_LOAD = 'windlass load "$FILES/rows.csv" --target "$TARGET" --into events --load append -q'


def measure_postgres(setup: Setup) -> Measured:
    return _measured("postgres", setup)


def measure_duckdb(setup: Setup) -> Measured:
    return _measured("duckdb", setup)


def _measured(target: str, setup: Setup) -> Measured:
    base = setup.choose(1_000_000, 5_000)
    times = setup.choose((1, 5, 20), (1, 4))
    with running(setup.folder / "server", setup.programs) as server:
        files = make_files(setup.folder)
        server.make_empty("source")
        fill = psql("events.sql", rows=base) + "\n" + to_csv("base.csv")
        run_sql(server, "source", fill, setup, files)
        cases: list[Case] = []
        for one in times:
            _repeat(files, one)
            rows = base * one
            loader = Loader(f"{target}-{rows}", f"into {TARGETS[target]}, {rows:,} rows", _LOAD)

            def run(one: Loader, rows: int = rows) -> Figures:
                return _run(server, one, target, rows, files, setup)

            cases += take_turns([loader], run, 1)
    low, high = cases[0], cases[-1]
    goals = [
        *(Goal(subject=one.name, metric=Metric.PEAK_MB, at_most=MOST_MB) for one in cases),
        ratio(high.name, low.name, Metric.PEAK_MB, at_most=MOST_GROWTH),
    ]
    sizes = f"{base:,} to {base * times[-1]:,} rows"
    data = f"`events` without keys and indexes, {sizes}, from one CSV file"
    return Measured(data=data, cases=tuple(cases), goals=judged(goals, cases))


def _repeat(files: Path, times: int) -> None:
    """The rows that many times over; nothing asks for unique ones."""
    base = (files / "base.csv").read_bytes()
    start = base.index(b"\n") + 1
    with (files / "rows.csv").open("wb") as out:
        out.write(base[:start])
        for _ in range(times):
            out.write(memoryview(base)[start:])


def _run(server: Server, one: Loader, target: str, rows: int, files: Path, setup: Setup) -> Figures:
    """Raises:
    RunFailed: it failed, or not all rows have arrived.
    """
    path = setup.folder / "target.duckdb"
    path.unlink(missing_ok=True)  # of a run that has failed
    if target == "duckdb":
        url = new_duckdb(path)
    else:
        server.make_empty("target")
        run_sql(server, "target", f"{NO_ROWS}\n{NO_KEYS}", setup, files)
        url = server.url("target")
    figures = run_loader(one, url, files, setup)
    if target == "duckdb":
        with duckdb.connect(str(path)) as file:
            arrived = file.execute("select count(*) from events").fetchone()
        path.unlink()
    else:
        with server.connect("target") as connection:
            arrived = connection.execute("select count(*) from events").fetchone()
        server.drop("target")
    if arrived != (rows,):
        raise RunFailed(f"{one.name}: {arrived} rows have arrived, expected {rows}")
    return figures
