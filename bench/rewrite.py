"""`python -m bench.rewrite`: a rewrite in place against pandas, in turn on one server.

1M rows, of which 100,000 wait. The same work each time: a column set, a full backup, duplicates
dropped, the rows stamped. Then the function path with ten times as many rows waiting: its memory
has to be what it was.
"""

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.machine import describe_machine
from bench.measure import Figures, Metric, measure
from bench.servers import Server, running

ROOT = Path(__file__).parent.parent
LEAST_RATIO, MOST_RATIO = 10.0, 3.0
MOST_GROWTH = 1.25  # of the client's peak memory, with ten times as many rows selected
# A base is shared by ten rows, all of which wait or none: else the earlier method would lose rows.
TABLE = """
create table message (message_id bigint primary key, base text not null, body text,
    total numeric(12, 2), sender uuid, sent_at timestamptz, exported_at timestamp not null,
    product_id text);
insert into message select n, 'base ' || n / 10, md5(n::text) || md5((n + 1)::text), n / 7.0,
    md5(n::text)::uuid, '2026-01-01'::timestamptz + n * interval '1 second',
    case when n / 10 % 10 < {tenths} then '9999-12-31' else timestamp '2026-01-01' end, null
    from generate_series(1, {rows}) n;
create index on message (base);
create schema backup;
vacuum analyze;
"""
WAITING = """
table: message
select: exported_at = '9999-12-31'
id: message_id
stamp: exported_at
"""
SQL = f"""{WAITING}
add: {{product_id: {{value: ABCD}}}}
drop-duplicates: true
"""
FUNCTION = f"""{WAITING}
function: bench.functions:add_product
add: {{product_id: {{type: text}}}}
drop-duplicates: true
"""
CHECK = "select count(*) from message where product_id = 'ABCD' and exported_at < '9999-12-31'"


NOTES = """
The earlier method is measured without its way through XCom, which its rows take five times, and
without the scheduler: its seconds are what pandas, the driver and the server need. The server alone
needs most of ours, and what it does cannot be left out:

- the full backup and its count, 0.9 s: it writes a million rows;
- the write, about 2 s: 0.2 s find each row by its place and compare all of it with what was read,
  the rest changes it in the table and two indexes, with 160 MB of WAL, as every page is touched;
- the stamp, nearly as long. It changes each row a second time: writing and stamping are two steps
  of this pipeline, and a row counts as exported only after both.

Without a full backup (`backup: touched`) the run takes one second less. Ten times as fast
would be about one second: the two changes of the rows take longer by themselves.

(These parts are of single runs of windlass with SQL, with auto_explain, on the same machine.)
"""


@dataclass(frozen=True)
class Contestant:
    name: str
    title: str
    script: str
    spec: str = ""
    tenths: int = 1  # of the rows


OURS = Contestant("sql", "windlass, SQL", "{python} -m windlass rewrite -q -f spec.yaml", SQL)
CALLED = Contestant("function", "windlass, pandas function", OURS.script, FUNCTION)
THEIRS = Contestant("pandas", "pandas and to_sql", "{python} {root}/bench/frames.py {url}")
ALL = Contestant("all", "windlass, pandas function, all rows", OURS.script, FUNCTION, tenths=10)


def run(server: Server, one: Contestant, rows: int, folder: Path) -> Figures:
    server.make_empty("bench")
    with server.connect("bench") as connection:
        for statement in TABLE.format(rows=rows, tenths=one.tenths).split(";\n"):
            if statement.strip():
                connection.execute(statement.encode())
    server.checkpoint()
    folder.mkdir(exist_ok=True)
    (folder / "spec.yaml").write_text(one.spec)
    url = server.url("bench")
    script = one.script.format(python=sys.executable, root=ROOT, url=url)
    path = {"WINDLASS_TARGET": url, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    figures = measure(script, {**os.environ, **path}, folder)
    with server.connect("bench") as connection:
        row = connection.execute(CHECK.encode()).fetchone()
    assert row is not None
    if abs(row[0] - rows * one.tenths / 10) > 10:
        raise AssertionError(f"{one.name} has rewritten {row[0]} rows")
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    found: dict[str, list[Figures]] = {}
    with tempfile.TemporaryDirectory() as room:
        Path(room).chmod(0o755)
        with running(Path(room) / "server") as server:
            for _ in range(options.repeat):
                for one in (OURS, CALLED, THEIRS, ALL):
                    figures = run(server, one, options.rows, Path(room) / "work")
                    found.setdefault(one.name, []).append(figures)
                    print(one.title, {key.value: round(x, 1) for key, x in figures.items()})
    page, reached = _page(found, options.rows)
    print(page)
    if options.write:
        options.write.write_text(page)
    return 0 if reached else 1


def _median(runs: list[Figures], metric: Metric) -> float:
    return statistics.median(one[metric] for one in runs)


def _page(found: dict[str, list[Figures]], rows: int) -> tuple[str, bool]:
    seconds = {name: _median(runs, Metric.SECONDS) for name, runs in found.items()}
    faster, slower = seconds["pandas"] / seconds["sql"], seconds["function"] / seconds["sql"]
    peaks = {name: _median(runs, Metric.PEAK_MB) for name, runs in found.items()}
    grown = peaks["all"] / peaks["function"]
    reached = faster >= LEAST_RATIO and slower <= MOST_RATIO and grown <= MOST_GROWTH
    lines = [
        "# Rewriting in place",
        "",
        "Made by `python -m bench.rewrite --write docs/benchmarks-rewrite.md`;"
        f" {len(found['sql'])} runs each, in turn, the median of each.",
        f"{rows:,} rows, {rows // 10:,} of them waiting; full backup, duplicates dropped, stamped.",
        "",
        *(f"- {name}: {value}" for name, value in describe_machine().items()),
        "",
        "| | seconds | min-max | client CPU seconds | client peak MB |",
        "|---|---|---|---|---|",
        *_rows(found),
        "",
        f"- {faster:.1f} times as fast as pandas; at least {LEAST_RATIO:.0f} asked:"
        f" {_verdict(faster >= LEAST_RATIO)}",
        f"- the function takes {slower:.1f} times as long as SQL; at most {MOST_RATIO:.0f} asked:"
        f" {_verdict(slower <= MOST_RATIO)}",
        f"- with {rows:,} rows selected instead of {rows // 10:,}, the function path's client takes"
        f" {grown:.2f} times the memory at its peak; at most {MOST_GROWTH} asked:"
        f" {_verdict(grown <= MOST_GROWTH)}",
        "",
    ]
    return "\n".join(lines) + NOTES, reached


def _rows(found: dict[str, list[Figures]]) -> Iterator[str]:
    for one in (OURS, CALLED, THEIRS, ALL):
        runs = found[one.name]
        values = [figures[Metric.SECONDS] for figures in runs]
        yield (
            f"| {one.title} | {statistics.median(values):.1f} | {min(values):.1f}-{max(values):.1f}"
            f" | {_median(runs, Metric.CPU_SECONDS):.1f} | {_median(runs, Metric.PEAK_MB):.0f} |"
        )


def _verdict(is_reached: bool) -> str:
    return "reached" if is_reached else "**missed**"


if __name__ == "__main__":
    sys.exit(main())
