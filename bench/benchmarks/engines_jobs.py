"""One PostgreSQL table into MariaDB in chunks, by the number of jobs, in turn."""

from dataclasses import dataclass

from bench.benchmarks.into_engines import IN_POSTGRES
from bench.loading import with_ours
from bench.mariadb import MariaDB, running_mariadb
from bench.measure import RunFailed, measure
from bench.result import Figures, Measured, Metric, judged, ratio
from bench.servers import Server, running
from bench.setup import Setup, take_turns, with_rate

DATABASE = "shop"
JOBS = (1, 2, 4)
MOST_TIMES = 1.0  # of one job's time
_SUMS = "select count(*), sum(id), sum(customer), sum(length(note)), max(code) from orders"
_MIGRATE = (
    'windlass migrate -q --source "$SOURCE" --target "$TARGET" --include orders --verify none'
    " --jobs {jobs}"
)


@dataclass(frozen=True, slots=True)
class Contestant:
    jobs: int

    @property
    def name(self) -> str:
        return f"jobs {self.jobs}"

    @property
    def title(self) -> str:
        return f"windlass migrate --jobs {self.jobs}"


def measure_jobs(setup: Setup) -> Measured:
    rows = setup.choose(1_000_000, 100_000)
    with (
        running(setup.folder / "server", setup.programs) as server,
        running_mariadb(setup.folder / "mariadb") as target,
    ):
        server.make_empty("shop")
        with server.connect("shop") as connection:
            for one in IN_POSTGRES:
                connection.execute(one.format(rows=rows).encode())
            expected = tuple(map(str, connection.execute(_SUMS.encode()).fetchall()[0]))
        target.run("mysql", f"grant all on {DATABASE}.* to bench@'127.0.0.1'")
        target.run("mysql", "set global local_infile = 1")

        def run(one: Contestant) -> Figures:
            return _run(server, target, one, expected, setup)

        found = take_turns([Contestant(one) for one in JOBS], run, setup.repeat)
    cases = [with_rate(one, rows) for one in found]
    first, *others = (Contestant(one).name for one in JOBS)
    goals = [ratio(one, first, Metric.SECONDS, at_most=MOST_TIMES) for one in others]
    return Measured(
        data=f"`orders`, {rows:,} rows of 8 columns, a primary key and two indexes",
        cases=tuple(cases),
        goals=judged(goals, cases),
    )


def _run(
    server: Server, target: MariaDB, one: Contestant, expected: tuple[str, ...], setup: Setup
) -> Figures:
    """Raises:
    RunFailed: it failed, or the rows are others.
    """
    target.run("mysql", f"drop database if exists {DATABASE}")
    target.run("mysql", f"create database {DATABASE}")
    server.checkpoint()
    with setup.empty_folder() as folder:
        words = {"SOURCE": server.url("shop"), "TARGET": target.url(DATABASE)}
        figures = measure(_MIGRATE.format(jobs=one.jobs), with_ours(folder) | words, folder)
    (row,) = target.run(DATABASE, _SUMS)
    found = tuple("" if value is None else value.decode() for value in row)
    if found != expected:
        raise RunFailed(f"{one.name} has moved other rows: {found}")
    return figures
