"""Exit 4 says what ends the trouble: the same command where that is enough, else what to do."""

from __future__ import annotations

import pytest

from command import DONE, STOPPED, migrate, windlass
from oracle import content_difference
from servers import Pair
from test_plan_unfinished import BETTER, OPTIONS, run_of, stopped
from windlass.cli.hints import RESUME

__all__ = ["stopped"]  # a fixture


def lines(pair: Pair) -> int:
    found = pair.target.value("select count(*) from windlass.line")
    assert isinstance(found, int)
    return found


def mended(pair: Pair) -> None:
    for side in (pair.source, pair.target):
        side.run(BETTER)


def test_what_a_rerun_does_not_end_is_to_be_removed_first(stopped: Pair) -> None:
    before = lines(stopped)
    again = migrate(stopped, *OPTIONS).expect(STOPPED).result
    assert again["hint"] == (
        f"remove the cause; then {RESUME}. Or undo the run: windlass rollback {run_of(stopped)}"
    )
    assert lines(stopped) == before
    mended(stopped)
    migrate(stopped, *OPTIONS).expect(DONE)
    assert content_difference(stopped.source, stopped.target) == []


def test_or_the_run_is_undone(stopped: Pair) -> None:
    windlass("rollback", "--yes", run_of(stopped), pair=stopped).expect(DONE)
    assert stopped.target.value("select to_regclass('public.u')") is None


CHANGES = {
    "a column is new": ("source", "alter table u add column later int", "alter table u drop later"),
    "a table is renamed": ("source", "alter table t rename to s", "alter table s rename to t"),
    "a table is gone": ("target", "alter table t rename to s", "alter table s rename to t"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_while_a_run_is_stopped_is_undone_or_it_starts_over(
    change: str, stopped: Pair
) -> None:
    side, there, back = CHANGES[change]
    database = stopped.source if side == "source" else stopped.target
    mended(stopped)
    database.run(there)
    before = lines(stopped)
    for _ in range(2):
        ran = migrate(stopped, *OPTIONS).expect(STOPPED).result
        assert f"the {side} has changed" in ran["message"]
        assert ran["hint"].startswith("undo that change, then run the same command again")
        assert "--restart" in ran["hint"]
        assert lines(stopped) == before
    said = windlass("migrate", *OPTIONS, pair=stopped).expect(STOPPED).said
    assert "To resume:" not in said  # the same command alone would stop here again
    database.run(back)
    migrate(stopped, *OPTIONS).expect(DONE)


def test_starting_over_is_the_other_way(stopped: Pair) -> None:
    mended(stopped)
    stopped.source.run("alter table u add column later int")
    migrate(stopped, *OPTIONS).expect(STOPPED)
    migrate(stopped, *OPTIONS, "--restart").expect(DONE)
    assert content_difference(stopped.source, stopped.target) == []
