"""Migrations between all engines, to be killed: those out of PostgreSQL, and each by its name."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import duckdb

import file_moves
import mysql_moves
from killed_into_postgres import (
    from_duckdb,
    from_mariadb,
    from_mongodb,
    from_odbc,
    from_sqlite,
)
from killed_way import Compared, Rows, Way
from mariadb_server import MariaServer
from mongo_server import MongoServer
from servers import Database, Server

_MYSQL = "windlass.engines.mysql.destination"

_CUSTOMERS = Compared(
    "select id, name, email, score, price, active::int, state::text, to_char(created at time zone"
    " 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') from customers",
    "select id, name, email, score, price, {active}, state, {created} from customers",
    (int, str, str, float, float, int, str, str),
)
_ITEMS = "select id, customer, qty, note, total, doubled from items"
_BUSY = "select id, name, n from busy"
_OURS = {
    "customers": _CUSTOMERS,
    "items": Compared(_ITEMS, _ITEMS, (int, int, int, str, float, int)),
    "busy": Compared(_BUSY, _BUSY, (int, str, int)),
}


class OutOfPostgres(Way):
    def __init__(self, name: str, source: Database, tables: Mapping[str, Compared]) -> None:
        super().__init__()
        self.name, self.tables, self.source_url = name, tables, source.url
        self.source, self.source_server = source, source.server
        self.source_rows = {key: one.rows(source.rows(one.source)) for key, one in tables.items()}

    def change(self) -> None:
        self.source.run(
            "update items set total = -1 where id % 5 = 0",
            "delete from items where id % 5 = 1",
            "insert into items (id, customer, note) values (1000000, 1, 'late')",
        )


class IntoFile(OutOfPostgres):
    def __init__(
        self, kind: type[file_moves.Move], source: Database, folder: Path, **forms: str
    ) -> None:
        odd = 'select "a b", "select" from "odd ""name"'
        customers = Compared(_CUSTOMERS.source, _CUSTOMERS.target.format(**forms), _CUSTOMERS.kinds)
        more = {
            "customers": customers,
            "odd": Compared(odd, odd, (int, str)),
            "parts": Compared("select k, v from parts", "select k, v from parts", (int, str)),
        }
        super().__init__(f"into-{kind.engine.lower()}", source, {**_OURS, **more})
        self.move = kind(source, folder / "shop.db")
        self.words = ("migrate", *self.move.losses)
        converting = "windlass.engines.embedded.converting.file"
        self.counted = (
            "call windlass.engines.embedded.books.Books.add_line",  # work is done, not committed
            "return windlass.flows.convert.context.Conversion.once",  # it is committed
            f"call {kind.inserts}",
            f"call {converting}.flush",
        )
        self.early = f"call {kind.inserts} 3"

    @property
    def target_url(self) -> str:
        return self.move.url

    def renew(self) -> None:
        for one in self.move.path.parent.iterdir():
            one.unlink()

    def rows(self) -> Rows:
        return {name: one.rows(self.move.rows(one.target)) for name, one in self.tables.items()}

    def objects(self) -> object:
        queries = [
            "select type, name, sql from sqlite_schema where name not like 'sqlite_%'",
            "select 'sequence', name, seq from sqlite_sequence",
        ]
        if isinstance(self.move, file_moves.IntoDuckDb):
            queries = [
                "select 'table', table_name, sql from duckdb_tables()",
                "select 'index', index_name, sql from duckdb_indexes()",
                "select 'view', view_name, sql from duckdb_views() where not internal",
                "select 'sequence', sequence_name, start_value from duckdb_sequences()",
            ]
        found = [sorted(self.move.rows(one)) for one in queries]
        return found, self.move.beside()

    def is_empty(self) -> bool:
        return self.move.beside() == []

    def lines(self) -> list[str]:
        query = "select step from _windlass_line order by done_at"
        building = Path(f"{self.move.path}-windlass-building")
        path = building if building.exists() else self.move.path
        assert path.exists()
        if isinstance(self.move, file_moves.IntoDuckDb):
            with duckdb.connect(str(path), read_only=True) as session:
                return [one for (one,) in session.execute(query).fetchall()]
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as session:
            return [one for (one,) in session.execute(query).fetchall()]


class IntoMariadb(OutOfPostgres):
    words = ("migrate", "--chunk-size", "128kB", "--jobs", "2")
    counted = (
        f"call {_MYSQL}.journal.Journal.add_line",
        "return windlass.flows.convert.context.Conversion.once",
        f"call {_MYSQL}.session.TargetSession._all",
        f"return {_MYSQL}.writing.Making._note",
    )
    early = f"call {_MYSQL}.destination.add_rows 3"

    def __init__(self, source: Database, server: MariaServer) -> None:
        form = _CUSTOMERS.target.format(active="active", created="cast(created as char(26))")
        odd, there = 'select "a `b", "select" from "odd `""name"', "select `a ``b`, `select` from"
        parts = "select k, v, boss from parts"
        more = {
            "customers": Compared(_CUSTOMERS.source, form, _CUSTOMERS.kinds),
            "odd": Compared(odd, f'{there} `odd ``"name`', (int, str)),
            "parts": Compared(parts, parts, (int, str, int)),
        }
        super().__init__("into-mariadb", source, {**_OURS, **more})
        self._database, self._server = "", server

    @property
    def target_server(self) -> MariaServer:
        return self._server

    @property
    def move(self) -> mysql_moves.Move:
        return mysql_moves.Move(self.source, self._server, self._database)

    @property
    def target_url(self) -> str:
        return self.move.url

    def renew(self) -> None:
        if self._database:
            self._server.drop_database(self._database)
        self._database = self._server.create_database()
        self._server.grant("app", self._database, mysql_moves.RIGHTS)

    def rows(self) -> Rows:
        return {name: one.rows(self.move.rows(one.target)) for name, one in self.tables.items()}

    def objects(self) -> object:
        found = self.move.rows(
            "select table_name, table_type from information_schema.tables"
            " where table_schema = database() order by table_name"
        )
        shapes = []
        for name, kind in found:
            quoted = str(name).replace("`", "``")
            what = "view" if kind == "VIEW" else "table"
            if not str(name).startswith("_"):
                (shape,) = self.move.rows(f"show create {what} `{quoted}`")
                shapes.append(str(shape[1]).replace(self._database, ""))
        return found, shapes

    def is_empty(self) -> bool:
        return self.move.tables() == []

    def lines(self) -> list[str]:
        return [
            str(one)
            for (one,) in self.move.rows("select step from _windlass_lines order by done_at")
        ]


INTO_POSTGRES = ("from-sqlite", "from-mariadb", "from-mongodb", "from-duckdb", "from-odbc")
OUT_OF_POSTGRES = ("into-sqlite", "into-duckdb", "into-mariadb")


@dataclass(frozen=True)
class Servers:
    """Where ways have their databases; each is started when it is needed."""

    postgres: Callable[[], Server]
    mariadb: Callable[[], MariaServer]
    mongodb: Callable[[], MongoServer]


def make_way(name: str, servers: Servers, folder: Path, stack: ExitStack) -> Way:
    """With its source, which is there until the stack is closed."""

    def database() -> Database:
        return servers.postgres().create_database()

    if name == "from-sqlite":
        return from_sqlite(folder, database)
    if name == "from-duckdb":
        return from_duckdb(folder, database)
    if name == "from-mongodb":
        return from_mongodb(servers.mongodb(), database)
    if name == "from-mariadb":
        return from_mariadb(servers.mariadb(), database)
    if name == "from-odbc":
        return from_odbc(servers.mariadb(), database)
    source = database()
    stack.callback(source.server.drop_database, source)
    if name == "into-mariadb":
        source.run(*mysql_moves.SHOP)
        return IntoMariadb(source, servers.mariadb())
    source.run(*file_moves.SHOP)
    if name == "into-sqlite":
        created = "substr(created, 1, 26)"
        return IntoFile(file_moves.IntoSqlite, source, folder, active="active", created=created)
    form = "strftime(created, '%Y-%m-%d %H:%M:%S.%f')"
    return IntoFile(file_moves.IntoDuckDb, source, folder, active="active::int", created=form)
