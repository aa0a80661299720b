"""A PostgreSQL table into a SQLite file, with its keys and indexes, beside others, in turn."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from bench.loading import make_files, with_ours
from bench.measure import RunFailed, measure
from bench.peers import duckdb_python
from bench.result import Case, Figures, Goal, Measured, Metric, judged, ratio
from bench.servers import Server, running
from bench.setup import Setup, take_turns, with_rate

MOST_TIMES = 1.5  # of DuckDB's time
MOST_MB = 200
IN_POSTGRES = (
    "create table orders (id integer primary key, customer integer not null, status text not null,"
    " total double precision, note text, created timestamp, paid boolean, code text)",
    "insert into orders select g, g % 100000, (array['new', 'paid', 'sent'])[g % 3 + 1], g / 7.0,"
    " 'note number ' || g || ' for somebody', timestamp '2026-01-01' + g * interval '1 second',"
    " g % 2 = 0, 'C' || lpad(g::text, 9, '0') from generate_series(1, {rows}) as g",
    "create index orders_customer on orders (customer)",
    "create unique index orders_code on orders (code)",
    "vacuum analyze orders",
)
IN_SQLITE = (
    "create table orders (id integer primary key, customer integer not null, status text not null,"
    " total real, note text, created text, paid integer, code text)"
)
INDEXES = (
    "create index orders_customer on orders (customer);"
    " create unique index orders_code on orders (code)"
)
SUMS = (
    "select count(*), sum(id), sum(customer), sum(length(note)), sum(total), count(distinct"
    " substr(created, 1, 19)), sum(case when paid in (1, 't', 'true') then 1 else 0 end),"
    " min(code), max(code) from orders"
)
_MIGRATE = (
    'windlass migrate -q --source "$SOURCE" --target "sqlite://$FILE" --include orders'
    " --verify {level}"
)
_COPY = (
    f'sqlite3 "$FILE" "{IN_SQLITE}" && '
    'psql -qX "$SOURCE" -c "\\\\copy orders to rows.csv (format csv)" && '
    'sqlite3 "$FILE" ".mode csv" ".import rows.csv orders" && '
    f'sqlite3 "$FILE" "{INDEXES}"'
)
_ATTACH = """
import os, duckdb, duckdb_extension_postgres_scanner as one, duckdb_extension_sqlite_scanner as two
session = duckdb.connect()
for name, module in (("postgres_scanner", one), ("sqlite_scanner", two)):
    folder = os.path.dirname(module.__file__)
    version = f"v{duckdb.__version__}"
    session.execute(f"load '{folder}/extensions/{version}/{name}.duckdb_extension'")
session.execute("attach '%s' as source (type postgres, read_only)" % os.environ["SOURCE"])
session.execute("attach '%s' as target (type sqlite)" % os.environ["FILE"])
session.execute("insert into target.orders select * from source.public.orders")
"""
_DUCKDB = f'sqlite3 "$FILE" "{IN_SQLITE}" && "$DUCKDB" -c "$ATTACH" && sqlite3 "$FILE" "{INDEXES}"'


@dataclass(frozen=True, slots=True)
class Contestant:
    name: str
    title: str
    script: str


DUCKDB = Contestant("duckdb", "DuckDB, from one ATTACH to the other", _DUCKDB)
IMPORT = Contestant("import", "psql \\copy, sqlite3 .import", _COPY)
PLAIN = Contestant("windlass", "windlass migrate --verify none", _MIGRATE.format(level="none"))
VERIFIED = Contestant(
    "verified", "windlass migrate, every row verified", _MIGRATE.format(level="full")
)


def measure_into_sqlite(setup: Setup) -> Measured:
    rows = setup.choose(1_000_000, 20_000)
    group = f"{rows:,} rows"
    files = make_files(setup.folder)
    with running(setup.folder / "server", setup.programs) as server:
        server.make_empty("shop")
        with server.connect("shop") as connection:
            for one in IN_POSTGRES:
                connection.execute(one.format(rows=rows).encode())
        expected: list[Sequence[object]] = []

        def run(one: Contestant) -> Figures:
            return _run(server, one, expected, files / "shop.db", setup)

        found = take_turns((DUCKDB, IMPORT, PLAIN, VERIFIED), run, setup.repeat)
    cases = [_in(group, with_rate(one, rows)) for one in found]
    return Measured(
        data="`orders`, 8 columns, a primary key and two indexes, into a new file",
        cases=tuple(cases),
        goals=judged(list(_goals(group)), cases),
    )


def _in(group: str, case: Case) -> Case:
    return replace(case, name=f"{case.name} {group}", group=group)


def _goals(group: str) -> Iterator[Goal]:
    peer, plain, verified = (f"{one.name} {group}" for one in (DUCKDB, PLAIN, VERIFIED))
    yield ratio(plain, peer, Metric.SECONDS, at_most=MOST_TIMES)
    yield Goal(subject=verified, metric=Metric.PEAK_MB, at_most=MOST_MB)


def _run(
    server: Server,
    one: Contestant,
    expected: list[Sequence[object]],
    path: Path,
    setup: Setup,
) -> Figures:
    """Raises:
    RunFailed: it failed, or the rows are not those of the first.
    """
    path.unlink(missing_ok=True)
    with setup.empty_folder() as folder:
        words = {"SOURCE": server.url("shop"), "FILE": str(path), "ATTACH": _ATTACH}
        if one is DUCKDB:
            words["DUCKDB"] = str(duckdb_python())
        figures = measure(one.script, with_ours(folder) | words, folder)
    with closing(sqlite3.connect(path)) as session:
        sums = session.execute(SUMS).fetchone()
    # sums of doubles in the order of rows: all read the table from its beginning
    shown = tuple(f"{value:.10g}" if isinstance(value, float) else value for value in sums)
    expected.append(shown)
    if shown != expected[0]:
        raise RunFailed(f"{one.name} has moved other rows: {shown}")
    return figures
