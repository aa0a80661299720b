"""What the benchmarks of loads share: the rows of `events` as files, tables to load them into."""

from dataclasses import dataclass
from pathlib import Path

import duckdb

from bench.contestants import PROGRAMS
from bench.data import psql
from bench.machine import ROOT
from bench.measure import measure
from bench.peers import peers_python
from bench.result import Figures, Metric
from bench.servers import Server
from bench.setup import Setup
from bench.shell import environment

COLUMNS = {
    "id": "bigint", "happened_at": "timestamptz", "account_id": "integer", "kind": "varchar",
    "amount": "decimal(12, 2)", "details": "json", "billed": "boolean", "score": "double",
    "token": "uuid",
}  # fmt: skip
"""Of `events`, with DuckDB's types."""

IN_DUCKDB = "create table events ({})".format(", ".join(map(" ".join, COLUMNS.items())))
NO_ROWS = psql("events.sql", rows=0)
NO_KEYS = (
    'psql -qX -v ON_ERROR_STOP=1 "$SOURCE" -c "alter table events alter id drop identity,'
    ' drop constraint events_pkey" -c "drop index events_happened_at, events_account_id"'
)
TENTH = 10


@dataclass(frozen=True, slots=True)
class Loader:
    """`script` runs in bash, in an empty folder, and reads `$TARGET`, `$FILES`, `$PROGRAMS` and
    `$PEERS`, the interpreter of peers. One that is `scaled` gets a tenth of the rows in
    `$SHARE`.csv and the like."""

    name: str
    title: str
    script: str
    scaled: bool = False

    @property
    def of(self) -> int:
        """One row of so many is loaded."""
        return TENTH if self.scaled else 1


def run_sql(server: Server, database: str, script: str, setup: Setup, files: Path) -> None:
    """Run a script that reads `$SOURCE` and `$FILES`."""
    with setup.empty_folder() as folder:
        shell = environment(folder) | {"SOURCE": server.url(database), "FILES": str(files)}
        measure(script, shell, folder)


def make_files(folder: Path) -> Path:
    """A folder for files that stay for the whole benchmark."""
    files = folder / "files"
    files.mkdir()
    return files


def to_csv(file: str, table: str = "events", where: str = "true") -> str:
    """A script that writes rows of a table to a file of `$FILES`, in the order of their keys."""
    query = f"select * from {table} where {where} order by id"  # noqa: S608
    return f'psql -qX "$SOURCE" -c "\\\\copy ({query}) to \'$FILES/{file}\' (format csv, header)"'


def run_loader(one: Loader, target: str, files: Path, setup: Setup, source: str = "") -> Figures:
    """Measure it.

    Raises:
        RunFailed: it failed.
    """
    with setup.empty_folder() as folder:
        shell = variables(one, folder, target, files) | {"SOURCE": source}
        return measure(one.script, shell, folder)


def variables(one: Loader, folder: Path, target: str, files: Path) -> dict[str, str]:
    uses_peers = "$PEERS" in one.script
    return environment(folder) | {
        "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}",
        "TARGET": target,
        "FILES": str(files),
        "SHARE": str(files / ("tenth" if one.scaled else "all")),
        "PROGRAMS": str(PROGRAMS),
        "PIPELINES": str(folder / "pipelines"),
        "PEERS": str(peers_python()) if uses_peers else "",
    }


def with_ours(home: Path) -> dict[str, str]:
    """The environment of a script that runs this checkout's `windlass`."""
    return environment(home) | {"PYTHONPATH": str(ROOT / "src")}


def scaled(figures: Figures, starting: Figures) -> Figures:
    """As if ten times the rows had been loaded: what takes longer than starting, ten times."""
    times = (Metric.SECONDS, Metric.CPU_SECONDS)
    more = {one: starting[one] + TENTH * max(figures[one] - starting[one], 0.0) for one in times}
    return {**figures, **more}


def new_duckdb(path: Path) -> str:
    """A file with an empty `events`; returns its URL."""
    with duckdb.connect(str(path)) as connection:
        connection.execute(IN_DUCKDB)
    return f"duckdb:///{path}"
