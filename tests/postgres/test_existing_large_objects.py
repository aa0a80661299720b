"""Existing large objects of the target: left alone, refused by id, or kept under other ids."""

from __future__ import annotations

import pytest

from command import DONE, REFUSED, migrate, verify, windlass
from corpora import corpus
from large_objects import state
from servers import Pair


def test_objects_with_other_ids_are_left_as_they_are(pair: Pair) -> None:
    pair.source.load(corpus("large_objects"))
    pair.target.run("select lo_from_bytea(77, 'mine')")
    before = state(pair.target)
    run = migrate(pair).expect(DONE).result["run"]
    assert pair.target.value("select lo_get(77)") == b"mine"
    windlass("rollback", run, "--yes", pair=pair).expect(DONE)
    assert state(pair.target) == before


@pytest.mark.parametrize("words", [(), ("--existing", "fill")])
def test_the_same_ids_are_refused_with_what_to_do(pair: Pair, words: tuple[str, ...]) -> None:
    pair.source.run("select lo_from_bytea(i::oid, 'theirs') from generate_series(70, 79) i")
    pair.target.run("select lo_from_bytea(77, 'mine'), lo_from_bytea(99, 'mine')")
    ran = migrate(pair, *words).expect(REFUSED)
    (problem,) = ran.result["problems"]
    assert "77" in problem["message"]
    assert "99" not in problem["message"]
    assert "--existing replace" in problem["hint"]


@pytest.mark.parametrize("pair", [(15, 15), (18, 18)], indirect=True)
def test_replace_keeps_them_under_other_ids_and_rollback_restores_them(pair: Pair) -> None:
    pair.source.load(corpus("large_objects"))
    pair.target.load(corpus("large_objects"))
    pair.source.run("select lo_put(500003, 0, 'other')")
    pair.target.run("select lo_put(500002, 0, 'older'), lo_from_bytea(77, 'mine')")
    before = state(pair.target)
    run = migrate(pair, "--existing", "replace").expect(DONE).result["run"]
    assert pair.target.value("select lo_get(500003)").startswith(b"other")
    assert pair.target.value("select lo_get(500002)").startswith(b"small")
    windlass("rollback", run, "--yes", pair=pair).expect(DONE)
    assert state(pair.target) == before


def test_replace_after_a_run_and_back_twice(pair: Pair) -> None:
    pair.source.load(corpus("large_objects"))
    empty = state(pair.target)
    first = migrate(pair).expect(DONE).result["run"]
    before = state(pair.target)
    pair.source.run("select lo_put(500003, 0, 'other')")
    second = migrate(pair, "--existing", "replace").expect(DONE).result["run"]
    verify(pair).expect(DONE)
    windlass("rollback", first, "--yes", pair=pair).expect(REFUSED)
    windlass("rollback", second, "--yes", pair=pair).expect(DONE)
    assert state(pair.target) == before
    windlass("rollback", first, "--yes", pair=pair).expect(DONE)
    assert state(pair.target) == empty
