"""DuckDB as a source: all its own types, and files that it cannot open."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from command import windlass
from engines import Engine, duckdb_engine
from exporting import export, rows, spec_file
from servers import Database
from windlass.engines.duckdb.source import DuckDbSource
from windlass.engines.duckdb.target import DuckDbTarget
from windlass.errors import BadSpec

# DuckDB's type, a literal, what a DuckDB warehouse has, and the value as text
VALUES: list[tuple[str, str, str, str]] = [
    ("BOOLEAN", "false", "BOOLEAN", "false"),
    ("TINYINT", "-128", "SMALLINT", "-128"),
    ("UTINYINT", "255", "SMALLINT", "255"),
    ("USMALLINT", "65535", "INTEGER", "65535"),
    ("UINTEGER", "4294967295", "BIGINT", "4294967295"),
    ("UBIGINT", "18446744073709551615", "DECIMAL(20,0)", "18446744073709551615"),
    ("HUGEINT", "-170141183460469231731687303715884105728", "VARCHAR",
     "-170141183460469231731687303715884105728"),
    ("UHUGEINT", "340282366920938463463374607431768211455", "VARCHAR",
     "340282366920938463463374607431768211455"),
    ("FLOAT", "1.1", "FLOAT", "1.1"),
    ("DOUBLE", "'nan'", "DOUBLE", "nan"),
    ("DOUBLE", "'-inf'", "DOUBLE", "-inf"),
    ("DOUBLE", "0.1", "DOUBLE", "0.1"),
    ("DECIMAL(4,1)", "-999.9", "DECIMAL(4,1)", "-999.9"),
    ("DECIMAL(38,10)", "0.0000000001", "DECIMAL(38,10)", "0.0000000001"),
    ("DECIMAL(38,0)", "'99999999999999999999999999999999999999'", "DECIMAL(38,0)",
     "99999999999999999999999999999999999999"),
    ("VARCHAR", "'a,\"b\"' || chr(10)", "VARCHAR", 'a,"b"\n'),
    ("JSON", "'{\"b\":  1}'", "JSON", '{"b":  1}'),
    ("UUID", "'00000000-0000-0000-0000-0000000000ff'", "UUID",
     "00000000-0000-0000-0000-0000000000ff"),
    ("BLOB", r"'\x00\xFF'", "BLOB", r"\x00\xFF"),
    ("BIT", "'10101'", "VARCHAR", "10101"),
    ("DATE", "'0044-03-15 (BC)'", "DATE", "0044-03-15 (BC)"),
    ("DATE", "'10000-01-01'", "DATE", "10000-01-01"),
    ("DATE", "'-infinity'", "DATE", "-infinity"),
    ("TIME", "'23:59:59.5'", "TIME", "23:59:59.5"),
    ("TIME", "'24:00:00'", "TIME", "24:00:00"),
    ("TIME WITH TIME ZONE", "'12:00:00+02'", "VARCHAR", "12:00:00+02"),
    ("TIMESTAMP", "'0044-03-15 (BC) 12:00:00.5'", "TIMESTAMP", "0044-03-15 (BC) 12:00:00.5"),
    ("TIMESTAMP", "'infinity'", "TIMESTAMP", "infinity"),
    ("TIMESTAMP_S", "'1969-12-31 23:59:59'", "TIMESTAMP", "1969-12-31 23:59:59"),
    ("TIMESTAMP_MS", "'2024-01-01 00:00:00.123'", "TIMESTAMP", "2024-01-01 00:00:00.123"),
    ("TIMESTAMP_NS", "'2024-01-01 00:00:00.123456789'", "VARCHAR",
     "2024-01-01 00:00:00.123456789"),
    ("TIMESTAMP WITH TIME ZONE", "'2024-06-01 12:00:00.000001+05:30'",
     "TIMESTAMP WITH TIME ZONE", "2024-06-01 06:30:00.000001+00"),
    ("TIMESTAMP WITH TIME ZONE", "'-infinity'", "TIMESTAMP WITH TIME ZONE", "-infinity"),
    ("INTERVAL", "'1 month 2 days 3.5 seconds'", "VARCHAR", "1 month 2 days 00:00:03.5"),
    ("ENUM('so, so', 'b')", "'so, so'", "VARCHAR", "so, so"),
    ("INTEGER[]", "[1, null]", "INTEGER[]", "[1, NULL]"),
    ("INTEGER[]", "[]", "INTEGER[]", "[]"),
    ("INTEGER[2]", "[1, 2]", "VARCHAR", "[1, 2]"),
    ("INTEGER[][]", "[[1], null]", "VARCHAR", "[[1], NULL]"),
    ("STRUCT(a INTEGER, b VARCHAR)", "{'a': 1, 'b': 'x'}", "VARCHAR", "{'a': 1, 'b': x}"),
    ("MAP(VARCHAR, INTEGER)", "map {'k': 1}", "VARCHAR", "{k=1}"),
    ("UNION(n INTEGER, t VARCHAR)", "union_value(n := 1)", "VARCHAR", "1"),
]  # fmt: skip


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return duckdb_engine(tmp_path)


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_values_of_every_type_arrive(form: str, engine: Engine, tmp_path: Path) -> None:
    """Beside each value a NULL, which is to stay one."""
    columns = ", ".join(f"c{at} {type_}" for at, (type_, *_) in enumerate(VALUES))
    values = ", ".join(f"({literal})::{type_}" for type_, literal, *_ in VALUES)
    engine.run(
        f"create table v (n int, {columns})",
        f"insert into v values (1, {values}), (2{', null' * len(VALUES)})",
    )
    export(engine, tmp_path, relations="v", format=form).expect(0)
    described = {name: type_ for name, type_, *_ in rows(tmp_path, "describe v")}
    texts = ", ".join(f"c{at}::varchar" for at in range(len(VALUES)))
    found, empty = rows(tmp_path, f"select {texts} from v order by n")
    reported = [
        (type_, literal, described[f"c{at}"], found[at])
        for at, (type_, literal, *_) in enumerate(VALUES)
    ]
    assert reported == VALUES
    assert set(empty) == {None}


@pytest.mark.parametrize("tail", ["?x", "#x"])
def test_a_path_is_never_cut_off(tail: str, tmp_path: Path) -> None:
    """Another file of this name may be there."""
    for engine in (DuckDbSource, DuckDbTarget):
        with pytest.raises(BadSpec, match="duckdb needs the path of a file"):
            engine(f"duckdb://{tmp_path}/a.duckdb{tail}")


def test_duckdb_s_own_types_arrive_in_postgres(
    engine: Engine, database: Callable[[int], Database], tmp_path: Path
) -> None:
    there = database(18)
    engine.run(
        "create table v as select 18446744073709551615::ubigint u, 1::hugeint h, [1,null] l,"
        " date 'infinity' d, '{\"a\":  1}'::json j, uuid() i, interval 1 month m, true b"
    )
    for form in ("parquet", "csv"):
        export(engine, tmp_path, relations="v", format=form, warehouse=there.url).expect(0)
        query = "select u::text, h, l::text, d::text, j::text, m, b from v"
        assert there.rows(query) == [
            ("18446744073709551615", "1", "{1,NULL}", "infinity", '{"a":  1}', "1 month", True)
        ]


def test_infinity_in_files_alone_is_a_named_loss(engine: Engine, tmp_path: Path) -> None:
    engine.run("create table v as select date 'infinity' d union all select date '2024-01-01'")
    ran = export(engine, tmp_path, relations="v", warehouse=None).expect(0)
    (loss,) = ran.result["losses"]
    assert loss["object"] == "main.v.d" and loss["message"].startswith("1 value that")


def test_an_overlap_reads_what_was_stamped_before(engine: Engine, tmp_path: Path) -> None:
    engine.run(
        "create table o (id int primary key, seen timestamp)",
        "insert into o select i, timestamp '2024-01-01' + to_seconds(i) from range(100) t(i)",
    )
    words: Any = {
        "relations": {"name": "o", "watermark": "seen", "overlap-seconds": 9.5},
        "disposition": "merge",
    }
    export(engine, tmp_path, **words).expect(0)
    assert export(engine, tmp_path, **words).expect(0).result["rows"] == 10


def test_a_stamp_of_the_future_does_not_end_the_increments(engine: Engine, tmp_path: Path) -> None:
    engine.run(
        "create table o (id int primary key, seen timestamptz)",
        "insert into o values (1, 'infinity'), (2, now())",
    )
    words: Any = {"relations": {"name": "o", "watermark": "seen"}, "disposition": "merge"}
    export(engine, tmp_path, **words).expect(0)
    engine.run("insert into o values (3, now())")
    export(engine, tmp_path, **words).expect(0)
    assert rows(tmp_path, "select id from o order by 1") == [(1,), (2,), (3,)]


# files


class _Url:
    def __init__(self, url: str) -> None:
        self.url = url


def test_a_file_that_is_not_there_is_not_created(tmp_path: Path) -> None:
    path = tmp_path / "x.duckdb"
    ran = export(_Url(f"duckdb://{path}"), tmp_path).expect(3)
    assert "there is no such file" in ran.said
    assert not path.exists()


@pytest.mark.parametrize("content", [b"", b"hello, world " * 1000, b"SQLite format 3\0" * 99])
def test_what_is_no_database_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.duckdb"
    path.write_bytes(content)
    ran = export(_Url(f"duckdb://{path}"), tmp_path).expect(3)
    assert "not a valid DuckDB database" in ran.said


def test_a_file_that_another_process_writes_may_be_free_later(
    engine: Engine, tmp_path: Path
) -> None:
    path = spec_file(tmp_path, source=engine.url)
    with duckdb.connect(str(tmp_path / "source.duckdb")):
        ran = windlass("export", "--json", "-f", str(path)).expect(4)
    assert "open in another process" in ran.said


def test_a_file_is_not_exported_into_itself(engine: Engine, tmp_path: Path) -> None:
    engine.run("create table v (a int)")
    ran = export(engine, tmp_path, warehouse=engine.url).expect(3)
    assert "give the warehouse another file than the source" in ran.said


def test_tables_of_other_schemas_have_their_names(engine: Engine, tmp_path: Path) -> None:
    engine.run("create schema shop", "create table shop.o (a int)", "insert into shop.o values (1)")
    export(engine, tmp_path, relations="shop.*").expect(0)
    assert rows(tmp_path, "select * from o") == [(1,)]


@pytest.mark.parametrize(("form", "short", "long"), [("parquet", 20_000, 70), ("csv", 0, 8)])
def test_rows_of_megabytes_are_read_and_loaded_with_the_memory_that_they_need(
    tmp_path: Path, form: str, short: int, long: int
) -> None:
    """Both sides began with 128 MB, and got no more. Long rows after short ones are read again."""
    old = duckdb_engine(tmp_path)
    old.run(
        f"create table t as select range as id, 'short' as n from range({short})",
        "insert into t select -1 - range, repeat('0123456789', 210000) || range + 10"
        f" from range({long})",
    )
    words = {"relations": {"name": "main.t", "key": "id"}, "format": form}
    export(old, tmp_path, disposition="merge", **words).expect(0)
    query = "select count(*), count(distinct n), max(length(n)) from t where id < 0"
    with duckdb.connect(str(tmp_path / "w.duckdb")) as file:  # without a limit
        assert file.execute(query).fetchall() == [(long, long, 2_100_002)]
        assert file.execute("select count(*) from t").fetchall() == [(long + short,)]
