"""Exit 4 comes with the remedy: the same command if that is enough, otherwise what to do."""

from __future__ import annotations

import signal

import pytest

from command import DONE, STOPPED, finish, migrate, windlass
from crashing import WORDS, crashing, stopped_at_gate
from oracle import content_difference
from servers import PASSWORD, QUOTED_PASSWORD, Pair
from stopping import BETTER, OPTIONS, run_of, stopped
from windlass.run.hints import RESUME

__all__ = ["crashing", "stopped"]  # fixtures


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
    "two tables swap their names": (
        "source",
        "alter table t rename to s; alter table u rename to t; alter table s rename to u",
        "alter table t rename to s; alter table u rename to t; alter table s rename to u",
    ),
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


def test_what_has_another_s_name_now_is_named(stopped: Pair) -> None:
    stopped.source.run(CHANGES["two tables swap their names"][1])
    message = migrate(stopped, *OPTIONS).expect(STOPPED).result["message"]
    assert "public.t was renamed to public.u, and another table has its name" in message


def test_unlogged_tables_that_cannot_be_filled_again_are_begun_again(crashing: Pair) -> None:
    """Their triggers fire whatever is said, so a row that comes again would be changed."""
    crashing.source.run("alter table s.child enable always trigger counting")
    words = (*WORDS, "--verify", "none")
    process, gate = stopped_at_gate(crashing, "--verify", "none")
    crashing.target.run("checkpoint")
    process.kill()
    process.wait()
    crashing.target.server.restart(signal.SIGKILL)
    gate.close()
    for _ in range(2):
        ran = migrate(crashing, *words).expect(STOPPED).result
        assert "emptied unlogged tables" in ran["message"] and "s.child" in ran["message"]
        assert ran["hint"].startswith("--restart")
    migrate(crashing, *words, "--restart").expect(DONE)
    assert content_difference(crashing.source, crashing.target) == []


def test_a_password_that_has_expired_is_given_again(crashing: Pair) -> None:
    """As tokens do: sessions that are open stay, and another one is not let in."""
    target = crashing.target
    target.run(f"create role expiring superuser login password '{PASSWORD}'")
    env = {"WINDLASS_TARGET": target.url_for("expiring")}
    process, gate = stopped_at_gate(crashing, "--verify", "none", env=env)
    target.run("alter role expiring valid until '2001-01-01'")
    ours = "application_name ~ '^windlass [0-9]' and wait_event = 'advisory'"
    target.run(f"select pg_terminate_backend(pid) from pg_stat_activity where {ours}")
    ran = finish(process).expect(STOPPED).result
    gate.close()
    assert "password" in ran["message"] and ran["hint"].startswith("check the password")
    assert RESUME in ran["hint"]
    target.run("alter role expiring password 'another' valid until 'infinity'")
    env = {"WINDLASS_TARGET": env["WINDLASS_TARGET"].replace(QUOTED_PASSWORD, "another")}
    migrate(crashing, *WORDS, "--verify", "none", env=env).expect(DONE)
    assert content_difference(crashing.source, target) == []
