"""Rows that are hashed as they are copied: the same digest as the target's, and no other row has
it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from command import DIFFERENT
from origin_tables import arrive, fitted, tables_of
from sent_rows import arrived, send
from servers import Database
from sqlite_files import file_with, held
from translating import Move, sqlite_shop
from windlass.engines.hashed_lines import LineDigest
from windlass.engines.postgres.foreign.digests import Part
from windlass.model.translation import Digest

FLOATS = (
    "0.1, 123.456, -0.1, -375.61024782622, 0.00390625, 9007199254740991, -2.5, 0, 0.0, 7, null,"
    " 0.0039062500000000004, 0.001, -1.2345678901234567e-19, 0.0039062499999999996, 1e-20,"
    " 4503599627370495.5, 1e15, 1234567.891"
)
TOO_FINE = ("1e300", "1e-21", "9e999", "9007199254740992.0", "5e-324")
STRAYS = (  # what the column holds, what it is made on the target instead
    ("t", "null", r"E'\\N'"),
    ("t", "'a'", "E'a\\tb'"),
    ("t", "''", "null"),
    ("r", "0", "'-0'::float8"),
    ("r", "0.1", "0.10000000000000002"),
    ("r", "12.5", "'NaN'"),
    ("r", "null", "0"),
    ("n", "5", "null"),
)
TABLE = "create table t (id integer primary key, n int, t text, r real, u text)"


def test_floats_are_sent_and_hashed_exactly(
    tmp_path: Path, database: Callable[[int], Database]
) -> None:
    rows = "".join(f"insert into t (r) values ({one});" for one in FLOATS.split(","))
    there = database(16)
    with held(file_with(tmp_path, TABLE, rows)) as origin:
        _, reading = fitted(origin, tables_of(origin)["t"])
        arrive(origin, reading, there, ranges=())
        digest = send(origin, reading, there)
    assert digest is not None
    assert digest == arrived(there, reading)
    found = [value for (value,) in there.rows("select r from public.t order by id")]
    assert found == [None if "null" in one else float(one) for one in FLOATS.split(",")]


@pytest.mark.parametrize("value", [*TOO_FINE, *(f"-{one}" for one in TOO_FINE)])
def test_a_float_with_too_many_binary_digits_is_not_sent_so(tmp_path: Path, value: str) -> None:
    with held(file_with(tmp_path, TABLE, f"insert into t (r) values (1), ({value})")) as origin:
        _, reading = fitted(origin, tables_of(origin)["t"])
        assert send(origin, reading) is None


def test_texts_that_are_escaped_are_hashed_as_the_target_prints_them(
    tmp_path: Path, database: Callable[[int], Database]
) -> None:
    """Some by the sender, some only by PostgreSQL; a text `\\N` is not NULL."""
    texts = [
        "a\\b",
        "\\N",
        "a\tb",
        "a\nb",
        "a\rb",
        "\\\\N",
        "\\.",
        *map(chr, range(1, 33)),
        "\x7f",
        "é",
    ]
    texts += [f"a{one}\\{one}" for one in texts]
    rows = "".join(f"insert into t (t) values ('{one}');" for one in texts)
    there = database(16)
    with held(file_with(tmp_path, TABLE, rows, "insert into t (t) values (null)")) as origin:
        _, reading = fitted(origin, tables_of(origin)["t"])
        arrive(origin, reading, there, ranges=())
        digest = send(origin, reading, there)
    assert digest is not None
    assert digest == arrived(there, reading)
    assert there.rows("select t from public.t order by id") == [*((one,) for one in texts), (None,)]


@pytest.mark.parametrize(("column", "value", "stray"), STRAYS)
def test_no_other_value_has_the_same_digest(
    tmp_path: Path, database: Callable[[int], Database], column: str, value: str, stray: str
) -> None:
    rows = f"insert into t ({column}, u) values ({value}, 'u'), ({value}, null)"
    there = database(16)
    with held(file_with(tmp_path, TABLE, rows)) as origin:
        _, reading = fitted(origin, tables_of(origin)["t"])
        arrive(origin, reading, there)
        digest = send(origin, reading)
    assert digest == arrived(there, reading)
    there.run(f"update public.t set {column} = {stray} where id = 2")
    assert digest != arrived(there, reading)


def test_a_block_with_fields_too_many_is_not_hashed() -> None:
    digest = LineDigest(2)
    digest.add(b"1\ta\n2\tb\n")
    assert digest.hashed is not None
    digest.add(b"1\ta\tb\n")
    assert digest.hashed is None


@pytest.mark.parametrize("of", [1, 2, 3, 7])
def test_parts_of_a_table_have_each_row_once(
    tmp_path: Path, database: Callable[[int], Database], of: int
) -> None:
    rows = "with recursive n (i) as (select 1 union all select i + 1 from n where i < 3000)"
    rows += " insert into t (id, t) select i, 'note ' || i from n"
    there = database(16)
    with held(file_with(tmp_path, TABLE, rows)) as origin:
        _, reading = fitted(origin, tables_of(origin)["t"])
        arrive(origin, reading, there)
        digest = send(origin, reading)
    assert sum((arrived(there, reading, Part(at, of)) for at in range(of)), Digest()) == digest


def test_a_migration_compares_what_it_has_sent(
    tmp_path: Path, database: Callable[[int], Database]
) -> None:
    """Once the rows are in, a trigger of the target changes one: the source is not read again."""
    move = Move(sqlite_shop(tmp_path / "shop.db", "create table w (v int)", items=5), database(16))
    move.source.run("insert into w values (1), (2)")
    move.target.run(
        "create function meddle() returns event_trigger language plpgsql as $$ begin"
        " if exists (select from pg_class where relname = 'w') then"
        " update public.w set v = 3 where v = 2; end if; end $$",
        "create event trigger meddling on ddl_command_end when tag in ('CREATE INDEX')"
        " execute function meddle()",
    )
    found = move.command("migrate").expect(DIFFERENT).result["differences"]
    assert {one["object"] for one in found} == {"public.w"}
    noted = "select count(*) from windlass.line where note ? 'lines' and relation like '%w'"
    assert move.target.value(noted) == 1
    escaped = noted.replace("%w", '%name"')
    assert move.target.value(escaped) == 1
