"""Measures the flow `export`: rows into Parquet and into DuckDB, beside COPY and row-by-row CSV.

python -m bench.export [--rows 5000000] [--rounds 3] [--write docs/benchmarks-export.md]

All in one run on one machine, one after the other; the median of the rounds. Memory is that of the
whole process (VmHWM), measured from outside.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.machine import describe_machine
from bench.measure import Figures, Metric, measure
from bench.servers import Server, running

SQL = Path(__file__).parent / "sql"
WIDTH = 12


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    script: str  # bash; reads $SOURCE and $TABLE, and is in an empty folder


EXPORT = (
    "cat > spec.yaml <<END\n"
    'to: "file://$PWD/files"\nrelations: public.$TABLE\nkeep-files: {keep}\n{more}\nEND\n'
    f'WINDLASS_SOURCE="$SOURCE" {sys.executable} -m windlass export -q -f spec.yaml'
)
CASES = (
    Case(
        "COPY (FORMAT binary), thrown away",
        'psql -XqAt "$SOURCE" -c "copy $TABLE to stdout (format binary)" > /dev/null',
    ),
    Case("export to Parquet", EXPORT.format(keep="true", more="")),
    Case("export to CSV, gzip", EXPORT.format(keep="true", more="format: csv")),
    Case(
        "export to Parquet, loaded into DuckDB",
        EXPORT.format(keep="false", more='warehouse: "duckdb:///$PWD/w.duckdb"'),
    ),
    Case("client cursor, row-by-row CSV", f'{sys.executable} -m bench.rowwise "$SOURCE" $TABLE'),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory-rows", type=int, nargs="*", default=[1_000_000, 20_000_000])
    parser.add_argument("--write", type=Path)
    words = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="windlass-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with running(folder / "server") as server:
            text = report(server, folder, words.rows, words.rounds, words.memory_rows)
    print(text)
    if words.write:
        words.write.write_text(text)


def report(server: Server, folder: Path, rows: int, rounds: int, memory_rows: list[int]) -> str:
    fill(server, rows)
    found = {case.name: run(server, folder, case, rounds) for case in CASES}
    lines = [
        "# Export",
        "",
        "<!-- Made by `python -m bench.export`. -->",
        "",
        f"{_machine()}. The relation `events` of the other benchmarks, {rows:,} rows; median of"
        f" {rounds} rounds, one after the other.",
        "",
        "| how | seconds | times COPY | rows/s | client CPU seconds | peak MB |",
        "| --- | --: | --: | --: | --: | --: |",
    ]
    floor = found[CASES[0].name][Metric.SECONDS]
    for name, figures in found.items():
        seconds = figures[Metric.SECONDS]
        lines.append(
            f"| {name} | {seconds:.1f} | {seconds / floor:.2f} | {rows / seconds:,.0f}"
            f" | {figures[Metric.CPU_SECONDS]:.1f} | {figures[Metric.PEAK_MB]:.0f} |"
        )
    if memory_rows:
        lines += ["", "Memory of the export by rows:", "", "| rows | to Parquet, peak MB |"
                  " and DuckDB, peak MB |", "| --: | --: | --: |"]  # fmt: skip
        for count in sorted([*memory_rows, rows]):
            fill(server, count)
            peaks = [run(server, folder, case, 1)[Metric.PEAK_MB] for case in (CASES[1], CASES[3])]
            lines.append(f"| {count:,} | {peaks[0]:.0f} | {peaks[1]:.0f} |")
    return "\n".join(lines) + "\n"


def _machine() -> str:
    known = describe_machine()
    return ", ".join(f"{known[key]} {unit}".strip() for key, unit in
                     (("cores", "cores"), ("memory", ""), ("system", "")))  # fmt: skip


def fill(server: Server, rows: int) -> None:
    """A database with this many events, vacuumed, its pages in memory as far as they fit."""
    server.make_empty("export")
    subprocess.run(
        ["psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-v", f"rows={rows}", "-f",
         str(SQL / "events.sql"), "-c", "vacuum analyze events", server.url("export")],
        check=True,
    )  # fmt: skip
    server.checkpoint()


def run(server: Server, folder: Path, case: Case, rounds: int) -> Figures:
    env = {**os.environ, "SOURCE": server.url("export"), "TABLE": "events"}
    some = []
    for _ in range(rounds):
        room = folder / "room"
        room.mkdir()
        try:
            some.append(measure(case.script, env, room))
        finally:
            shutil.rmtree(room)
    median: Callable[[Metric], float] = lambda metric: statistics.median(  # noqa: E731
        one[metric] for one in some
    )
    return {metric: median(metric) for metric in Metric}


if __name__ == "__main__":
    main()
