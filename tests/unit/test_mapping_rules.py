"""What the words of a mapping make of a table's columns, whatever they are."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.model.mapping import Mapping
from windlass.model.relation import Column, Name
from windlass.planning.postgres.mapped.expressions import fault_of, type_fault
from windlass.planning.postgres.mapped.rules import ruled
from windlass.planning.postgres.translated.expressions import expression_fault
from windlass.spec.mapping import MappedColumnSpec

GIVEN = tuple(Column(name, "text") for name in "abcde")
NAMES = st.sampled_from([*"abcdexyz"])
RULES: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    NAMES,
    st.just({"mask": "hash"}),
    st.just({"mask": "null"}),
    st.builds(lambda name: {"from": name}, NAMES),
    st.builds(lambda name: {"from": name, "mask": "hash"}, NAMES),
    st.just({"value": 7}),
    st.just({"sql": "a || b"}),
)


def hashed(column: str, type_: str) -> str:
    return f"hash({column})"


@given(st.dictionaries(NAMES, RULES, max_size=6))
def test_no_rule_lets_a_value_through_that_it_hides_or_loses_one_unnamed(
    words: dict[str, Any],
) -> None:
    rules = {name: MappedColumnSpec.model_validate(one) for name, one in words.items()}
    found = ruled(GIVEN, rules, hashed)
    if found.faults:
        return
    targets = [one.target for one in found.columns]
    assert len(set(targets)) == len(targets)
    mapping = Mapping(Name("s", "t"), Name("s", "t"), tuple(found.columns), GIVEN)
    plain = [(one.source, one.target) for one in found.columns if not one.is_changed]
    for column in GIVEN:
        rule = rules.get(column.name)
        asked = {to for to, one in rules.items() if one.from_ == column.name and one.mask is None}
        raw = {to for source, to in plain if source == column.name}
        masked = [one for one in rules.values() if one.mask and one.from_ == column.name]
        if rule and rule.to:
            assert raw == asked | {rule.to}
        elif rule or masked or asked:  # it is hidden, unless a line names it
            assert raw == asked
        else:
            assert raw == {column.name}
        arrives = any(one.source == column.name for one in found.columns)
        assert (column.name in mapping.dropped) is not arrives
    for name, rule in rules.items():
        if rule.mask or rule.sql or "value" in rule.model_fields_set:
            assert mapping.column(name).is_changed


ONE = ("a", "upper(a)", "a -- b", "case when a then 1 end", "(select max(x) from s.t)")
NONE = (
    "",
    "a, b",
    "1), (2",
    "true) group by (1",
    "1) from s.t; drop table s.t; select (1",
    "'a",
    "random()",
    "current_timestamp",
)


@pytest.mark.parametrize("text", ONE)
def test_an_expression_is_taken(text: str) -> None:
    assert fault_of(text, lambda called: called & {"random"}) == ""
    assert [expression_fault(text, dialect) for dialect in ("sqlite", "mysql")] == ["", ""]


@pytest.mark.parametrize("text", NONE)
def test_what_is_more_or_less_than_one_steady_expression_is_refused(text: str) -> None:
    assert fault_of(text, lambda called: called & {"random"})
    assert all(expression_fault(text, dialect) for dialect in ("sqlite", "mysql"))


@pytest.mark.parametrize("text", ["int", "numeric(10, 2)", "text[]", "s.mood", "varchar(3)"])
def test_a_type_is_taken(text: str) -> None:
    assert type_fault(text) == ""


@pytest.mark.parametrize("text", ["", "int)", "int) , (1", "int + 1", "int; drop table s.t"])
def test_what_is_no_type_is_refused(text: str) -> None:
    assert type_fault(text)
