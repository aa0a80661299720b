"""Two texts of a definition are reported as equal exactly when they are."""

from __future__ import annotations

import pytest

from windlass.engines.postgres.meaning import Since, doubts

VIEW = "create view s.v as select {} from {}"
SAME = [
    (VIEW.format("base.id", "s.base"), VIEW.format("id", "s.base")),
    (VIEW.format("b.id", "s.base b"), VIEW.format("id", "s.base b")),
    (VIEW.format("f.x", "s.f() f(x)"), VIEW.format("x", "s.f() f(x)")),
    (VIEW.format("q.x", "(select 1 as x) q"), VIEW.format("x", "(select 1 as x) q")),
    (
        VIEW.format("t.a", "s.t tablesample system (10) where t.a > 1 group by t.a"),
        VIEW.format("a", "s.t tablesample system (10) where a > 1 group by a"),
    ),
    (
        "create materialized view s.v as select t.a from s.t with no data",
        "create materialized view s.v as select a from s.t with no data",
    ),
    (
        'create rule "_RETURN" as on select to s.v do instead select t.a from s.t group by t.a',
        'create rule "_RETURN" as on select to s.v do instead select a from s.t group by a',
    ),
    (
        "alter table s.t alter a set (n_distinct=-0.5)",
        "ALTER TABLE s.t ALTER a SET (n_distinct = -0.5);",
    ),
]
OTHER = [
    (VIEW.format("base.id", "s.base"), VIEW.format("ref", "s.base")),
    (VIEW.format("a.id", "s.a, s.b"), VIEW.format("id", "s.a, s.b")),
    (VIEW.format("a.id", "s.a join s.b using (id)"), VIEW.format("id", "s.a join s.b using (id)")),
    (VIEW.format("(select a.x from s.a)", "s.b"), VIEW.format("(select x from s.a)", "s.b")),
    (VIEW.format("a.*::s.a", "s.a"), VIEW.format("a", "s.a")),
    ("create rule r as on insert to s.v do also select t.a from s.t", "create rule r as on"
     " insert to s.v do also select a from s.t"),
    ("comment on table s.t is 'a'", "comment on table s.t is 'b'"),
    ("no statement", "no statement at all"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), SAME)
def test_spelling_and_needless_qualifiers_make_no_difference(one: str, other: str) -> None:
    assert doubts(one, other, Since()) == []
    assert doubts(other, one, Since()) == []


@pytest.mark.parametrize(("one", "other"), OTHER)
def test_anything_else_does(one: str, other: str) -> None:
    assert doubts(one, other, Since()) != []
    assert doubts(other, one, Since()) != []
