"""MariaDB into PostgreSQL, with keys and foreign keys, beside pgloader and dlt, in turn."""

from collections.abc import Sequence

from bench.benchmarks.engines import Contestant, in_group
from bench.data import SQL
from bench.loading import Loader, make_files, run_loader
from bench.mariadb import MariaDB, running_mariadb
from bench.measure import RunFailed
from bench.peers import DLT
from bench.result import Figures, Goal, Measured, Metric, judged, ratio
from bench.servers import Server, running
from bench.setup import Setup, take_turns, with_rate

LEAST_TIMES, LEAST_TIMES_DLT, LEAST_TIMES_VERIFIED = 2.5, 2.0, 1.3  # of the peers' speed
DATABASE = "employees"
TABLES = ("departments", "dept_emp", "dept_manager", "employees", "salaries", "titles")
SUMS = (
    "select (select count(*) from {0}employees), (select count(*) from {0}departments),"
    " (select count(*) from {0}dept_manager), (select count(*) from {0}dept_emp),"
    " (select count(*) from {0}titles), count(*), sum(emp_no), sum(salary),"
    " min(from_date), max(to_date) from {0}salaries"
)
_MIGRATE = 'WINDLASS_TARGET="$TARGET" windlass migrate --source "$SOURCE" -q'
PGLOADER = Contestant("pgloader", "pgloader", 'pgloader "$SOURCE" "$TARGET"')
DLT_ROWS = Contestant(
    "dlt",
    f"dlt {DLT}, ConnectorX; no keys",
    '"$PEERS" "$PROGRAMS/dlt_database.py" "$SOURCE" "$TARGET"',
)
PLAIN = Contestant("windlass", "windlass migrate --verify none", f"{_MIGRATE} --verify none")
VERIFIED = Contestant("verified", "windlass migrate, every row verified", _MIGRATE)


def measure_mariadb(setup: Setup) -> Measured:
    people = setup.choose(300_024, 3_000)
    with (
        running(setup.folder / "server", setup.programs) as server,
        running_mariadb(setup.folder / "mariadb") as source,
    ):
        make_files(setup.folder)
        source.run("mysql", f"create database {DATABASE}")
        source.run(
            DATABASE,
            (SQL / "employees.sql").read_text().replace("{people}", str(people)) + "\ncommit;\n",
        )
        expected = tuple(_text(one) for one in source.run(DATABASE, SUMS.format(""))[0])
        rows = sum(map(int, expected[:6]))
        group = f"{rows:,} rows"

        def run(one: Loader) -> Figures:
            return _run(source, server, one, expected, setup)

        racing = [one.loader(group) for one in (PGLOADER, PLAIN, VERIFIED, DLT_ROWS)]
        cases = [
            in_group(group, with_rate(one, rows)) for one in take_turns(racing, run, setup.repeat)
        ]
    return Measured(
        data="the shape of MySQL's sample `employees`: six tables, keys and foreign keys",
        cases=tuple(cases),
        goals=judged(_goals(group), cases),
    )


def _goals(group: str) -> list[Goal]:
    pgloader, dlt, plain, verified = (
        f"{one.name} {group}" for one in (PGLOADER, DLT_ROWS, PLAIN, VERIFIED)
    )
    return [
        ratio(plain, pgloader, Metric.SECONDS, at_most=round(1 / LEAST_TIMES, 3)),
        ratio(plain, dlt, Metric.SECONDS, at_most=round(1 / LEAST_TIMES_DLT, 3)),
        ratio(verified, pgloader, Metric.SECONDS, at_most=round(1 / LEAST_TIMES_VERIFIED, 3)),
    ]


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _run(
    source: MariaDB, server: Server, one: Loader, expected: Sequence[str], setup: Setup
) -> Figures:
    """Raises:
    RunFailed: it failed, or the rows are others.
    """
    server.make_empty("target")
    server.checkpoint()
    files = setup.folder / "files"
    figures = run_loader(one, server.url("target"), files, setup, source.url(DATABASE))
    schema = "peer." if one.name.startswith(DLT_ROWS.name) else f"{DATABASE}."
    with server.connect("target") as connection:
        row = connection.execute(SUMS.format(schema)).fetchone()
    if row is None or tuple(map(str, row)) != tuple(expected):
        raise RunFailed(f"{one.name} has moved other rows: {row}")
    return figures
