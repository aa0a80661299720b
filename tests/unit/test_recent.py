"""Values that a process keeps because it was asked for them lately."""

from __future__ import annotations

from windlass.run.recent import Recent


def test_what_was_not_asked_for_is_forgotten_first() -> None:
    kept: Recent[str, str] = Recent(6, len)
    kept.put("a", "xx")
    kept.put("b", "yy")
    assert kept.get("a") == "xx"
    kept.put("c", "zzz")  # 7 in all
    assert [kept.get(one) for one in "abc"] == ["xx", None, "zzz"]


def test_a_value_that_is_too_large_is_kept_alone_and_a_new_one_replaces_it() -> None:
    kept: Recent[str, str] = Recent(3, len)
    kept.put("a", "xx")
    kept.put("b", "yyyyy")
    assert [kept.get("a"), kept.get("b")] == [None, "yyyyy"]
    kept.put("b", "y")
    kept.put("a", "xx")  # 3 in all: what was replaced counts no more
    assert [kept.get("a"), kept.get("b")] == ["xx", "y"]
