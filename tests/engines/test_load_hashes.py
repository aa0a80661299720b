"""`mask: hash` of a load is a keyed hash, the same in every target and as in an export. The key is
nowhere but in the environment."""

from __future__ import annotations

import hashlib
import hmac
import sqlite3
from contextlib import closing, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from command import Ran
from export_shop import shop
from exporting import export, rows
from load_targets import LoadTarget, target
from servers import Database
from web_server import serving, with_ranges
from windlass.cli.main import run

__all__ = ["shop", "target"]  # fixtures

KEY = "0123456789abcdef, long"
OTHER = "another key of the same length"
SPEC = """
flow: load
from: {input}
into: people
{words}
columns:
  email: {{mask: hash}}
"""
PEOPLE = "create table people (id integer primary key, email {}, who varchar(100))"


def keyed(value: str, key: str = KEY) -> str:
    return hmac.new(key.encode(), value.encode(), hashlib.sha256).hexdigest()


def load(target: LoadTarget, *words: str, key: str | None = KEY) -> Ran:
    """In this process, as most of a short run in a separate one would be imports."""
    stdout, stderr = StringIO(), StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(stdout), redirect_stderr(stderr):
        for name, word in target.env.items():
            patch.setenv(name, word)
        if key is not None:
            patch.setenv("WINDLASS_HASH_KEY", key)
        code = run(["load", "--json", "-f", "load.yaml", *words])
    ran = Ran(code, stdout.getvalue(), stderr.getvalue())
    assert not key or key not in ran.said
    return ran


def people(target: LoadTarget, text: str, words: str = "load: merge\nkey: id") -> None:
    """A table, a file and a spec."""
    target.run(PEOPLE.format("varchar(64)"))
    target.file("people.csv", text)
    target.file("load.yaml", SPEC.format(input="people.csv", words=words))


def kept(target: LoadTarget) -> list[tuple[object, ...]]:
    return target.rows("select id, email, who from people order by id")


def test_hashes_are_hmacs_of_the_values_with_the_key(target: LoadTarget) -> None:
    people(target, "id,email,who\n1,a@b.c,Ann\n2,Ünï@b.c,\n3,,x\n")
    target.file("load.yaml", (target.folder / "load.yaml").read_text() + "csv: {null: ''}\n")
    load(target).expect(0)
    assert kept(target) == [
        (1, keyed("a@b.c"), "Ann"), (2, keyed("Ünï@b.c"), None), (3, None, "x"),
    ]  # fmt: skip
    for one in target.folder.rglob("*"):  # the database, its journal
        assert one.is_dir() or KEY.encode() not in one.read_bytes()


@pytest.mark.parametrize("target", ["sqlite"], indirect=True)  # it is the flow's work
@pytest.mark.parametrize("key", [None, "too short"])
def test_without_a_key_nothing_is_loaded(target: LoadTarget, key: str | None) -> None:
    people(target, "id,email,who\n1,a@b.c,Ann\n")
    ran = load(target, key=key)
    (problem,) = ran.expect(3).result["problems"]
    assert "WINDLASS_HASH_KEY" in problem["message"] and "email" in problem["message"]
    assert kept(target) == []


def test_a_value_that_others_read_is_hashed_beside_it(target: LoadTarget) -> None:
    people(target, "id,mail\n1,Ann@b.c\n")
    columns = "columns:\n  email: {from: mail, mask: hash}\n  who: {sql: 'lower(mail)'}\n"
    target.file("load.yaml", f"flow: load\nfrom: people.csv\ninto: people\nload: append\n{columns}")
    load(target).expect(0)
    assert kept(target) == [(1, keyed("Ann@b.c"), "ann@b.c")]


def test_what_is_set_aside_has_no_values_that_are_hidden(target: LoadTarget) -> None:
    words = "load: merge\nkey: id\nmax-bad: 2"
    people(target, "id,email,who\n1,a@b.c,Ann\nx,secret@b.c,Bob\n3,other@b.c,Eve,more\n", words)
    load(target).expect(0)
    found = str(target.refused())
    assert "Bob" in found and keyed("secret@b.c") in found
    assert "secret" not in found and "other@b.c" not in found


@pytest.mark.parametrize("target", ["sqlite"], indirect=True)  # it is the flow's work
def test_a_column_that_cannot_hold_a_hash_is_refused(target: LoadTarget) -> None:
    people(target, "id,email,who\n1,a@b.c,Ann\n")
    target.run("drop table people", PEOPLE.format("integer"))
    (problem,) = load(target).expect(3).result["problems"]
    assert "column email" in problem["message"] and "64 characters" in problem["message"]


def test_a_table_is_created_with_text_for_hashes(target: LoadTarget) -> None:
    pq.write_table(pa.table({"id": [1], "email": [5]}), target.folder / "p.parquet")
    target.file("load.yaml", SPEC.format(input="p.parquet", words="load: append\ncreate: true"))
    load(target).expect(0)
    assert target.rows("select id, email from people") == [(1, keyed("5"))]


# another key


def test_the_same_file_with_another_key_is_loaded_again(target: LoadTarget) -> None:
    people(target, "id,email,who\n1,a@b.c,Ann\n")
    load(target).expect(0)
    assert "nothing to do" in load(target).expect(0).said
    load(target, key=OTHER).expect(0)
    assert kept(target) == [(1, keyed("a@b.c", OTHER), "Ann")]


@pytest.mark.parametrize("target", ["sqlite"], indirect=True)  # it is the flow's work
def test_a_file_of_the_web_with_another_key_is_loaded_again(target: LoadTarget) -> None:
    people(target, "")
    with serving(with_ranges(b"id,email,who\n1,a@b.c,Ann\n")) as server:
        url, words = f"{server.url}/people.csv", "load: merge\nkey: id"
        target.file("load.yaml", SPEC.format(input=url, words=words))
        load(target).expect(0)
        assert "the server has the same ETag" in load(target).expect(0).said
        load(target, key=OTHER).expect(0)
    assert kept(target) == [(1, keyed("a@b.c", OTHER), "Ann")]


@pytest.mark.parametrize("target", ["sqlite"], indirect=True)  # it is the flow's work
def test_an_increment_with_another_key_reads_all_rows(target: LoadTarget) -> None:
    words = "load: merge\nkey: id\nsince: id"
    people(target, "")
    source = f"{{source: 'sqlite:///{target.folder}/old.db', relation: people}}"
    target.file("load.yaml", SPEC.format(input=source, words=words))
    with closing(sqlite3.connect(target.folder / "old.db")) as old:
        old.execute("create table people (id integer primary key, email text, who text)")
        old.execute("insert into people values (1, 'a', 'Ann'), (2, 'b', 'Bob')")
        old.commit()
    load(target).expect(0)
    assert load(target).expect(0).result["counts"]["read"] == 1
    ran = load(target, key=OTHER).expect(0)
    assert ran.result["counts"]["updated"] == 2 and "all rows are read" in str(ran.result)
    assert [one[1] for one in kept(target)] == [keyed("a", OTHER), keyed("b", OTHER)]
    assert load(target, key=OTHER).expect(0).result["counts"]["read"] == 1


@pytest.mark.parametrize("target", ["sqlite"], indirect=True)  # it is the flow's work
def test_a_hash_in_the_key_with_another_key_is_refused(target: LoadTarget) -> None:
    people(target, "id,email,who\n1,a@b.c,Ann\n", "load: merge\nkey: email")
    target.run("drop table people", "create table people (id integer, email varchar(64) not null"
               " primary key, who varchar(100))")  # fmt: skip
    load(target).expect(0)
    (problem,) = load(target, key=OTHER).expect(3).result["problems"]
    assert "column email is in the key" in problem["message"]
    assert kept(target) == [(1, keyed("a@b.c"), "Ann")]


# as in an export

VALUES = """
create table v (
    id int primary key, t text, c char(6), i bigint, n numeric(10, 2), w numeric, f float8,
    r real, b boolean, d date, s timestamp, z timestamptz, u uuid, y bytea, j jsonb, m time)
"""
ROWS = """
insert into v values
    (1, ' a ', 'ab', 5, 5.00, 1e20, 0.1, 0.1, true, '2026-01-31', '2026-01-31 10:00:00.5',
     '2026-01-31 10:00+02', '0c1d4a7e-5b1f-4a39-9a55-0f8a4c1d2e3f', '\\x0102', '{"b": 1, "a": 2}',
     '10:00:01'),
    (2, '', '', 0, 0, 'NaN', 1e-7, 1e20, false, '0044-03-15 BC', 'infinity', '-infinity',
     '00000000-0000-0000-0000-000000000000', '', '[]', '24:00'),
    (3, null, null, -1, -1.50, null, '-0', 'NaN', null, '12026-01-31', '12026-01-31', null, null,
     null, 'null', '00:00')
"""
COLUMNS = ["t", "c", "i", "n", "w", "f", "r", "b", "d", "s", "z", "u", "y", "j", "m"]


@pytest.mark.parametrize("beside", [False, True], ids=["in place", "beside"])
def test_a_load_hashes_as_an_export_does(
    shop: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beside: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    env = {"WINDLASS_HASH_KEY": KEY}
    shop.run(VALUES, ROWS)
    hashes = [f"v.{one}" for one in COLUMNS]
    export(shop, tmp_path, env=env, relations="public.v", hash=hashes).expect(0)
    exported = rows(tmp_path, f"select {', '.join(COLUMNS)} from v order by id")
    target = LoadTarget("duckdb", tmp_path)
    hashed = ", ".join(f"{one} varchar" for one in COLUMNS)
    plain = "".join(f", {one}2 varchar" for one in COLUMNS) if beside else ""
    target.run(f"create table v (id integer, {hashed}{plain})")
    rules = "".join(f"  {one}: {{mask: hash}}\n" for one in COLUMNS)
    if beside:
        rules += "".join(f"  {one}2: {{sql: 'cast({one} as varchar)'}}\n" for one in COLUMNS)
    source = f"{{source: '{shop.url}', relation: public.v}}"
    target.file(
        "load.yaml", f"flow: load\nfrom: {source}\ninto: v\nload: append\ncolumns:\n{rules}"
    )
    load(target).expect(0)
    loaded = target.rows(f"select {', '.join(COLUMNS)} from v order by id")
    for ours, theirs in zip(loaded, exported, strict=True):
        found = zip(COLUMNS, ours, theirs, strict=True)
        assert [name for name, one, other in found if one != other] == []
    assert loaded[0][2] == keyed("5") == loaded[0][3]
