"""Features of 12 and 13 that versions since 14 refuse are named by the plan."""

from __future__ import annotations

import pytest

from command import DONE, REFUSED, migrate
from servers import Pair

pytestmark = pytest.mark.parametrize("pair", [(13, 18)], indirect=True)


def test_postfix_operators_and_aggregates_of_changed_functions_are_refused(pair: Pair) -> None:
    pair.source.run(
        "create schema s",
        "create function s.twice(int) returns int language sql as 'select 2 * $1'",
        "create operator s.@@@ (leftarg = int, function = s.twice)",
        "create aggregate s.list(anyelement) (sfunc = array_append, stype = anyarray)",
        "create aggregate s.total(int) (sfunc = int4pl, stype = int)",
        "create type s.mood as enum ('a')",
        "create aggregate s.moods(s.mood) (sfunc = array_append, stype = s.mood[])",
    )
    problems = migrate(pair).expect(REFUSED).result["problems"]
    assert {one["object"].partition("(")[0] for one in problems} == {
        "operator s.@@@", "aggregate s.list",
    }  # fmt: skip
    pair.source.run("drop operator s.@@@ (int, none)", "drop aggregate s.list(anyelement)")
    migrate(pair).expect(DONE)
