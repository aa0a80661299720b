"""JSON is printed as PostgreSQL's jsonb prints it, and refused where that refuses it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from servers import Server
from windlass.engines.jsonb_text import MOST_DECIMALS, MOST_DIGITS, NoJsonb, jsonb_text, printed

TEXTS = [
    "null",
    "true",
    "false",
    '""',
    "[]",
    "{}",
    " [ 1 , {} ,[ ] ] ",
    '{"b":1,"a":2,"aa":3,"é":4,"zz":5}',
    '{"a":1,"a":2}',
    '{"a":{"x":1},"b":[{"k":1,"k":2}],"a":null}',
    '"\\u00e9\\ud83d\\ude00\\/"',
    '"\\b\\f\\n\\r\\t\\u0001\\u001f\\u007f\\u2028"',
    '"quote \\" backslash \\\\ apostrophe \'"',
    "0",
    "-0",
    "-0.0",
    "0.00",
    "1.0",
    "1.50",
    "1e2",
    "1E+2",
    "1e-2",
    "1.50e1",
    "100e-1",
    "1.5e-3",
    "0e5",
    "0e-3",
    "-0e3",
    "-1.2e-1",
    "0.1e1",
    "0.01e1",
    "123456789012345678901234567890.0123456789",
    "1e131071",
    "0.0e400",
    "12e20",
    "-1e-16383",
    "[-0, 1e3, 0.10, 1e-7]",
    "9" * 5000,
    '{"":1," ":2,"A":3,"a":4,"10":5,"9":6}',
]
REFUSED = [
    "",
    "nul",
    "NaN",
    "[Infinity]",
    "-Infinity",
    "[1,]",
    "{'a':1}",
    '{"a"}',
    '"a',
    '"\t"',
    '"a\nb"',
    "01",
    "1.",
    ".5",
    "+1",
    "[1 2]",
    '"\\u0000"',
    '{"\\u0000":1}',
    '"\\ud83d"',
    '"\\ude00\\ud83d"',
    '"\\x"',
    "1e131072",
    "1e-16384",
    "1e99999999999999999999",
    "\u00a01",
    "0x1",
    '{"a":1}}',
    "True",
]


@pytest.fixture(scope="module")
def session(server: Callable[[int], Server]) -> Iterator[psycopg.Connection]:
    with server(18).admin.connect() as connection:
        yield connection


def by_postgres(session: psycopg.Connection, text: str) -> str | None:
    try:
        ((found,),) = session.execute("select %s::text::jsonb::text", [text])
    except psycopg.DataError:
        return None
    return str(found)


@pytest.mark.parametrize("text", TEXTS)
def test_json_is_printed_as_jsonb_prints_it(session: psycopg.Connection, text: str) -> None:
    assert jsonb_text(text) == by_postgres(session, text)


@pytest.mark.parametrize("text", REFUSED)
def test_what_jsonb_refuses_is_refused(session: psycopg.Connection, text: str) -> None:
    assert by_postgres(session, text) is None
    with pytest.raises(NoJsonb):
        jsonb_text(text)


def test_the_most_digits_are_those_of_numeric(session: psycopg.Connection) -> None:
    for fits, over in (("1e{}", MOST_DIGITS - 1), ("1e-{}", MOST_DECIMALS)):
        assert jsonb_text(fits.format(over)) == by_postgres(session, fits.format(over))
        assert by_postgres(session, fits.format(over + 1)) is None


def test_doubled_keys_are_counted() -> None:
    assert printed('{"a":1,"a":2,"b":{"c":1,"c":2,"c":3}}').doubled == 3


CHARACTERS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | CHARACTERS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(CHARACTERS, inner, max_size=4),
    max_leaves=12,
)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(value=VALUES, ascii=st.booleans())
def test_any_value_is_printed_as_jsonb_prints_it(
    session: psycopg.Connection, value: object, ascii: bool
) -> None:
    text = json.dumps(value, ensure_ascii=ascii)
    assert jsonb_text(text) == by_postgres(session, text)
