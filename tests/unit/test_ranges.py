"""A range as a condition: its meaning, and that it can be combined with others."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import sql

from windlass.engines.postgres.ranges import condition
from windlass.engines.postgres.syntax import tree_of
from windlass.model.chunk import BlockRange, KeyRange, NullKeys, Range, Whole
from windlass.model.relation import Column, Kind, Name, Relation

ORDERS = Relation(
    Name("shop", "orders"),
    Kind.TABLE,
    (
        Column("id", "bigint"),
        Column("code", "character varying(10)"),
        Column('odd "name"', "shop.mood"),
        Column("at", "timestamp with time zone"),
    ),
)

CONDITIONS = [
    (Whole(), "true"),
    (BlockRange(0, 5), "ctid >= '(0,0)'::tid and ctid < '(5,0)'::tid"),
    (BlockRange(5, None), "ctid >= '(5,0)'::tid"),
    (KeyRange(("id",), None, None), '"id" is not null'),
    (KeyRange(("id",), None, ("9",)), """"id" is not null and ("id") < ('9'::bigint)"""),
    (KeyRange(("id",), ("-9",), None), """"id" is not null and ("id") >= ('-9'::bigint)"""),
    (
        KeyRange(("id", "code"), ("1", "it's"), ("2", "")),
        '"id" is not null and "code" is not null'
        """ and ("id", "code") >= ('1'::bigint, 'it''s'::character varying(10))"""
        """ and ("id", "code") < ('2'::bigint, ''::character varying(10))""",
    ),
    (
        KeyRange(('odd "name"',), ("so{}so %s",), None),
        '"odd ""name""" is not null'
        """ and ("odd ""name""\") >= ('so{}so %s'::shop.mood)""",
    ),
    (NullKeys(("id",)), '("id" is null)'),
    (NullKeys(("id", "at")), '("id" is null or "at" is null)'),
]


@pytest.mark.parametrize(("range_", "text"), CONDITIONS)
def test_a_range_reads_as(range_: Range, text: str) -> None:
    assert condition(range_, ORDERS).as_string(None) == text


words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
keys = st.tuples(words, words)
ranges = st.one_of(
    st.just(Whole()),
    st.builds(BlockRange, st.integers(0, 2**32 - 2), st.none() | st.integers(0, 2**32 - 1)),
    st.builds(KeyRange, st.just(("id", "code")), st.none() | keys, st.none() | keys),
    st.builds(NullKeys, st.sampled_from([("id",), ("id", "at")])),
)


def where(text: str) -> Any:
    """The condition's parse tree."""
    return tree_of(f"select from t where {text}").whereClause


@settings(deadline=None)
@given(ranges)
def test_a_range_is_one_condition_whatever_its_bounds_are(range_: Range) -> None:
    assert where(condition(range_, ORDERS).as_string(None)) is not None


@settings(deadline=None)
@given(ranges)
def test_a_range_can_be_narrowed_by_another_condition(range_: Range) -> None:
    """Beside ``and``, what is within a range stays within it."""
    narrowed = sql.SQL("{} and extra").format(condition(range_, ORDERS)).as_string(None)
    found = where(narrowed)
    assert found.boolop == "AND_EXPR"
    assert found.args[-1].fields[0].sval == "extra"


@settings(deadline=None)
@given(st.tuples(words, words))
def test_bounds_arrive_letter_by_letter(bound: tuple[str, str]) -> None:
    text = condition(KeyRange(("id", "code"), bound, None), ORDERS).as_string(None)
    row = where(text).args[-1].rexpr
    assert tuple(cast.arg.val.sval for cast in row.args) == bound
