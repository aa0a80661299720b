"""Client memory of migrations from PostgreSQL into DuckDB, by the number of rows: DuckDB works in
the client's process, so its memory counts."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

from bench.benchmarks.into_engines import IN_POSTGRES
from bench.loading import make_files, with_ours
from bench.measure import RunFailed, measure
from bench.result import Case, Figures, Goal, Measured, Metric, judged, ratio
from bench.servers import Server, running
from bench.setup import Setup, take_turns

MOST_MB, MOST_GROWTH = 200.0, 1.2
KEYS, NO_KEYS = "a primary key and two indexes", "no keys"
DROP_KEYS = (
    "alter table orders drop constraint orders_pkey; drop index orders_customer, orders_code"
)
SUMS = "select count(*), sum(id) from orders"
_MIGRATE = 'windlass migrate -q --source "$SOURCE" --target "duckdb://$FILE" --include orders'


@dataclass(frozen=True, slots=True)
class Contestant:
    keys: str
    rows: int

    @property
    def name(self) -> str:
        return f"{self.rows} {self.keys}"

    @property
    def title(self) -> str:
        return f"{self.rows:,} rows, {self.keys}"


def measure_memory(setup: Setup) -> Measured:
    sizes = setup.choose((1_000_000, 5_000_000), (10_000, 20_000))
    files = make_files(setup.folder)
    cases: list[Case] = []
    with running(setup.folder / "server", setup.programs) as server:
        for rows in sizes:
            server.make_empty("shop")
            with server.connect("shop") as connection:
                for one in IN_POSTGRES:
                    connection.execute(one.format(rows=rows).encode())
                cases += _taken(server, Contestant(KEYS, rows), files, setup)
                connection.execute(DROP_KEYS.encode())
                cases += _taken(server, Contestant(NO_KEYS, rows), files, setup)
    return Measured(
        data="`orders`, 8 columns, into a new file, every row verified",
        cases=tuple(cases),
        goals=judged(list(_goals(*sizes)), cases),
    )


def _goals(least: int, most: int) -> Iterator[Goal]:
    for keys in (NO_KEYS, KEYS):
        low, high = (Contestant(keys, rows).name for rows in (least, most))
        for one in (low, high):
            yield Goal(subject=one, metric=Metric.PEAK_MB, at_most=MOST_MB)
        yield ratio(high, low, Metric.PEAK_MB, at_most=MOST_GROWTH)


def _taken(server: Server, one: Contestant, files: Path, setup: Setup) -> tuple[Case, ...]:
    return take_turns([one], lambda one: _run(server, one, files, setup), 1)


def _run(server: Server, one: Contestant, files: Path, setup: Setup) -> Figures:
    """Raises:
    RunFailed: it failed, or not all rows have arrived.
    """
    path = files / "shop.duckdb"
    path.unlink(missing_ok=True)  # of a run that has failed
    with setup.empty_folder() as folder:
        words = {"SOURCE": server.url("shop"), "FILE": str(path)}
        figures = measure(_MIGRATE, with_ours(folder) | words, folder)
    with duckdb.connect(str(path), read_only=True) as file:
        found = file.execute(SUMS).fetchone()
    path.unlink()
    if found != (one.rows, one.rows * (one.rows + 1) // 2):
        raise RunFailed(f"{one.name} has moved other rows: {found}")
    return figures
