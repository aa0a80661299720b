"""Scans of MySQL and MariaDB that read less than everything, and find the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from arriving import reading_of
from mariadb_server import MariaServer
from windlass.engines.mysql.origin import MysqlOrigin
from windlass.model.translation import Answers, Fit, SourceTable

STRAYS = (-5, 0, 9000, 16384, 20001, 2147483647)
KEY = "id int primary key, p int, constraint {0} foreign key (p) references p (id)"
DATES = (  # a date that exists, or not
    ("0001-01-01", True), ("2020-02-29", True), ("9999-12-31", True), ("1582-10-10", True),
    ("0000-00-00", False), ("2020-00-15", False), ("2020-05-00", False), ("0000-05-05", False),
    ("0000-12-31", False), ("2020-02-31", False), ("2019-02-29", False), ("0001-02-30", False),
)  # fmt: skip


@contextmanager
def held(
    mariadb: MariaServer, database: Callable[..., str], *statements: str
) -> Iterator[tuple[MysqlOrigin, dict[str, SourceTable]]]:
    with MysqlOrigin(mariadb.url(database(*statements))) as origin:
        origin.hold()
        yield origin, {one.name.name: one for one in origin.schemas().tables}


def test_numbers_outside_of_the_runs_of_a_key_are_looked_up(
    mariadb: MariaServer, maria_database: Callable[..., str]
) -> None:
    """Between, before and after runs of 4,096 numbers that have a row each."""
    children = {f"c{at}": stray for at, stray in enumerate(STRAYS)}
    statements = [
        "create table p (id int primary key)",
        "insert into p select seq from seq_1_to_20000 where seq not in (9000, 16384)",
        "insert into p values (-3), (70000)",
        f"create table kept ({KEY.format('kept')})",
        "insert into kept select id, id from p",
        "set foreign_key_checks = 0",
    ]
    for name, stray in children.items():
        statements += [f"create table {name} ({KEY.format(name)})"]
        statements += [f"insert into {name} select id, id from p union select -1, {stray}"]
    statements += [f"analyze table p, kept, {', '.join(children)}"]
    with held(mariadb, maria_database, *statements) as (origin, tables):
        assert origin.fit(tables["kept"], Answers()).orphaned == ()
        for name, stray in children.items():
            fit = origin.fit(tables[name], Answers())
            assert fit.orphaned == (name,), stray
            assert fit.losses[0].message.startswith("1 row refers to no row of p (id)")


def test_ranges_of_keys_far_apart_have_about_as_many_rows_each(
    mariadb: MariaServer, maria_database: Callable[..., str]
) -> None:
    """Three quarters of the rows are within a millionth of the span of keys."""
    with held(
        mariadb,
        maria_database,
        "create table t (id bigint primary key, note varchar(40))",
        "insert into t select if(seq % 4 > 0, 5000000 + seq, seq * 1000000000), repeat('x', 40)"
        " from seq_1_to_40000",
        "analyze table t",
    ) as (origin, tables):
        reading = reading_of(tables["t"], origin.fit(tables["t"], Answers()))
        rows = [origin.digest(reading, one).rows for one in origin.cut(tables["t"], 4)]
    assert sum(rows) == 40000
    assert 4 <= len(rows) <= 6
    assert max(rows) < 20000


def test_dates_that_do_not_exist_are_counted(
    mariadb: MariaServer, maria_database: Callable[..., str]
) -> None:
    rows = ", ".join(f"('{day}', '{day} 10:11:12.123', '{day}')" for day, _ in DATES)
    with held(
        mariadb,
        maria_database,
        "create table t (d date, m datetime(3), n datetime)",
        "set sql_mode = 'ALLOW_INVALID_DATES'",
        f"insert into t values {rows}, (null, null, null)",
    ) as (origin, tables):
        fit: Fit = origin.fit(tables["t"], Answers())
    wrong = sum(not exists for _, exists in DATES)
    assert len(fit.problems) == 3
    assert all(one.message.startswith(f"{wrong} dates such as") for one in fit.problems)
