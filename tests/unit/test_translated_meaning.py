"""Expressions of another engine that PostgreSQL would take, and compute otherwise."""

from __future__ import annotations

import pytest

from windlass.model.translation import Sort, Type
from windlass.planning.postgres.translated.expressions import translated
from windlass.planning.postgres.translated.meaning import Known

TYPES = {
    "i": Type(Sort.INTEGER, bits=32),
    "big": Type(Sort.INTEGER, bits=64),
    "d": Type(Sort.DECIMAL, precision=9, scale=2),
    "f": Type(Sort.FLOAT, bits=64),
    "s": Type(Sort.TEXT),
    "ci": Type(Sort.TEXT, ignores_case=True),
    "b": Type(Sort.BYTES),
    "t": Type(Sort.BOOLEAN),
    "latin": Type(Sort.TEXT),
    "show": Type(Sort.INTEGER, bits=32),
}
NULL_IF = "CASE WHEN i IS NULL OR f IS NULL THEN NULL"
LEAST = "(CASE WHEN i IS NULL THEN NULL ELSE LEAST(100, i) END)"
CLAMPED = f"(CASE WHEN {LEAST} IS NULL THEN NULL ELSE GREATEST(0, {LEAST}) END)"
REST = "i % NULLIF(big, 0)"
MOST_REST = f"(CASE WHEN {REST} IS NULL THEN NULL ELSE GREATEST({REST}, 1) END)"
TIMES = "f * CAST(2.5 AS DOUBLE PRECISION)"
MOST_TIMES = f"(CASE WHEN {TIMES} IS NULL THEN NULL ELSE GREATEST(0.5, {TIMES}) END)"
MOST_TEXT = "(CASE WHEN s IS NULL THEN NULL ELSE GREATEST((s COLLATE C), 'b') END)"
KNOWN = Known(TYPES, {"latin"})


def made(dialect: str, text: str) -> str | None:
    found = translated(text, dialect, {name: name for name in TYPES}, KNOWN)
    return found and found.replace('"', "")


@pytest.mark.parametrize(
    ("dialect", "text", "expected"),
    [
        # NULL if one is; PostgreSQL's leave NULLs out
        ("sqlite", "max(i, f)", f"({NULL_IF} ELSE GREATEST(i, f) END)"),
        ("mysql", "least(i, f)", f"({NULL_IF} ELSE LEAST(i, f) END)"),
        ("duckdb", "greatest(i, 2)", "GREATEST(i, 2)"),
        # a part within a part that is written in other words
        ("sqlite", "max(0, min(100, i))", CLAMPED),
        ("mysql", "greatest(0, least(100, i))", CLAMPED),
        ("sqlite", "substr(s, -3) like 'abc'", "((RIGHT(s, 3)) COLLATE C) ILIKE 'abc'"),
        ("sqlite", "max(i % big, 1)", MOST_REST),
        ("sqlite", "max(0.5, f * 2.5)", MOST_TIMES),
        ("sqlite", "max(s, 'b') < 'c'", f"({MOST_TEXT} COLLATE C) < 'c'"),
        ("sqlite", "lower(s) < 'b'", "((LOWER(s COLLATE C)) COLLATE C) < 'b'"),
        # words that begin statements
        ("mysql", "replace(`s`, 'a', 'b')", "REPLACE(s, 'a', 'b')"),
        ("sqlite", "replace(substr(s, -3), 'a', 'b')", "REPLACE(RIGHT(s, 3), 'a', 'b')"),
        ("sqlite", "show % big", "show % NULLIF(big, 0)"),
        # a negative start counts from the end
        ("sqlite", "substr(s, -3)", "RIGHT(s, 3)"),
        ("sqlite", "substr(s, 0, 2)", "SUBSTRING(s FROM 0 FOR 2)"),
        ("sqlite", "substr(s, instr(s, '@') + 1)", "SUBSTRING(s FROM POSITION('@' IN s) + 1)"),
        # NULL if the divisor is 0
        ("sqlite", "i % big", "i % NULLIF(big, 0)"),
        # without the case of ASCII letters
        ("sqlite", "s like 'a%'", "(s COLLATE C) ILIKE 'a%'"),
        ("sqlite", "s not like 'a%'", "(s COLLATE C) NOT ILIKE 'a%'"),
        ("mysql", "ci like 'a%'", "ci ILIKE 'a%'"),
        ("mysql", "s like 'a%'", "s LIKE 'a%'"),
        # in the order of bytes, whatever the order of the target's database
        ("sqlite", "s between 'a' and 'c'", "(s COLLATE C) BETWEEN 'a' AND 'c'"),
        ("duckdb", "lower(s) < 'b'", "((LOWER(s)) COLLATE C) < 'b'"),
        ("sqlite", "i < 2", "i < 2"),
        # as DuckDB's catalog has POSITION('b' IN s)
        ("duckdb", "\"position\"(s, 'b')", "POSITION('b' IN s)"),
        ("mysql", "i & 1", "i & 1"),
        ("sqlite", "f * 1.5 + 2", "f * CAST(1.5 AS DOUBLE PRECISION) + 2"),
        ("mysql", "d * 1.5", "d * 1.5"),
    ],
)  # fmt: skip
def test_what_other_words_say_is_written_in_these(dialect: str, text: str, expected: str) -> None:
    assert made(dialect, text) == expected


@pytest.mark.parametrize(
    ("dialect", "text"),
    [
        ("sqlite", "substr(s, i)"),
        ("sqlite", "substr(s, -3, 2)"),
        ("sqlite", "substr(s, 2, -1)"),
        ("sqlite", "substr(b, 1, 1)"),  # no bytes are NULL
        ("mysql", "substr(s, -3)"),  # nothing, if the text is shorter
        ("mysql", "substr(s, 0, 2)"),
        ("mysql", "left(s, -1)"),
        ("mysql", "locate('b', ci)"),  # without case
        ("mysql", "ci > 'm'"),
        ("mysql", "greatest(s, ci)"),
        ("sqlite", "round(f)"),  # 2.5 is 3 there, and 2 here
        ("duckdb", "round(f)"),
        ("sqlite", "d / 2"),  # 5.00 is a whole number, and half of it 2
        ("mysql", "big / 3"),  # more digits than a double's
        ("sqlite", "d % 2"),
        ("sqlite", "cast(f as integer)"),  # truncated there, rounded here
        ("sqlite", "cast(s as real)"),
        ("mysql", "cast(s as signed)"),
        ("duckdb", "try_cast(s as integer)"),
        ("sqlite", "s || f"),
        ("mysql", "concat(s, t)"),
        ("sqlite", r"s like 'a\_%'"),
        ("sqlite", "s like ci"),
        ("mysql", "i | big"),  # without sign
        ("mysql", "~i"),
        ("mysql", "i & big"),
        ("sqlite", "i << big"),
        ("mysql", "length(latin)"),
        ("mysql", "md5(latin)"),
        ("sqlite", "ln(f)"),  # NULL there, an error here
        ("sqlite", "unicode(s)"),
        ("sqlite", "max(i, '5')"),  # a text is more than any number
        ("mysql", "replace(s, 'a', 'b') > 'm'"),
        ("mysql", "greatest(0, left(s, -1))"),
        ("sqlite", "i) from (select 1"),
        ("sqlite", "select 1; select 2"),
    ],
)
def test_what_postgresql_computes_otherwise_is_not_translated(dialect: str, text: str) -> None:
    assert made(dialect, text) is None
