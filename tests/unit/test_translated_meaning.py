"""Expressions of another engine that PostgreSQL would take, and compute otherwise."""

from __future__ import annotations

import pytest

from windlass.model.relation import Name
from windlass.model.translation import Field, Fit, Sort, SourceColumn, SourceTable, Type
from windlass.planning.postgres.translated.archive import Fitted
from windlass.planning.postgres.translated.expressions import translated
from windlass.planning.postgres.translated.known import Known
from windlass.planning.postgres.translated.views import translated_query

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
        # equal texts can differ by case
        ("mysql", "ci = 'open'", "LOWER(ci) = 'open'"),
        ("mysql", "'Open' <> ci", "'open' <> LOWER(ci)"),
        ("mysql", "ci in ('a', 'B')", "LOWER(ci) IN ('a', 'b')"),
        ("mysql", "ci = 'HI'", "LOWER(ci) = LOWER('HI' COLLATE default)"),  # not so in Turkish
        ("mysql", "upper(ci) <=> 'a'", "LOWER(UPPER(ci)) IS NOT DISTINCT FROM 'a'"),
        ("mysql", "case ci when 'a' then 1 end", "CASE LOWER(ci) WHEN 'a' THEN 1 END"),
        ("mysql", "s = 'Open'", "s = 'Open'"),
        ("mysql", "i = 1", "i = 1"),
        ("mysql", "case when ci is null then 1 end", "CASE WHEN ci IS NULL THEN 1 END"),
        ("sqlite", "ci = 'Open'", "LOWER(ci COLLATE C) = 'open'"),
        ("sqlite", "ci in ('a')", "LOWER(ci COLLATE C) IN ('a')"),
        ("sqlite", "ci < 'm'", "LOWER(ci COLLATE C) < 'm'"),
        ("sqlite", "ci between 'a' and 'm'", "LOWER(ci COLLATE C) BETWEEN 'a' AND 'm'"),
        ("sqlite", "s = ci", "s = ci"),  # by the first column's
        ("sqlite", "lower(ci) = 'A'", "LOWER(ci COLLATE C) = 'A'"),  # not of a column
        ("sqlite", "'x' || s > 'B'", "(('x' || s) COLLATE C) > 'B'"),
        # SQLite does not cut, and MySQL does not fill
        ("sqlite", "cast(s as varchar(3))", "CAST(s AS TEXT)"),
        ("mysql", "cast(s as char(3))", "CAST(s AS VARCHAR(3))"),
        ("mysql", "cast(i as char)", "CAST(i AS TEXT)"),
        ("sqlite", "cast(i as integer)", "CAST(i AS BIGINT)"),
        ("sqlite", "cast(i / 2 as int)", "CAST(i / NULLIF(2, 0) AS BIGINT)"),
        ("duckdb", "cast(d as decimal(9,1))", "CAST(d AS DECIMAL(9, 1))"),
        ("mysql", "trim(leading 'a' from s)", "TRIM(LEADING 'a' FROM s)"),
        ("sqlite", "trim(s, 'ab')", "TRIM('ab' FROM s)"),
        ("mysql", "lpad(s, 5, 'ab')", "LPAD(s, 5, 'ab')"),
        ("mysql", "f / i", "CAST(f AS DOUBLE PRECISION) / NULLIF(i, 0)"),
        ("mysql", "i div 2", "DIV(i, 2)"),
        ("mysql", "i div big", "DIV(i, NULLIF(big, 0))"),
        ("duckdb", "i >> 3", "i >> 3"),
        ("sqlite", "big << 40", "big << 40"),
        ("sqlite", "round(d)", "ROUND(d)"),
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
        ("mysql", "ci = s"),
        ("mysql", "nullif(ci, 'a') > 'b'"),
        ("mysql", "date_format(d, '%b') = 'jan'"),  # by the session's collation
        ("mysql", "concat(i, 'x') = '1X'"),
        ("mysql", "ci = char(65)"),
        ("duckdb", "ci = 'a'"),
        ("duckdb", "ci like 'a%'"),
        ("sqlite", "max(ci, 'a')"),
        ("sqlite", "s = 'a' collate nocase"),
        ("sqlite", "round(i, -1)"),  # no digits
        ("sqlite", "round(d, 1)"),  # as a double
        ("sqlite", "round(i * 1.5)"),
        ("duckdb", "cast(f as varchar)"),  # 1.0
        ("duckdb", "f || 'x'"),
        ("duckdb", "concat(s, f)"),
        ("duckdb", "concat_ws('-', s, f)"),
        ("duckdb", "concat(s, i / 2)"),
        ("sqlite", "i * 1.5 || 'x'"),
        ("duckdb", "cast(f as decimal(10, 2))"),
        ("mysql", "cast(f as decimal(10, 2))"),
        ("mysql", "cast(i as unsigned)"),
        ("mysql", "cast(s as binary)"),
        ("mysql", "trim(leading 'ab' from s)"),  # a text there, characters here
        ("mysql", "trim('ab' from s)"),
        ("duckdb", "trim(s)"),  # blanks of all kinds
        ("duckdb", "ltrim(s)"),
        ("mysql", "s rlike 'a'"),
        ("mysql", "not s regexp '^a'"),
        ("mysql", "regexp_replace(s, 'a', 'b')"),
        ("duckdb", "regexp_matches(s, 'a')"),
        ("duckdb", "regexp_full_match(s, 'a')"),
        ("duckdb", "regexp_extract(s, 'a')"),
        ("duckdb", "s similar to 'a'"),
        ("mysql", "i / 3"),  # a decimal
        ("mysql", "d / 2"),
        ("sqlite", "i % 2.5"),
        ("duckdb", "f // 2"),
        ("duckdb", "i >> 33"),
        ("duckdb", "i << 2"),
        ("sqlite", "i << 40"),
        ("mysql", "locate('a', s, i)"),
        ("mysql", "locate('a', s, 0)"),
        ("mysql", "lpad(s, 5, '')"),
        ("mysql", "rpad(s, i, 'x')"),
        ("duckdb", r"s ilike 'a\_'"),
    ],
)
def test_what_postgresql_computes_otherwise_is_not_translated(dialect: str, text: str) -> None:
    assert made(dialect, text) is None


TABLES = [
    Fitted(
        SourceTable(Name("", "t"), tuple(SourceColumn(name, "") for name in TYPES)),
        Fit(tuple(Field(name, type_) for name, type_ in TYPES.items()), 0, 0),
    )
]


def shown(dialect: str, text: str) -> str | None:
    query = translated_query(text, dialect, TABLES)
    if query is None or query.unlike:
        return None
    words = " ".join(query.text({}).replace('"', "").split())
    return words.replace("( ", "(").replace(" )", ")")


@pytest.mark.parametrize(
    ("dialect", "text", "expected"),
    [
        ("sqlite", "select max(s) m from t", "SELECT MAX((s COLLATE C)) AS m FROM t"),
        ("mysql", "select max(i) m from t", "SELECT MAX(i) AS m FROM t"),
        ("sqlite", "select s from t order by s limit 3", "(s COLLATE C) NULLS FIRST LIMIT 3"),
        ("mysql", "select ci from t order by ci", "SELECT ci FROM t ORDER BY ci NULLS FIRST"),
        ("mysql", "select i from t order by 1 limit 1", "ORDER BY 1 NULLS FIRST LIMIT 1"),
        ("sqlite", "select rank() over (order by s) r from t", "(ORDER BY (s COLLATE C) NULLS"),
        ("sqlite", "select upper(s) u from t", "UPPER(s COLLATE C)"),
        ("mysql", "select i from t where ci = 'a'", "WHERE LOWER(ci) = 'a'"),
        ("mysql", "select n from (select count(*) n from t) x where x.n = 3", "x.n = 3"),
        ("mysql", "select x.n from (select count(*) n from t) x join t on t.i = x.n", "t.i = x.n"),
        ("duckdb", "select avg(i) m from t", "AVG(CAST(i AS DOUBLE PRECISION))"),
        ("mysql", "select avg(f) m from t", "AVG(f)"),
    ],
)  # fmt: skip
def test_a_view_compares_and_sorts_as_the_source_does(
    dialect: str, text: str, expected: str
) -> None:
    assert expected in (shown(dialect, text) or "")


@pytest.mark.parametrize(
    ("dialect", "text"),
    [
        ("mysql", "select max(s) m from t"),
        ("mysql", "select ci from t order by ci limit 3"),
        ("mysql", "select ci as c from t order by c limit 3"),
        ("mysql", "select ci from t order by 1 limit 3"),
        ("mysql", "select rank() over (order by s) r from t"),
        ("mysql", "select group_concat(s order by s) g from t"),
        ("mysql", "select avg(i) m from t"),
        ("mysql", "select a.i from t a join t b using (ci)"),
        ("sqlite", "select min(ci) m from t"),
        # of a subquery's columns nothing is known
        ("mysql", "select u from (select upper(ci) u from t) x where u = 'a'"),
        ("mysql", "select u from (select upper(ci) u from t) x where u like 'a'"),
        ("sqlite", "select u from (select upper(s) u from t) x where u > 'B'"),
        ("sqlite", "select cast(u as text) c from (select f * 2 u from t) x"),
        ("sqlite", "select u || '' c from (select f * 2 u from t) x"),
        ("sqlite", "select i % 2 r from (select f i from t) x"),
        ("duckdb", "select regexp_matches(s, 'a') r from t"),
    ],
)
def test_a_view_that_would_compare_or_sort_otherwise_is_not_translated(
    dialect: str, text: str
) -> None:
    assert shown(dialect, text) is None
