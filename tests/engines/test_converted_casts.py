"""Casts in expressions that other engines compute: what PostgreSQL makes of a value is what they
make of it, or the expression is not translated."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import duckdb
import pytest

from servers import Database
from windlass.engines.duckdb.destination import expressions as into_duckdb
from windlass.engines.mysql.destination import expressions as into_mysql
from windlass.engines.sqlite.destination import expressions as into_sqlite
from windlass.engines.sqlite.destination.carrying import carry
from windlass.model.conversion import PgColumn, PgType

# of constants; those marked True are translated for each engine
CASES = [
    ("(1)::boolean", True),
    ("(0)::boolean", True),
    ("('-1'::integer)::boolean", False),
    ("'yes'::boolean", True),
    ("' OF'::boolean", True),
    ("('t'::text)::boolean and not ('0'::text)::boolean", True),
    ("(1.5)::integer = 2", False),
    ("('-1.5'::numeric)::integer = '-2'::integer", False),
    ("(2.5e0)::bigint = 3", False),
    ("(3)::smallint = 3", True),
    ("'-5'::integer < 3", True),
    ("(1.25)::numeric(3,1) = 1.3", False),
    ("(1.3)::numeric(3,1) = 1.3", True),
    ("(1.5)::numeric(3,0) = 2", False),
    ("(123)::numeric(3,0) = 123", True),
    ("('99999999999999999999.9999999999')::numeric(38,10) > 1", True),
    ("('99999999999999999999.9999999999')::numeric(30,10) > 1", True),
    ("('99999999999999999999.99999999995')::numeric(38,10) > 1", False),
    ("'1e30'::numeric(33,2) > 1", True),
    ("'0.001'::numeric(3,1) = 0", False),
    ("'-2147483648'::integer < 0", True),
    ("'-9223372036854775808'::bigint < 0", True),
    ("(0.1)::real = (0.1)::double precision", False),
    ("(0.5)::double precision = (0.5)::double precision", True),
    ("((1)::double precision / (2)::double precision) = (0.5)::double precision", False),
    ("((1)::numeric / (2)::numeric) > 0.1", False),
    ("(7 / 2) = 3", True),
    ("'NaN'::numeric > 5", False),
    ("'abcdef'::character varying(3) = 'abc'", False),
    ("('abcdef'::character varying)::character varying(3) = 'abc'", False),
    ("('abc'::character varying)::character varying(3) = 'abc'", True),
    ("'ab '::bpchar = 'ab'::bpchar", False),
    ("'ab'::character(1) = 'a'::character(1)", False),
    ("'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'::uuid = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid",
     False),
    ("'abc' = any ((array['abcdef'::text])::character varying(3)[])", False),
    ("'abc' = any ((array['abc'::character varying, 'b'::character varying])::text[])", True),
    ("2 = any (array[(1.5)::integer])", False),
    ("'2024-01-01 10:00:00'::timestamp = '2024-01-01 10:00:00'::timestamp", True),
    ("'2024-01-01 10:00:00.6'::timestamp(0) = '2024-01-01 10:00:01'::timestamp", False),
    ("('2024-01-01 10:00:00.6'::timestamp)::timestamp(0) = '2024-01-01 10:00:01'::timestamp",
     False),
    ("('2024-01-01 10:00:00+00'::timestamptz)::timestamp = '2024-01-01 10:00:00'::timestamp",
     False),
    ("'2024-01-01 10:00:00'::timestamptz = '2024-01-01 10:00:00+00'::timestamptz", False),
    ("('2024-01-01 10:00:00+00'::timestamptz)::text = '2024-01-01 12:00:00+02'", False),
]  # fmt: skip
ENGINES: dict[str, Any] = {
    "sqlite": into_sqlite.TRANSLATOR,
    "duckdb": into_duckdb.TRANSLATOR,
    "mysql": into_mysql.TRANSLATOR,
}


def test_a_cast_of_a_constant_has_the_same_value_or_is_not_translated(
    database: Callable[[int], Database],
) -> None:
    query = "select " + ", ".join(f"({one})" for one, _ in CASES)
    with database(16).connect() as source:
        source.execute("set timezone = 'Europe/Berlin'")
        expected = source.execute(query.encode()).fetchone() or ()
    for (text, is_sure), value in zip(CASES, expected, strict=True):
        made = {name: one.translated(text, {}) for name, one in ENGINES.items()}
        if is_sure:
            assert None not in made.values(), (text, made)
        if made["sqlite"]:
            found = sqlite3.connect(":memory:").execute(f"select {made['sqlite']}").fetchone()
            assert bool(found[0]) == value, (text, made["sqlite"])
        if made["duckdb"]:
            row = duckdb.connect().execute(f"select {made['duckdb']}").fetchone()
            assert row is not None
            assert row[0] == value, (text, made["duckdb"])


def _columns(**types: PgType) -> dict[str, Any]:
    found = {name: carry(PgColumn(name, one)) for name, one in types.items()}
    return {name: (name, one) for name, one in found.items()}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(name)::text = 'x'", "(\"name\") = 'x'"),
        ("(n)::text < '10'", "CAST((\"n\") AS TEXT) < '10'"),
        ("(flag)::text = 'true'", None),  # stored as 1
        ("(at)::text = '2024-01-01 10:00:00'", None),  # has six digits of a second
        ("length((code)::text) = 1", None),  # has blanks
        ("(f)::text = '1e+20'", None),
        ("(name)::numeric > 5", None),  # would compare texts
        ("(f)::numeric = 0.3", None),  # is rounded to 15 digits
        ("(n)::numeric > 5", '("n") > 5'),
        ("((n)::double precision / 2) > 1", None),  # would divide integers
        ("(name)::character varying(3) = 'abc'", None),
        ("(name)::bpchar = 'abc'", None),
    ],
)
def test_a_cast_of_a_column_is_translated_if_it_changes_nothing(
    text: str, expected: str | None
) -> None:
    columns = _columns(
        name=PgType("varchar", "varchar"), n=PgType("integer", "int4"), f=PgType("f", "float8"),
        flag=PgType("boolean", "bool"), at=PgType("timestamp", "timestamp"),
        code=PgType("character(3)", "bpchar", modifier=7),
    )  # fmt: skip
    assert into_sqlite.TRANSLATOR.translated(text, columns) == expected
