"""SQLite as a source: types of values are counted, never guessed; and files of every kind."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import pytest

from engines import Engine, sqlite_engine
from exporting import export, files, rows
from paths import DOCS
from windlass.engines.sqlite.census import Counts
from windlass.engines.sqlite.session import File
from windlass.engines.sqlite.sessions import Sessions
from windlass.engines.sqlite.types import Unclear, column_of
from windlass.engines.stopping import Stops
from windlass.model.export import Kind

# what a column is declared as, what it holds, and what it is
CLEAR = [
    ("INTEGER", Counts(integers=3, lowest=-(1 << 63), highest=(1 << 63) - 1), Kind.INT64),
    ("INTEGER", Counts(), Kind.INT64),
    ("bigint unsigned", Counts(integers=1), Kind.INT64),
    ("REAL", Counts(reals=2), Kind.FLOAT64),
    ("REAL", Counts(integers=2, highest=1 << 53), Kind.FLOAT64),
    ("DECIMAL(10,2)", Counts(integers=1, reals=1), Kind.FLOAT64),
    ("NUMERIC", Counts(integers=1, highest=1 << 62), Kind.INT64),
    ("BOOLEAN", Counts(integers=2, highest=1), Kind.BOOLEAN),
    ("VARCHAR(20)", Counts(texts=1), Kind.TEXT),
    ("BLOB", Counts(blobs=1), Kind.BYTES),
    ("BLOB", Counts(), Kind.BYTES),
    ("", Counts(texts=1), Kind.TEXT),
    ("", Counts(integers=1), Kind.INT64),
    ("", Counts(), Kind.TEXT),
    ("DATETIME", Counts(texts=1), Kind.TEXT),
    ("DATETIME", Counts(integers=1), Kind.INT64),
    ("JSON", Counts(texts=1), Kind.TEXT),
]
UNCLEAR = [
    ("INTEGER", Counts(texts=1)),
    ("INTEGER", Counts(integers=9, texts=1)),
    ("INTEGER", Counts(reals=1)),
    ("INTEGER", Counts(integers=1, reals=1)),
    ("REAL", Counts(reals=1, texts=1)),
    ("REAL", Counts(reals=1, integers=1, highest=(1 << 53) + 1)),
    ("NUMERIC", Counts(reals=1, integers=1, lowest=-(1 << 60))),
    ("BOOLEAN", Counts(integers=1, highest=2)),
    ("BOOLEAN", Counts(texts=1)),
    ("TEXT", Counts(texts=1, blobs=1)),
    ("TEXT", Counts(blobs=1)),
    ("", Counts(integers=1, texts=1)),
    ("DATE", Counts(texts=1, integers=1)),
    ("BLOB", Counts(blobs=1, texts=1)),
]


@pytest.mark.parametrize(("declared", "counts", "kind"), CLEAR)
def test_a_column_is_what_all_of_its_values_are(declared: str, counts: Counts, kind: Kind) -> None:
    assert column_of("c", declared, counts).kind is kind


@pytest.mark.parametrize(("declared", "counts"), UNCLEAR)
def test_nothing_is_guessed_where_values_disagree(declared: str, counts: Counts) -> None:
    with pytest.raises(Unclear, match="give `types`, or `text: "):
        column_of("c", declared, counts)


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return sqlite_engine(tmp_path)


def test_a_column_with_texts_among_integers_is_refused_with_their_counts(
    engine: Engine, tmp_path: Path
) -> None:
    """The text stands last: no sample of the first rows would show it."""
    engine.run(
        "create table v (id integer primary key, a int, b)",
        "with recursive s(n) as (select 1 union all select n + 1 from s where n < 1000)"
        " insert into v select n, n, 'x' from s",
        "insert into v values (null, 'n/a', 1.5)",
    )
    ran = export(engine, tmp_path, relations="v").expect(3)
    reported = " ".join(one["message"] for one in ran.result["problems"])
    assert "a is declared as int and holds 1,000 integers and 1 text: give" in reported
    assert "b has no declared type and holds 1 real and 1,000 texts: give" in reported
    assert files(tmp_path) == []
    export(engine, tmp_path, relations="v", leave_out=["v.a", "v.b"]).expect(0)


def test_any_column_can_be_written_as_text(engine: Engine, tmp_path: Path) -> None:
    engine.run(
        "create table v (n integer primary key, c)",
        "insert into v (c) values (1), (0.1), ('x'), (x'00ff'), (null), (1e16), (9e999)",
    )
    export(engine, tmp_path, relations={"name": "v", "text": "c"}).expect(0)
    assert [row[0] for row in rows(tmp_path, "select c from v order by n")] == [
        "1", "0.1", "x", r"\x00ff", None, "1e+16", "inf",
    ]  # fmt: skip


SAID: list[tuple[str, str, Any]] = [
    ("boolean", "1", True),
    ("int64", "'-12'", -12),
    ("float64", "'1e3'", 1000.0),
    ("float64", "'0.10'", 0.1),
    ("float64", "'0.10000000000000001'", 0.1),  # seventeen digits, as C prints them
    ("decimal(38,37)", "'0e999999999'", Decimal(0)),
    ("decimal(38,0)", f"'{'9' * 38}'", Decimal("9" * 38)),
    ("decimal(20,3)", "'12345678901234567.890'", Decimal("12345678901234567.890")),
    ("decimal(5,2)", "7", Decimal("7.00")),
    ("json", "'{\"a\": 1.10}'", '{"a": 1.10}'),
    ("uuid", "'00000000-0000-0000-0000-0000000000ff'", UUID(int=255)),
    ("uuid", "'000000000000000000000000000000ff'", UUID(int=255)),
    ("uuid", "x'000000000000000000000000000000ff'", UUID(int=255)),
    ("bytes", "x'00'", b"\x00"),
    ("date", "'2024-02-29'", date(2024, 2, 29)),
    ("time", "'23:59:59.999999'", time(23, 59, 59, 999999)),
    ("timestamp", "'2024-02-29T10:00'", datetime(2024, 2, 29, 10)),
    ("timestamp", "0", datetime(1970, 1, 1)),
    ("instant", "'2024-02-29 10:00:00+02:00'", datetime(2024, 2, 29, 8, tzinfo=UTC)),
    ("instant", "1700000000", datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
]


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_the_user_can_say_what_a_column_is(form: str, engine: Engine, tmp_path: Path) -> None:
    columns = ", ".join(f"c{at}" for at in range(len(SAID)))
    values = ", ".join(literal for _, literal, _ in SAID)
    engine.run(
        f"create table v (n integer primary key, {columns})",
        f"insert into v values (1, {values}), (2{', null' * len(SAID)})",
    )
    types = {f"c{at}": said for at, (said, *_) in enumerate(SAID)}
    export(engine, tmp_path, relations={"name": "v", "types": types}, format=form).expect(0)
    found, empty = rows(tmp_path, f"select {columns} from v order by n")
    assert list(found) == [value for *_, value in SAID]
    assert set(empty) == {None}


@pytest.mark.parametrize(
    ("said", "literal"),
    [
        ("boolean", "2"), ("boolean", "'true'"), ("int64", "1.5"), ("int64", "'1_000'"),
        ("int64", "'9223372036854775808'"), ("float64", "'x'"), ("float64", "9007199254740993"),
        ("float64", "'9007199254740993'"), ("float64", "'0.12345678901234567890'"),
        ("float64", "'1e400'"), ("float64", "'1e-400'"), ("float64", "'1e99999999999999999999'"),
        ("decimal(38,30)", "'0.12345678901234567890123456789012345'"),
        ("decimal(5,2)", "'1.005'"), ("decimal(5,2)", "'1000'"), ("decimal(5,2)", "0.5"),
        ("decimal(5,2)", "'NaN'"), ("text", "x'ff'"), ("text", "1"), ("json", "'{'"),
        ("json", "'NaN'"),
        ("json", f"'{'[' * 100_000}'"), ("uuid", "'x'"), ("uuid", "'sixteen letters!'"),
        ("bytes", "'x'"), ("date", "'2024-02-30'"),
        ("date", "'20240229'"), ("date", "'2024-02-29 10:00'"), ("time", "'24:00:00'"),
        ("timestamp", "'2024-02-29 10:00:00.1234567'"), ("timestamp", "'2024-02-29 10:00Z'"),
        ("timestamp", "2460000.5"), ("instant", "'2024-02-29 10:00:00'"),
    ],
)  # fmt: skip
def test_a_value_that_is_not_what_the_user_says_is_counted_and_refused(
    said: str, literal: str, engine: Engine, tmp_path: Path
) -> None:
    engine.run("create table v (c)", f"insert into v values (null), ({literal})")
    ran = export(engine, tmp_path, relations={"name": "v", "types": {"c": said}}).expect(3)
    (problem,) = ran.result["problems"]
    assert problem["message"].startswith("types: c: 1 value is not ")


def test_types_that_are_none_and_columns_that_are_none_are_refused(
    engine: Engine, tmp_path: Path
) -> None:
    engine.run("create table v (c)")
    for types in ({"c": "int"}, {"c": "decimal(50,2)"}, {"d": "int64"}):
        ran = export(engine, tmp_path, relations={"name": "v", "types": types}).expect(3)
        assert "types: " in ran.said


def test_tables_of_every_kind_are_read(engine: Engine, tmp_path: Path) -> None:
    engine.run(
        "create table a (k text primary key, v int) without rowid",
        "insert into a values ('x', 1)",
        "create table b (n int, r real, t text, o any) strict",
        "insert into b values (1, 2, 'x', 3)",
        "create table c (n int, twice as (n * 2), thrice int generated always as (n * 3) stored)",
        "insert into c values (2)",
        "create view d (n, t) as select n, twice from c",
        "create virtual table e using fts5(body)",
        "insert into e values ('some words')",
    )
    export(engine, tmp_path).expect(0)
    export(engine, tmp_path, relations=["main.d", "main.e"]).expect(0)
    assert rows(tmp_path, "select * from a, b, c, d, e") == [
        ("x", 1, 1, 2.0, "x", 3, 2, 4, 6, 2, 4, "some words")
    ]
    there = "select table_name from duckdb_tables() where table_name like 'e%' order by 1"
    assert rows(tmp_path, there) == [("e",)]  # without its shadows
    export(engine, tmp_path, relations="a", disposition="merge").expect(0)


# files


def test_a_file_that_is_not_there_is_not_created(tmp_path: Path) -> None:
    missing = tmp_path / "nothing" / "x.db"
    for path in (missing, tmp_path / "x.db"):
        ran = export(_Url(f"sqlite://{path}"), tmp_path).expect(3)
        assert "there is no such file" in ran.result["problems"][0]["message"]
        assert not path.exists()
    ran = export(_Url(f"sqlite://{tmp_path}"), tmp_path).expect(3)
    assert "is a folder" in ran.result["problems"][0]["message"]


class _Url:
    def __init__(self, url: str) -> None:
        self.url = url


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///", "sqlite://host/x", "sqlite:///x?mode=rw", "sqlite:///x#y"]
)
def test_a_url_without_a_file_is_refused(url: str, tmp_path: Path) -> None:
    ran = export(_Url(url), tmp_path).expect(2)
    assert "sqlite needs the path of a file" in ran.result["message"]


@pytest.mark.parametrize("tail", ["", "-wal"])
def test_a_file_that_is_said_to_be_immutable_has_no_rows_elsewhere(
    tail: str, tmp_path: Path
) -> None:
    """SQLite would read over the rows of a WAL, and show those of a commit that was cut off."""
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("create table v (a)")
        writer.execute("insert into v values (1)")
        writer.commit()
        if tail:
            writer.execute("pragma journal_mode = wal")
            writer.execute("insert into v values (2)")
            writer.commit()
            ran = export(_Url(f"sqlite://{path}?immutable=1"), tmp_path, relations="v").expect(3)
            assert f"x.db{tail} holds what is not in the file yet" in ran.said
    export(_Url(f"sqlite://{path}?immutable=1"), tmp_path, relations="v").expect(0)
    assert len(rows(tmp_path, "from v")) == (2 if tail else 1)


def test_an_unknown_scheme_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    ran = export(_Url("mysql://app:Secret@host/db"), tmp_path).expect(2)
    assert "postgresql://, sqlite://, duckdb://" in ran.result["message"]
    assert "Secret" not in ran.said


@pytest.mark.parametrize("path", ["app.db", "/srv/app.sqlite", "./app", "sqlite:app.db"])
def test_a_path_in_place_of_a_url_is_refused_with_an_example(path: str, tmp_path: Path) -> None:
    ran = export(_Url(path), tmp_path).expect(2)
    assert "sqlite:///folder/file.db" in ran.result["message"]


def test_a_pattern_that_names_nothing_is_refused_with_what_there_is(
    engine: Engine, tmp_path: Path
) -> None:
    assert "it has no tables" in export(engine, tmp_path).expect(3).said
    engine.run("create table visits (a)", "create view v as select 1 as one")
    ran = export(engine, tmp_path, relations="orders").expect(3)
    assert "it has main.v, main.visits" in ran.said
    ran = export(engine, tmp_path, relations="visit").expect(3)
    assert "did you mean main.visits?" in ran.said


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(b"hello, world " * 1000)
    ran = export(_Url(f"sqlite://{path}"), tmp_path).expect(3)
    assert "not a database" in ran.said and "encrypted" in ran.said


def test_a_corrupt_page_stops_the_export_and_nothing_is_loaded(
    engine: Engine, tmp_path: Path
) -> None:
    engine.run(
        "create table v (t text)",
        "insert into v select hex(randomblob(2000)) from pragma_function_list",
    )
    path = tmp_path / "source.db"
    with path.open("r+b") as file:
        file.seek(4096 * 40)
        file.write(b"\xff" * 4096 * 3)
    ran = export(engine, tmp_path, relations="v")
    assert ran.code in (3, 4) and "malformed" in ran.said
    assert files(tmp_path) == []


def test_a_file_that_somebody_has_locked_may_be_free_later(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("create table v (a)")
        writer.execute("begin exclusive")
        ran = export(_Url(f"sqlite://{path}"), tmp_path).expect(4)
    assert "locked by a program that writes" in ran.said


def test_without_a_wal_writers_wait_and_a_notice_says_so(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("create table v (a)")
    ran = export(_Url(f"sqlite://{path}"), tmp_path).expect(0)
    assert any("not in WAL mode" in notice for notice in ran.result["notices"])
    ran = export(_Url(f"sqlite://{path}?immutable=1"), tmp_path).expect(0)
    assert ran.result["notices"] == []


def test_sessions_begin_together_though_somebody_commits_all_the_time(
    engine: Engine, tmp_path: Path
) -> None:
    engine.run("create table v (a int)")
    file, over = File(engine.url), threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(tmp_path / "source.db")) as writer:
            while not over.is_set():
                writer.execute("insert into v values (1)")
                writer.commit()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(20):
            sessions = Sessions(file, Stops())
            sessions.begin()
            with ExitStack() as stack:
                stack.callback(sessions.close)
                every = [stack.enter_context(sessions.one()) for _ in range(sessions.count)]
                counts = {one.execute("select count(*) from v").fetchone() for one in every}
            assert len(counts) == 1
    finally:
        over.set()
        thread.join()


def test_a_text_that_is_not_utf_8_is_refused_without_showing_it(
    engine: Engine, tmp_path: Path
) -> None:
    engine.run("create table v (t text)", "insert into v values (cast(x'68fffe' as text))")
    ran = export(engine, tmp_path, relations="v").expect(4)
    assert "main.v.t holds a text that is not UTF-8" in ran.result["message"]
    assert files(tmp_path) == []
    query = {"name": "v", "query": "select cast(t as blob) as t from v"}
    export(engine, tmp_path, relations=query).expect(0)
    assert rows(tmp_path, "select * from v") == [(b"h\xff\xfe",)]


def test_the_source_is_never_written_to(engine: Engine, tmp_path: Path) -> None:
    """Not even by a query that asks for it."""
    engine.run("create table v (a int)", "insert into v values (1)")
    before = (tmp_path / "source.db").read_bytes()
    for query in ("delete from v returning a", "select load_extension('x')"):
        export(engine, tmp_path, relations={"name": "q", "query": query}).expect(3)
    export(engine, tmp_path).expect(0)
    assert (tmp_path / "source.db").read_bytes() == before


@pytest.mark.parametrize(
    "one",
    [
        {"name": "v", "where": '"typo" = 1'},
        {"name": "q", "query": 'select * from v where "typo" = 1'},
        {"name": "q", "query": 'select "typo" from v'},
    ],
    ids=str,
)
def test_a_column_that_is_not_there_is_never_taken_for_a_text(
    one: dict[str, str], engine: Engine, tmp_path: Path
) -> None:
    engine.run("create table v (a int)", "insert into v values (1)")
    assert "no such column: typo" in export(engine, tmp_path, relations=one).expect(3).said


def test_names_in_quotes_are_names_and_texts_stay_texts(engine: Engine, tmp_path: Path) -> None:
    engine.run(
        'create table v ("odd`""name" int, [two words] text)',
        "insert into v values (1, 'say \"x\"'), (2, '--')",
    )
    query = (
        """select "odd`""name" as n, [two words] as `w` from v -- "not a name\n"""
        """where "two words" = 'say "x"' /* "nor this" */ or "odd`""name" = 3"""
    )
    export(engine, tmp_path, relations={"name": "q", "query": query}).expect(0)
    assert rows(tmp_path, "select * from q") == [(1, 'say "x"')]


def test_seconds_cannot_overlap_where_there_is_no_type_for_times(
    engine: Engine, tmp_path: Path
) -> None:
    engine.run("create table v (id integer primary key, at text)")
    one = {"name": "v", "watermark": "at", "overlap-seconds": 5}
    ran = export(engine, tmp_path, relations=one, disposition="merge").expect(3)
    assert "overlap-seconds: at is text, not a time or date" in ran.said


def test_types_are_for_sources_without_them(database: Callable[[int], Any], tmp_path: Path) -> None:
    source = database(16)
    source.run("create table v (a int)")
    ran = export(source, tmp_path, relations={"name": "v", "types": {"a": "int64"}}).expect(3)
    assert "types: PostgreSQL has types" in ran.said


def test_a_row_is_as_large_as_it_is(engine: Engine, tmp_path: Path) -> None:
    """Batches are cut by what rows can have at most."""
    engine.run(
        "create table v (n integer primary key, b blob)",
        "with recursive s(n) as (select 1 union all select n + 1 from s where n < 20)"
        " insert into v select n, randomblob(3000000) from s",
    )
    export(engine, tmp_path, relations="v", compression="none").expect(0)
    assert rows(tmp_path, "select count(*), sum(octet_length(b)) from v") == [(20, 60_000_000)]


def test_the_example_of_the_page_runs_as_it_is_typed(tmp_path: Path) -> None:
    page = (DOCS / "export.md").read_text()
    (example,) = [part for part in page.split("```") if part.startswith("sh\npython -c")]
    typed = example.removeprefix("sh\n").replace("/tmp/app", f"{tmp_path}/app")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-ec", typed], env={**os.environ, "PATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    with duckdb.connect(str(tmp_path / "app.duckdb")) as connection:
        found = connection.execute("select columns(* exclude id) from visits").fetchall()
    assert found == [(datetime(2024, 2, 29, 10), Decimal("9.90"))]
