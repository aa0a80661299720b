"""Migrations from each engine into PostgreSQL, to be killed: what has arrived is compared with what
the engine's driver reads."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb

from killed_way import Compared, Rows, Way
from mariadb_server import MariaServer
from mongo_server import MongoServer
from odbc_urls import of_mariadb
from servers import Database, Server
from translating import Source, mariadb_shop, sqlite_shop

ITEMS, DOCUMENTS = 5_000, 1_200
LONG = 300  # bytes of a note: so tables are large enough to be cut, and have few rows
_JOURNAL = "windlass.journal.journal.Journal"
_TRANSLATE = "windlass.flows.translate"

SHOP = {
    "customers": Compared(
        "select Id, Name, Email, Score, cast(Created as char(19)) from Customers",
        "select id, name, email, score, created::text from {}.customers",
        (int, str, str, float, str),
    ),
    "items": Compared(
        "select Id, Customer, Qty, Note, Total, Doubled from Items",
        "select id, customer, qty, note, total, doubled from {}.items",
        (int, int, int, str, float, int),
    ),
}
_LONGER = (f"update Items set Note = Note || substr('{'x' * LONG}', 1, {LONG} - Id % 7)",)
_WIDE = (
    f"alter table Items modify Note varchar({2 * LONG}) collate utf8mb4_bin",
    f"update Items set Note = concat(Note, repeat('x', {LONG} - Id % 7))",
    "analyze table Items",
)
ODD = Compared('"odd ""name"', 'select "a b", "select" from {}."odd ""name"', (int, str))
_STRUCTURE = (
    "select conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated"
    " from pg_constraint where connamespace = '{0}'::regnamespace",
    "select indexrelid::regclass::text, pg_get_indexdef(indexrelid), indisvalid from pg_index"
    " join pg_class c on c.oid = indrelid where c.relnamespace = '{0}'::regnamespace",
    "select relname, relkind, relpersistence from pg_class"
    " where relnamespace = '{0}'::regnamespace",
    "select sequencename, last_value from pg_sequences where schemaname = '{1}'",
    "select tgrelid::regclass::text, tgname from pg_trigger where not tgisinternal",
)
_ANY = (
    "select (select count(*) from pg_class where relnamespace = any (n)) + (select count(*) from"
    " pg_type where typnamespace = any (n)) + (select count(*) from pg_namespace where"
    " nspname !~ '^pg_' and nspname not in ('information_schema', 'public', 'windlass'))"
    " from (select array_agg(oid) n from pg_namespace where nspname !~ '^pg_' and"
    " nspname not in ('information_schema', 'windlass')) x"
)


class IntoPostgres(Way):
    words: tuple[str, ...] = ("migrate", "--chunk-size", "64kB", "--jobs", "2")
    counted = (
        f"call {_JOURNAL}.keep",  # a line is committed
        f"statement since {_TRANSLATE}.opening.begin_new",
        f"call {_TRANSLATE}.rows._line",  # rows are sent, and not committed
        f"answer since {_TRANSLATE}.opening.begin_new",
    )
    early = f"call {_JOURNAL}.keep 4"

    def __init__(
        self,
        name: str,
        source: Source,
        tables: Mapping[str, Compared],
        make: Callable[[], Database],
    ) -> None:
        super().__init__()
        self.name, self.source, self.tables = name, source, tables
        self.source_url, self._make = source.url, make
        self._target: Database | None = None

    @property
    def target(self) -> Database:
        assert self._target is not None
        return self._target

    @property
    def target_url(self) -> str:
        return self.target.url

    @property
    def target_server(self) -> Server:
        return self.target.server

    def change(self) -> None:
        self.source.run(
            "update Items set Total = -1 where Id % 5 = 0",
            "delete from Items where Id % 5 = 1",
            "insert into Items (Id, Customer, Note) values (1000000, 1, 'late')",
        )

    def renew(self) -> None:
        if self._target is not None:
            self._target.server.drop_database(self._target)
        self._target = self._make()

    @property
    def _schema(self) -> str:
        return f'"{self.source.schema}"'

    def rows(self) -> Rows:
        return {
            name: one.rows(self.target.rows(one.target.format(self._schema)))
            for name, one in self.tables.items()
        }

    def objects(self) -> object:
        queries = [one.format(self._schema, self.source.schema) for one in _STRUCTURE]
        return [sorted(self.target.rows(one)) for one in queries]

    def is_empty(self) -> bool:
        return bool(self.target.value(_ANY) == 0)

    def lines(self) -> list[str]:
        return [one for (one,) in self.target.rows("select step from windlass.line order by at")]


def from_sqlite(folder: Path, make: Callable[[], Database]) -> Way:
    path = folder / "source.db"
    way = IntoPostgres(
        "from-sqlite", sqlite_shop(path, *_LONGER, items=ITEMS), {**SHOP, "odd": ODD}, make
    )
    with closing(sqlite3.connect(path)) as session:
        way.source_rows = {
            name: one.rows(session.execute(_selected(one.source)).fetchall())
            for name, one in way.tables.items()
        }
    return way


def _selected(source: str) -> str:
    return source if source.startswith("select") else f"select * from {source}"


def _in_mariadb(name: str, server: MariaServer, make: Callable[[], Database]) -> IntoPostgres:
    database = server.create_database()
    source = mariadb_shop(server, database, *_WIDE, items=ITEMS)
    way = IntoPostgres(name, source, {**SHOP, "odd": ODD}, make)
    way.source_server = server
    queries = {key: _selected(one.source) for key, one in way.tables.items()}
    queries["odd"] = 'select * from `odd "name`'
    way.source_rows = {
        key: one.rows(server.run(database, queries[key])) for key, one in way.tables.items()
    }
    return way


def from_mariadb(server: MariaServer, make: Callable[[], Database]) -> Way:
    return _in_mariadb("from-mariadb", server, make)


def from_odbc(server: MariaServer, make: Callable[[], Database]) -> Way:
    way = _in_mariadb("from-odbc", server, make)
    way.source_url = of_mariadb(server, way.source.schema)
    return way


_DUCKDB = (
    "create sequence ids",
    "create type mood as enum ('sad', 'ok')",
    "create table Customers (Id int primary key, Name varchar not null, m mood, big hugeint)",
    "create table Items (Id bigint primary key default nextval('ids'), Customer int references"
    " Customers (Id), Qty int not null default 3 check (Qty > 0), Note varchar, Total double,"
    " Tags varchar[])",
    "create table Odd (a int, t varchar)",
    "create index by_note on Items (Note)",
    "create view sums as select Customer, sum(Qty) as n, count(*) as m from Items group by 1",
    "insert into Customers select i, 'n' || i, case when i % 3 > 0 then 'ok' end,"
    " i * ('1' || repeat('0', 30))::hugeint from range(1, 301) x (i)",
    "insert into Items (Customer, Qty, Note, Total, Tags) select i % 300 + 1, i % 5 + 1,"
    f" 'note ' || i || repeat('x', {LONG}), i * 0.125, ['a', i::varchar]"
    f" from range(1, {ITEMS + 1}) x (i)",
    r"insert into Odd values (1, chr(9)), (null, ''), (3, null), (3, null), (4, '\N')",
)
_OF_DUCKDB = {
    "customers": Compared(
        "select Id, Name, m::varchar, big::varchar from Customers",
        "select id, name, m::text, big::text from {}.customers",
        (int, str, str, int),
    ),
    "items": Compared(
        "select Id, Customer, Qty, Note, Total, Tags from Items",
        "select id, customer, qty, note, total, tags from {}.items",
        (int, int, int, str, float, list),
    ),
    "odd": Compared("select a, t from Odd", "select a, t from {}.odd", (int, str)),
    "sums": Compared(
        "select Customer, n, m from sums", "select customer, n, m from {}.sums", (int, int, int)
    ),
}


def from_duckdb(folder: Path, make: Callable[[], Database]) -> Way:
    path = folder / "source.duckdb"
    with duckdb.connect(str(path)) as session:
        for one in _DUCKDB:
            session.execute(one)
        found = {
            name: one.rows(session.execute(one.source).fetchall())
            for name, one in _OF_DUCKDB.items()
        }
    way = IntoPostgres(
        "from-duckdb", Source(f"duckdb://{path}", _unused, "public"), _OF_DUCKDB, make
    )
    way.source_rows = found
    return way


def _unused(*statements: str, values: tuple[Any, ...] = ()) -> None:
    raise AssertionError("nothing is written to it")


_OF_MONGO = {
    "items": Compared(
        "items", "select _id, qty, total::float8, address_city, doc::text from {}.items",
        (int, int, float, str, str),
    ),
    "customers": Compared(
        "customers", "select _id, null, null, null, doc::text from {}.customers",
        (str, int, float, str, str),
    ),
}  # fmt: skip


class FromMongo(IntoPostgres):
    words = (
        *IntoPostgres.words, "--type", "items.qty=integer", "--type", "items.total=numeric(12,3)",
        "--type", "items.address.city=text",
    )  # fmt: skip

    def change(self) -> None:
        assert isinstance(self.source_server, MongoServer)
        items = self.source_server.database(self.source.schema).items
        items.update_many({"qty": 2}, {"$set": {"total": -1.0}})
        items.delete_many({"qty": 3})
        items.insert_one({"_id": 1_000_000, "qty": 1, "total": 0.5, "note": "late"})

    def rows(self) -> Rows:
        """The driver reads a document from its Extended JSON."""
        from bson import json_util

        found = super().rows()
        return {
            name: [(*row[:-1], _shown(json_util.loads(row[-1]))) for row in rows]
            for name, rows in found.items()
        }


def _shown(document: Mapping[str, Any]) -> str:
    """Without the order of its fields, which `jsonb` does not keep."""
    return json.dumps(document, sort_keys=True, default=str)


def from_mongodb(server: MongoServer, make: Callable[[], Database]) -> Way:
    there = server.database()
    note = "é\\" + "x" * 4 * LONG
    there.items.insert_many(
        {
            "_id": at, "qty": at % 5, "total": at * 0.125, "note": f"note\t{at} {note}",
            "address": {"city": f"c{at % 7}"} if at % 3 else None, "tags": ["a", at],
        }
        for at in range(DOCUMENTS)
    )  # fmt: skip
    there.customers.insert_many({"_id": f"c{at}", "name": "n" * (at % 9)} for at in range(300))
    there.items.create_index([("qty", 1), ("address.city", -1)], name="by_qty")
    source = Source(server.url(there.name), _unused, there.name)
    way = FromMongo("from-mongodb", source, _OF_MONGO, make)
    way.source_server = server
    items = [
        (one["_id"], one["qty"], one["total"], (one["address"] or {}).get("city"), _shown(one))
        for one in there.items.find()
    ]
    customers = [(one["_id"], None, None, None, _shown(one)) for one in there.customers.find()]
    way.source_rows = {"items": sorted(items, key=repr), "customers": sorted(customers, key=repr)}
    return way
