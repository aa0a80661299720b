"""SQLite as the source of a migration into another engine: every value arrives as it is, or a
person is asked, with the number of values."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from origin_tables import arrive, digest_there, fitted, tables_of, texts_there, type_there
from sent_rows import arrived, send
from servers import Database
from sqlite_files import file_with, held
from windlass.errors import BadSpec
from windlass.model.chunk import Whole
from windlass.model.report import LossClass
from windlass.model.translation import Answers, Digest

# declaration, values in SQLite's SQL, answer, type there, what PostgreSQL prints
VALUES = [
    ("integer", "7, -9223372036854775808, 9223372036854775807, null", "", "bigint",
     ["7", "-9223372036854775808", "9223372036854775807", None]),
    ("int8", "300", "", "bigint", ["300"]),
    ("real", "0.1, 1e300, 9e999, -9e999, 1.5e-310, 3", "", "double precision",
     ["0.1", "1e+300", "Infinity", "-Infinity", "1.5e-310", "3"]),
    ("real", "0.1 + 0.2", "", "double precision", ["0.30000000000000004"]),
    # whose absolute value is no integer
    ("numeric", "-9223372036854775808, 1.5", "", "numeric", ["-9223372036854775808", "1.5"]),
    ("decimal(10,2)", "-9223372036854775808", "", "numeric", ["-9223372036854775808"]),
    ("", "-9223372036854775808", "", "bigint", ["-9223372036854775808"]),
    ("json", "-9223372036854775808", "", "jsonb", ["-9223372036854775808"]),
    ("integer", "-9223372036854775808", "double precision", "double precision",
     ["-9.223372036854776e+18"]),
    ("numeric", "12.5, 3, 1e20, 0.000001", "", "numeric",
     ["12.5", "3", "100000000000000000000", "0.000001"]),
    ("decimal(10,2)", "12.3, -0.07, 5, 99999999.99", "", "numeric(10,2)",
     ["12.30", "-0.07", "5.00", "99999999.99"]),
    ("decimal(10,2)", "12.345", "", "numeric", ["12.345"]),
    ("decimal(20,3)", "'12345678901234567890.123'", "", "numeric", ["12345678901234567000"]),
    ("numeric(18,4)", "12345.6789", "", "numeric(18,4)", ["12345.6789"]),
    ("boolean", "0, 1", "", "boolean", ["false", "true"]),
    ("bool", "'t', 'f'", "", "boolean", ["true", "false"]),
    ("boolean", "'True', 'false'", "", "boolean", ["true", "false"]),
    ("varchar(3)", "'longer', '', 'a\\b', 'a' || char(9, 10, 13) || 'b', '\\N'", "", "text",
     ["longer", "", "a\\b", "a\t\n\rb", "\\N"]),
    ("text", "'é', '😀'", "", "text", ["é", "😀"]),
    ("blob", "x'', x'00ff5c'", "", "bytea", ["\\x", "\\x00ff5c"]),
    ("date", "'2026-11-29', '0001-01-01', '9999-12-31'", "", "date",
     ["2026-11-29", "0001-01-01", "9999-12-31"]),
    ("date", "'2026-11-29 01:02:03'", "", "timestamp", ["2026-11-29 01:02:03"]),
    ("datetime", "'2026-11-29 10:11:12.5', '2026-11-29T10:11:12'", "", "timestamp",
     ["2026-11-29 10:11:12.5", "2026-11-29 10:11:12"]),
    ("datetime", "'2026-11-29T10:11:12.123456+02:00', '2026-01-01 00:00:00Z'", "", "timestamptz",
     ["2026-11-29 08:11:12.123456+00", "2026-01-01 00:00:00+00"]),
    ("datetime", "'2026-11-29'", "", "timestamp", ["2026-11-29 00:00:00"]),
    ("timestamp", "'2026-11-29 10:11'", "", "timestamp", ["2026-11-29 10:11:00"]),
    ("time", "'23:59:59.999999', '00:00:00'", "", "time", ["23:59:59.999999", "00:00:00"]),
    ("json", """'{"b": 1.50, "a": [null, "é\\n"]}', '5'""", "", "jsonb",
     ['{"a": [null, "é\\n"], "b": 1.50}', "5"]),
    ("uuid", "'0123456789ABCDEF0123456789abcdef'", "", "uuid",
     ["01234567-89ab-cdef-0123-456789abcdef"]),
    ("guid", "'01234567-89AB-cdef-0123-456789abcdef'", "", "uuid",
     ["01234567-89ab-cdef-0123-456789abcdef"]),
    ("", "'x'", "", "text", ["x"]),
    ("", "5", "", "bigint", ["5"]),
    ("", "5, 1.5", "", "double precision", ["5", "1.5"]),
    ("", "x'ab'", "", "bytea", ["\\xab"]),
    ("", "null", "", "text", [None]),
    ("datetime", "1700000000", "timestamp", "timestamp", ["2023-11-14 22:13:20"]),
    ("datetime", "1700000000", "timestamptz", "timestamptz", ["2023-11-14 22:13:20+00"]),
    ("datetime", "2460277.5", "timestamp", "timestamp", ["2023-11-29 00:00:00"]),
    ("datetime", "1700000000.25", "timestamp", "timestamp", ["2023-11-14 22:13:20.25"]),
    ("datetime", "'2026-11-29 10:11:12'", "timestamptz", "timestamptz", ["2026-11-29 10:11:12+00"]),
    ("text", "'2026-11-29 00:00:00'", "date", "date", ["2026-11-29"]),
    ("integer", "1700006400", "date", "date", ["2023-11-15"]),
    ("integer", "1, 'x', 2.5, x'0a'", "text", "text", ["1", "x", "2.5", "\\x0a"]),
    ("integer", "1, 0", "boolean", "boolean", ["true", "false"]),
    ("integer", "300", "smallint", "smallint", ["300"]),
    ("text", "'12', '-7'", "integer", "integer", ["12", "-7"]),
    ("text", "'12345678901234567890.123', '1e2'", "numeric", "numeric",
     ["12345678901234567890.123", "100"]),
    ("text", "'1.5'", "numeric(5,2)", "numeric(5,2)", ["1.50"]),
    ("text", "'0.1'", "double precision", "double precision", ["0.1"]),
    ("real", "1.5", "real", "real", ["1.5"]),
    ("char(32)", "'0123456789abcdef0123456789abcdef'", "uuid", "uuid",
     ["01234567-89ab-cdef-0123-456789abcdef"]),
    ("blob", "x'0123456789abcdef0123456789abcdef'", "uuid", "uuid",
     ["01234567-89ab-cdef-0123-456789abcdef"]),
    ("text", "'{}'", "jsonb", "jsonb", ["{}"]),
    ("text", "'ab'", "varchar(2)", "varchar(2)", ["ab"]),
    ("text", "cast(x'ff00' as text)", "bytea", "bytea", ["\\xff00"]),
]  # fmt: skip
ASKED = [
    ("integer", "1, 2, 'x'", "", "1 value is not integer of 64 bits: it has 2 integers, 1 text"),
    ("integer", "1.5", "", "it has 1 real"),
    ("boolean", "0, 2", "", "1 value is not boolean"),
    ("datetime", "1700000000", "", "it has 1 integer (first: id = 1)"),
    ("datetime", "'2026-11-29 10:11:12', 1700000000", "timestamp", "1 value is not timestamp"),
    ("datetime", "'2026-02-31 00:00:00'", "", "1 value is not timestamp"),
    ("date", "'0000-00-00'", "", "1 value is not date"),
    ("time", "'24:00:00'", "", "1 value is not time"),
    ("datetime", "'2026-11-29 10:11:12.1234567'", "", "1 value is not timestamp"),
    ("datetime", "'2026-11-29' || char(0)", "", "1 value is not timestamp"),
    ("json", "'{bad}', '{}'", "", "1 value is not json"),
    ("json", "'\"\\u0000\"'", "", "1 value is not json"),
    ("uuid", "'x'", "", "1 value is not uuid"),
    ("text", "'a', x'01'", "", "it has 1 text, 1 blob (first: id = 2)"),
    ("text", "cast(x'61ff' as text), 'ok', 'a' || char(0)", "",
     "1 text is not UTF-8 and 1 text has a NUL character (first: id = 1)"),
    ("text", "cast(x'c3' as text), cast(x'a9' as text)", "", "2 texts are not UTF-8"),
    ("integer", "40000", "smallint", "1 value is not smallint"),
    ("text", "'abc'", "varchar(2)", "1 value is not varchar(2)"),
    ("text", "'1.234'", "numeric(5,2)", "1 value is not numeric(5,2)"),
    ("text", "'0.100000000000000001'", "double precision", "not double precision"),
    ("real", "0.1", "real", "1 value is not real"),
    ("real", "0.1", "bigint", "1 value is not bigint"),
    ("blob", "x'01'", "uuid", "1 value is not uuid"),
]  # fmt: skip


def filled(table: str, declared: str, values: str) -> str:
    return f"create table {table} (id integer primary key, x {declared});" + "".join(
        f"insert into {table} (x) values ({value});" for value in _split(values)
    )


def _split(values: str) -> list[str]:
    """At commas outside of quotes and parentheses."""
    found, depth, quoted, start = [], 0, False, 0
    for at, letter in enumerate(values):
        quoted ^= letter == "'"
        depth += 0 if quoted else {"(": 1, ")": -1}.get(letter, 0)
        if letter == "," and not quoted and not depth:
            found.append(values[start:at])
            start = at + 1
    return [*found, values[start:]]


def test_every_value_arrives_as_it_is(tmp_path: Path, database: Callable[[int], Database]) -> None:
    there = database(18)
    tables = [f"t{at}" for at in range(len(VALUES))]
    url = file_with(tmp_path, *(filled(t, *one[:2]) for t, one in zip(tables, VALUES, strict=True)))
    with held(url) as origin:
        known = tables_of(origin)
        for table, case in zip(tables, VALUES, strict=True):
            _, _, answer, type_, printed = case
            fit, reading = fitted(origin, known[table], **({"x": answer} if answer else {}))
            assert fit.problems == (), case
            arrive(origin, reading, there)
            found = [text for _, text in texts_there(there, reading.table)]
            assert (type_there(reading.fields[1].type), found) == (type_, printed), case
            assert origin.digest(reading, Whole()) == digest_there(there, reading), case
            sent = send(origin, reading)
            assert sent is None or sent == arrived(there, reading), case


@pytest.mark.parametrize(("declared", "values", "answer", "message"), ASKED)
def test_a_value_that_does_not_fit_is_asked_about_with_counts(
    tmp_path: Path, declared: str, values: str, answer: str, message: str
) -> None:
    with held(file_with(tmp_path, filled("t", declared, values))) as origin:
        fit, _ = fitted(origin, tables_of(origin)["t"], **({"x": answer} if answer else {}))
    (problem,) = fit.problems
    assert problem.object == "main.t.x"
    assert message in problem.message
    assert "types=main." in problem.hint and ".x=" in problem.hint


def test_an_answer_that_is_no_type_is_refused_with_the_list(tmp_path: Path) -> None:
    refused = pytest.raises(BadSpec, match=r"main\.t\.x: 'blob' is not one of boolean, .*bytea")
    with held(file_with(tmp_path, filled("t", "text", "'x'"))) as origin, refused:
        origin.fit(tables_of(origin)["t"], Answers({"x": "blob"}))


def test_what_arrives_as_stored_but_not_as_meant_is_named(tmp_path: Path) -> None:
    url = file_with(
        tmp_path,
        "create table t (id integer primary key, price decimal(20,3), at datetime, doc json,"
        " word text collate rtrim)",
        "insert into t values (1, '1234567890123.4567', '2026-11-29T10:00:00+02:00',"
        """ '{"a": 1, "a": 2}', 'x')""",
        "insert into t values (2, 0.5, '2026-11-29T10:00:00Z', '{}', 'x')",
    )
    with held(url) as origin:
        fit, _ = fitted(origin, tables_of(origin)["t"])
    assert fit.problems == ()
    assert [(one.object, one.kind, one.message[:30]) for one in fit.losses] == [
        ("main.t.price", LossClass.STORAGE, "1 value of decimal(20,3) with "),
        ("main.t.at", LossClass.VALUES, "1 time with an offset that is "),
        ("main.t.doc", LossClass.VALUES, "1 document with a key twice in"),
        ("main.t.word", LossClass.BEHAVIOUR, "compares without blanks at the"),
    ]


KEYS = [
    "create table parents (a, b, primary key (a, b))",
    "insert into parents values (1, 'x'), (null, 'y'), (null, 'y')",
    "create table children (id integer primary key, a, b, c references parents2 (d),"
    " constraint family foreign key (a, b) references parents)",
    "create table parents2 (d text collate nocase primary key)",
    "insert into parents2 values ('É'), ('é'), ('A')",
    "create table padded (d text collate rtrim primary key)",
    "insert into children values (1, 1, 'x', 'a'), (2, 1, 'z', 'b'), (3, null, 'z', null)",
]


def test_keys_that_rows_break_are_named_with_counts(tmp_path: Path) -> None:
    with held(file_with(tmp_path, *KEYS)) as origin:
        tables = tables_of(origin)
        parents, parents2, padded, children = (
            origin.fit(tables[name], Answers())
            for name in ("parents", "parents2", "padded", "children")
        )
    assert [str(one) for one in parents.problems] == [
        "main.parents.a: 2 rows with NULL in the primary key (SQLite allows that: give them a"
        " value, delete them, or exclude the table)"
    ]
    assert [one.message[:48] for one in parents2.losses] == [
        "compares without case (NOCASE), the target does ",
    ]
    assert [one.message[:49] for one in padded.losses] == [
        "compares without blanks at the end (RTRIM), the t",
        "key padded_pkey (d) ignores blanks at the end (RT",
    ]
    assert [one.message.split(" to no row")[0] for one in children.losses] == [
        "foreign key children_c_fkey: 2 rows refer",
        "foreign key family: 1 row refers",
    ]
    assert children.orphaned == ("children_c_fkey", "family")


MERGED = [
    "create table uuids (u uuid primary key)",
    "insert into uuids values ('0123456789ABCDEF0123456789abcdef')",
    "insert into uuids select lower(u) from uuids",
    "create table moments (id integer primary key, at datetime, name text collate nocase,"
    " unique (name, at))",
    "insert into moments values (5, '2020-01-01 00:00:00', 'x'), (6, '2020-01-01T00:00:00', 'x'),"
    " (7, null, 'x'), (8, '2020-01-01T00:00:00.5', 'x'), (9, '2020-01-01T00:00:00', 'Y')",
    "create table documents (d json, live int)",
    "create unique index lively on documents (d) where live",
    """insert into documents values ('{"a": 1}', 1), ('{"a":1}', 1), ('{"a":  1}', 0)""",
    "create table fine (u uuid unique, at datetime unique, flag boolean unique)",
    "insert into fine values ('0123456789ABCDEF0123456789abcdef', '2020-01-01 00:00:00', 'True'),"
    " ('1123456789ABCDEF0123456789abcdef', '2020-01-01T00:00:01', 'false')",
]


def test_keys_that_only_sqlite_tells_apart_are_counted(tmp_path: Path) -> None:
    with held(file_with(tmp_path, *MERGED)) as origin:
        tables = tables_of(origin)
        found = {name: fitted(origin, table)[0].problems for name, table in tables.items()}
        as_text, _ = fitted(origin, tables["uuids"], u="text")
    said = {name: [one.message for one in problems] for name, problems in found.items()}
    same = "2 rows have keys that differ in SQLite, and are the same as"
    assert said == {
        "documents": [f"key lively (d): {same} json (first: rowid = 1)"],
        "fine": [],
        "moments": [f"key moments_name_at_key (name, at): {same} timestamp (first: id = 5)"],
        "uuids": [f"key uuids_pkey (u): {same} uuid (first: u = 0123456789ABCDEF0123456789abcdef)"],
    }
    assert as_text.problems == ()


def test_what_an_index_of_the_target_may_not_hold_is_counted(tmp_path: Path) -> None:
    url = file_with(
        tmp_path,
        "create table t (id integer primary key, note text, code text unique)",
        "create index notes on t (note)",
        "create unique index both on t (note, code)",
        "create index live on t (note) where id > 1",
        f"insert into t values (1, '{'n' * 2601}', 'a'), (2, 'b', '{'c' * 2601}')",
    )
    with held(url) as origin:
        fit, _ = fitted(origin, tables_of(origin)["t"])
    limit = "with more than 2,600 bytes, which an index of PostgreSQL may not hold"
    assert [(one.message, one.kind) for one in fit.losses] == [
        (f"index notes (note): 1 row {limit} (first: id = 1): it is not made", LossClass.STORAGE),
        (
            f"index both (note, code): 2 rows {limit} (first: id = 1): it is not made",
            LossClass.CONSTRAINTS,
        ),
    ]
    assert [one.message for one in fit.problems] == [
        f"key t_code_key (code): 1 row {limit} (first: id = 2)"
    ]
    assert fit.left_out == ("notes", "both")


def test_all_readers_see_one_snapshot(tmp_path: Path, database: Callable[[int], Database]) -> None:
    rows = "with recursive n (i) as (select 1 union all select i + 1 from n where i < 5000)"
    url = file_with(
        tmp_path,
        "create table t (id integer primary key, x text)",
        f"insert into t {rows} select i, 'row ' || i from n",
    )
    there = database(18)
    with held(url) as origin, closing(sqlite3.connect(url.removeprefix("sqlite://"))) as writer:
        table = tables_of(origin)["t"]
        fit, reading = fitted(origin, table)
        ranges = origin.cut(table, 4)
        writer.execute("delete from t where id % 2")
        writer.execute("insert into t values (9000, 'later')")
        writer.commit()
        arrive(origin, reading, there, ranges)
        parts = sum((origin.digest(reading, one) for one in ranges), Digest())
        whole = origin.digest(reading, Whole())
    assert (fit.rows, len(ranges)) == (5000, 4)
    assert whole == parts == digest_there(there, reading)
    assert whole.rows == 5000
