"""The shapes of two public samples of MySQL's, with generated rows, for MariaDB and for SQLite:
names, types, keys and references are those of Employees (github.com/datacharmer/test_db) and of
Sakila (dev.mysql.com/doc/sakila, BSD), of which a part; no row is theirs."""

from __future__ import annotations

import random
import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

from mariadb_server import MariaServer
from public_shapes import chinook, northwind

EMPLOYEES = """
create table employees (emp_no int not null, birth_date date not null, first_name varchar(14)
    not null, last_name varchar(16) not null, gender enum('M','F') not null,
    hire_date date not null, primary key (emp_no));
create table departments (dept_no char(4) not null, dept_name varchar(40) not null,
    primary key (dept_no), unique (dept_name));
create table dept_manager (emp_no int not null, dept_no char(4) not null, from_date date not null,
    to_date date not null, foreign key (emp_no) references employees (emp_no) on delete cascade,
    foreign key (dept_no) references departments (dept_no) on delete cascade,
    primary key (emp_no, dept_no));
create table dept_emp (emp_no int not null, dept_no char(4) not null, from_date date not null,
    to_date date not null, foreign key (emp_no) references employees (emp_no) on delete cascade,
    foreign key (dept_no) references departments (dept_no) on delete cascade,
    primary key (emp_no, dept_no));
create table titles (emp_no int not null, title varchar(50) not null, from_date date not null,
    to_date date, foreign key (emp_no) references employees (emp_no) on delete cascade,
    primary key (emp_no, title, from_date));
create table salaries (emp_no int not null, salary int not null, from_date date not null,
    to_date date not null, foreign key (emp_no) references employees (emp_no) on delete cascade,
    primary key (emp_no, from_date));
"""
SAKILA = """
create table language (language_id tinyint unsigned not null auto_increment, name char(20) not null,
    last_update timestamp not null default current_timestamp on update current_timestamp,
    primary key (language_id));
create table actor (actor_id smallint unsigned not null auto_increment, first_name varchar(45)
    not null, last_name varchar(45) not null,
    last_update timestamp not null default current_timestamp on update current_timestamp,
    primary key (actor_id));
create index idx_actor_last_name on actor (last_name);
create table film (film_id smallint unsigned not null auto_increment, title varchar(128) not null,
    description text, release_year year, language_id tinyint unsigned not null,
    rental_rate decimal(4,2) not null default 4.99, length smallint unsigned,
    rating enum('G','PG','PG-13','R','NC-17') default 'G',
    special_features set('Trailers','Commentaries','Deleted Scenes','Behind the Scenes'),
    last_update timestamp not null default current_timestamp on update current_timestamp,
    primary key (film_id), foreign key (language_id) references language (language_id)
    on delete restrict on update cascade);
create table film_actor (actor_id smallint unsigned not null, film_id smallint unsigned not null,
    last_update timestamp not null default current_timestamp on update current_timestamp,
    primary key (actor_id, film_id),
    foreign key (actor_id) references actor (actor_id) on delete restrict on update cascade,
    foreign key (film_id) references film (film_id) on delete restrict on update cascade);
create table staff (staff_id tinyint unsigned not null auto_increment, first_name varchar(45)
    not null, picture blob, active tinyint(1) not null default 1, password varchar(40),
    primary key (staff_id));
create table rental (rental_id int not null auto_increment, rental_date datetime not null,
    film_id smallint unsigned not null, return_date datetime, staff_id tinyint unsigned not null,
    primary key (rental_id), unique (rental_date, film_id),
    foreign key (film_id) references film (film_id) on delete restrict on update cascade,
    foreign key (staff_id) references staff (staff_id) on delete restrict on update cascade);
create table payment (payment_id smallint unsigned not null auto_increment, rental_id int,
    amount decimal(5,2) not null, payment_date datetime not null, primary key (payment_id),
    foreign key (rental_id) references rental (rental_id) on delete set null on update cascade);
"""
Rows = Sequence[tuple[object, ...]]


def employees_rows(people: int = 400) -> Iterator[tuple[str, Rows]]:
    numbers = range(10001, 10001 + people)
    hired = {at: date(1985, 1, 1) + timedelta(days=at * 11 % 5400) for at in numbers}
    forever = date(9999, 1, 1)
    yield "departments", [(f"d{at:03}", f"Department {at}") for at in range(1, 10)]
    yield "employees", [
        (at, date(1952, 2, 1) + timedelta(days=at % 4750), f"F{at % 91}", f"Straße {at % 77}",
         "MF"[at % 5 > 2], hired[at])
        for at in numbers
    ]  # fmt: skip
    yield (
        "dept_manager",
        [(10000 + at, f"d{at:03}", hired[10000 + at], forever) for at in (1, 2, 3)],
    )
    yield "dept_emp", [(at, f"d{1 + at % 9:03}", hired[at], forever) for at in numbers]
    yield "titles", [(at, "Engineer", hired[at], None if at % 3 else forever) for at in numbers]
    yield (
        "salaries",
        [
            (at, 38623 + at * year * 7 % 120000, hired[at] + timedelta(days=365 * year), forever)
            for at in numbers
            for year in range(1 + at % 5)
        ],
    )


def sakila_rows(films: int = 100, seed: int = 1) -> Iterator[tuple[str, Rows]]:
    chance = random.Random(seed)
    at_once = "2006-02-15 05:03:42"
    features = "Trailers", "Commentaries", "Deleted Scenes", "Behind the Scenes"
    yield "language", [(at, f"Language {at}", at_once) for at in range(1, 7)]
    yield "actor", [(at, f"FIRST {at}", f"O'LAST {at % 40}", at_once) for at in range(1, 61)]
    yield "film", [
        (at, f"TITLE {at}", f"A tale of\n{at} \\ {at * 2}" if at % 4 else None, 2006, 1 + at % 6,
         chance.choice(("0.99", "2.99", "4.99")), 46 + at,
         ("G", "PG", "PG-13", "R", "NC-17")[at % 5],
         ",".join(features[: at % 5]), at_once)
        for at in range(1, films + 1)
    ]  # fmt: skip
    yield "film_actor", [(1 + at * 7 % 60, at, at_once) for at in range(1, films + 1)]
    yield "staff", [(1, "Mike", bytes(range(256)), 1, "8cb2237d"), (2, "Jon", None, 0, None)]
    yield "rental", [
        (at, f"2005-05-{1 + at % 28:02} {at % 24:02}:53:{at % 60:02}", 1 + at % films,
         None if at % 9 == 0 else f"2005-06-{1 + at % 28:02} 22:04:30", 1 + at % 2)
        for at in range(1, 3 * films)
    ]  # fmt: skip
    yield (
        "payment",
        [
            (at, at if at % 7 else None, f"{at % 12}.99", f"2005-06-{1 + at % 28:02} 11:30:37")
            for at in range(1, 3 * films)
        ],
    )


SHAPES: dict[str, tuple[str, Callable[[], Iterator[tuple[str, Rows]]]]] = {
    "employees": (EMPLOYEES, employees_rows),
    "sakila": (SAKILA, sakila_rows),
}
OF_SQLITE: dict[str, Callable[[Path], None]] = {"chinook": chinook, "northwind": northwind}


def in_sqlite(path: Path, shape: str) -> None:
    if shape in OF_SQLITE:
        OF_SQLITE[shape](path)
        return
    script, rows = SHAPES[shape]
    for old, new in (
        (r"\btinyint\(1\)", "boolean"),
        (r"\b(tinyint|smallint) unsigned\b|\bint\b", "integer"),
        (r" auto_increment| on update current_timestamp", ""),
        (r"\b(enum|set)\([^)]*\)", "text"),
        (r"\byear\b(?! in)", "integer"),
    ):
        script = re.sub(old, new, script)
    with closing(sqlite3.connect(path)) as session, session:
        session.executescript(script)
        for table, values in rows():
            marks = ", ".join("?" for _ in values[0])
            session.executemany(f"insert into {table} values ({marks})", map(_plain, values))


def _plain(row: tuple[object, ...]) -> list[object]:
    return [str(one) if isinstance(one, date) else one for one in row]


def in_mariadb(server: MariaServer, database: str, shape: str, folder: Path) -> None:
    if shape in SHAPES:
        script, rows = SHAPES[shape]
        filled = [_insert(table, values) for table, values in rows()]
    else:
        script, filled = _of_sqlite(shape, folder)
    statements = [one for one in map(str.strip, script.split(";\n")) if one.strip(";")]
    server.run(database, *[one.rstrip(";") for one in statements], *filled, "commit")


def _of_sqlite(shape: str, folder: Path) -> tuple[str, list[str]]:
    """A shape of SQLite's in MariaDB's words, with its rows."""
    path = folder / f"{shape}.db"
    OF_SQLITE[shape](path)
    with closing(sqlite3.connect(path)) as session:
        kept = session.execute(
            "select type, name, sql from sqlite_schema where sql > ''"
        ).fetchall()
        tables = [name for kind, name, _ in kept if kind == "table" and name != "sqlite_sequence"]
        script = ";\n".join(_in_mariadb(sql) for _, name, sql in kept if name != "sqlite_sequence")
        rows = [
            _insert(f"`{name}`", session.execute(f"select * from [{name}]").fetchall())
            for name in tables
        ]
    return script, ["set foreign_key_checks = 0", *rows]


def _in_mariadb(statement: str) -> str:
    for old, new in (
        (r"[\[\]\"]", "`"),
        (r"\bTEXT\b", "VARCHAR(190)"),
        (r"\bNUMERIC(?! *\()", "DECIMAL(20,4)"),
        (r"\bAUTOINCREMENT\b", "AUTO_INCREMENT"),
        (r"\bREAL\b", "DOUBLE"),
    ):
        statement = re.sub(old, new, statement)
    return statement


def _insert(table: str, rows: Rows) -> str:
    values = ", ".join("({})".format(", ".join(map(_literal, row))) for row in rows)
    return f"insert into {table} values {values}"


def _literal(value: object) -> str:
    match value:
        case None:
            return "null"
        case bytes():
            return f"x'{value.hex()}'"
        case int() | float():
            return repr(value)
    return "'{}'".format(str(value).replace("\\", "\\\\").replace("'", "''"))
