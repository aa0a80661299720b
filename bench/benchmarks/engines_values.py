"""Values that are hard to move, from SQLite and MariaDB into PostgreSQL by each tool: how many
arrive right, how many are refused, and how many are wrong or missing though it reports success.

Each type is a separate table, moved in a separate run: one that a tool refuses costs no other.
"""

import json
import logging
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from psycopg import sql

from bench.contestants import PROGRAMS
from bench.loading import Loader, variables
from bench.mariadb import MariaDB, running_mariadb
from bench.measure import RunFailed, measure
from bench.peers import MOVERS, movers_python
from bench.result import Case, Goal, Measured, Metric, judged
from bench.servers import Server, running
from bench.setup import Setup
from bench.values import MARIADB, SQLITE, Hard

log = logging.getLogger(__name__)
RIGHT, REFUSED, WRONG = Metric.VALUES_RIGHT, Metric.VALUES_REFUSED, Metric.VALUES_WRONG
_SMALL = 4


@dataclass(frozen=True, slots=True)
class Tool:
    """One with a script is run once for each table, and fails by its exit status."""

    name: str
    title: str
    script: str = ""
    engines: tuple[str, ...] = ("SQLite", "MariaDB")


TOOLS = (
    Tool(
        "windlass",
        "windlass migrate",
        'WINDLASS_TARGET="$TARGET" windlass migrate --source "$SOURCE" -q',
    ),
    # its exit status is 0 whatever happened: what its log calls an error is one
    Tool(
        "pgloader",
        "pgloader",
        'pgloader "$SOURCE" "$TARGET" > log 2>&1; ! grep -E " (ERROR|FATAL) " log',
    ),
    Tool("dlt", "dlt, SQLAlchemy"),
    Tool("dlt-connectorx", "dlt, ConnectorX"),
    Tool("connectorx", "ConnectorX, ADBC"),
    Tool("duckdb", "DuckDB, ATTACH"),
    Tool("pandas", "pandas, to_sql"),
)


@dataclass(frozen=True, slots=True)
class Sources:
    """Tables by name, each with the URL of a database that has no other."""

    engine: str
    hard: Mapping[str, Hard]
    url: Callable[[str], str]


def measure_values(setup: Setup) -> Measured:
    cases: list[Case] = []
    with (
        running(setup.folder / "server", setup.programs) as server,
        running_mariadb(setup.folder / "mariadb") as maria,
    ):
        for sources in (_sqlite(setup), _mariadb(maria, setup)):
            values = sum(len(one.values) for one in sources.hard.values())
            group = f"{sources.engine}, {values} values of {len(sources.hard)} types"
            for tool in TOOLS:
                found = _moved(tool, sources, server, setup)
                log.info("moved tool=%s engine=%s %s", tool.name, sources.engine, dict(found))
                figures = {one: float(found[one]) for one in (RIGHT, REFUSED, WRONG)}
                name = f"{tool.name} {sources.engine}"
                cases.append(Case(name=name, title=tool.title, group=group, runs=(figures,)))
    goals = [Goal(subject=f"windlass {one}", metric=WRONG, at_most=0) for one in ENGINES]
    return Measured(
        data=f"hard types, each in a separate table; {', '.join(MOVERS)}",
        cases=tuple(cases),
        goals=judged(goals, cases),
    )


ENGINES = ("SQLite", "MariaDB")


def _tables(hard: Sequence[Hard], setup: Setup) -> dict[str, Hard]:
    some = hard[: setup.choose(len(hard), _SMALL)]
    return {f"t{number:02}": one for number, one in enumerate(some, 1)}


def _statements(table: str, hard: Hard) -> Iterator[str]:
    yield f"create table {table} (id integer primary key, v {hard.type})"
    for number, (value, _) in enumerate(hard.values, 1):
        yield f"insert into {table} values ({number}, {value})"  # noqa: S608


def _sqlite(setup: Setup) -> Sources:
    tables = _tables(SQLITE, setup)
    folder = setup.folder / "sqlite"
    folder.mkdir()
    for name, hard in tables.items():
        with closing(sqlite3.connect(folder / f"{name}.db")) as session, session:
            for one in _statements(name, hard):
                session.execute(one)
    return Sources("SQLite", tables, lambda name: f"sqlite://{folder / name}.db")


def _mariadb(server: MariaDB, setup: Setup) -> Sources:
    tables = _tables(MARIADB, setup)
    for name, hard in tables.items():
        server.run("mysql", f"create database {name}")
        # dates that are none, and values that an enum has not
        mode = "set sql_mode = 'ALLOW_INVALID_DATES'"
        server.run(name, ";\n".join([mode, *_statements(name, hard), "commit"]))
    return Sources("MariaDB", tables, server.url)


def _moved(tool: Tool, sources: Sources, server: Server, setup: Setup) -> Counter[Metric]:
    """How many values had which end."""
    server.make_empty("target")
    failed = (_by_script if tool.script else _by_program)(tool, sources, server, setup)
    found: Counter[Metric] = Counter()
    for name, hard in sources.hard.items():
        rows = _arrived(server, name)
        for number, (value, same) in enumerate(hard.values, 1):
            is_right = not failed[name] and number in rows and same(rows[number])
            end = RIGHT if is_right else REFUSED if failed[name] else WRONG
            found[end] += 1
            if end is WRONG:
                shown = repr(rows[number]) if number in rows else "nothing"
                log.info("wrong tool=%s %s %s -> %s", tool.name, hard.type, value, shown)
            elif end is REFUSED:
                log.info("refused tool=%s %s %s: %s", tool.name, hard.type, value, failed[name])
    return found


def _by_script(tool: Tool, sources: Sources, server: Server, setup: Setup) -> dict[str, str]:
    failed = {}
    for name in sources.hard:
        with setup.empty_folder() as folder:
            loader = Loader(tool.name, tool.title, tool.script)
            source = sources.url(name)
            shell = variables(loader, folder, server.url("target"), folder) | {
                "SOURCE": source,
            }
            try:
                measure(tool.script, shell, folder)
                failed[name] = ""
            except RunFailed as error:
                failed[name] = str(error).splitlines()[-1][-200:]
    return failed


def _by_program(tool: Tool, sources: Sources, server: Server, setup: Setup) -> dict[str, str]:
    given = " ".join(f"'{name}={sources.url(name)}'" for name in sources.hard)
    program = f'"{movers_python()}" "{PROGRAMS / "move_rows.py"}" {tool.name} "$TARGET" {given}'
    with setup.empty_folder() as folder:
        shell = variables(Loader("", "", ""), folder, server.url("target"), folder)
        shell.pop("PYTHONPATH")
        measure(f"{program} > said.json", shell, folder)
        last = (folder / "said.json").read_text().splitlines()[-1]
    found: dict[str, str] = json.loads(last)
    return found


def _arrived(server: Server, table: str) -> dict[int, str | None]:
    """What PostgreSQL prints of each row's value, in whichever schema."""
    where = (
        "select table_schema from information_schema.tables where table_name = %s"
        " and table_schema not in ('windlass', 'pg_catalog')"
    )
    with server.connect("target") as connection:
        connection.execute("set timezone = 'UTC'")
        row = connection.execute(where, (table,)).fetchone()
        if row is None:
            return {}
        query = sql.SQL("select id, v::text from {}").format(sql.Identifier(row[0], table))
        return {int(id_): shown for id_, shown in connection.execute(query)}
