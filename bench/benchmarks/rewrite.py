"""A rewrite in place against pandas, in turn on one server.

The same work each time: a column set, a full backup, duplicates dropped, the rows stamped. The
function path runs a second time with ten times as many rows selected, for its memory. Beside each
run somebody changes selected rows, one at a time; the longest of these statements is kept.
"""

import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench.contestants import PROGRAMS
from bench.data import Dataset, psql
from bench.machine import ROOT
from bench.measure import RunFailed, measure
from bench.result import Figures, Goal, Measured, Metric, judged, ratio
from bench.servers import Server, running
from bench.setup import Setup, take_turns
from bench.shell import environment

SPEC = """
table: message
select: exported_at = '9999-12-31'
id: message_id
key: base
backup-schema: backup
backup: full
stamp: exported_at
drop-duplicates: true
"""
SQL = SPEC + "add: {product_id: {value: ABCD}}\n"
FUNCTION = (
    SPEC + "function: bench.programs.functions:add_product\nadd: {product_id: {type: text}}\n"
)
REWRITTEN = "select count(*) from message where product_id = 'ABCD' and exported_at < '9999-12-31'"
PAUSE_SECONDS = 0.02  # between a writer's statements
OURS = "windlass rewrite -q -f spec.yaml"

GOALS = (
    ratio("pandas", "sql", Metric.SECONDS, at_least=3.5),
    Goal(subject="sql", metric=Metric.LONGEST_STATEMENT_SECONDS, at_most=1.0),
    Goal(subject="function", metric=Metric.LONGEST_STATEMENT_SECONDS, at_most=1.0),
    ratio("function", "sql", Metric.SECONDS, at_most=3.0),
    ratio("all", "function", Metric.PEAK_MB, at_most=1.25),
)


@dataclass(frozen=True, slots=True)
class Contestant:
    """`script` runs in bash and reads `$WINDLASS_TARGET`; `spec` is its spec.yaml."""

    name: str
    title: str
    script: str
    spec: str = ""
    tenths: int = 1  # of the rows are selected

    def data(self, rows: int) -> str:
        fill = psql("message.sql", rows=rows, tenths=self.tenths)
        return Dataset("message", "messages", full=fill).script()


CONTESTANTS = (
    Contestant("sql", "windlass, SQL", OURS, SQL),
    Contestant("function", "windlass, pandas function", OURS, FUNCTION),
    Contestant(
        "pandas", "pandas and to_sql", f'python {PROGRAMS / "frames.py"} "$WINDLASS_TARGET"'
    ),
    Contestant("all", "windlass, pandas function, all rows", OURS, FUNCTION, tenths=10),
)


def measure_rewrites(setup: Setup) -> Measured:
    rows = setup.choose(1_000_000, 20_000)
    with running(setup.folder / "server", setup.programs) as server:

        def run(one: Contestant) -> Figures:
            return _run(server, one, rows, setup)

        cases = take_turns(CONTESTANTS, run, setup.repeat)
    data = (
        f"{rows:,} rows, {rows // 10:,} of them selected; full backup, duplicates dropped, stamped"
    )
    return Measured(data=data, cases=cases, goals=judged(GOALS, cases))


def _run(server: Server, one: Contestant, rows: int, setup: Setup) -> Figures:
    """Raises:
    RunFailed: it failed, or has rewritten another number of rows.
    """
    server.make_empty("bench")
    url = server.url("bench")
    with setup.empty_folder() as folder:
        shell = environment(folder) | {"PYTHONPATH": str(ROOT)}
        measure(one.data(rows), shell | {"SOURCE": url}, folder)
        server.checkpoint()
        (folder / "spec.yaml").write_text(one.spec)
        with _writer(server, rows) as writer:
            figures = measure(one.script, shell | {"WINDLASS_TARGET": url}, folder)
    with server.connect("bench") as connection:
        ((rewritten,),) = connection.execute(REWRITTEN).fetchall()
    if abs(rewritten - rows * one.tenths / 10) > 10 + writer.statements:
        raise RunFailed(f"{one.name} has rewritten {rewritten} rows")
    return {**figures, Metric.LONGEST_STATEMENT_SECONDS: writer.longest_seconds}


@dataclass
class _Writer:
    """Somebody who changes selected rows, one at a time, until told to stop."""

    server: Server
    rows: int
    statements: int = 0
    longest_seconds: float = 0.0
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        chosen = random.Random(4711)
        with self.server.connect("bench") as connection:
            while not self.stop.wait(PAUSE_SECONDS):
                # as message.sql selects them
                number = chosen.randrange(self.rows // 100) * 100 + chosen.randrange(10)
                started = time.perf_counter()
                connection.execute(
                    "update message set total = total + 1 where message_id = %s", (number,)
                )
                took = time.perf_counter() - started
                self.statements += 1
                self.longest_seconds = max(self.longest_seconds, took)


@contextmanager
def _writer(server: Server, rows: int) -> Iterator[_Writer]:
    writer = _Writer(server, rows)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(writer.run)
        try:
            yield writer
        finally:
            writer.stop.set()
        running.result()
