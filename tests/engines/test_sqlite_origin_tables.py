"""SQLite as the source of a migration: tables of every shape, and what only the text of a statement
tells about them."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from origin_tables import arrive, digest_there, fitted, tables_of
from public_shapes import chinook, northwind
from servers import Database
from sqlite_files import file_with, held
from windlass.engines.origin import Origin
from windlass.engines.registry import open_origin
from windlass.errors import Interrupted, WindlassError
from windlass.model.chunk import Range, Whole
from windlass.model.relation import Name
from windlass.model.translation import (
    Answers,
    Check,
    Digest,
    ForeignKey,
    Index,
    IndexPart,
    Key,
    Reading,
    SourceColumn,
)

MANY = [f'"c {at}"' for at in range(300)]
SHAPES = {
    "quoted": [
        'create table "quoted" ("select" integer primary key, "a ""b" text, "ä%s{0}" real)',
        """insert into "quoted" values (1, 'x', 0.5), (2, '%d {0} \\', null), (3, '', 1)""",
    ],
    "wide": [
        f"create table wide ({', '.join(MANY)})",
        f"insert into wide values ({', '.join(map(str, range(300)))})",
        f"insert into wide values ({', '.join(['null'] * 300)})",
    ],
    "by key": [
        'create table "by key" (a text collate nocase, b real, c blob, d, primary key (a, b, c))'
        " without rowid",
        """insert into "by key" values ('a', 1, x'00', 1), ('B', 1.5, x'01', 2),"""
        """ ('b', 0.1, x'', 3), ('it''s', -2e300, x'ff', null), ('c' || char(10), 5, x'', 7)""",
    ],
    "keyless": [
        "create table keyless (x text, y integer)",
        "insert into keyless values ('a', 1), ('a', 1), (null, null), (null, 2), ('b', 3)",
    ],
    "taken": [
        "create table taken (rowid text, _rowid_ text, oid text)",
        "insert into taken values ('a', 'b', 'c'), ('a', 'b', null), (null, null, char(9))",
    ],
    "sparse": [
        "create table sparse (id integer primary key, x text)",
        "insert into sparse values (-9223372036854775808, 'least'), (-5, 'x'), (0, 'zero'),"
        " (7, null), (4000000000, 'far'), (9223372036854775807, 'most')",
    ],
    "descending": [
        "create table descending (id integer primary key desc, x text)",  # no alias of the number
        "insert into descending values (3, 'a'), (null, 'b')",
        "update descending set id = 4 where id is null",
    ],
    "large": [
        "create table large (id integer primary key, x text, y blob)",
        "insert into large values (1, 'small', x'01'),"
        " (2, printf('%.*c', 20000000, 'x') || '\\' || char(9), null),"
        " (3, 'small', zeroblob(9000000)), (4, null, null)",
    ],
    "empty": ["create table empty (id integer primary key, x)"],
}


def test_tables_of_every_shape_arrive_in_ranges(
    tmp_path: Path, database: Callable[[int], Database]
) -> None:
    there = database(18)
    url = file_with(tmp_path, *(one for shape in SHAPES.values() for one in shape))
    with held(url) as origin:
        tables = tables_of(origin)
        for name in SHAPES:
            fit, reading = fitted(origin, tables[name])
            assert fit.problems == (), name
            ranges = origin.cut(tables[name], 3)
            arrive(origin, reading, there, ranges)
            whole = origin.digest(reading, Whole())
            assert whole == digest_there(there, reading), name
            assert whole.rows == fit.rows, name
            assert _sum([origin.digest(reading, one) for one in ranges]) == whole, name
            found = origin.buckets(reading)
            assert _sum(list(found.values())) == whole, name
            assert len(list(origin.rows(reading, list(found)))) == fit.rows, name


def _sum(digests: list[Digest]) -> Digest:
    return sum(digests, Digest())


def test_a_reading_that_no_scan_has_seen_gives_the_same_lines(tmp_path: Path) -> None:
    url = file_with(tmp_path, *SHAPES["quoted"], *SHAPES["keyless"])
    with held(url) as origin:
        readings = [fitted(origin, table)[1] for table in tables_of(origin).values()]
        before = [_read(origin, one) for one in readings]
    with held(url) as origin:
        assert [_read(origin, one) for one in readings] == before


def _read(origin: Origin, reading: Reading) -> tuple[bytes, Digest]:
    return b"".join(origin.lines(reading, Whole())), origin.digest(reading, Whole())


def test_rows_of_a_bucket_have_their_keys_and_texts(tmp_path: Path) -> None:
    url = file_with(
        tmp_path,
        "create table t (id integer primary key, x text, y real)",
        "insert into t values (1, 'é', 0.5), (2, null, null), (3, 'x', 1)",
    )
    with held(url) as origin:
        _, reading = fitted(origin, tables_of(origin)["t"])
        by_bucket = {
            bucket: [(row.key, row.texts) for row in origin.rows(reading, [bucket])]
            for bucket in origin.buckets(reading)
        }
    assert sorted(row for rows in by_bucket.values() for row in rows) == [
        (("1",), ("1", "2:é", "3fe0000000000000")),
        (("2",), ("2", None, None)),
        (("3",), ("3", "1:x", "3ff0000000000000")),
    ]


STRUCTURE = [
    "create table parents (a integer, b text, unique (b, a), primary key (a, b)) without rowid",
    """create table Things (
        id INTEGER PRIMARY KEY AUTOINCREMENT, -- a comment, with check (false)
        "kind of" varchar(10) NOT NULL DEFAULT 'it''s, (ok)' CHECK ("kind of" <> "bad, (really)"),
        price decimal(10, 2) default (1 + 1) /* , check (0) */ constraint dear check (price < 1e9),
        word text collate nocase unique,
        upper_word text generated always as (upper(word) || ')') stored,
        next_id int as (id + 1),
        a int, b text default null references parents2 on update set null,
        "at" datetime default current_timestamp,
        constraint family foreign key (a, b) references PARENTS (a, b)
            on delete cascade deferrable initially deferred,
        constraint "one each" unique (a, "kind of")
    )""",
    "create table parents2 (x text primary key)",
    "insert into things (word) values ('a'), ('b'), ('c')",
    "delete from things where id = 3",
    """create unique index partly on things (lower("kind of") desc, a) where price > 1 -- dear""",
    "create index by_word on things (word collate binary)",
    "create index without_case on things (b collate nocase)",
    "create view seen (one, two) as select id, word from things where word <> ';';",
    "create trigger noted after insert on things begin select 1; end",
    "create virtual table words using fts5 (body)",
]


def test_structure_is_what_the_statements_say(tmp_path: Path) -> None:
    with held(file_with(tmp_path, *STRUCTURE)) as origin:
        found = origin.schemas()
    tables = {table.name.name: table for table in found.tables}
    assert sorted(tables) == ["Things", "parents", "parents2"]
    things, parents = tables["Things"], tables["parents"]
    assert things.columns == (
        SourceColumn("id", "INTEGER", not_null=True, counts_up=True),
        SourceColumn("kind of", "varchar(10)", not_null=True, default="'it''s, (ok)'"),
        SourceColumn("price", "decimal(10, 2)", default="1 + 1"),
        SourceColumn("word", "TEXT", collation="NOCASE"),
        SourceColumn("upper_word", "TEXT", generated="upper(word) || ')'"),
        SourceColumn("next_id", "INT", generated="id + 1", is_stored=False),
        SourceColumn("a", "INT"),
        SourceColumn("b", "TEXT"),
        SourceColumn("at", "datetime", default="current_timestamp"),
    )
    assert (things.primary_key, things.next_number) == (Key("Things_pkey", ("id",)), 4)
    assert things.uniques == (
        Key("Things_word_key", ("word",)),
        Key("one each", ("a", "kind of")),
    )
    assert things.checks == (
        Check("Things_check1", """"kind of" <> 'bad, (really)'"""),
        Check("dear", "price < 1e9"),
    )
    parent = Name("main", "parents")
    assert things.foreign_keys == (
        ForeignKey("Things_b_fkey", ("b",), Name("main", "parents2"), ("x",), on_update="SET NULL"),
        ForeignKey("family", ("a", "b"), parent, ("a", "b"), "NO ACTION", "CASCADE", True, True),
    )
    assert things.indexes == (
        Index(
            "partly",
            (IndexPart(expression='lower("kind of")', descends=True), IndexPart("a")),
            is_unique=True,
            where="price > 1",
        ),
        Index("by_word", (IndexPart("word", is_exact=True),)),
        Index("without_case", (IndexPart(expression='lower("b")'),)),
    )
    assert (parents.pages_by, things.pages_by) == (("a", "b"), ("id",))
    assert [column.not_null for column in parents.columns] == [True, True]
    assert parents.uniques == (Key("parents_b_a_key", ("b", "a")),)
    (view,) = found.views
    assert (view.columns, view.query) == (
        ("one", "two"),
        "select id, word from things where word <> ';'",
    )
    assert found.others == (
        ("virtual table", Name("main", "words")),
        ("trigger", Name("main", "noted")),
    )


@pytest.mark.parametrize("make", [chinook, northwind])
def test_public_samples_fit_without_a_question(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "sample.db")
    with held(f"sqlite://{tmp_path / 'sample.db'}") as origin:
        fits = [origin.fit(table, Answers()) for table in origin.schemas().tables]
    assert len(fits) == 11
    assert [(one.problems, one.losses, one.orphaned) for one in fits] == [((), (), ())] * 11


def test_texts_in_utf16_are_refused_with_a_way(tmp_path: Path) -> None:
    path = tmp_path / "wide.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma encoding = 'UTF-16le'")
        connection.execute("create table t (x)")
    refusing = pytest.raises(WindlassError, match="UTF-16le")
    with open_origin(f"sqlite://{path}") as origin, refusing as refused:
        origin.hold()
    assert ".dump" in refused.value.hint


def test_a_cancel_stops_readers(tmp_path: Path) -> None:
    rows = "with recursive n (i) as (select 1 union all select i + 1 from n where i < 200000)"
    url = file_with(tmp_path, "create table t (x integer)", f"insert into t {rows} select i from n")
    with held(url) as origin:
        _, reading = fitted(origin, tables_of(origin)["t"])
        begun, raised = threading.Event(), []

        def read() -> None:
            range_: Range = Whole()
            try:
                while True:
                    for _ in origin.lines(reading, range_):
                        begun.set()
            except Interrupted as error:
                raised.append(error)

        thread = threading.Thread(target=read)
        thread.start()
        assert begun.wait(60)
        origin.cancel()
        thread.join(60)
    assert len(raised) == 1


def test_a_file_whose_definitions_read_json_is_no_damaged_one(tmp_path: Path) -> None:
    """SQLite 3.40 takes its own functions of JSON for those of an application."""
    url = file_with(
        tmp_path,
        "create table t (j text, a text as (json_extract(j, '$.a')) stored)",
        "create index by_b on t (json_extract(j, '$.b')) where json_valid(j)",
        """insert into t values ('{"a": "x"}')""",
    )
    with held(url) as origin:
        fit, _ = fitted(origin, tables_of(origin)["t"])
        assert (fit.rows, fit.problems) == (1, ())


def test_a_collation_of_an_application_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "some.db"
    with closing(sqlite3.connect(path)) as session, session:
        session.create_collation("german", lambda one, other: (one > other) - (one < other))
        session.execute("create table t (a text collate german primary key)")
        session.execute("create table u (a int)")
    with held(f"sqlite:///{path}") as origin:
        tables = tables_of(origin)
        with pytest.raises(WindlassError, match=r"main\.t: no such collation .*german") as error:
            fitted(origin, tables["t"])
        assert "leave this table out" in error.value.hint
        fitted(origin, tables["u"])
