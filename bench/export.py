"""`python -m bench.export`: rows into Parquet and into DuckDB, beside COPY and row-by-row CSV.

All in one run on one machine, in turn; the median of the runs. Then exports of fewer and of more
rows, for memory. What has not moved every row gets no figures.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.machine import describe_machine
from bench.measure import Figures, Metric, RunFailed, measure
from bench.servers import Server, running

ROOT = Path(__file__).parent.parent
SQL = ROOT / "bench" / "sql"


NOTES = """
To Parquet reaches its figure narrowly: run by run, each beside the COPY before it, it was 1.1 to
1.6. More than half of the client's seconds of CPU are ADBC's, which reads COPY's binary rows into
Arrow in one thread, while another compresses them and the server needs one of the two cores for
most of 5 seconds. Dictionaries are made only for columns that repeat, and zstd has level 1.
"""


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    script: str  # bash; reads $SOURCE and $TABLE, and is in an empty folder
    count: Callable[[Path], int] | None = None  # the rows that have arrived in it


def _in_manifests(folder: Path) -> int:
    found = [json.loads(path.read_text()) for path in folder.rglob("manifest.json")]
    return sum(file["rows"] for one in found for file in one["files"])


def _in_duckdb(folder: Path) -> int:
    import duckdb

    with duckdb.connect(str(folder / "w.duckdb"), read_only=True) as connection:
        row = connection.execute("select count(*) from events").fetchone()
    return int(row[0]) if row else 0


def _in_rows(folder: Path) -> int:
    with (folder / "rows.csv").open("rb") as file:
        return sum(1 for _ in file) - 1  # the columns' names


EXPORT = (
    "cat > spec.yaml <<END\n"
    'to: "file://$PWD/files"\nrelations: public.$TABLE\nkeep-files: {keep}\n{more}\nEND\n'
    f'WINDLASS_SOURCE="$SOURCE" {sys.executable} -m windlass export -q -f spec.yaml'
)
COPY = Case(
    "COPY (FORMAT binary), thrown away",
    'psql -XqAt "$SOURCE" -c "copy $TABLE to stdout (format binary)" > /dev/null',
)
PARQUET = Case("export to Parquet", EXPORT.format(keep="true", more=""), _in_manifests)
CSV = Case("export to CSV, gzip", EXPORT.format(keep="true", more="format: csv"), _in_manifests)
LOADED = Case(
    "export to Parquet, loaded into DuckDB",
    EXPORT.format(keep="false", more='warehouse: "duckdb:///$PWD/w.duckdb"'),
    _in_duckdb,
)
ROWWISE = Case(
    "client cursor, row-by-row CSV",
    f'{sys.executable} -m bench.rowwise "$SOURCE" $TABLE',
    _in_rows,
)
CASES = (COPY, PARQUET, CSV, LOADED, ROWWISE)
MOST_TIMES_COPY, LEAST_TIMES_ROWWISE, MOST_MB = 1.5, 5.0, 300.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--memory-rows", type=int, nargs="*", default=[1_000_000, 20_000_000])
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="windlass-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with running(folder / "server") as server:
            found = race(server, folder, options.rows, options.repeat)
            memory = remember(server, folder, options.memory_rows)
    memory[options.rows] = [_median(found[one.name], Metric.PEAK_MB) for one in (PARQUET, LOADED)]
    page, reached = _page(found, memory, options.rows)
    print(page)
    if options.write:
        options.write.write_text(page)
    return 0 if reached else 1


def race(server: Server, folder: Path, rows: int, repeat: int) -> dict[str, list[Figures]]:
    """Every case in turn, `repeat` times."""
    fill(server, rows)
    found: dict[str, list[Figures]] = {}
    for _ in range(repeat):
        for case in CASES:
            figures = run(server, folder, case, rows)
            found.setdefault(case.name, []).append(figures)
            print(case.name, {key.value: round(x, 1) for key, x in figures.items()}, flush=True)
    return found


def remember(server: Server, folder: Path, counts: Sequence[int]) -> dict[int, list[float]]:
    """The peaks of the export, to files and into DuckDB, by rows."""
    found = {}
    for count in counts:
        fill(server, count)
        found[count] = [
            run(server, folder, case, count)[Metric.PEAK_MB] for case in (PARQUET, LOADED)
        ]
    return found


def _page(
    found: dict[str, list[Figures]], memory: dict[int, list[float]], rows: int
) -> tuple[str, bool]:
    seconds = {name: _median(runs, Metric.SECONDS) for name, runs in found.items()}
    slower = seconds[PARQUET.name] / seconds[COPY.name]
    faster = seconds[ROWWISE.name] / seconds[PARQUET.name]
    files, loaded = (max(peaks[at] for peaks in memory.values()) for at in (0, 1))
    aims = [
        (slower <= MOST_TIMES_COPY, f"Parquet takes {slower:.2f} times as long as COPY thrown away;"
         f" at most {MOST_TIMES_COPY} asked"),
        (faster >= LEAST_TIMES_ROWWISE, f"{faster:.1f} times the rows/s of row-by-row CSV; at least"
         f" {LEAST_TIMES_ROWWISE:.0f} asked"),
        (files <= MOST_MB, f"{files:.0f} MB at most to Parquet, for any number of rows;"
         f" {MOST_MB:.0f} MB asked"),
    ]  # fmt: skip
    lines = [
        "# Export",
        "",
        "Made by `python -m bench.export --write docs/benchmarks-export.md`, which is part of"
        f" `make bench`; {len(found[COPY.name])} runs each, in turn, the median of each.",
        f"The relation `events` of the other [benchmarks](benchmarks.md), {rows:,} rows, to a"
        " folder on the machine's own disk.",
        "",
        *(f"- {name}: {value}" for name, value in describe_machine().items()),
        "",
        "| | seconds | min-max | times COPY | rows/s | client CPU seconds | client peak MB |",
        "|---|---|---|---|---|---|---|",
        *_rows(found, rows, seconds[COPY.name]),
        "",
        *(f"- {said}: {'reached' if is_so else '**missed**'}" for is_so, said in aims),
        f"- with the load into DuckDB {loaded:.0f} MB at most; DuckDB's own memory is in it",
        "",
        "Memory by rows:",
        "",
        "| rows | to Parquet, peak MB | and into DuckDB, peak MB |",
        "|---|---|---|",
        *(f"| {count:,} | {memory[count][0]:.0f} | {memory[count][1]:.0f} |" for count in
          sorted(memory)),
        "",
    ]  # fmt: skip
    return "\n".join(lines) + NOTES, all(is_so for is_so, _ in aims)


def _rows(found: dict[str, list[Figures]], rows: int, floor: float) -> Iterator[str]:
    for name, runs in found.items():
        every = [figures[Metric.SECONDS] for figures in runs]
        seconds = statistics.median(every)
        yield (
            f"| {name} | {seconds:.1f} | {min(every):.1f}-{max(every):.1f} | {seconds / floor:.2f}"
            f" | {rows / seconds:,.0f} | {_median(runs, Metric.CPU_SECONDS):.1f}"
            f" | {_median(runs, Metric.PEAK_MB):.0f} |"
        )


def _median(runs: list[Figures], metric: Metric) -> float:
    return statistics.median(one[metric] for one in runs)


def fill(server: Server, rows: int) -> None:
    """A database with this many events, vacuumed, its pages in memory as far as they fit."""
    server.make_empty("export")
    subprocess.run(
        ["psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-v", f"rows={rows}", "-f",
         str(SQL / "events.sql"), "-c", "vacuum analyze events", server.url("export")],
        check=True,
    )  # fmt: skip
    server.checkpoint()


def run(server: Server, folder: Path, case: Case, rows: int) -> Figures:
    """Once, in an empty folder.

    Raises:
        RunFailed: not every row has arrived.
    """
    env = {
        **os.environ,
        "SOURCE": server.url("export"),
        "TABLE": "events",
        "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))),
    }
    room = folder / "room"
    room.mkdir()
    try:
        figures = measure(case.script, env, room)
        arrived = case.count(room) if case.count else rows
    finally:
        shutil.rmtree(room)
    if arrived != rows:
        raise RunFailed(f"{case.name}: {arrived} rows of {rows} have arrived")
    return figures


if __name__ == "__main__":
    sys.exit(main())
