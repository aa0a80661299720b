"""Rows into Parquet and into DuckDB, beside COPY and row-by-row CSV, in turn on one machine.

Then many small tables, and exports of fewer and of more rows, for memory.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from bench.data import Dataset, psql
from bench.machine import ROOT
from bench.measure import RunFailed, measure
from bench.result import Case, Figures, Goal, Measured, Metric, judged, ratio
from bench.servers import Server, running
from bench.setup import Setup, rounded, take_turns, with_rate
from bench.shell import environment
from windlass.engines.statements import names, statement

MEMORY, SMALL = "memory", "small"
MOST_MB = 300.0
TABLES, MOST_SECONDS = 58, 12.0  # as many as Airflow's own database has


def _in_manifests(folder: Path) -> int:
    found = [json.loads(path.read_text()) for path in folder.rglob("manifest.json")]
    return sum(file["rows"] for one in found for file in one["files"])


def _in_duckdb(folder: Path) -> int:
    with duckdb.connect(str(folder / "w.duckdb"), read_only=True) as connection:
        tables = connection.execute(
            "select table_name from duckdb_tables() where not starts_with(table_name, '_windlass')"
        ).fetchall()
        counts = [
            connection.execute(statement("select count(*) from {t}", t=names(name))).fetchone()
            for (name,) in tables
        ]
    return sum(int(count[0]) for count in counts if count)


def _in_csv(folder: Path) -> int:
    with (folder / "rows.csv").open("rb") as file:
        return sum(1 for _ in file) - 1  # the column names


@dataclass(frozen=True, slots=True)
class Contestant:
    """`script` runs in bash, in an empty folder, and reads `$SOURCE`; `count` counts what arrived.

    Without `count` nothing arrives anywhere.
    """

    name: str
    title: str
    script: str
    count: Callable[[Path], int] | None = None


def _in_files(folder: Path) -> int:
    return sum(len(path.read_bytes().splitlines()) for path in folder.glob("*.csv"))


def _export(*, keep_files: bool, more: str = "", relations: str = "public.events") -> str:
    keep = "true" if keep_files else "false"
    return (
        "cat > spec.yaml <<END\n"
        f'to: "file://$PWD/files"\nrelations: "{relations}"\nkeep-files: {keep}\n{more}\nEND\n'
        'WINDLASS_SOURCE="$SOURCE" windlass export -q -f spec.yaml'
    )


COPY = Contestant(
    "copy",
    "COPY (FORMAT binary), thrown away",
    'psql -XqAt "$SOURCE" -c "copy events to stdout (format binary)" > /dev/null',
)
PARQUET = Contestant("parquet", "export to Parquet", _export(keep_files=True), _in_manifests)
CSV = Contestant(
    "csv", "export to CSV, gzip", _export(keep_files=True, more="format: csv"), _in_manifests
)
DUCKDB = Contestant(
    "duckdb",
    "export to Parquet, loaded into DuckDB",
    _export(keep_files=False, more='warehouse: "duckdb:///$PWD/w.duckdb"'),
    _in_duckdb,
)
ROWWISE = Contestant(
    "rowwise",
    "client cursor, row-by-row CSV",
    'python -m bench.programs.rowwise "$SOURCE" events',
    _in_csv,
)
CONTESTANTS = (COPY, PARQUET, CSV, DUCKDB, ROWWISE)

SMALL_COPY = Contestant(
    "small-copy",
    "psql, one session, \\copy of each table to a CSV file",
    'psql -XqAt "$SOURCE" -c "select format(\'\\copy %I to %I.csv (format csv)\', relname, relname)'
    " from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace\" > copy.sql\n"
    'psql -Xq "$SOURCE" -f copy.sql',
    _in_files,
)
SMALL_FILES = Contestant(
    "small-files", "export to Parquet", _export(keep_files=True, relations="*"), _in_manifests
)
SMALL_DUCKDB = Contestant(
    "small-duckdb",
    "export to Parquet, loaded into DuckDB",
    _export(keep_files=False, more='warehouse: "duckdb:///$PWD/w.duckdb"', relations="*"),
    _in_duckdb,
)
SMALL_CONTESTANTS = (SMALL_COPY, SMALL_FILES, SMALL_DUCKDB)


def measure_exports(setup: Setup) -> Measured:
    rows = setup.choose(5_000_000, 50_000)
    sizes = setup.choose((1_000_000, 20_000_000), (10_000, 100_000))
    with running(setup.folder / "server", setup.programs) as server:
        _fill(server, rows, setup)

        def run(one: Contestant) -> Figures:
            return _run(server, one, rows, setup)

        raced = [with_rate(case, rows) for case in take_turns(CONTESTANTS, run, setup.repeat)]
        cases = (*raced, *_small(server, setup), *_remember(server, sizes, setup))
    data = f"the relation `events`, {rows:,} rows, to a folder on the machine's own disk"
    return Measured(data=data, cases=cases, goals=judged(_goals(cases), cases))


def _goals(cases: tuple[Case, ...]) -> list[Goal]:
    to_parquet = [case.name for case in cases if case.name.startswith(PARQUET.name)]
    return [
        ratio(PARQUET.name, COPY.name, Metric.SECONDS, at_most=1.4),
        ratio(ROWWISE.name, PARQUET.name, Metric.SECONDS, at_least=5.0),
        Goal(subject=SMALL_DUCKDB.name, metric=Metric.SECONDS, at_most=MOST_SECONDS),
        *(Goal(subject=name, metric=Metric.PEAK_MB, at_most=MOST_MB) for name in to_parquet),
    ]


def _small(server: Server, setup: Setup) -> list[Case]:
    """Many small tables, where what is done for each of them counts."""
    tables = setup.choose(TABLES, 5)
    server.make_empty("export")
    data = Dataset("small", "small", full=psql("small.sql", relations=tables))
    with setup.empty_folder() as folder:
        measure(data.script(), environment(folder) | {"SOURCE": server.url("export")}, folder)
    server.checkpoint()
    rows = sum(20 + number % 31 for number in range(1, tables + 1))
    cases = take_turns(SMALL_CONTESTANTS, lambda one: _run(server, one, rows, setup), setup.repeat)
    return [replace(case, group=SMALL) for case in cases]


def _remember(server: Server, sizes: tuple[int, ...], setup: Setup) -> list[Case]:
    """One export of each size to files and into DuckDB."""
    cases = []
    for rows in sizes:
        _fill(server, rows, setup)
        for one in (PARQUET, DUCKDB):
            figures = rounded(_run(server, one, rows, setup))
            cases.append(
                Case(
                    name=f"{one.name}-{rows}",
                    title=f"{one.title}, {rows:,} rows",
                    group=MEMORY,
                    runs=(figures,),
                )
            )
    return cases


def _fill(server: Server, rows: int, setup: Setup) -> None:
    """A database with this many events, vacuumed, its pages in memory as far as they fit."""
    server.make_empty("export")
    data = Dataset("events", "events", full=psql("events.sql", rows=rows))
    with setup.empty_folder() as folder:
        shell = environment(folder) | {"SOURCE": server.url("export")}
        measure(data.script(), shell, folder)
    server.checkpoint()


def _run(server: Server, one: Contestant, rows: int, setup: Setup) -> Figures:
    """Raises:
    RunFailed: it failed, or not every row has arrived.
    """
    with setup.empty_folder() as folder:
        shell = environment(folder) | {"SOURCE": server.url("export"), "PYTHONPATH": str(ROOT)}
        figures = measure(one.script, shell, folder)
        arrived = one.count(folder) if one.count else rows
    if arrived != rows:
        raise RunFailed(f"{one.name}: {arrived} rows of {rows} have arrived")
    return figures
