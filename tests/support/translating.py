"""A shop in another engine, to be migrated into PostgreSQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from command import Ran, windlass
from mariadb_server import MariaServer
from servers import Database

CUSTOMERS, ITEMS = 300, 20_000
SQLITE = (
    "create table Customers (Id integer primary key, Name varchar(80) not null,"
    " Email text unique, Score real default 1.5, Created text default current_timestamp)",
    "create table Items (Id integer primary key autoincrement, Customer int not null"
    " references Customers (Id) on delete cascade, Qty int not null default 3"
    " check (Qty > 0), Note text, Total real, Doubled int as (Qty * 2) stored,"
    " unique (Customer, Note))",
    "create index items_qty on Items (Qty desc) where Qty > 2",
    'create table "odd ""name" ("a b" int, "select" text)',
)
MARIADB = (
    "create table Customers (Id int primary key auto_increment, Name varchar(80) not null,"
    " Email varchar(100) collate utf8mb4_bin unique, Score double default 1.5,"
    " Created datetime default current_timestamp)",
    "create table Items (Id bigint primary key auto_increment, Customer int not null,"
    " Qty int not null default 3 check (Qty > 0), Note varchar(100) collate utf8mb4_bin,"
    " Total double, Doubled int as (Qty * 2) stored, unique (Customer, Note),"
    " foreign key (Customer) references Customers (Id) on delete cascade)",
    "create index items_qty on Items (Qty)",
    'create table `odd "name` (`a b` int, `select` text)',
)
ROWS = (
    "with recursive n (i) as (select 1 union all select i + 1 from n where i < {customers})"
    " insert into Customers (Id, Name, Email, Score) select i, 'n' || i, case when i % 3 > 0"
    " then 'e' || i || '@x' end, i * 0.25 from n",
    "with recursive n (i) as (select 1 union all select i + 1 from n where i < {items})"
    " insert into Items (Id, Customer, Qty, Note, Total) select i, i % {customers} + 1, i % 5 + 1,"
    " 'note ' || i, i * 0.125 from n",
)
TEXTS = ("tab\there", "line\nbreak", "back\\slash", "\\N", "", "é€😀", "NULL", "\r\n")


@dataclass
class Source:
    """A database of another engine; `run` writes to it."""

    url: str
    run: Callable[..., None]
    schema: str  # the target's, into which its tables go


@dataclass
class Move:
    """From there into an empty database of PostgreSQL."""

    source: Source
    target: Database

    @property
    def env(self) -> dict[str, str]:
        return {"WINDLASS_SOURCE": self.source.url, "WINDLASS_TARGET": self.target.url}

    def command(self, *words: str) -> Ran:
        return windlass(*words, "--json", env=self.env)

    def table(self, name: str) -> str:
        return f'"{self.source.schema}".{name}'


def sqlite_shop(path: Path, *more: str, items: int = ITEMS) -> Source:
    def run(*statements: str, values: tuple[object, ...] = ()) -> None:
        with closing(sqlite3.connect(path)) as session, session:
            session.execute("pragma foreign_keys = on")
            for one in statements:
                session.execute(one, values)

    run("pragma journal_mode = wal")
    rows = [one.format(customers=CUSTOMERS, items=items) for one in ROWS]
    run(*SQLITE, *rows, *more)
    for at, text in enumerate(TEXTS):
        run('insert into "odd ""name" values (?, ?)', values=(at or None, text))
    return Source(f"sqlite:///{path}", run, "public")


def mariadb_shop(server: MariaServer, name: str, *more: str, items: int = ITEMS) -> Source:
    def run(*statements: str, values: tuple[object, ...] = ()) -> None:
        server.run(name, *(one.format(*map(_quoted, values)) for one in statements))

    rows = [one.format(customers=CUSTOMERS, items=items) for one in map(_insert_first, ROWS)]
    first = (
        "set max_recursive_iterations = 100000000",
        "set sql_mode = concat(@@sql_mode, ',PIPES_AS_CONCAT')",
    )
    # its catalog says how large tables are
    run(*first, *MARIADB, *rows, "analyze table Items", *more)
    for at, text in enumerate(TEXTS):
        run('insert into `odd "name` values ({}, {})', values=(at or None, text))
    return Source(server.url(name), run, name)


def _insert_first(statement: str) -> str:
    """MariaDB takes WITH after INSERT only."""
    cte, _, insert = statement.partition(" insert into ")
    head, _, select = insert.partition(") select ")
    return f"insert into {head}) {cte} select {select}"


def _quoted(value: object) -> str:
    if value is None:
        return "null"
    return "'{}'".format(str(value).replace("\\", "\\\\").replace("'", "''"))
