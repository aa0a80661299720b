"""Any ODBC database as the source: on Debian's drivers for MariaDB, SQLite and PostgreSQL. Types of
servers that cannot be had are those of their documentation."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from command import DIFFERENT, DONE, REFUSED, windlass
from killing import kill
from mariadb_server import MariaServer
from odbc_urls import driver, of_mariadb
from repairs import expect_repair, rows_of
from servers import PASSWORD, Database
from translating import ITEMS, Move, Source, mariadb_shop
from windlass.engines.odbc.address import read_address
from windlass.engines.odbc.catalog import EQUAL_NULLS
from windlass.engines.odbc.origin import OdbcOrigin
from windlass.engines.odbc.types import AS_TEXT, ORACLE, SQL_SERVER, Described, choose
from windlass.engines.odbc.values import Misfit, Notes, reader
from windlass.engines.postgres.foreign.types import type_name
from windlass.errors import BadSpec, ConnectionLost, WindlassError
from windlass.model.chunk import Whole
from windlass.model.translation import Answers, Fit, Reading, Sort, SourceTable, Type

pyodbc = pytest.importorskip("pyodbc")
MARIADB, SQLITE, POSTGRES = "MariaDB Unicode", "SQLite3", "PostgreSQL Unicode"


def fitted(origin: OdbcOrigin, name: str, **types: str) -> tuple[SourceTable, Fit]:
    table = next(one for one in origin.schemas().tables if one.name.name == name)
    return table, origin.fit(table, Answers(types))


@pytest.fixture
def move(
    mariadb: MariaServer, maria_database: Callable[..., str], database: Callable[[int], Database]
) -> Move:
    name = maria_database()
    made = mariadb_shop(mariadb, name)
    return Move(Source(of_mariadb(mariadb, name), made.run, name), database(16))


def test_a_database_arrives_is_proven_and_undone(move: Move) -> None:
    plan = move.command("plan").expect(DONE)
    assert "one session reads everything in one transaction (repeatable read)" in plan.said
    assert "mysql:// migrates more of it" in plan.said
    found = move.command("migrate").expect(DONE).result
    assert found["verified"] == "full"
    items, target = move.table("items"), move.target
    assert target.value(f"select bool_and(total = id * 0.125 and qty = id % 5 + 1) from {items}")
    target.run(
        f"update {items} set total = total + 1e-12 where id = 8",
        f"delete from {items} where id = 9",
    )
    found = move.command("verify").expect(DIFFERENT).result["differences"]
    assert {(one["kind"], *one["key"].values(), *one["columns"]) for one in found} == {
        ("count",), ("changed", "8", "total"), ("missing", "9"),
    }  # fmt: skip
    target.run(f"delete from {move.table('customers')} where id = 1")
    assert target.value(f"select count(*) from {items} where customer = 1") == 0
    run = move.command("status").expect(DONE).result["runs"][0]["run"]
    move.command("rollback", run, "--yes", "--force").expect(DONE)
    assert target.value("select count(*) from pg_class where relname = 'items'") == 0


def test_rows_that_differ_are_repaired_and_the_repair_is_undone(move: Move) -> None:
    move.command("migrate").expect(DONE)
    items, odd = move.table("items"), move.table('"odd ""name"')
    images = [f"select * from {items} order by id", f"select * from {odd} order by 1, 2"]
    as_moved = rows_of(move, images)
    move.target.run(
        f"update {items} set total = total + 1e-12, note = null where id in (8, {ITEMS})",
        f"delete from {items} where id = 99",
        f"insert into {items} (id, customer, qty) values (50000, 1, 2)",
        f"insert into {odd} values (9, '')",
        f"""delete from {odd} where "select" = 'NULL'""",
    )
    expect_repair(move, images, as_moved)


def test_killed_the_same_command_ends_it(move: Move) -> None:
    words = ("migrate", "--chunk-size", "256kB")
    kill("call windlass.flows.translate.rows._copied 3", words, move.env)
    found = move.command(*words).expect(DONE).result
    assert found["resumed"] and found["verified"] == "full"
    assert move.target.value(f"select count(*) from {move.table('items')}") == ITEMS


def test_all_of_it_is_read_in_one_transaction(
    mariadb: MariaServer, maria_database: Callable[..., str]
) -> None:
    name = maria_database("create table t (id int primary key)", "insert into t values (1), (2)")
    with OdbcOrigin(of_mariadb(mariadb, name)) as origin:
        origin.hold()
        table, fit = fitted(origin, "t")
        mariadb.run(name, "insert into t values (3)", "delete from t where id = 1")
        reading = Reading(table.name, fit.fields, ("id",))
        assert b"".join(origin.lines(reading, Whole())) == b"1\n2\n"


def test_values_of_mariadb_are_what_the_server_has(
    mariadb: MariaServer, maria_database: Callable[..., str]
) -> None:
    name = maria_database(
        "create table t (id int primary key, f float, d decimal(40,10), t time(3), tm datetime(6),"
        " u bigint unsigned, c char(5), s longtext, b blob, dt date)",
        "insert into t values (1, 16777217, 12345678901234567890.0123456789, '-30:59:59.5',"
        " '2020-01-01 01:02:03.123456', 18446744073709551615, 'ab',"
        " concat('é😀', char(10), '\\\\'), x'00ff', '2020-02-29'), (2, 0.1, null, '01:02:03',"
        " null, 0, '', repeat('x', 100000), '', '0001-01-01')",
        "create table zero (id int primary key, dt date)",
        "insert into zero values (1, '2020-01-01'), (7, '2020-00-00')",
    )
    with OdbcOrigin(of_mariadb(mariadb, name)) as origin:
        origin.hold()
        table, fit = fitted(origin, "t")
        assert not fit.problems and not fit.losses
        assert [type_name(one.type) for one in fit.fields] == [
            "integer", "real", "numeric(40,10)", "interval", "timestamp without time zone",
            "numeric", "character(5)", "text", "bytea", "date",
        ]  # fmt: skip
        first, second = b"".join(origin.lines(Reading(table.name, fit.fields), Whole())).split(
            b"\n"
        )[:2]
        assert first.decode().split("\t") == [
            "1", "16777216.0", "12345678901234567890.0123456789", "-30:59:59.500000",
            "2020-01-01 01:02:03.123456", "18446744073709551615", "ab", "é😀\\n\\\\", "\\\\x00ff",
            "2020-02-29",
        ]  # fmt: skip
        assert second.count(b"x") == 100_001
        _, fit = fitted(origin, "zero")
        assert [one.message for one in fit.problems] == [
            "1 value does not fit date: 1 date that does not exist (first: id = 7)"
        ]


def test_what_a_driver_shows_of_sqlite_is_migrated(
    tmp_path: Path, database: Callable[[int], Database]
) -> None:
    path = tmp_path / "o.db"
    with sqlite3.connect(path) as session:
        session.executescript(
            "create table parent (id integer primary key, name varchar(80) not null, t time);"
            "create table child (id integer primary key, p int references parent (id) on delete"
            " cascade, note text default 'x', unique (p, note));"
            "create index by_note on child (note); create view v as select 1;"
            "insert into parent values (1, 'é', '23:59:59.123456');"
            "insert into child values (5, 1, 'n');"
        )
    env = {"WINDLASS_SOURCE": f"{driver(SQLITE)};Database={path}"}
    target = database(16)
    env["WINDLASS_TARGET"] = target.url
    refused = windlass("migrate", env=env).expect(REFUSED).said
    assert "view main.v" in refused and "column note has no default" in refused
    words = ("--accept", "objects", "--accept", "behaviour")
    windlass("migrate", *words, env=env).expect(DONE)
    assert target.rows("select p.t::text, c.id from child as c join parent as p on p.id = c.p") == [
        ("23:59:59.123456", 5)
    ]
    assert target.value("select count(*) from pg_indexes where indexname = 'by_note'") == 1
    target.run("delete from parent")
    assert target.value("select count(*) from child") == 0


def test_values_of_postgresql_are_what_the_server_has(database: Callable[[int], Database]) -> None:
    there = database(16)
    there.run(
        "create table t (id serial primary key, n numeric, f real, tz timestamptz, j jsonb,"
        " bo boolean, c char(5), u uuid, s text, m money)",
        "insert into t values (3, 1e60, 0.1, '2020-01-01 05:00+02', '{\"a\": 1}', true, 'ab',"
        " 'f47ac10b-58cc-4372-a567-0e02b2c3d479', repeat('x', 20000), 5)",
    )
    url = (
        f"{driver(POSTGRES)};SERVER=127.0.0.1;PORT={there.server.port};UID=postgres;"
        f"PWD={{{PASSWORD}}};DATABASE={there.name}"
    )
    with OdbcOrigin(url) as origin:
        origin.hold()
        table, fit = fitted(origin, "t")
        assert [one.message for one in fit.problems] == [
            "the type money of PostgreSQL is not known"
        ]
        assert table.columns[0].counts_up and table.next_number == 4
        table, fit = fitted(origin, "t", m="text")
        assert not fit.problems
        line = b"".join(origin.lines(Reading(table.name, fit.fields), Whole())).decode()
        assert line[:-1].split("\t") == [
            "3", f"1{'0' * 60}", "0.1", "2020-01-01 03:00:00.000000+00", '{"a": 1}', "t", "ab",
            "f47ac10b-58cc-4372-a567-0e02b2c3d479", "x" * 20_000, "5.0",
        ]  # fmt: skip


def test_keys_are_compared_with_the_targets_equality_before_anything_is_written(
    mariadb: MariaServer, maria_database: Callable[..., str], database: Callable[[int], Database]
) -> None:
    name = maria_database(
        "create table p (k varchar(20) collate utf8mb4_general_ci primary key,"
        " b varchar(20) collate utf8mb4_nopad_bin unique)",
        "create table c (id int primary key, k varchar(20) collate utf8mb4_general_ci,"
        " foreign key (k) references p (k))",
        "insert into p values ('alpha', 'Beta'), ('omega', 'beta')",
        "insert into c values (1, 'alpha'), (2, 'ALPHA'), (3, 'omega '), (4, null)",
    )
    move = Move(Source(of_mariadb(mariadb, name), print, name), database(16))
    said = move.command("plan").expect(REFUSED).said
    assert "2 rows refer to no row of p by PostgreSQL's equality" in said
    assert "MariaDB takes texts that differ by accents or trailing blanks as equal" in said
    assert "p.b is part of a key" not in said
    move.command("migrate", "--accept", "constraints").expect(DONE)
    target, parents = move.target, move.table("p")
    with pytest.raises(psycopg.errors.UniqueViolation):
        target.run(f"insert into {parents} values ('ALPHA', 'x')")
    target.run(f"insert into {parents} values ('alphá', 'BETA')")
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        target.run(f"insert into {move.table('c')} values (9, 'OMEGA')")


def test_nulls_that_are_equal_in_a_key_are_equal_on_the_target(
    database: Callable[[int], Database],
) -> None:
    there = database(16)
    there.run(
        "create table t (id int primary key, a int, b int, unique nulls not distinct (a),"
        " unique (b))",
        "insert into t values (1, null, null), (2, 1, null)",
    )
    url = (
        f"{driver(POSTGRES)};SERVER=127.0.0.1;PORT={there.server.port};UID=postgres;"
        f"PWD={{{PASSWORD}}};DATABASE={there.name}"
    )
    move = Move(Source(url, there.run, "public"), database(18))
    move.command("migrate").expect(DONE)
    move.command("verify").expect(DONE)
    with pytest.raises(psycopg.errors.UniqueViolation):
        move.target.run("insert into public.t values (3, null, 5)")
    move.target.run("insert into public.t values (3, 3, null)")


@pytest.mark.parametrize(
    ("server", "equal"),
    [("Microsoft SQL Server", True), ("DB2/LINUXX8664", True), ("Oracle", False), ("MySQL", False)],
)
def test_databases_whose_keys_take_nulls_as_equal_are_those_of_the_documentation(
    server: str, equal: bool
) -> None:
    assert server.startswith(EQUAL_NULLS) == equal


def test_who_cannot_connect_is_told_why_without_a_password(
    mariadb: MariaServer, maria_database: Callable[..., str]
) -> None:
    url = of_mariadb(mariadb, maria_database(), "wrong-word")
    for given, kind, said in (
        (url, WindlassError, "user and password"),
        (url.replace(f"PORT={mariadb.port}", "PORT=1"), ConnectionLost, "server is up"),
        (url.replace(MARIADB, "Nope"), WindlassError, "odbcinst"),
    ):
        with pytest.raises(kind) as raised:
            OdbcOrigin(given).hold()
        assert said in raised.value.hint
        assert "wrong-word" not in f"{raised.value} {raised.value.hint}"


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("odbc:DSN=shop;UID=a;PWD={p;}}w}", "DSN=shop;UID=a;PWD={p;}}w}"),
        ("odbc://a:p%3Bw@shop?DATABASE=d", "DSN=shop;UID=a;PWD={p;w};DATABASE=d"),
        ("odbc://shop", "DSN=shop"),
    ],
)
def test_addresses_are_connection_strings_or_names(url: str, text: str) -> None:
    found = read_address(url)
    assert found.text == text
    assert "p;" not in f"{found} {found.place}" and "shop" in found.place


@pytest.mark.parametrize(
    "url", ["odbc:", "odbc://", "odbc:SERVER=h", "odbc:nonsense", "odbc://a/b"]
)
def test_addresses_that_name_nothing_are_refused(url: str) -> None:
    with pytest.raises(BadSpec, match="odbc"):
        read_address(url)


# of Microsoft's and Oracle's documentation: no such server has been read
DOCUMENTED: list[tuple[str, Described, str, str]] = [
    (SQL_SERVER, Described(-11, "uniqueidentifier", 36, -1), "uuid", ""),
    (SQL_SERVER, Described(3, "money", 19, 4), "numeric(19,4)", ""),
    (SQL_SERVER, Described(3, "smallmoney", 10, 4), "numeric(10,4)", ""),
    (SQL_SERVER, Described(-7, "bit", 1, -1), "boolean", ""),
    (SQL_SERVER, Described(-6, "tinyint", 3, 0), "smallint", ""),
    (SQL_SERVER, Described(6, "float", 53, -1), "double precision", ""),
    (SQL_SERVER, Described(-2, "timestamp", 8, -1), "bytea", "no longer changes"),
    (SQL_SERVER, Described(93, "datetime2", 27, 7), "timestamp without time zone", AS_TEXT),
    (SQL_SERVER, Described(93, "datetime", 23, 3), "timestamp without time zone", "plain"),
    (SQL_SERVER, Described(-155, "datetimeoffset", 34, 7), "timestamp with time zone", AS_TEXT),
    (SQL_SERVER, Described(-154, "time", 16, 7), "time without time zone", AS_TEXT),
    (SQL_SERVER, Described(-152, "xml", 0, -1), "text", ""),
    (SQL_SERVER, Described(-9, "nvarchar", 0, -1), "text", ""),
    (SQL_SERVER, Described(-8, "nchar", 10, -1), "character(10)", ""),
    (SQL_SERVER, Described(-150, "sql_variant", 8000, -1), "", ""),
    (ORACLE, Described(3, "number", 38, -127), "numeric", ""),
    (ORACLE, Described(3, "number", 4, 0), "smallint", ""),
    (ORACLE, Described(3, "number", 9, 0), "integer", ""),
    (ORACLE, Described(3, "number", 18, 0), "bigint", ""),
    (ORACLE, Described(3, "number", 10, 2), "numeric(10,2)", ""),
    (ORACLE, Described(93, "date", 19, 0), "timestamp without time zone", "plain"),
    (ORACLE, Described(93, "timestamp(9)", 29, 9), "timestamp without time zone", "left out"),
    (ORACLE, Described(-2, "raw", 16, -1), "bytea", ""),
    (ORACLE, Described(-1, "long", 2_147_483_647, -1), "text", ""),
    (ORACLE, Described(12, "varchar2", 20, -1), "character varying(20)", ""),
    (ORACLE, Described(3, "number", 5, -2), "numeric", ""),
    (ORACLE, Described(1, "char", 5, -1), "character(5)", ""),
    (ORACLE, Described(-10, "xmltype", 0, -1), "text", ""),
    (ORACLE, Described(0, "sdo_geometry", 0, -1), "", ""),
    (SQL_SERVER, Described(-151, "hierarchyid", 892, -1), "", ""),
    (SQL_SERVER, Described(-151, "geography", 0, -1), "", ""),
    (SQL_SERVER, Described(93, "smalldatetime", 16, 0), "timestamp without time zone", "plain"),
    (SQL_SERVER, Described(-4, "image", 2_147_483_647, -1), "bytea", ""),
    (SQL_SERVER, Described(7, "real", 24, -1), "real", ""),
    (SQL_SERVER, Described(-3, "varbinary", 0, -1), "bytea", ""),
    (SQL_SERVER, Described(-10, "ntext", 1_073_741_823, -1), "text", ""),
    (SQL_SERVER, Described(-5, "bigint", 19, 0), "bigint", ""),
    (ORACLE, Described(7, "binary_float", 24, -1), "real", ""),
    (ORACLE, Described(8, "binary_double", 53, -1), "double precision", ""),
    (ORACLE, Described(-9, "nvarchar2", 20, -1), "character varying(20)", ""),
    (ORACLE, Described(-1, "clob", 2_147_483_647, -1), "text", ""),
    (ORACLE, Described(-4, "blob", 2_147_483_647, -1), "bytea", ""),
    (ORACLE, Described(3, "number", 38, 0), "numeric(38,0)", ""),
    # its offsets would be lost on the way: `types` can say text
    (ORACLE, Described(93, "timestamp(6) with time zone", 35, 6), "", ""),
    (ORACLE, Described(93, "timestamp(6) with local time zone", 29, 6), "", ""),
    (ORACLE, Described(110, "interval day(2) to second(6)", 16, 6), "", ""),
]


@pytest.mark.parametrize(("server", "described", "becomes", "said"), DOCUMENTED)
def test_types_of_sql_server_and_oracle_are_those_of_the_table(
    server: str, described: Described, becomes: str, said: str
) -> None:
    found = choose(described, server)
    assert ("" if found is None else type_name(found.types[0])) == becomes
    if found is not None:
        assert said in f"{found.form} {found.lossy} {found.kept}"


M = Misfit
BERLIN = timezone(timedelta(hours=1))
CASES: list[tuple[Type, Any, Any]] = [
    (Type(Sort.INTEGER, bits=16), 32_768, M),
    (Type(Sort.INTEGER, bits=16), "007", M),
    (Type(Sort.INTEGER, bits=64), Decimal("5.00"), "5"),
    (Type(Sort.DECIMAL, precision=5, scale=2), Decimal("-0.5"), "-0.50"),
    (Type(Sort.DECIMAL, precision=5, scale=2), 0.125, M),
    (Type(Sort.DECIMAL, precision=5, scale=2), 1000, M),
    (Type(Sort.DECIMAL), Decimal("NaN"), M),
    (Type(Sort.DECIMAL), Decimal("1E+3"), "1000"),
    (Type(Sort.DECIMAL, precision=60, scale=1), Decimal(f"-{'9' * 50}.5"), f"-{'9' * 50}.5"),
    (Type(Sort.FLOAT, bits=32), 0.1, "0.1"),
    (Type(Sort.FLOAT, bits=32), 0.1 + 0.2, M),
    (Type(Sort.FLOAT, bits=32), 0.10000000149011612, "0.10000000149011612"),
    (Type(Sort.FLOAT, bits=64), "0.5", M),
    (Type(Sort.BOOLEAN), "1", "t"),
    (Type(Sort.BOOLEAN), 2, M),
    (Type(Sort.TEXT, length=3, is_fixed=True), "ab ", "ab"),
    (Type(Sort.TEXT), "a\0", M),
    (Type(Sort.TEXT, length=2), "abc", M),
    (Type(Sort.BYTES), b"\x00\xff", "00ff"),
    (Type(Sort.DATE), datetime(2020, 1, 1), "2020-01-01"),
    (Type(Sort.DATE), datetime(2020, 1, 1, 1), M),
    (Type(Sort.DATE), "2020-02-30", M),
    (Type(Sort.TIME), time(1, 2, 3, 4), "01:02:03.000004"),
    (Type(Sort.TIME), "24:00:00", M),
    (Type(Sort.INTERVAL), "-838:59:59.5", str(-(838 * 3600 + 59 * 60 + 59) * 1_000_000 - 500_000)),
    (Type(Sort.TIMESTAMP), "0000-00-00 00:00:00", M),
    (Type(Sort.TIMESTAMP), date(2020, 1, 1), "2020-01-01 00:00:00.000000"),
    (Type(Sort.TIMESTAMP), "2020-01-01 00:00:00+01", M),
    (Type(Sort.INSTANT), datetime(2020, 1, 1, tzinfo=BERLIN), "2019-12-31 23:00:00.000000+00"),
    (Type(Sort.INSTANT), "2020-01-01 00:00:00.5 -03:30", "2020-01-01 03:30:00.500000+00"),
    (Type(Sort.UUID), UUID(int=5), str(UUID(int=5))),
    (Type(Sort.JSON), '{"b": 1, "a": 2}', '{"a": 2, "b": 1}'),
    (Type(Sort.JSON), "{", M),
]


@pytest.mark.parametrize(("type_", "value", "text"), CASES)
def test_a_value_is_written_exactly_or_does_not_fit(type_: Type, value: Any, text: Any) -> None:
    if text is M:
        with pytest.raises(Misfit):
            reader(type_)(value, Notes())
        return
    assert reader(type_)(value, Notes()) == text


def test_digits_and_offsets_that_are_left_out_are_counted() -> None:
    notes = Notes()
    read = reader(Type(Sort.INSTANT))
    assert read("2020-01-01 00:00:00.1234567 +01:00", notes) == "2019-12-31 23:00:00.123456+00"
    read("2020-01-01 00:00:00.1234560 +00:00", notes)
    assert (notes.digits, notes.offsets) == (1, 1)
