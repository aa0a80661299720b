"""Every type's values arrive unchanged in both formats, or a loss is reported."""

from __future__ import annotations

import csv
import datetime as dt
import io
import math
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import pytest

from exporting import export, rows
from servers import Database

# PostgreSQL's type, a literal, and what DuckDB has: its type, and the value as text where Python's
# own types are narrower
VALUES: list[tuple[str, str, str, Any]] = [
    ("boolean", "false", "BOOLEAN", "false"),
    ("smallint", "-32768", "SMALLINT", "-32768"),
    ("integer", "0", "INTEGER", "0"),
    ("bigint", "9223372036854775807", "BIGINT", "9223372036854775807"),
    ("oid", "4294967295", "BIGINT", "4294967295"),
    ("real", "1.1", "FLOAT", "1.1"),
    ("double precision", "0.1", "DOUBLE", "0.1"),
    ("double precision", "'NaN'", "DOUBLE", "nan"),
    ("double precision", "'-Infinity'", "DOUBLE", "-inf"),
    ("numeric(12,2)", "9999999999.99", "DECIMAL(12,2)", "9999999999.99"),
    ("numeric(12,2)", "0", "DECIMAL(12,2)", "0.00"),
    ("numeric(38,10)", "-1.0000000001", "DECIMAL(38,10)", "-1.0000000001"),
    ("numeric(5,-2)", "12345", "DECIMAL(7,0)", "12300"),
    ("numeric(2,4)", "0.0012", "DECIMAL(4,4)", ".0012"),
    ("numeric", "1.10", "VARCHAR", "1.10"),
    ("numeric", "'NaN'", "VARCHAR", "NaN"),
    ("numeric(60,5)", "1", "VARCHAR", "1.00000"),
    ("text", "''", "VARCHAR", ""),
    ("text", r"'\N'", "VARCHAR", r"\N"),
    ("text", "'NULL'", "VARCHAR", "NULL"),
    ("text", "E'a,\"b\"\\n\\r\\n\\tü€😀'", "VARCHAR", 'a,"b"\n\r\n\tü€😀'),
    ("text", "'\"'", "VARCHAR", '"'),
    ("varchar(5)", "'  x '", "VARCHAR", "  x "),
    ("char(3)", "'x'", "VARCHAR", "x  "),
    ("name", "'x'", "VARCHAR", "x"),
    ('"char"', "'x'", "VARCHAR", "x"),
    ("json", """'{"b": 1,  "a":null}'""", "JSON", '{"b": 1,  "a":null}'),
    ("jsonb", "'[1.10, \"\"]'", "JSON", '[1.10, ""]'),
    ("uuid", "'00000000-0000-0000-0000-0000000000ff'", "UUID",
     "00000000-0000-0000-0000-0000000000ff"),
    ("bytea", r"'\x00ff27225c'", "BLOB", r"\x00\xFF\x27\x22\x5C"),
    ("bytea", "''", "BLOB", ""),
    ("date", "'2024-02-29'", "DATE", "2024-02-29"),
    ("date", "'0001-01-01'", "DATE", "0001-01-01"),
    ("date", "'0044-03-15 BC'", "DATE", "0044-03-15 (BC)"),
    ("date", "'10000-01-01'", "DATE", "10000-01-01"),
    ("date", "'infinity'", "DATE", "infinity"),
    ("date", "'-infinity'", "DATE", "-infinity"),
    ("time", "'23:59:59.999999'", "TIME", "23:59:59.999999"),
    ("timestamp", "'1969-12-31 23:59:59.999999'", "TIMESTAMP", "1969-12-31 23:59:59.999999"),
    ("timestamp", "'0044-03-15 12:00:00.5 BC'", "TIMESTAMP", "0044-03-15 (BC) 12:00:00.5"),
    ("timestamp", "'infinity'", "TIMESTAMP", "infinity"),
    ("timestamp", "'-infinity'", "TIMESTAMP", "-infinity"),
    ("timestamptz", "'2024-06-01 12:00:00.000001+05:30'", "TIMESTAMP WITH TIME ZONE",
     "2024-06-01 06:30:00.000001+00"),
    ("timestamptz", "'0044-03-15 12:00:00+02 BC'", "TIMESTAMP WITH TIME ZONE",
     "0044-03-15 (BC) 10:00:00+00"),
    ("timestamptz", "'infinity'", "TIMESTAMP WITH TIME ZONE", "infinity"),
    ("timetz", "'12:00+02'", "VARCHAR", "12:00:00+02"),
    ("interval", "'-1 mon 2 days -3.5 s'", "VARCHAR", "-1 mons +2 days -00:00:03.5"),
    ("inet", "'10.0.0.1/8'", "VARCHAR", "10.0.0.1/8"),
    ("macaddr", "'08:00:2b:01:02:03'", "VARCHAR", "08:00:2b:01:02:03"),
    ("bit(3)", "'101'", "VARCHAR", "101"),
    ("int4range", "'[1,5)'", "VARCHAR", "[1,5)"),
    ("point", "'(1,2)'", "VARCHAR", "(1,2)"),
    ("money", "'1234.50'", "VARCHAR", "$1,234.50"),
    ("mood", "'so, so'", "VARCHAR", "so, so"),
    ("pair", "'(1,\"a b\")'", "VARCHAR", '(1,"a b")'),
    ("positive", "7", "INTEGER", "7"),
    ("integer[]", "'{1,NULL,3}'", "INTEGER[]", "[1, NULL, 3]"),
    ("integer[]", "'{}'", "INTEGER[]", "[]"),
    ("numeric[]", "'{1.10,NaN}'", "VARCHAR", "{1.10,NaN}"),
    ("timestamptz[]", "'{2024-01-01 00:00Z}'", "VARCHAR", '{"2024-01-01 00:00:00+00"}'),
    ("tsvector", "'b a'", "VARCHAR", "'a' 'b'"),
]  # fmt: skip
MADE = (
    "create type mood as enum ('so, so')",
    "create type pair as (a int, b text)",
    "create domain positive as integer check (value > 0)",
)


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_values_arrive_as_they_are(
    form: str, database: Callable[[int], Database], tmp_path: Path
) -> None:
    """Beside each value a NULL, which is to stay one."""
    source = database(16)
    columns = ", ".join(f"c{at} {type_}" for at, (type_, *_) in enumerate(VALUES))
    values = ", ".join(f"({literal})::{type_}" for type_, literal, *_ in VALUES)
    nulls = ", ".join("null" for _ in VALUES)
    source.run(
        *MADE,
        f"create table v (n int, {columns})",
        f"insert into v values (1, {values}), (2, {nulls})",
    )
    export(source, tmp_path, relations=["public.v"], format=form).expect(0)
    described = {name: type_ for name, type_, *_ in rows(tmp_path, "describe v")}
    texts = ", ".join(f"c{at}::varchar" for at in range(len(VALUES)))
    (found,) = rows(tmp_path, f"select {texts} from v where n = 1")
    (empty,) = rows(tmp_path, f"select {texts} from v where n = 2")
    reported = [
        (type_, literal, described[f"c{at}"], found[at])
        for at, (type_, literal, *_) in enumerate(VALUES)
    ]
    assert reported == VALUES
    assert set(empty) == {None}


def test_lists_of_texts_keep_every_element(
    database: Callable[[int], Database], tmp_path: Path
) -> None:
    source = database(16)
    source.run("create table v (a text[])", """insert into v values ('{a,NULL,"",","}'), (null)""")
    export(source, tmp_path, relations="v").expect(0)
    assert rows(tmp_path, "select a from v") == [(["a", None, "", ","],), (None,)]


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_what_has_no_place_is_a_named_loss(
    form: str, database: Callable[[int], Database], tmp_path: Path
) -> None:
    source = database(16)
    source.run(
        "create table v (n int, amount numeric(5,1))",
        "insert into v values (1, 'NaN'), (2, 1.5), (3, null)",
    )
    ran = export(source, tmp_path, relations="v", format=form).expect(0)
    assert rows(tmp_path, "select n, amount from v order by n") == [
        (1, None), (2, Decimal("1.5")), (3, None),
    ]  # fmt: skip
    assert [loss["object"] for loss in ran.result["losses"]] == ["public.v.amount"]
    assert "1 value " in ran.result["losses"][0]["message"]


def test_infinity_is_a_named_loss_where_only_files_are_written(
    database: Callable[[int], Database], tmp_path: Path
) -> None:
    import pyarrow.parquet as pq

    source = database(16)
    source.run(
        "create table v (n int, d date, t timestamptz)",
        "insert into v values (1, 'infinity', '-infinity'), (2, '2024-01-01', '2024-01-01 00:00Z')",
    )
    ran = export(source, tmp_path, relations="v", warehouse=None).expect(0)
    (file,) = (tmp_path / "files").rglob("*.parquet")
    found = pq.read_table(file).to_pylist()
    day = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    assert found == [{"n": 1, "d": None, "t": None}, {"n": 2, "d": day.date(), "t": day}]
    assert {loss["object"] for loss in ran.result["losses"]} == {"public.v.d", "public.v.t"}


@pytest.mark.parametrize(
    ("form", "kept"), [("parquet", None), ("csv", "24:00:00")], ids=["parquet", "csv"]
)
def test_the_end_of_a_day_is_a_named_loss_where_files_cannot_hold_it(
    form: str, kept: str | None, database: Callable[[int], Database], tmp_path: Path
) -> None:
    """A time in Parquet ends before 24:00: others would read 00:00 there. DuckDB knows it."""
    source = database(16)
    source.run("create table v (n int, t time)", "insert into v values (1, '24:00'), (2, '23:59')")
    words: dict[str, Any] = {"relations": "v", "format": form, "compression": "none"}
    ran = export(source, tmp_path, warehouse=None, **words).expect(0)
    (file,) = (tmp_path / "files").rglob(f"*.{form}")
    read = duckdb.read_parquet if form == "parquet" else duckdb.read_csv
    found = read(str(file)).order("n").project("t::varchar").fetchall()
    assert [one for (one,) in found] == [kept, "23:59:00"]
    losses = {one["object"]: one["message"] for one in ran.result["losses"]}
    assert set(losses) == (set() if kept else {"public.v.t"})
    assert all("1 value " in message for message in losses.values())
    export(source, tmp_path, **words).expect(0)
    assert rows(tmp_path, "select t::varchar from v where n = 1") == [("24:00:00",)]


@pytest.mark.parametrize("odd", ["{{1,2},{3,4}}", "[2:3]={1,2}"])
def test_what_is_no_plain_list_stops_a_load_from_csv(
    odd: str, database: Callable[[int], Database], tmp_path: Path
) -> None:
    source = database(16)
    source.run("create table v (a int[])", f"insert into v values ('{{1,2}}'), ('{odd}')")
    ran = export(source, tmp_path, relations="v", format="csv").expect(4)
    assert "column a holds arrays of more than one" in ran.result["message"]
    words = {"format": "csv", "relations": [{"name": "v", "text": "a"}]}
    export(source, tmp_path, **words).expect(0)
    assert rows(tmp_path, "select a from v") == [("{1,2}",), (odd,)]


def test_a_list_of_lists_is_refused_and_can_be_text(
    database: Callable[[int], Database], tmp_path: Path
) -> None:
    source = database(16)
    source.run("create table v (a int[])", "insert into v values ('{1,2}'), ('{{1,2},{3,4}}')")
    ran = export(source, tmp_path, relations="v").expect(4)
    assert "public.v.a" in ran.result["message"] and "text: [a]" in ran.result["hint"]
    export(source, tmp_path, relations=[{"name": "v", "text": "a"}]).expect(0)
    assert rows(tmp_path, "select a from v") == [("{1,2}",), ("{{1,2},{3,4}}",)]


def test_masked_and_left_out_columns_never_leave_the_source(
    database: Callable[[int], Database], tmp_path: Path
) -> None:
    source = database(16)
    source.run(
        "create table users (id int, password text, token text)",
        "insert into users values (1, 'hunter2hunter2', 'tok'), (2, null, 'tok')",
    )
    words: dict[str, Any] = {"mask": "*.password", "leave_out": "*.users.token"}
    export(source, tmp_path, relations="users", keep_files=True, format="csv",
           compression="none", **words).expect(0)  # fmt: skip
    assert rows(tmp_path, "select * from users order by id") == [(1, "***"), (2, None)]
    (file,) = (tmp_path / "files").rglob("*.csv")
    assert file.read_text() == "id,password\n1,***\n2,\n"


def test_python_sees_the_same_values(database: Callable[[int], Database], tmp_path: Path) -> None:
    source = database(16)
    source.run(
        "create table v (f float8, u uuid)", "insert into v values ('NaN', gen_random_uuid())"
    )
    export(source, tmp_path, relations="v").expect(0)
    ((number, uuid),) = rows(tmp_path, "select * from v")
    assert math.isnan(number) and isinstance(uuid, UUID)
    assert uuid == source.value("select u from v")


def test_the_earlier_method_loses_what_the_documentation_says(
    database: Callable[[int], Database], tmp_path: Path
) -> None:
    """Beside it: the same values, exported by windlass."""
    from bench.programs.rowwise import convert, marked

    source = database(16)
    source.run(
        "create table v (i int, b bool, t text, z numeric(3,2), n numeric(20,2), at timestamptz,"
        " a text[], raw bytea, missing text, ti time)",
        "insert into v values (0, false, '', 0, 123456789012345678.91, '2024-06-01 12:00:00+05:30',"
        " '{a,NULL}', '\\x00ff', null, '12:00:00.5')",
    )
    (row,) = source.rows("select * from v")
    with pytest.raises(ValueError, match="unconverted data remains"):
        convert(row[-1])
    earlier = [convert(value) for value in row[:-1]]
    assert marked(earlier, r"\N")[:4] == [r"\N"] * 4  # beside the one that is missing
    line = io.StringIO()
    csv.writer(line).writerow(marked(earlier, None))
    assert line.getvalue().strip() == (
        "0,False,,0.0,1.2345678901234568e+17,1717223400.0,\"['a', None]\",b'\\x00\\xff',"
    )
    assert str(convert(memoryview(b"x"))).startswith("<memory at 0x")  # psycopg2's bytea
    export(source, tmp_path, relations="v").expect(0)
    assert rows(tmp_path, "select * from v") == [row]


SCALES = [*((38, scale) for scale in range(39)), *((18, scale) for scale in (0, 1, 9, 17, 18)),
          *((9, scale) for scale in (0, 4, 9)), (4, 2), (1, 0), (1, 1)]  # fmt: skip
ENDS = ("0", "1", "-1", "4", "-9", "10", "-10")  # in units of the last place, beside the extremes


def decimals(precision: int, scale: int) -> list[Decimal | None]:
    """The largest, the smallest, what is nearest to zero, a middle, and nothing."""
    units = [10**precision - 1, -(10**precision) + 1, 10 ** (precision // 2) + 7]
    units += [int(end) for end in ENDS if abs(int(end)) < 10**precision]
    digits = [Decimal((int(unit < 0), tuple(map(int, str(abs(unit)))), -scale)) for unit in units]
    return [*digits, *[None] * (len(ENDS) + 4 - len(digits))]


@pytest.mark.parametrize("form", ["parquet", "csv"])
@pytest.mark.parametrize("into", ["duckdb", "postgresql"])
def test_decimals_of_every_scale_arrive_to_the_last_digit(
    into: str, form: str, database: Callable[[int], Database], tmp_path: Path
) -> None:
    source, warehouse = database(16), database(18)
    wanted = list(zip(*(decimals(*scale) for scale in SCALES), strict=True))
    columns = ", ".join(f"c{at} numeric({p},{s})" for at, (p, s) in enumerate(SCALES))
    source.run(f"create table v (n int, {columns}, free numeric)")
    with source.connect() as connection, connection.cursor() as cursor:
        marks = ", ".join(["%s"] * (len(SCALES) + 2))
        cursor.executemany(
            f"insert into v values ({marks})".encode(),
            [(n, *row, row[20]) for n, row in enumerate(wanted)],
        )
    words = {} if into == "duckdb" else {"warehouse": warehouse.url}
    export(source, tmp_path, relations=["public.v"], format=form, **words).expect(0)
    names = ", ".join(f"c{at}" for at in range(len(SCALES)))
    query = f"select {names}, free::text from v order by n"
    found = rows(tmp_path, query) if into == "duckdb" else warehouse.rows(query)
    assert [row[:-1] for row in found] == wanted
    free = [None if row[-1] is None else Decimal(row[-1]) for row in found]
    assert free == [row[20] for row in wanted]
