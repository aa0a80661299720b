"""JSON lines and Parquet, loaded into PostgreSQL and into DuckDB: by Windlass and dlt, and by
DuckDB's own readers. dlt gets a tenth of the rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import duckdb
from psycopg import sql

from bench.data import psql
from bench.loading import (
    COLUMNS,
    NO_KEYS,
    NO_ROWS,
    TENTH,
    Loader,
    make_files,
    new_duckdb,
    run_loader,
    run_sql,
    scaled,
    to_csv,
)  # fmt: skip
from bench.measure import RunFailed
from bench.peers import DLT
from bench.result import Case, Figures, Measured
from bench.servers import Server, running
from bench.setup import Setup, take_turns, with_rate

FORMATS = {"jsonl": "JSON lines", "parquet": "Parquet"}
TARGETS = {"postgres": "PostgreSQL", "duckdb": "DuckDB"}
_WINDLASS = 'windlass load "$SHARE.{}" --target "$TARGET" --into events --load append -q'
_DLT = '"$PEERS" "$PROGRAMS/dlt_rows.py" "$TARGET" "$SHARE.{}" append'
_DLT_STARTING = '"$PEERS" "$PROGRAMS/dlt_rows.py" "$TARGET" "$FILES/one.{}" append'
_DUCKDB = 'python "$PROGRAMS/duckdb_rows.py" "$TARGET" "$SHARE.{}"'

# JSON and UUID as texts: dlt refuses Arrow's types for them
TYPED = ", ".join(f"{name!r}: {kind!r}" for name, kind in {**COLUMNS, "token": "varchar"}.items())
FROM_CSV = "from read_csv('{files}/{name}.csv', columns = {{{typed}}}, header = true)"
TO_FILES = (
    "copy (select * replace (details::varchar as details) {source})"
    " to '{files}/{name}.parquet' (format parquet)",
    "copy (select * {source}) to '{files}/{name}.jsonl' (format json)",
)


@dataclass(frozen=True, slots=True)
class FileLoader(Loader):
    """Of files of one format, into one kind of target."""

    format: str = ""
    target: str = ""


def loaders() -> Iterator[FileLoader]:
    for kind, file in FORMATS.items():
        for target, database in TARGETS.items():
            tools = [("windlass", "windlass load", _WINDLASS), ("dlt", f"dlt {DLT}", _DLT)]
            if target == "duckdb":
                tools.append(("duckdb", "DuckDB's own reader", _DUCKDB))
            for name, title, script in tools:
                yield FileLoader(
                    f"{kind}-{target}-{name}",
                    f"{file} into {database}, {title}",
                    script.format(kind),
                    scaled=name == "dlt",
                    format=kind,
                    target=target,
                )


@dataclass(frozen=True, slots=True)
class Filing:
    server: Server
    files: Path
    rows: int
    setup: Setup

    def prepare(self) -> None:
        self.server.make_empty("source")
        parts = {"all": 1, "tenth": TENTH, "one": self.rows}
        exported = [to_csv(f"{name}.csv", where=f"id % {of} = 0") for name, of in parts.items()]
        fill = psql("events.sql", rows=self.rows)
        run_sql(self.server, "source", "\n".join([fill, *exported]), self.setup, self.files)
        self.server.drop("source")
        with duckdb.connect() as connection:
            connection.execute("set TimeZone = 'UTC'")
            for name in parts:
                source = FROM_CSV.format(files=self.files, name=name, typed=TYPED)
                for statement in TO_FILES:
                    connection.execute(statement.format(source=source, files=self.files, name=name))

    def run(self, one: FileLoader) -> Figures:
        """Raises:
        RunFailed: it failed, or other rows have arrived.
        """
        figures = self._run_once(one)
        if one.scaled:
            starting = replace(one, script=_DLT_STARTING.format(one.format))
            figures = scaled(figures, self._run_once(starting, "one"))
        return figures

    def _run_once(self, one: FileLoader, name: str = "") -> Figures:
        path = self.setup.folder / "target.duckdb"
        if one.target == "duckdb":
            url = new_duckdb(path)
        else:
            self.server.make_empty("target")
            run_sql(self.server, "target", f"{NO_ROWS}\n{NO_KEYS}", self.setup, self.files)
            self.server.checkpoint()
            url = self.server.url("target")
        figures = run_loader(one, url, self.files, self.setup)
        table = "peer.events" if "$PEERS" in one.script else "events"
        if one.target == "duckdb":
            found = sums_in_duckdb(str(path), table)
            path.unlink()
        else:
            with self.server.connect("target") as connection:
                found = plain(connection.execute(SUMS.format(sql.SQL(table))).fetchone())
        expected = self.sums(name or ("tenth" if one.scaled else "all"))
        if found != expected:
            raise RunFailed(f"{one.name} has loaded other rows: {found}, expected {expected}")
        return figures

    def sums(self, name: str) -> list[str]:
        return sums_in_duckdb(":memory:", f"'{self.files}/{name}.parquet'")


SUMS = sql.SQL(
    "select count(*), sum(id), sum(account_id), sum(length(kind)), sum(amount),"
    " sum(cast(cast(details as json) ->> 'page' as bigint)),"
    " sum(case when billed then id else 0 end),"
    " sum(cast(floor(score * 1e9) as bigint)), sum(length(cast(token as varchar))),"
    " min(cast(token as varchar)), max(cast(token as varchar)),"
    " sum(cast(extract(epoch from happened_at) as bigint)) from {}"
)
"""Of every column, in SQL of both databases."""


def sums_in_duckdb(path: str, table: str) -> list[str]:
    with duckdb.connect(path) as connection:
        query = SUMS.format(sql.SQL(table)).as_string(None)
        return plain(connection.execute(query).fetchone())


def plain(values: Sequence[object] | None) -> list[str]:
    """The same text whatever type a database gives to a sum."""
    return [
        one if isinstance(one, str) else f"{Decimal(str(one)).normalize():f}"
        for one in values or ()
    ]


def measure_files(setup: Setup) -> Measured:
    rows = setup.choose(5_000_000, 20_000)
    with running(setup.folder / "server", setup.programs) as server:
        filing = Filing(server, make_files(setup.folder), rows, setup)
        filing.prepare()
        entrants = tuple(loaders())
        found = take_turns(entrants, filing.run, setup.repeat)
    cases = tuple(
        with_rate(_titled(case, one), rows) for case, one in zip(found, entrants, strict=True)
    )
    data = f"`events` without keys and indexes, {rows:,} rows, files that are not compressed"
    return Measured(data=data, cases=cases, goals=())


def _titled(case: Case, one: FileLoader) -> Case:
    more = ", a tenth of the rows, times 10" if one.scaled else ""
    return replace(case, title=case.title + more, group=f"{one.format}-{one.target}")
