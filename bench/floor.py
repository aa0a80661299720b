"""The floor: the servers' minimal cost of a copy, divided by the cores.

No client takes part: the source copies to /dev/null, the target copies from a file and then
builds its indexes and constraints. The sum is divided by the number of cores, as if all of it
ran side by side without a gap.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from bench.census import read_relations
from bench.measure import measure
from bench.result import Figures, Metric
from bench.shell import environment

SESSION = "-c synchronous_commit=off -c maintenance_work_mem=256MB"

ONE_CORE = "-c max_parallel_maintenance_workers=0"
"""The cost of an index counts, not the time of two workers that share it."""


@dataclass(frozen=True, slots=True)
class Floor:
    """Copies without a client; counts COPY out, COPY in, indexes and constraints, nothing else."""

    name: str = "floor"
    title: str = "floor: cost on the servers, over the cores"

    def run(self, source: str, target: str, folder: Path) -> Figures:
        folder.chmod(0o777)  # the servers, under another account, write and read files here
        options = f"{SESSION} {ONE_CORE}"
        shell = environment(folder) | {"SOURCE": source, "TARGET": target, "PGOPTIONS": options}
        measure('pg_dump --section=pre-data "$SOURCE" | psql -qX "$TARGET"', shell, folder)
        with (
            psycopg.connect(source, autocommit=True) as reading,
            psycopg.connect(target, autocommit=True, options=options) as writing,
        ):
            seconds = sum(
                _copy(reading, writing, relation, folder / "rows")
                for relation in read_relations(reading)
            )
            _copy_sequences(reading, writing)
        measure('pg_dump --section=post-data "$SOURCE" > post.sql', shell, folder)
        built = measure('psql -qX -v ON_ERROR_STOP=1 -f post.sql "$TARGET"', shell, folder)
        measure('vacuumdb -q --analyze-only "$TARGET"', shell, folder)
        return {Metric.SECONDS: (seconds + built[Metric.SECONDS]) / (os.cpu_count() or 1)}


def _copy(
    reading: psycopg.Connection, writing: psycopg.Connection, relation: str, file: Path
) -> float:
    """Copy one relation by way of `file`; the seconds of reading to nowhere and of writing."""
    copy_out = sql.SQL("copy {} to {} (format binary)")
    copy_in = sql.SQL("copy {} from {} (format binary)")
    name = sql.Identifier(relation)
    spent = _timed(reading, copy_out.format(name, "/dev/null"))
    _timed(reading, copy_out.format(name, str(file)))
    spent += _timed(writing, copy_in.format(name, str(file)))
    file.unlink()
    return spent


def _timed(connection: psycopg.Connection, statement: sql.Composed) -> float:
    started = time.perf_counter()
    connection.execute(statement)
    return time.perf_counter() - started


def _copy_sequences(reading: psycopg.Connection, writing: psycopg.Connection) -> None:
    called = reading.execute(
        "select sequencename, last_value from pg_sequences where last_value is not null"
    )
    for name, last_value in called:
        writing.execute("select setval(quote_ident(%s)::regclass, %s)", (name, last_value))


FLOOR = Floor()
